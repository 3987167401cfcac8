// The course of one request: every wait and every attempt on one axis of time, as bars and in words beside them.

import { bar, icon, make } from "./dom.js";
import { ending, millis } from "./words.js";

const SLIVER = 0.008; // of the axis: what is shorter would not be seen
const NOTABLE = 0.001; // seconds of connecting; a connection that was open takes less
const PARTS = { wait: "waiting for capacity", connect: "connecting", first: "up to the first word", rest: "streaming", bad: "in vain" };
const NO_FAILURE = ["served", "caller_left", "caller_stalled", "outrun"];

/** Return the course of *request* as an element. */
export function timeline(request) {
  const steps = stepsOf(request);
  if (!steps.length) return make("p", "Nobody was asked, and nothing was waited for.");
  const list = (span) => make("ol.course.plain", ...steps.map((step) => drawn(step, span)));
  if (request.dated === false) {
    const why = "This record is of an older version: it does not say when each attempt began.";
    return make("div", list(null), make("p.note", why));
  }
  const span = Math.max(request.total_ms / 1000, ...steps.map((step) => step.began + step.seconds));
  const axis = make("p.axis", { "aria-hidden": "true" }, make("span", "arrived"), make("span", ms(span)));
  const legend = make("p.swatches.small", { "aria-hidden": "true" }, ...partsIn(steps).map(swatch));
  const doubt = request.stored ? "From the stored record: when it waited and was served is worked out." : "";
  return make("div", axis, list(span), legend, make("p.note", doubt));
}

const ms = (seconds) => millis(seconds * 1000);

function stepsOf(request) {
  const waits = request.waits.map((wait) => ({ ...wait, kind: null, parts: { wait: wait.seconds } }));
  const attempts = request.attempts.map((attempt) => ({ ...attempt, parts: partsOf(attempt) }));
  return [...waits, ...attempts].sort((a, b) => (a.began ?? 0) - (b.began ?? 0));
}

function partsOf({ kind, seconds, sent, first_event: first }) {
  const connect = Math.min(sent ?? 0, first ?? seconds);
  const rest = first === null ? 0 : seconds - first;
  const before = seconds - connect - rest;
  return { connect, [rest || NO_FAILURE.includes(kind) ? "first" : "bad"]: before, rest };
}

const partsIn = (steps) => Object.keys(PARTS).filter((part) => steps.some((step) => step.parts[part] > 0));

const swatch = (part) => make("span", bar("swatch", [part], [1]), PARTS[part]);

/** One step in words, and as a bar if *span*, the seconds of the whole axis, is known. */
const drawn = (step, span) => make("li",
  make("p", icon(toneOf(step.kind)), make("strong", step.kind ? `${step.provider}, ${step.model}` : "Waited"),
    ` ${step.kind ? ending(step.kind, step.status) : "for capacity"}`),
  make("span.times", span === null ? ms(step.seconds) : timesOf(step)),
  step.detail ? make("span.detail", step.detail) : null,
  span === null ? null : track(step, span));

function toneOf(kind) {
  if (kind === "served") return "good";
  if (kind === null || kind === "rate_limited") return "rest";
  return NO_FAILURE.includes(kind) ? "none" : "bad";
}

/** "900 ms from 1.20 s on: connecting 30 ms, first word after 210 ms, streaming 690 ms, expected 700 ms in all" */
function timesOf(step) {
  const parts = [];
  if (step.sent >= NOTABLE) parts.push(`connecting ${ms(step.sent)}`);
  if (step.parts.rest) parts.push(`first word after ${ms(step.first_event)}`, `streaming ${ms(step.parts.rest)}`);
  if (step.expected) parts.push(`expected ${ms(step.expected)} in all`);
  const told = `${ms(step.seconds)} from ${ms(step.began)} on`;
  return parts.length ? `${told}: ${parts.join(", ")}` : told;
}

function track(step, span) {
  const parts = Object.entries(step.parts).filter(([, seconds]) => seconds > 0);
  const shares = parts.map(([, seconds]) => seconds / span);
  const short = SLIVER - step.seconds / span;
  if (short > 0 && parts.length) shares[0] += short;
  return bar("track", ["gap", ...parts.map(([part]) => part)], [Math.min(step.began / span, 1 - SLIVER), ...shares]);
}
