// What to look at, and what to do about it.

import { attr, icon, keyed, make, paint, show, text } from "/dashboard/dom.js";
import { ticking } from "/dashboard/ticker.js";

const TONES = { problem: "bad", warning: "warn", note: "rest" };
const WORDS = { problem: "Problem", warning: "Warning", note: "Note" };
// Where something can be done about it.
const PLACES = {
  key_refused: ["keys", "Keys"],
  no_credit: ["keys", "Keys"],
  wrong_address: ["keys", "Keys"],
  model_gone: ["models", "Models"],
  forbidden: ["models", "Models"],
};

/** Show *alerts* in *list*; *box* is hidden when there are none. */
export function showAlerts(box, list, alerts) {
  show(box, alerts.length);
  keyed(list, alerts, (one) => `${one.kind} ${one.provider} ${one.what}`, alertLine);
}

function alertLine() {
  const sign = icon("none");
  const severity = make("span", { class: "hidden" });
  const what = make("strong");
  const todo = make("span");
  const ends = make("span", { class: "small" });
  const place = make("a", { href: "#overview" });
  const root = make("li", {}, sign, make("p", {}, severity, what, " ", todo, " ", place, " ", ends));
  return {
    root,
    update(alert) {
      attr(root, "data-severity", alert.severity);
      paint(sign, TONES[alert.severity] ?? "none");
      text(severity, `${WORDS[alert.severity] ?? alert.severity}: `);
      text(what, alert.what);
      text(todo, alert.do);
      const [page, name] = PLACES[alert.kind] ?? [];
      show(place, page);
      if (page) attr(place, "href", `#${page}`);
      text(place, name);
      ticking(ends, "until", alert.until, alert.until ? "Over" : "");
    },
  };
}
