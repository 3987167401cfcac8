// A row for each client: what it may do, what it has used, and what an operator can do about it.

import { allow, attr, bar, cell, fill, icon, keyed, line, make, paint, show, text } from "/dashboard/dom.js";
import { brief, expiry, moment, now, plural, until } from "/dashboard/words.js";

const LIMITS = {
  requests_per_minute: "requests/minute",
  tokens_per_minute: "tokens/minute",
  tokens_per_day: "tokens/day",
  tokens_per_month: "tokens/month",
  concurrency: "concurrency",
};
const STATES = {
  active: { word: "Active", tone: "good" },
  expired: { word: "Expired", tone: "rest" },
  revoked: { word: "Revoked", tone: "bad" },
  "hidden by the settings": { word: "Hidden", tone: "held" },
};
const LOW = 0.8;

/** What an operator can do with a client: the word on the button, and whether it makes sense. */
const VERBS = {
  change: { word: "Change", fits: (client) => client.revoked === null },
  rotate: { word: "New key", fits: (client) => client.revoked === null },
  revoke: { word: "Revoke", fits: (client) => client.revoked === null },
  remove: { word: "Remove", fits: () => true },
};

/** Return the view of one client. Its buttons call one of *verbs* with the client; *barred()* says why they are off. */
export function clientRow(verbs, barred) {
  let latest = null;
  const name = make("strong");
  const note = make("span", { class: "trail" });
  const sign = icon("none");
  const word = make("span");
  const former = make("span", { class: "trail" });
  const limits = make("ul", { class: "bars plain" });
  const unlimited = make("span", { class: "small" });
  const [models, weight, expires, source] = ["span", "span", "span", "span"].map((tag) => make(tag));
  const fixed = make("span", { class: "small" });
  const use = useView();
  const buttons = Object.entries(VERBS).map(([verb, { word: label }]) => {
    const button = make("button", { type: "button" }, label);
    button.addEventListener("click", () => verbs[verb](latest));
    return [verb, button];
  });
  const root = make("tr", { role: "row" },
    cell("Client", "who", name, note),
    cell("State", "result", sign, word, former),
    cell("Limits", "limits", limits, unlimited, use.root),
    cell("Models", "patterns", models),
    cell("Weight", "weight", weight),
    cell("Expires", "expires", expires),
    cell("Source", "source", source),
    cell("Change", "change", make("div", { class: "actions" }, ...buttons.map(([, button]) => button)), fixed));

  const update = (client) => {
    latest = client;
    const state = STATES[client.state] ?? { word: client.state, tone: "none" };
    text(name, client.name);
    line(note, client.note);
    paint(sign, state.tone);
    text(word, state.word);
    line(former, formerKeys(client));
    const told = limitsOf(client);
    keyed(limits, told, (one) => one.label, limitLine);
    line(unlimited, told.length ? "" : "no limit");
    use.update(client);
    text(models, client.models === null ? "all" : client.models.join(", ") || "none");
    text(weight, String(client.weight));
    text(expires, expiry(client.expires));
    text(source, client.from);
    line(fixed, client.fixed);
    for (const [verb, button] of buttons) {
      show(button, !client.fixed && VERBS[verb].fits(client));
      attr(button, "aria-label", `${VERBS[verb].word}: ${client.name}`);
      allow(button, barred());
    }
  };
  return { root, update };
}

/** Join the *clients* of the administration with the *standing* that the status tells: their use, and why some are fixed. */
export function joined(clients, standing) {
  const standings = new Map((standing ?? []).map((one) => [one.name, one]));
  const given = new Set(clients.filter((one) => one.from !== "added").map((one) => one.name));
  return clients.map((client) => ({
    ...client,
    standing: client.state === "active" ? standings.get(client.name) : undefined,
    fixed: whyFixed(client, given),
  }));
}

function whyFixed(client, given) {
  if (client.from !== "added") return `Read-only: it is said in ${client.from}, and changed there.`;
  return given.has(client.name) ? "Read-only: the settings have a client of this name, which comes first." : "";
}

function limitsOf(client) {
  const used = new Map((client.standing?.limits ?? []).map((limit) => [limit.label, limit]));
  return Object.entries(LIMITS)
    .filter(([field]) => client[field] !== null && client[field] !== undefined)
    .map(([field, label]) => ({ label, limit: client[field], ...used.get(label) }));
}

/** What it has used since the start, by provider and model, and where more about it is. */
function useView() {
  const title = make("summary");
  const lines = make("ul", { class: "plain small" });
  const links = ["requests", "usage"].map((page) => [page, make("a", {}, page === "usage" ? "Its usage" : "Its requests")]);
  const root = make("details", { class: "use" }, title, lines, make("p", { class: "actions" }, ...links.map(([, link]) => link)));
  return {
    root,
    update({ name, standing }) {
      const { requests = 0, tokens = { prompt: 0, completion: 0 }, use = [] } = standing ?? {};
      text(title, requests ? `${plural(requests, "request")}, ${brief(tokens.prompt + tokens.completion)} tokens` : "Not used yet");
      keyed(lines, use, (one) => `${one.provider}/${one.model}`, useLine);
      for (const [page, link] of links) attr(link, "href", `#${page}/${encodeURIComponent(`client=${name}`)}`);
    },
  };
}

function useLine({ provider, model }) {
  const root = make("li");
  return {
    root,
    update: (one) => text(root,
      `${provider}, ${model}: ${plural(one.requests, "request")}, ${brief(one.prompt)} in, ${brief(one.completion)} out`),
  };
}

function limitLine() {
  const amount = make("span", { class: "amount" });
  const label = make("span", { class: "label" });
  const strip = bar("quota", ["used"]);
  const root = make("li", {}, make("div", { class: "line" }, label, amount), strip);
  return {
    root,
    update(one) {
      const known = one.used !== undefined;
      const share = known && one.limit > 0 ? one.used / one.limit : 0;
      text(label, one.label);
      text(amount, known ? `${brief(one.used)} of ${brief(one.limit)}` : brief(one.limit));
      attr(root, "title", known && one.resets_at > now() ? `More room ${until(one.resets_at)}` : null);
      attr(root, "data-level", share >= 1 ? "spent" : share >= LOW ? "low" : null);
      show(strip, known);
      fill(strip, [share]);
    },
  };
}

function formerKeys(client) {
  const ends = client.former_keys.filter((end) => end > now());
  if (!ends.length || client.revoked !== null) return "";
  const last = moment(Math.max(...ends));
  return ends.length === 1 ? `former key works until ${last}` : `${ends.length} former keys work until ${last}`;
}
