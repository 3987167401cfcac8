// What can be asked for: who serves it, what it can, how it stands and how fast it proved; with switches.

import { choice, picker } from "../controls.js";
import { button, keyed, line, make, show, table, text, view } from "../dom.js";
import { CAN, familyRow, isReady, limitWords, modelRow, pace } from "../model_row.js";
import { ORDERS, planned } from "../plan.js";
import { reasonOf } from "../session.js";
import { paced } from "../paced.js";
import { number, plural, privacy, stateOf } from "../words.js";

const EVERY = 20000; // ms between two readings
const PIECE = 150; // rows that are shown at once; more on demand

const STANDING = {
  all: ["All", () => true],
  ready: ["Ready", isReady],
  not: ["Not ready", (one) => !isReady(one) && one.state !== "off"],
  off: ["Off", (one) => one.state === "off"],
};
const SORTS = {
  quality: ["quality", (one) => -one.quality],
  speed: ["speed", (one) => -pace(one).tokens_per_second],
  context: ["context", (one) => -(one.context ?? 0)],
  name: ["name", () => 0], // then by id alone
};
const HEADS = ["Served by", "State", "Context", "Can", "Quality", "Speed", "Limits", "Change"];
const named = (entries) => Object.entries(entries).map(([id, [words]]) => [id, words]);

/** Build the page. */
export function build(desk) {
  const wanted = { standing: "all", can: "", provider: "", sort: "quality", sought: "" };
  let found = null; // as GET /admin/models tells it
  let readFor = null;
  let most = PIECE;

  const reading = paced(EVERY, read);
  const plan = planDialog(desk);
  const rest = providerLine(turnProvider);
  const notice = make("p.note", { role: "status" });
  const barred = make("p.note");
  const metas = make("ul.cards");
  const field = make("input", { type: "search", "aria-label": "Find by name", placeholder: "Find" });
  const standing = choice("Show", named(STANDING), (id) => change("standing", id));
  const can = picker("Can", [["", "anything"], ...Object.entries(CAN)], (id) => change("can", id));
  const provider = picker("Provider", [["", "all"]], (id) => change("provider", id));
  const sort = picker("Sort by", named(SORTS), (id) => change("sort", id));
  const filters = make("div.strip", field, standing.root, can.root, provider.root, sort.root);
  const { box, rows } = table("models-rows", "Table of models", HEADS);
  const more = button("Show more", () => {
    most += PIECE;
    render();
  });
  const count = make("span.count");
  const title = make("h2", { id: "models-title", tabindex: -1 }, "Models ", count);
  const root = make("section.models", { "aria-labelledby": "models-title" },
    title, metas, filters, barred, notice, rest.root, box, more, plan.root);
  field.addEventListener("input", () => change("sought", field.value.trim().toLowerCase()));

  function change(name, value) {
    wanted[name] = value;
    most = PIECE;
    render();
  }

  async function read() {
    readFor = desk.who().name;
    if (!found) text(notice, "Asking the gateway…");
    try {
      const callers = desk.may("read");
      found = callers ? asCallersSee(await desk.ask("GET", "/v1/models")) : await desk.ask("GET", "/admin/models");
      text(notice, found.data.length ? "" : callers && found.meta_models.length
        ? "You may ask for the names above."
        : "No provider is on yet. The overview says how to get going.");
    } catch (error) {
      text(notice, reasonOf(error));
    }
    render();
  }

  const turnModel = (one) => turn(`/admin/models/${[one.provider, ...one.model.split("/")].map(encodeURIComponent).join("/")}`, one.id, one);
  function turnProvider(one) {
    turn(`/admin/providers/${encodeURIComponent(one.id)}`, one.name, one);
  }

  async function turn(path, name, { enabled }) {
    await desk.act(async () => {
      await desk.ask("PATCH", path, { enabled: !enabled });
      desk.notice(`${name} is ${enabled ? "off: it gets no further call" : "on again"}.`);
    });
    reading.now();
  }

  const fits = (one) => STANDING[wanted.standing][1](one)
    && (!wanted.can || one.capabilities.includes(wanted.can))
    && (!wanted.provider || one.provider === wanted.provider)
    && `${one.id} ${one.family}`.toLowerCase().includes(wanted.sought);

  function render() {
    standing.set(wanted.standing);
    sort.set(wanted.sort);
    const told = desk.may("operate");
    line(barred, told && `Switching is for operators. ${told}`);
    for (const node of [filters, box, more]) show(node, found?.data.length);
    if (!found) return;
    const providers = new Map(found.providers.map((one) => [one.id, { ...one, barred: told }]));
    provider.set(wanted.provider, [["", "all"], ...found.providers.map(({ id, name }) => [id, name])]);
    rest.update(providers.get(wanted.provider));
    keyed(metas, found.meta_models, (one) => one.name, () => metaCard(plan));
    const chosen = found.data.filter(fits);
    text(count, chosen.length === found.data.length ? number(chosen.length) : `${number(chosen.length)} of ${number(found.data.length)}`);
    const lines = grouped(chosen, SORTS[wanted.sort][1]);
    show(more, lines.length > most);
    const shown = lines.slice(0, most).map((one) => (one.members ? one : { ...one, barred: told, whole: providers.get(one.provider) }));
    keyed(rows, shown, (one) => one.key, (one) => (one.members ? familyRow(plan) : modelRow(plan, turnModel)));
  }

  return {
    root,
    shown(place) {
      if (place) change("sought", (field.value = place).toLowerCase());
      reading.now();
    },
    update() {
      if (readFor === desk.who().name) reading.soon();
      else reading.now();
    },
    hidden: reading.stop,
  };
}

/** The models, the first by *rank* first, and a line above those of a family that several serve. */
function grouped(models, rank) {
  const ranked = models.map((one) => [rank(one), one.id, { ...one, key: one.id }]);
  ranked.sort(([a, x], [b, y]) => a - b || (x < y ? -1 : 1));
  const families = new Map();
  for (const [, , one] of ranked) {
    if (!families.has(one.family)) families.set(one.family, []);
    families.get(one.family).push(one);
  }
  return [...families].flatMap(([family, members]) => (members.length === 1
    ? members
    : [{ key: `family ${family}`, family, members }, ...members.map((one) => ({ ...one, member: true }))]));
}

/** What callers are told, in the form in which operators are, as far as it goes. */
function asCallersSee({ data }) {
  const takes = { json_schema: "structured_outputs", json_object: "response_format", images: "image" };
  const models = data.filter((one) => !one.freeroute.meta).map((one) => ({
    ...one.freeroute,
    id: one.id,
    model: one.id.slice(one.freeroute.provider.length + 1),
    context: one.context_length,
    state: one.freeroute.available ? "healthy" : "resting",
    capabilities: Object.keys(CAN).filter((name) =>
      [...one.supported_parameters, ...one.architecture.input_modalities].includes(takes[name] ?? name)),
    limits: [],
    enabled: true,
  }));
  const providers = [...new Set(models.map((one) => one.provider))].map((id) => ({ id, name: id }));
  return { data: models, providers, meta_models: data.filter((one) => one.freeroute.meta).map(({ id: name }) => ({ name })) };
}

const metaCard = (explain) => view(() => make("li.card", { "data-tone": "none" },
  make("div.head", make("h3", (one) => one.name),
    button("Explain", (one) => explain(one.name), { "aria-label": (one) => `Explain ${one.name}` })),
  make("p", (one) => ORDERS[one.strategy ?? one.name.replace("free-", "")]),
  make("p.facts", (one) => [
    one.models === undefined ? "" : plural(one.models, "model"),
    one.patterns ? `of ${one.patterns.join(", ")}` : "",
    one.require?.length ? `with ${one.require.join(", ")}` : "",
    one.aliases?.length ? `also called ${one.aliases.join(", ")}` : "",
  ].filter(Boolean).join(" · "))));

/** The provider that was picked: what all of its models share, and its switch. */
const providerLine = (turn) => view(() => make("div.panel.head", { hidden: (one) => !one?.limits },
  make("p", (one) => one?.limits
    && [`${one.name}: ${stateOf(one.state).word}`, privacy(one.privacy), ...one.limits.map(limitWords)].join(" · ")),
  make("button", { type: "button", press: turn, barred: (one) => one?.barred },
    (one) => one && `Switch ${one.name} ${one.enabled ? "off" : "on"}`)));

/** Return what shows who would answer for a model now, and why not the others. */
function planDialog(desk) {
  const title = make("h2", { id: "plan-title" });
  const told = make("p.note");
  const list = make("ol.plan", { tabindex: 0 });
  const close = make("button", "Close");
  const root = make("dialog.wide", { "aria-labelledby": "plan-title" },
    make("form", { method: "dialog" }, title, told, list, make("div.actions", close)));
  const explain = (model) => desk.act(async () => {
    const { candidates } = await desk.ask("GET", `/v1/plan?${new URLSearchParams({ model })}`);
    text(title, `Who would answer for ${model} now`);
    const usable = candidates.filter((one) => one.usable).length;
    text(told, `In this order they would be asked; ${number(usable)} of ${number(candidates.length)} can be used.`);
    list.replaceChildren(...candidates.slice(0, PIECE).map((one) => planned(one)));
    root.showModal();
    close.focus();
  });
  return Object.assign(explain, { root });
}
