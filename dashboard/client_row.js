// A row for each client: what it may do, what it has used, and what an operator can do about it.

import { bar, button, cell, each, icon, make, row, trail, view } from "./dom.js";
import { brief, expiry, moment, now, plural, standingOf, until } from "./words.js";

const LIMITS = {
  requests_per_minute: "requests/minute",
  tokens_per_minute: "tokens/minute",
  tokens_per_day: "tokens/day",
  tokens_per_month: "tokens/month",
  concurrency: "concurrency",
};
const LOW = 0.8;

/** What an operator can do with a client: the word on the button, and whether it makes sense for one that is revoked. */
const VERBS = { change: ["Change", false], rotate: ["New key", false], revoke: ["Revoke", false], remove: ["Remove", true] };

/** Return the view of one client. Its buttons call one of *verbs* with the client; *barred()* says why they are off. */
export const clientRow = (verbs, barred) => view(() => row({},
  cell("Client", "who", make("strong", (one) => one.name), trail((one) => one.note)),
  cell("State", "result", icon((one) => standingOf(one).tone), make("span", (one) => standingOf(one).word), trail(formerKeys)),
  cell("Limits", "limits", each(make("ul.bars.plain"), limitsOf, (one) => one.label, limitLine),
    make("span.small", (one) => (limitsOf(one).length ? "" : "no limit")), use()),
  cell("Models", "patterns", (one) => (one.models === null ? "all" : one.models.join(", ") || "none")),
  cell("Weight", "weight", (one) => one.weight),
  cell("Expires", "expires", (one) => expiry(one.expires)),
  cell("Source", "source", (one) => one.from),
  cell("Change", "change",
    make("div.actions", ...Object.entries(VERBS).map(([verb, [words, always]]) => button(words, verbs[verb], {
      hidden: (one) => one.fixed || (one.revoked !== null && !always),
      "aria-label": (one) => `${words}: ${one.name}`,
      barred,
    }))),
    make("span.small", (one) => one.fixed))));

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
function use() {
  const told = ({ standing }) => {
    const { requests = 0, tokens } = standing ?? {};
    return requests ? `${plural(requests, "request")}, ${brief(tokens.prompt + tokens.completion)} tokens` : "Not used yet";
  };
  const link = (page, words) => make("a", { href: ({ name }) => `#${page}/${encodeURIComponent(`client=${name}`)}` }, words);
  return make("details.use", make("summary", told),
    each(make("ul.plain.small"), (one) => one.standing?.use ?? [], (one) => `${one.provider}/${one.model}`, () => view(() => make("li",
      (one) => `${one.provider}, ${one.model}: ${plural(one.requests, "request")}, ${brief(one.prompt)} in, ${brief(one.completion)} out`))),
    make("p.actions", link("requests", "Its requests"), link("usage", "Its usage")));
}

const isKnown = (one) => one.used !== undefined;
const shareOf = (one) => (isKnown(one) && one.limit > 0 ? one.used / one.limit : 0);

const limitLine = () => view(() => make("li", {
  title: (one) => isKnown(one) && one.resets_at > now() && `More room ${until(one.resets_at)}`,
  "data-level": (one) => (shareOf(one) >= 1 ? "spent" : shareOf(one) >= LOW ? "low" : null),
},
make("div.line", make("span.label", (one) => one.label),
  make("span.amount", (one) => (isKnown(one) ? `${brief(one.used)} of ${brief(one.limit)}` : brief(one.limit)))),
bar("quota", ["used"], (one) => [shareOf(one)], { hidden: (one) => !isKnown(one) })));

function formerKeys(client) {
  const ends = client.former_keys.filter((end) => end > now());
  if (!ends.length || client.revoked !== null) return "";
  const last = moment(Math.max(...ends));
  return ends.length === 1 ? `former key works until ${last}` : `${ends.length} former keys work until ${last}`;
}
