// A row for a model of a provider, and one above the models of a family.

import { button, cell, follow, icon, keyed, make, row, show, text, times, trail, view } from "./dom.js";
import { ago, brief, number, plural, privacy, source, stateOf } from "./words.js";

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
export const familyRow = (explain) => view(() => row({ class: "family" },
  make("th", { role: "rowheader", scope: "rowgroup", colspan: 8 }, make("div.head",
    make("strong", (one) => one.family),
    make("span.note", ({ members }) => `${number(members.filter(isReady).length)} of ${number(members.length)} ready`),
    button("Explain", (one) => explain(one.family), { "aria-label": (one) => `Explain ${one.family}` })))));

/** Return the view of a model; its buttons call *explain(name)* and *turn(model)*. */
export const modelRow = (explain, turn) => view(() => row({ class: (one) => one.member && "member" },
  cell(null, "who", make("span.asked", (one) => one.whole?.name ?? one.provider), " ", make("span.trail.served", (one) => one.model),
    trail((one) => (one.privacy === "trains" ? privacy(one.privacy) : ""))),
  cell(null, "result", icon((one) => stateOf(one.state).tone),
    make("span", (one) => (one.state === "healthy" ? "Ready" : stateOf(one.state).word)),
    trail((one) => OFF_BY[one.off_by] || one.reason || (one.retires && `until ${one.retires}, when its provider ends it`)),
    times("until", (one) => one.back_at, "back", "span.trail")),
  cell("Context", "context", { title: (one) => one.max_output && `Answers of ${number(one.max_output)} tokens at most` },
    (one) => (one.context ? brief(one.context) : "–")),
  cell("Can", "can", (one) => one.capabilities.map((name) => CAN[name] ?? name).join(", ") || "–"),
  cell("Quality", "quality", (one) => [number(one.quality), TIERS[one.tier]].filter(Boolean).join(" ")),
  cell("Speed", "speed", make("span", ({ speed }) => (speed ? `${number(pace({ speed }).tokens_per_second)} tokens/s` : "–")), trail(paceOf)),
  cell(null, "limits", limitList()),
  cell(null, "change",
    button("Explain", (one) => explain(one.id), { "aria-label": (one) => `Explain ${one.id}` }), " ",
    make("button", {
      type: "button", press: turn, "aria-label": (one) => `${turning(one)} ${one.id}`,
      barred: (one) => one.barred || (one.off_by === "settings" && "What the settings switch off is switched on there."),
    }, turning))));

const turning = (one) => (one.enabled ? "Switch off" : "Switch on");

function paceOf({ speed }) {
  if (!speed) return "";
  const { measured, prior } = speed;
  const from = measured ? `${plural(measured.answers, "answer")}, ${ago(measured.at)}` : "expected";
  return `first after ${number((measured ?? prior).first_token)} s; ${from}`;
}

/** A limit and its use in words. */
export const limitWords = (one) =>
  `${brief(one.used)} of ${one.limit === null ? "unknown" : brief(one.limit)} ${one.label.replace("/", " per ")}`;

/** The limit of which most is used, and when it is opened all of them. */
function limitList() {
  let latest = [];
  const fullest = make("summary");
  const list = make("ul.plain");
  const root = make("details", fullest, list);
  const fill = () => root.open && keyed(list, latest, (one) => one.id, limitLine);
  root.addEventListener("toggle", fill);
  follow((one) => one, ({ limits, whole }) => {
    latest = [...limits, ...(whole?.limits ?? []).map((one) => ({ ...one, shared: "shared by all its models" }))];
    show(root, latest.length);
    const part = (one) => one.used / (one.limit || Infinity);
    text(fullest, latest.length ? limitWords(latest.reduce((most, one) => (part(one) > part(most) ? one : most))) : "");
    fill();
  });
  return root;
}

const limitLine = () => view(() => make("li",
  make("span", (one) => [limitWords(one), source(one), one.shared].filter(Boolean).join(", ")),
  times("until", (one) => one.used && one.resets_at, ", resets")));
