// A row for a model of a provider, and one above the models of a family.

import { allow, attr, cell, icon, keyed, line, make, paint, show, text } from "/dashboard/dom.js";
import { ticking } from "/dashboard/ticker.js";
import { ago, brief, number, plural, privacy, source, stateOf } from "/dashboard/words.js";

const TIERS = ["small", "medium", "large", "frontier"];
const OFF_BY = { operator: "by an operator", provider: "its provider is switched off" };

/** What models can, as people say it. */
export const CAN = {
  tools: "tools", images: "images", json_schema: "JSON schema", json_object: "JSON", reasoning: "reasoning", embeddings: "embeddings",
};

/** Whether a model may be asked now. */
export const isReady = (one) => ["healthy", "suspect", "half-open"].includes(one.state);

/** How fast it is: as measured, else as expected. */
export const pace = ({ speed }) => speed?.measured ?? speed?.prior ?? { tokens_per_second: 0 };

/** Return the view of a family's line; *explain(name)* is called by its button. */
export function familyRow(explain) {
  let latest = null;
  const name = make("strong");
  const facts = make("span", { class: "note" });
  const button = pressing("Explain", () => explain(latest.family));
  return {
    root: make("tr", { role: "row", class: "family" },
      make("th", { role: "rowheader", scope: "rowgroup", colspan: 8 }, make("div", { class: "head" }, name, facts, button))),
    update(one) {
      latest = one;
      text(name, one.family);
      text(facts, `${number(one.members.filter(isReady).length)} of ${number(one.members.length)} ready`);
      attr(button, "aria-label", `Explain ${one.family}`);
    },
  };
}

/** Return the view of a model; its buttons call *explain(name)* and *turn(model)*. */
export function modelRow(explain, turn) {
  let latest = null;
  const [provider, id, terms, word, why, back, figures, rests] = Array.from({ length: 8 }, () => make("span"));
  for (const node of [terms, why, back, rests]) attr(node, "class", "trail");
  attr(provider, "class", "asked");
  attr(id, "class", "trail served");
  const sign = icon("none");
  const limits = limitList();
  const asking = pressing("Explain", () => explain(latest.id));
  const turning = pressing("", () => turn(latest));
  const context = cell("Context", "context");
  const can = cell("Can", "can");
  const quality = cell("Quality", "quality");
  const root = make("tr", { role: "row" },
    cell(null, "who", provider, " ", id, terms), cell(null, "result", sign, word, why, back),
    context, can, quality, cell("Speed", "speed", figures, rests), cell(null, "limits", limits.root),
    cell(null, "change", asking, " ", turning));
  return {
    root,
    update(one) {
      latest = one;
      attr(root, "class", one.member ? "member" : null);
      const state = stateOf(one.state);
      paint(sign, state.tone);
      text(word, one.state === "healthy" ? "Ready" : state.word);
      const ends = one.retires && `until ${one.retires}, when its provider ends it`;
      line(why, OFF_BY[one.off_by] || one.reason || ends);
      ticking(back, "until", one.back_at, one.back_at ? "back" : "");
      text(provider, one.whole?.name ?? one.provider);
      line(terms, one.privacy === "trains" ? privacy(one.privacy) : "");
      text(id, one.model);
      text(context, one.context ? brief(one.context) : "–");
      attr(context, "title", one.max_output ? `Answers of ${number(one.max_output)} tokens at most` : null);
      text(can, one.capabilities.map((name) => CAN[name] ?? name).join(", ") || "–");
      text(quality, [number(one.quality), TIERS[one.tier]].filter(Boolean).join(" "));
      const { measured, prior } = one.speed ?? {};
      const shown = measured ?? prior;
      text(figures, shown ? `${number(shown.tokens_per_second)} tokens/s` : "–");
      const from = measured ? `${plural(measured.answers, "answer")}, ${ago(measured.at)}` : "expected";
      text(rests, shown && `first after ${number(shown.first_token)} s; ${from}`);
      limits.update(one.limits, one.whole?.limits ?? []);
      const barred = one.barred || (one.off_by === "settings" && "What the settings switch off is switched on there.");
      text(turning, one.enabled ? "Switch off" : "Switch on");
      for (const button of [asking, turning]) attr(button, "aria-label", `${button.textContent} ${one.id}`);
      allow(turning, barred);
    },
  };
}

/** A small button that does *work*. */
export function pressing(words, work) {
  const button = make("button", { type: "button" }, words);
  button.addEventListener("click", work);
  return button;
}

/** A limit and its use in words. */
export const limitWords = (one) =>
  `${brief(one.used)} of ${one.limit === null ? "unknown" : brief(one.limit)} ${one.label.replace("/", " per ")}`;

/** The limit of which most is used, and when it is opened all of them. */
function limitList() {
  let latest = [];
  const fullest = make("summary");
  const list = make("ul", { class: "plain" });
  const root = make("details", {}, fullest, list);
  const fill = () => root.open && keyed(list, latest, (one) => one.id, limitLine);
  root.addEventListener("toggle", fill);
  return {
    root,
    update(own, shared) {
      latest = [...own, ...shared.map((one) => ({ ...one, shared: "shared by all its models" }))];
      show(root, latest.length);
      const part = (one) => one.used / (one.limit || Infinity);
      text(fullest, latest.length ? limitWords(latest.reduce((most, one) => (part(one) > part(most) ? one : most))) : "");
      fill();
    },
  };
}

function limitLine() {
  const words = make("span");
  const resets = make("span");
  return {
    root: make("li", {}, words, resets),
    update(one) {
      text(words, [limitWords(one), source(one), one.shared].filter(Boolean).join(", "));
      ticking(resets, "until", one.used ? one.resets_at : null, one.used ? ", resets" : "");
    },
  };
}
