// A row for each request, which opens to all that is known of it.

import { attr, bar, cell, fill, icon, make } from "/dashboard/dom.js";
import { hopsOf, outcomeOf } from "/dashboard/receipts.js";
import { brief, ending, millis, moment, result } from "/dashboard/words.js";

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
  const opener = make("button", { type: "button", class: "opener" }, time, make("span", { class: "hidden" }, ": all about this request"));
  const strip = bar("latency", ["queue", "first", "rest"]);
  const asked = `${client && client !== "-" ? `${client}: ` : ""}${model || "no model"}`;
  const root = make("tr", { role: "row", class: "request", title: `Request ${id}`, "data-tone": failed && "bad" },
    cell("Time", "when", opener),
    cell("Result", "result", icon(toneOf(request, outcome)), make("span", {}, `${status || ""} ${result(request)}`.trim())),
    cell("Asked", "what", make("span", { class: "asked" }, asked), " ",
      make("span", { class: "served" }, provider ? `→ ${provider}, ${served ?? ""}` : ""),
      make("span", { class: "trail" }, toldOf(request, failed))),
    cell("Latency", "took", make("span", { class: "total" }, millis(total)), strip, make("span", { class: "small" }, timings(request))),
    cell("Tokens", "tokens", tokens ? `${brief(tokens.prompt ?? 0)} in ${brief(tokens.completion ?? 0)} out` : "–"));
  root.addEventListener("click", () => {
    if (String(getSelection()) === "") toggle(request); // whoever marks a text does not want it to move
  });
  return {
    root,
    update() {
      attr(opener, "aria-expanded", String(isOpen(request)));
      fill(strip, shares(request, slowest()));
    },
  };
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
