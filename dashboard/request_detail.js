// One request, opened: its course, what it took, why it went where it went, and what its caller was told.

import { copy } from "./copying.js";
import { button, line, make } from "./dom.js";
import { ORDERS, planned } from "./plan.js";
import { hopsOf } from "./receipts.js";
import { reasonOf } from "./session.js";
import { timeline } from "./timeline.js";
import { millis, number, plural, result } from "./words.js";

const COLUMNS = 5;
const PLANNED = 10; // lines of a plan that are shown

/** Return the view of *request*, opened: a row below its own. *close()* closes it. */
export function requestDetail(request, desk, close) {
  const id = make("code", request.id);
  const box = make("div.opened-box",
    make("div.head", make("p.said", summaryOf(request)), button("Close", close)),
    make("p.id", "Request ", id, " ", button("Copy the id", async () => desk.notice(await copy(id)))),
    make("h3", "Its course"), timeline(request),
    make("h3", "In numbers"), make("dl.numbers", ...numbersOf(request).map(fact)),
    make("h3", "Why this provider"), ...reasonsOf(request).map((words) => make("p.why", words)),
    planOf(request, desk),
    make("h3", "What the caller was told"), headersOf(request));
  const cell = make("td", { role: "cell", colspan: COLUMNS, "aria-colspan": COLUMNS }, box);
  return { root: make("tr", { role: "row", class: "opened" }, cell), update() {} };
}

const fact = ([name, value]) => make("div", make("dt", name), make("dd", value));

function summaryOf(request) {
  const asked = request.model || "No model";
  if (request.status >= 400 || request.code) return `${asked}: ${result(request)}${request.status ? ` (${request.status})` : ""}.`;
  const after = hopsOf(request).length;
  const late = after ? `, after ${plural(after, "attempt")} in vain` : "";
  return `${asked} was answered by ${request.provider}, ${request.served_model}${late}.`;
}

function numbersOf(request) {
  const { client, tokens, continued } = request;
  return [
    ["Client", client === "-" ? "–" : client],
    ["Form", request.stream ? "stream" : "whole answer"],
    ["In all", millis(request.total_ms)],
    ["To the first word", millis(request.first_event_ms)],
    ["Waited", millis(request.queue_ms)],
    ["freeroute's own", `${number(request.overhead_ms)} ms`],
    ["Tokens in", tokens ? number(tokens.prompt) : "–"],
    ["Tokens out", tokens ? number(tokens.completion) : "–"],
    ["Ended with", request.finish ?? request.code ?? "–"],
    ...(continued ? [["Gone on with", plural(continued, "time")]] : []),
  ];
}

/** What is known of the choice, in sentences. */
function reasonsOf({ choice, attempts, stored }) {
  if (stored) return ["What it was chosen by is known of the last requests alone: it is not stored."];
  if (!choice) return ["It came to no choice: nobody could have been asked."];
  const told = [
    `Candidates of this name: ${number(choice.named)}. Able to serve such requests, whatever length and quota: ${number(choice.able)}.`,
    ...(choice.named > 1 ? [ORDERS[choice.strategy] ?? choice.strategy] : []), // one alone is in no order
    "Who is out of quota, held or resting is passed over.",
  ];
  const [first] = attempts;
  if (!first) told.push("None of them had room in time.");
  if (choice.conversation) told.push(`${first.provider}, ${first.model} had this conversation last, and so went before those that were near.`);
  if (attempts.length > 1) told.push("After each attempt in vain the next was chosen anew.");
  return told;
}

/** How the model that was asked for would be chosen now, which the gateway is asked for when it is opened. */
function planOf(request, desk) {
  if (!request.model || request.code === "model_not_found") return "";
  const answered = (one) => one.provider === request.provider && one.model === request.served_model;
  const note = make("p.note", { role: "status" });
  const list = make("ol.plan", { tabindex: "0" });
  const root = make("details", make("summary", `The plan for ${request.model} as it stands now`), note, list);
  root.addEventListener("toggle", async () => {
    if (!root.open) return;
    try {
      const { candidates } = await desk.ask("GET", `/v1/plan?model=${encodeURIComponent(request.model)}`);
      const more = candidates.length - PLANNED;
      line(note, `For a typical request, and not as it stood then.${more > 0 ? ` ${number(more)} more are not shown.` : ""}`);
      list.replaceChildren(...candidates.slice(0, PLANNED).map((one) => planned(one, answered(one) ? " (answered this request)" : "")));
    } catch (error) {
      line(note, reasonOf(error));
    }
  });
  return root;
}

function headersOf({ id, headers }) {
  if (!headers) return make("p.note", "The headers are known of the last requests alone: they are not stored.");
  const told = Object.entries({ "x-request-id": id, ...headers }).map(([name, value]) => `${name}: ${value}`);
  return make("pre", { tabindex: "0", role: "region", "aria-label": "Headers of the answer" }, told.join("\n"));
}
