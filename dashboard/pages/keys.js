// Keys: those of the providers, how they stand and what to do about it; and the tokens of operators.

import { allow, button, each, follow, icon, keyed, line, make, show, text, trail, view } from "../dom.js";
import { formDialog } from "../forms.js";
import { operatorsPart } from "../operators.js";
import { paced } from "../paced.js";
import { reasonOf } from "../session.js";
import { moment, plural, until } from "../words.js";

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
  const listing = paced(EVERY, list);
  const verdicts = new Map();
  const count = make("span.count");
  const add = button("Add a key", () => addTo(null), { class: "primary" });
  const barred = make("p.note");
  const problems = make("div.banner", { "data-tone": "bad", role: "alert", hidden: true });
  const trouble = make("p.error", { role: "alert", hidden: true });
  const loading = make("p.note", "Asking the gateway…");
  const cards = make("ul.cards.keys");
  const others = make("ul.plain");
  const othersTitle = make("summary");
  const othersBox = make("details.panel", { hidden: true }, othersTitle, others);
  const form = formDialog("provider-key", FIELDS);
  const link = view(signup);
  form.inputs.provider.after(link.root);
  const operators = operatorsPart(desk);
  const title = make("h2", { id: "keys-title", tabindex: "-1" }, "Provider keys ", count);
  const root = make("section.clients", { "aria-labelledby": "keys-title" }, make("div.title", title, add),
    barred, problems, trouble, loading, cards, othersBox, operators.root, form.root);

  async function list() {
    try {
      const told = await desk.ask("GET", "/admin/providers");
      providers = told.data;
      line(trouble, "");
      keyed(problems, told.problems, (words) => words, () => view(() => make("p", sentence)));
      show(problems, told.problems.length);
    } catch (error) {
      line(trouble, reasonOf(error));
    }
    render();
  }

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
    keyed(others, unused, (one) => one.id, () => unusedProvider({ desk, addTo }));
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
      await listing.now();
    }),
    async remove(provider, key) {
      const why = `freeroute forgets it at once. ${provider.keys.length === 1 ? `It is the only key of ${provider.name}. ` : ""}`
        + "At the provider it stays valid until you delete it there.";
      if (!await desk.sure({ title: `Remove the key ${key.label} of ${provider.name}?`, why, button: "Remove", danger: true })) return;
      await desk.act(async () => {
        await desk.ask("DELETE", pathOf(provider, key));
        desk.notice(`${provider.name}, ${key.label} was removed.`);
        title.focus(); // the button that led here is gone
        await listing.now();
      });
    },
  };

  const showLink = () => link.update(providers.find((one) => one.id === form.inputs.provider.value));
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
        await listing.now();
      },
    });
    showLink();
  };

  form.inputs.provider.addEventListener("change", showLink);
  return {
    root,
    shown() {
      operators.list();
      if (desk.may("read")) render();
      else listing.now();
    },
    update() {
      render();
      if (!desk.may("read")) listing.soon();
    },
    hidden: listing.stop,
  };
}

const pathOf = (provider, key) => `/admin/providers/${encodeURIComponent(provider.id)}/keys/${encodeURIComponent(key.label)}`;

/** Where a key for the provider is to be had; only web addresses become links. */
function signup() {
  const isGood = (one) => /^https:\/\//.test(one?.signup_url ?? "");
  const href = (one) => (isGood(one) ? one.signup_url : null);
  return make("a", { target: "_blank", rel: "noreferrer", href, hidden: (one) => !isGood(one) },
    (one) => isGood(one) && `Get a key from ${one.name}`);
}

const adding = ({ desk, addTo }) => button("Add a key", addTo, { "aria-label": (one) => `Add a key: ${one.name}`, barred: () => desk.may("admin") });

function providerCard({ id }, hands) {
  let latest = null;
  const row = (key) => keyRow(key, { ...hands, provider: () => latest });
  return view(() => {
    follow((one) => one, (one) => { latest = one; });
    return make("li.card", { "data-tone": (one) => (one.on && one.enabled ? worst(one.keys) : "off") },
      make("div.head", make("h3", { id: `keys-of-${id}` }, (one) => one.name), adding(hands)),
      make("p.facts", (one) => [one.base_url, one.enabled ? "" : "switched off by an operator"].filter(Boolean).join(" · ")),
      make("p.facts", ({ base_url_of_settings: before }) => before
        && `Moved by an operator; the settings have it at ${before}. Keys go to another host only once `
        + "confirmed: that is done by the API (send_keys)."),
      each(make("ul.plain"), (one) => one.keys, (key) => `${key.source} ${key.label}`, row),
      make("p.facts", { hidden: (one) => !one.on || one.keys.length }, "It is asked without a key."),
      signup());
  });
}

/** The tone of the key that needs an operator most. */
function worst(keys) {
  const tones = keys.map((key) => STATES[key.state]?.tone ?? "none");
  return ["bad", "held", "half", "off"].find((tone) => tones.includes(tone)) ?? null;
}

function keyRow(first, { desk, verdicts, work, provider }) {
  const stateOf = (key) => STATES[key.state] ?? { word: key.state, tone: "none", means: "" };
  const pressed = (verb, scope, words, hidden = null) => make("button", {
    type: "button", press: (key) => work[verb](provider(), key), hidden, barred: () => desk.may(scope),
    "aria-label": (key) => `${words(key)}: ${provider().name}, ${key.label}`,
  }, words);
  const isGiven = (key) => key.source !== "entered";
  return view(() => make("li.key",
    make("div.line", make("strong", (key) => key.label), make("code", { hidden: (key) => !key.ends_with }, (key) => `…${key.ends_with}`),
      make("span.state", icon((key) => stateOf(key).tone),
        make("span", (key) => stateOf(key).word + (key.until ? `, back ${until(key.until)}` : "")))),
    trail(originOf),
    make("p.small", (key) => [key.reason && sentence(key.reason), stateOf(key).means].filter(Boolean).join(" ")),
    make("div.actions",
      pressed("test", "operate", () => "Test"),
      pressed("toggle", "admin", (key) => (key.enabled ? "Switch off" : "Switch on"), isGiven),
      pressed("remove", "admin", () => "Remove", isGiven)),
    make("p.small", (key) => verdictOf(verdicts.get(pathOf(provider(), key))))));
}

const sentence = (words) => `${words[0].toUpperCase()}${words.slice(1)}${/[.!?]$/.test(words) ? "" : "."}`;

function verdictOf(told) {
  if (!told) return "";
  if (told === ASKING) return "Asking the provider…";
  return [VERDICTS[told.verdict].word, told.detail && sentence(told.detail)].filter(Boolean).join(" ");
}

function originOf(key) {
  const from = key.source === "entered" && key.created ? `entered ${moment(key.created)}` : `from the ${SOURCES[key.source] ?? key.source}`;
  const account = key.account === "default" ? "" : `account ${key.account}`;
  return [from, account, key.source === "entered" ? "" : "changed there"].filter(Boolean).join(" · ");
}

const unusedProvider = (hands) => view(() => make("li.line", make("strong", (one) => one.name), signup(), adding(hands)));
