// Keys: those of the providers, how they stand and what to do about it; and the tokens of operators.

import { allow, attr, icon, keyed, line, make, paint, show, text } from "/dashboard/dom.js";
import { formDialog } from "/dashboard/forms.js";
import { operatorsPart } from "/dashboard/operators.js";
import { reasonOf } from "/dashboard/session.js";
import { moment, plural, until } from "/dashboard/words.js";

const PATIENCE = 30000; // ms for a test: the gateway itself waits up to 10 s for a provider, to connect and to answer
const EVERY = 10000; // ms between two lists, which change by an operator's hand and by answers of providers

const STATES = {
  valid: { word: "Valid", tone: "good", means: "It has answered." },
  "single-flight": { word: "Not proven", tone: "half", means: "It has not answered yet: one call at a time goes out with it." },
  refused: { word: "Refused", tone: "bad", means: "Its provider does not accept it. Make a new one there, add it here, remove this one." },
  held: { word: "Held", tone: "held", means: "It is left alone for now." },
  off: { word: "Off", tone: "off", means: "It is not used." },
  unknown: { word: "Unknown", tone: "none", means: "" },
};
const VERDICTS = {
  valid: { word: "Valid: the provider accepts it.", tone: "good" },
  invalid: { word: "Invalid: the provider does not accept it. Make a new one there.", tone: "bad" },
  unknown: { word: "No verdict: nobody said yes or no.", tone: "none" },
};
const ASKING = {}; // in place of a verdict that is not there yet
const SOURCES = { settings: "settings file", environment: "environment", entered: "entered" };

const FIELDS = [
  { name: "provider", label: "Provider", required: true, options: [] },
  { name: "label", label: "Label", required: true, maxlength: 64, note: "A name for it, such as mine." },
  { name: "key", label: "Key", wide: true, type: "password", required: true, maxlength: 4096,
    note: "It is kept sealed, sent to this provider alone, and not shown again." },
  { name: "account", label: "Account", wide: true, maxlength: 64, placeholder: "default",
    note: "Whose quota it uses. Keys of one account share its limits: leave it, unless this is another account." },
];

export function build(desk) {
  let providers = null;
  let listedAt = 0;
  let timer = null;
  const verdicts = new Map();
  const count = make("span", { class: "count" });
  const add = make("button", { type: "button", class: "primary" }, "Add a key");
  const barred = make("p", { class: "note" });
  const problems = make("div", { class: "banner", "data-tone": "bad", role: "alert", hidden: true });
  const trouble = make("p", { class: "error", role: "alert", hidden: true });
  const loading = make("p", { class: "note" }, "Asking the gateway…");
  const cards = make("ul", { class: "cards keys" });
  const others = make("ul", { class: "plain" });
  const othersTitle = make("summary");
  const othersBox = make("details", { class: "panel", hidden: true }, othersTitle, others);
  const form = formDialog("provider-key", FIELDS);
  const link = make("a", { target: "_blank", rel: "noreferrer" });
  form.inputs.provider.after(link);
  const operators = operatorsPart(desk);
  const title = make("h2", { id: "keys-title", tabindex: "-1" }, "Provider keys ", count);
  const root = make("section", { class: "clients", "aria-labelledby": "keys-title" }, make("div", { class: "title" }, title, add),
    barred, problems, trouble, loading, cards, othersBox, operators.root, form.root);

  const list = async () => {
    listedAt = Date.now();
    try {
      const told = await desk.ask("GET", "/admin/providers");
      providers = told.data;
      line(trouble, "");
      keyed(problems, told.problems, (words) => words, (words) => ({ root: make("p", {}, sentence(words)), update() {} }));
      show(problems, told.problems.length);
    } catch (error) {
      line(trouble, reasonOf(error));
    }
    render();
  };

  /** List anew, now or as soon as the last list is old enough: a key may have been proven or refused meanwhile. */
  const listSoon = () => {
    clearTimeout(timer);
    timer = setTimeout(list, Math.max(0, listedAt + EVERY - Date.now()));
  };

  const render = () => {
    line(barred, desk.may("admin"));
    allow(add, desk.may("admin"));
    show(add, providers);
    show(loading, !providers && trouble.hidden && !desk.may("read"));
    if (!providers) return;
    const used = providers.filter((one) => one.on || one.keys.length);
    const unused = providers.filter((one) => !used.includes(one));
    const keys = used.reduce((sum, one) => sum + one.keys.length, 0);
    text(count, keys ? String(keys) : "");
    keyed(cards, used, (one) => one.id, (one) => providerCard(one, { desk, verdicts, work, addTo }));
    show(othersBox, unused.length);
    text(othersTitle, `${plural(unused.length, "provider")} more could have a key`);
    keyed(others, unused, (one) => one.id, () => unusedProvider(desk, addTo));
  };

  const work = {
    test: (provider, key) => desk.act(async () => {
      const path = pathOf(provider, key);
      verdicts.set(path, ASKING);
      render();
      try {
        const told = await desk.ask("POST", `${path}/test`, undefined, PATIENCE);
        verdicts.set(path, told);
        desk.notice(`${provider.name}, ${key.label}: ${VERDICTS[told.verdict].word}`, VERDICTS[told.verdict].tone);
      } finally {
        if (verdicts.get(path) === ASKING) verdicts.delete(path);
        render();
      }
    }),
    toggle: (provider, key) => desk.act(async () => {
      await desk.ask("PATCH", pathOf(provider, key), { enabled: !key.enabled });
      desk.notice(`${provider.name}, ${key.label} is ${key.enabled ? "off" : "on"}.`);
      await list();
    }),
    async remove(provider, key) {
      const why = `freeroute forgets it at once. ${provider.keys.length === 1 ? `It is the only key of ${provider.name}. ` : ""}`
        + "At the provider it stays valid until you delete it there.";
      if (!await desk.sure({ title: `Remove the key ${key.label} of ${provider.name}?`, why, button: "Remove", danger: true })) return;
      await desk.act(async () => {
        await desk.ask("DELETE", pathOf(provider, key));
        desk.notice(`${provider.name}, ${key.label} was removed.`);
        title.focus(); // the button that led here is gone
        await list();
      });
    },
  };

  const showLink = () => {
    const chosen = providers.find((one) => one.id === form.inputs.provider.value);
    signup(link, chosen);
  };
  const addTo = (provider) => {
    form.inputs.provider.replaceChildren(...providers.map(({ id, name }) => make("option", { value: id }, name)));
    form.open({
      title: "Add a provider's key",
      button: "Add",
      values: { provider: (provider ?? providers[0]).id },
      fixed: provider ? ["provider"] : [],
      async work({ provider: id, ...terms }) {
        const given = Object.fromEntries(Object.entries(terms).filter(([, value]) => value !== null));
        await desk.ask("POST", `/admin/providers/${encodeURIComponent(id)}/keys`, given);
        desk.notice(`The key ${terms.label} was added, and is used from now on.`);
        await list();
      },
    });
    showLink();
  };

  form.inputs.provider.addEventListener("change", showLink);
  add.addEventListener("click", () => addTo(null));
  return {
    root,
    shown() {
      operators.list();
      if (desk.may("read")) render();
      else list();
    },
    update() {
      render();
      if (!desk.may("read")) listSoon();
    },
    hidden: () => clearTimeout(timer),
  };
}

const pathOf = (provider, key) => `/admin/providers/${encodeURIComponent(provider.id)}/keys/${encodeURIComponent(key.label)}`;

/** Where a key for *provider* is to be had; only web addresses become links. */
function signup(link, provider) {
  const address = provider?.signup_url;
  const good = /^https:\/\//.test(address ?? "");
  show(link, good);
  attr(link, "href", good ? address : null);
  text(link, good ? `Get a key from ${provider.name}` : "");
}

function providerCard({ id }, { desk, verdicts, work, addTo }) {
  let latest = null;
  const name = make("h3", { id: `keys-of-${id}` });
  const add = make("button", { type: "button" }, "Add a key");
  const facts = make("p", { class: "facts" });
  const home = make("p", { class: "facts" });
  const link = make("a", { target: "_blank", rel: "noreferrer" });
  const keys = make("ul", { class: "plain" });
  const none = make("p", { class: "facts" }, "It is asked without a key.");
  const root = make("li", { class: "card" }, make("div", { class: "head" }, name, add), facts, home, keys, none, link);
  add.addEventListener("click", () => addTo(latest));
  return {
    root,
    update(provider) {
      latest = provider;
      text(name, provider.name);
      allow(add, desk.may("admin"));
      attr(add, "aria-label", `Add a key: ${provider.name}`);
      attr(root, "data-tone", provider.on && provider.enabled ? worst(provider.keys) : "off");
      text(facts, [provider.base_url, provider.enabled ? "" : "switched off by an operator"].filter(Boolean).join(" · "));
      line(home, provider.base_url_of_settings
        && `Moved by an operator; the settings have it at ${provider.base_url_of_settings}. Keys go to another host only once `
        + "confirmed: that is done by the API (send_keys).");
      keyed(keys, provider.keys, (key) => `${key.source} ${key.label}`, () => keyRow({ desk, verdicts, work, provider: () => latest }));
      show(none, provider.on && !provider.keys.length);
      signup(link, provider);
    },
  };
}

/** The tone of the key that needs an operator most. */
function worst(keys) {
  const tones = keys.map((key) => STATES[key.state]?.tone ?? "none");
  return ["bad", "held", "half", "off"].find((tone) => tones.includes(tone)) ?? null;
}

function keyRow({ desk, verdicts, work, provider }) {
  let latest = null;
  const label = make("strong");
  const ends = make("code");
  const origin = make("span", { class: "trail" });
  const sign = icon("none");
  const word = make("span");
  const means = make("p", { class: "small" });
  const verdict = make("p", { class: "small" });
  const buttons = { test: "Test", toggle: "", remove: "Remove" };
  for (const [verb, words] of Object.entries(buttons)) {
    buttons[verb] = make("button", { type: "button" }, words);
    buttons[verb].addEventListener("click", () => work[verb](provider(), latest));
  }
  const root = make("li", { class: "key" },
    make("div", { class: "line" }, label, ends, make("span", { class: "state" }, sign, word)),
    origin, means, make("div", { class: "actions" }, ...Object.values(buttons)), verdict);
  return {
    root,
    update(key) {
      latest = key;
      const state = STATES[key.state] ?? { word: key.state, tone: "none", means: "" };
      text(label, key.label);
      line(ends, key.ends_with && `…${key.ends_with}`);
      text(origin, originOf(key));
      paint(sign, state.tone);
      text(word, key.until ? `${state.word}, back ${until(key.until)}` : state.word);
      line(means, [key.reason && sentence(key.reason), state.means].filter(Boolean).join(" "));
      text(buttons.toggle, key.enabled ? "Switch off" : "Switch on");
      for (const [verb, button] of Object.entries(buttons)) {
        show(button, verb === "test" || key.source === "entered");
        allow(button, desk.may(verb === "test" ? "operate" : "admin"));
        attr(button, "aria-label", `${button.textContent}: ${provider().name}, ${key.label}`);
      }
      const told = verdicts.get(pathOf(provider(), key));
      line(verdict, told && verdictOf(told));
    },
  };
}

const sentence = (words) => `${words[0].toUpperCase()}${words.slice(1)}${/[.!?]$/.test(words) ? "" : "."}`;

function verdictOf(told) {
  if (told === ASKING) return "Asking the provider…";
  return [VERDICTS[told.verdict].word, told.detail && sentence(told.detail)].filter(Boolean).join(" ");
}

function originOf(key) {
  const from = key.source === "entered" && key.created ? `entered ${moment(key.created)}` : `from the ${SOURCES[key.source] ?? key.source}`;
  const account = key.account === "default" ? "" : `account ${key.account}`;
  return [from, account, key.source === "entered" ? "" : "changed there"].filter(Boolean).join(" · ");
}

function unusedProvider(desk, addTo) {
  let latest = null;
  const name = make("strong");
  const link = make("a", { target: "_blank", rel: "noreferrer" });
  const add = make("button", { type: "button" }, "Add a key");
  add.addEventListener("click", () => addTo(latest));
  return {
    root: make("li", { class: "line" }, name, link, add),
    update(provider) {
      latest = provider;
      text(name, provider.name);
      signup(link, provider);
      allow(add, desk.may("admin"));
      attr(add, "aria-label", `Add a key: ${provider.name}`);
    },
  };
}
