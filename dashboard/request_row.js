// A row for each request, which opens to all that is known of it.

import { bar, cell, icon, make, row, trail, view } from "./dom.js";
import { hopsOf, outcomeOf } from "./receipts.js";
import { brief, ending, millis, moment, result } from "./words.js";

const HOPS = 3;

/**
 * Return the view of *request*, which is over and changes no more. *slowest()* is the longest time among those shown,
 * the scale of its bar; *toggle(request)* opens and closes it, *isOpen(request)* says whether it is open.
 */
export function requestRow(request, { slowest, toggle, isOpen }) {
  const { id, at, client, model, provider, served_model: served, status, total_ms: total, tokens } = request;
  const outcome = outcomeOf(request);
  const failed = outcome === "failed" || outcome === "turned";
  const time = make("time", { datetime: new Date(at * 1000).toISOString() }, moment(at));
  const asked = `${client && client !== "-" ? `${client}: ` : ""}${model || "no model"}`;
  const shown = view(() => row({ class: "request", title: `Request ${id}`, "data-tone": failed && "bad" },
    cell("Time", "when", make("button.opener", { type: "button", "aria-expanded": () => String(isOpen(request)) }, time,
      make("span.hidden", ": all about this request"))),
    cell("Result", "result", icon(toneOf(request, outcome)), make("span", `${status || ""} ${result(request)}`.trim())),
    cell("Asked", "what", make("span.asked", asked), " ", make("span.served", provider ? `→ ${provider}, ${served ?? ""}` : ""),
      trail(toldOf(request, failed))),
    cell("Latency", "took", make("span.total", millis(total)),
      bar("latency", ["queue", "first", "rest"], () => shares(request, slowest())), make("span.small", timings(request))),
    cell("Tokens", "tokens", tokens ? `${brief(tokens.prompt ?? 0)} in ${brief(tokens.completion ?? 0)} out` : "–")));
  shown.root.addEventListener("click", () => {
    if (String(getSelection()) === "") toggle(request); // whoever marks a text does not want it to move
  });
  return shown;
}

function toneOf(request, outcome) {
  if (outcome === "left") return "none";
  if (outcome === "served") return hopsOf(request).length ? "warn" : "good";
  if (request.status === 429) return "rest";
  return outcome === "turned" ? "held" : "bad";
}

function toldOf(request, failed) {
  const all = hopsOf(request);
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
