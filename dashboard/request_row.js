// A row for each of the last requests.

import { attr, bar, fill, icon, line, make, paint, text } from "/dashboard/dom.js";
import { brief, ending, millis, moment, result } from "/dashboard/words.js";

const HOPS = 3;
const CALLER_LEFT = 499; // as the gateway notes a caller who hung up

/** Return the view of one request. *slowest()* is the longest time among those shown, the scale of its bar. */
export function requestRow(slowest) {
  const time = make("time");
  const sign = icon("none");
  const word = make("span");
  const asked = make("span", { class: "asked" });
  const served = make("span", { class: "served" });
  const trail = make("span", { class: "trail" });
  const total = make("span", { class: "total" });
  const first = make("span", { class: "small" });
  const strip = bar("latency", ["queue", "first", "rest"]);
  const tokens = make("span");
  const root = make("tr", { role: "row" },
    cell("when", time),
    cell("result", sign, word),
    cell("what", asked, " ", served, trail),
    cell("took", total, strip, first),
    cell("tokens", tokens));
  return {
    root,
    update(request) {
      const failed = isFailure(request);
      paint(sign, toneOf(request, failed));
      attr(root, "data-tone", failed ? "bad" : null);
      text(time, moment(request.at));
      attr(time, "datetime", new Date(request.at * 1000).toISOString());
      text(word, `${request.status || ""} ${result(request)}`.trim());
      const model = request.model || "no model";
      text(asked, request.client && request.client !== "-" ? `${request.client}: ${model}` : model);
      line(served, request.provider && `→ ${request.provider}, ${request.served_model ?? ""}`);
      line(trail, hopsOf(request, failed));
      text(total, millis(request.total_ms));
      line(first, timings(request));
      fill(strip, shares(request, slowest()));
      text(tokens, tokensOf(request.tokens));
      attr(root, "title", `Request ${request.id}`);
    },
  };
}

const cell = (name, ...children) => make("td", { role: "cell", class: name }, ...children);

const isFailure = (request) => request.status !== CALLER_LEFT && (request.status >= 400 || Boolean(request.code));

function toneOf(request, failed) {
  if (request.status === CALLER_LEFT) return "none";
  if (failed) return request.status === 429 ? "rest" : "bad";
  return hops(request).length ? "warn" : "good";
}

const hops = (request) => request.attempts.filter((attempt) => attempt.kind !== "served");

function hopsOf(request, failed) {
  const all = hops(request);
  if (!all.length) return "";
  const told = all.slice(0, HOPS).map(
    (hop) => `${hop.provider} ${ending(hop.kind, hop.status)} in ${millis(hop.seconds * 1000)}`,
  );
  if (all.length > HOPS) told.push(`${all.length - HOPS} more`);
  return `${failed ? "Tried" : "After"} ${told.join("; ")}`;
}

function timings(request) {
  const parts = [];
  if (request.queue_ms >= 1) parts.push(`${millis(request.queue_ms)} waiting`);
  if (request.stream && request.first_event_ms !== null) parts.push(`first ${millis(request.first_event_ms)}`);
  return parts.join(", ");
}

function shares(request, slowest) {
  if (!slowest) return [0, 0, 0];
  const queue = Math.min(request.queue_ms ?? 0, request.total_ms);
  const first = Math.max(queue, Math.min(request.first_event_ms ?? request.total_ms, request.total_ms));
  return [queue, first - queue, request.total_ms - first].map((ms) => ms / slowest);
}

function tokensOf(tokens) {
  return tokens ? `${brief(tokens.prompt ?? 0)} in ${brief(tokens.completion ?? 0)} out` : "–";
}
