// How candidates are put in order, and a candidate in a plan: where it stands, or why it is not asked now.

import { make, ticking } from "./dom.js";
import { number } from "./words.js";

/** What each strategy orders by. */
export const ORDERS = {
  free: "Spends first what comes back soonest.",
  fast: "Whoever is expected to finish first.",
  smart: "The best models first, then headroom and speed.",
};

/** Return the line of a candidate as `GET /v1/plan` tells it; *after* is said at its end. */
export function planned(one, after = "") {
  const name = `${one.provider}/${one.model}${one.key && one.key !== "key-1" ? ` (${one.key})` : ""}`;
  const why = one.usable
    ? `an answer in ${number(one.expected_seconds)} s, ${number(100 * one.quota_left)} % of its quota left${one.suspect ? ", failed last time" : ""}`
    : one.reason;
  const back = make("span");
  ticking(back, "until", one.back_at, one.back_at ? ", back" : "");
  return make("li", { class: one.usable ? null : "out" }, make("span.model", name), `: ${why}`, back, after);
}
