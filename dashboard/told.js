// What an answer's head, its end and the plan tell, in words.

import { make } from "./dom.js";
import { planned } from "./plan.js";
import { brief, ending, millis, number, plural } from "./words.js";

const MEASURABLE = 50; // ms; what comes at once has no speed
const LONGEST = 128; // characters of a name in a header
const LISTED = 50; // candidates of a plan; a large catalogue has thousands

const REMEDIES = {
  capacity_exhausted: "Try again then, allow a longer wait in the options, or choose another model.",
  context_length_exceeded: "Begin anew, or choose a model with a larger context.",
  model_not_allowed: "Choose a model that this client may use.",
  model_not_found: "Choose one from the list.",
  no_provider_configured: "Add a key on the page Keys.",
  rate_limit_exceeded: "It is the limit of this client, not a provider's.",
  request_too_large: "Send fewer or smaller images.",
  unsupported_capability: "Choose another model, or leave out what this one cannot take.",
  upstream_failed: "Try again, or choose another model.",
  upstream_timeout: "Try again, or choose another model.",
};

const FINISHES = {
  length: "cut off: the most tokens allowed were reached",
  content_filter: "stopped by a content filter",
};

/** A failure and what to do about it. */
export const failureOf = ({ message, code }) => `${message.replace(/(?<![.?!])$/, ".")} ${REMEDIES[code] ?? ""}`.trim();

/** What the *headers* of an answer tell. */
export function headOf(headers) {
  const told = (name) => headers.get(`x-freeroute-${name}`);
  return {
    id: headers.get("x-request-id"),
    provider: told("provider"),
    model: told("model"),
    attempts: Number(told("attempts") ?? 0),
    trail: (told("trail") ?? "").split("; ").filter(Boolean).map(hop),
    queue: Number(told("queue-ms") ?? 0),
    overhead: Number(told("overhead-ms") ?? 0),
    dropped: told("dropped"),
  };
}

// "groq/qwen/qwen3=rate_limited:429": the last sign parts them, since names may hold it too.
function hop(written) {
  const at = written.lastIndexOf("=");
  const [kind, detail] = written.slice(at + 1).split(":");
  const name = written.slice(0, at);
  if (kind === "unknown") return `no model is called ${name}`;
  if (kind === "clamped") return `${name} was asked for ${detail} tokens at most`;
  return `${name} ${ending(kind, Number(detail))}`;
}

/** Pairs of a name and its value for what is known: the head, the *answer* so far, its *times* in ms. */
export function factsOf(head, answer, { first, total }) {
  const usage = answer.usage;
  const written = usage?.completion_tokens;
  const speed = written && total - first >= MEASURABLE ? written / ((total - first) / 1000) : 0;
  return [
    ["Attempts", head.attempts && number(head.attempts)],
    ["On the way", head.trail.join("; ")],
    ["Waited for room", head.queue >= 1 && millis(head.queue)],
    ["First token", first && millis(first)],
    ["Total", total && millis(total)],
    ["Speed", speed && `${number(speed)} tokens/s`],
    ["Tokens", usage && `${brief(usage.prompt_tokens)} in, ${brief(written)} out${usage.estimated ? ", estimated" : ""}`],
    ["Freeroute's part", head.attempts && millis(head.overhead)],
    ["Left out", [head.dropped, ...answer.dropped].filter(Boolean).join(", ")],
    ["Went on", answer.continued.map((one) => `${one.provider}, ${one.model}`).join("; ")],
    ["Ended", FINISHES[answer.finish]],
  ].filter(([, value]) => value);
}

/** Let *parent* show a *plan*; the candidate that *head* names is marked. */
export function listPlan(parent, plan, head) {
  const { candidates } = plan;
  const usable = candidates.filter((one) => one.usable).length;
  const more = candidates.length - LISTED;
  parent.replaceChildren(
    make("p.note", `${plural(candidates.length, "candidate")} for ${plan.model}, ${number(usable)} with room.`),
    make("ol", { tabindex: 0, "aria-label": "Candidates" }, ...candidates.slice(0, LISTED).map((one) => candidate(one, head))),
    more > 0 ? make("p.note", `And ${number(more)} more.`) : "");
}

function candidate(one, head) {
  return planned(one, answered(one, head) ? make("span.chip", "answered") : "");
}

/** Whether the candidate *one* of a plan is who answered, as *head* tells. */
export const answered = (one, head) => printable(one.provider) === head.provider && printable(one.model) === head.model;

// Names as the gateway writes them into a header: ASCII, and not long.
function printable(name) {
  const safe = [...name].slice(0, LONGEST + 1).map((char) => (char >= " " && char <= "~" ? char : "?")).join("");
  return safe.length > LONGEST ? `${safe.slice(0, LONGEST - 3)}...` : safe;
}
