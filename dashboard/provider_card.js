// A card for each provider, and a line for each one that is not switched on.

import { bar, button, drawn, each, icon, keyed, line, make, show, text, ticking, times, view } from "./dom.js";
import { brief, ending, millis, number, plural, privacy, remedy, source, stateOf } from "./words.js";

const BARS = 4;
const TROUBLES = 3;
const LISTED = 100; // of each kind in the details; who needs more has the lists of the command line
const EVERY = 5000; // ms between two readings of the details while they are open
const WIDTH = 120; // of a line of latencies
const HEIGHT = 24;
const FEWEST = 3; // answers of which a line says anything

/**
 * Return the view of one provider's card. *verbs* are reset(provider), called by its button, barred(), why it may not be,
 * and whole(id), which reads everything there is to tell of it.
 */
export function providerCard({ id }, verbs) {
  const titled = `provider-${id}`;
  const more = moreDetails(verbs.whole);
  const card = view(() => make("li.card", { "aria-labelledby": titled, "data-tone": (one) => stateOf(one.state).tone },
    make("div.head",
      make("h3", { id: titled }, (one) => one.name),
      make("p.state", icon((one) => stateOf(one.state).tone), make("span", (one) => stateOf(one.state).word)),
      button("Reset", verbs.reset, {
        "aria-label": (one) => `Reset ${one.name}`,
        disabled: () => Boolean(verbs.barred()),
        title: () => verbs.barred() || "Close the breakers and lift the holds",
      })),
    make("p.why", { hidden: (one) => !explain(one) && !returnOf(one) }, explain, " ", times("until", returnOf, "Back")),
    make("p.facts", roomOf),
    make("p.facts", countsOf, times("ago", (one) => one.last_used, " · last used")),
    latencies(),
    each(make("ul.bars.plain"), (one) => telling(one.pools), (pool) => pool.id, quotaBar),
    each(make("ul.troubles.plain"), (one) => one.candidates.filter(inTrouble).slice(0, TROUBLES), (one) => one.id, candidateLine),
    lastFailure(),
    more.root));
  return {
    root: card.root,
    update(provider) {
      card.update(provider);
      more.update(provider);
    },
  };
}

/** Return the view of a provider that is not switched on. */
export const unusedLine = () => view(() => make("li", make("strong", (one) => one.name), " ", termsOf));

const termsOf = (one) => [privacy(one.privacy), one.terms].filter(Boolean).join(". ");
const inTrouble = (one) => one.breaker !== "closed" || one.suspect || Boolean(one.reason);

function explain(provider) {
  const { means } = stateOf(provider.state);
  const bad = provider.keys.filter((key) => key.state !== "ok").length;
  if (bad && bad === provider.keys.length) {
    const refused = provider.keys.every((key) => key.state === "invalid");
    return refused ? "It accepts none of its keys. Check them." : "None of its keys can be used now.";
  }
  return means || (bad ? `${plural(bad, "key")} of ${provider.keys.length} cannot be used.` : "");
}

// When the whole provider is away: its breaker's end, or the first of its candidates to be back.
function returnOf(provider) {
  if (provider.breaker.until) return provider.breaker.until;
  if (!["open", "resting", "held"].includes(provider.state)) return null;
  const ends = provider.candidates.map((one) => one.back_at).filter(Boolean);
  return ends.length ? Math.min(...ends) : null;
}

function roomOf({ capacity }) {
  if (!capacity) return "";
  const { now, today, unlimited } = capacity;
  if (!now && !today) return unlimited ? "No limit is known." : "No room for a call today.";
  const also = unlimited ? `, and ${plural(unlimited, "model")} without a known limit` : "";
  return `Room for ${brief(now)} calls now, ${brief(today)} today${also}.`;
}

function countsOf(provider) {
  const parts = provider.requests === null ? [] : [plural(provider.requests, "request")]; // a client is not told
  if (provider.failed) parts.push(`${number(provider.failed)} failed`);
  const { first_event_p50: first, total_p50: total } = provider.latency ?? {};
  if (first) parts.push(`first word after ${millis(first * 1000)}`);
  if (total) parts.push(`answer after ${millis(total * 1000)}`);
  return parts.join(" · ");
}

/** How long the last answers took, as a line without axes, the newest at the right; nothing before there are some. */
function latencies() {
  const shown = (name) => ({ latency }) => {
    const { totals = [], first_events: firsts = [] } = latency ?? {};
    const seconds = name === "total" ? totals : firsts;
    const step = WIDTH / Math.max(seconds.length - 1, 1);
    const most = Math.max(...totals, ...firsts);
    return seconds.map((each, at) => `${(at * step).toFixed(1)},${(HEIGHT * (1 - each / most)).toFixed(1)}`).join(" ");
  };
  const totals = ({ latency }) => latency?.totals ?? [];
  const picture = { viewBox: `0 -1 ${WIDTH} ${HEIGHT + 2}`, preserveAspectRatio: "none", "aria-hidden": "true" };
  return make("p.latencies", { hidden: (one) => totals(one).length < FEWEST },
    drawn("svg", picture, ...["total", "first"].map((name) => drawn("polyline", { class: name, points: shown(name) }))),
    make("span.small", (one) => {
      const [least, most] = [Math.min(...totals(one)), Math.max(...totals(one))].map((each) => millis(each * 1000));
      return `last ${totals(one).length} answers: ${least} to ${most}`;
    }));
}

const share = (pool) => (pool.limit > 0 ? pool.used / pool.limit : Number(pool.used > 0));

// The fullest few, in the gateway's order, so that bars do not change places while they fill.
function telling(pools) {
  if (pools.length <= BARS) return pools;
  const fullest = [...pools].sort((a, b) => share(b) - share(a)).slice(0, BARS);
  return pools.filter((pool) => fullest.includes(pool));
}

const LEVELS = { spent: ", spent", low: ", nearly spent" };
const levelOf = (pool) => (share(pool) >= 1 ? "spent" : share(pool) >= 0.8 ? "low" : null);

function quotaBar() {
  const resets = make("span");
  const origin = make("span");
  const shown = view(() => make("li", { "data-level": levelOf },
    make("p.line",
      make("span.label", (pool) => pool.label.replace("_", " ").replace("/", " per ")), " ",
      make("span.amount", (pool) => `${brief(pool.used)} of ${brief(pool.limit)}${LEVELS[levelOf(pool)] ?? " used"}`)),
    bar("quota", ["used"], (pool) => [share(pool)]),
    make("p.small", make("span.model", { hidden: (pool) => !pool.model }, (pool) => pool.model), resets, origin)));
  return {
    root: shown.root,
    update(pool) {
      shown.update(pool);
      const moving = pool.used > 0 && pool.resets_at;
      ticking(resets, "until", moving ? pool.resets_at : null, moving ? "resets" : pool.used > 0 ? "" : "unused");
      ticking(origin, "ago", pool.told_at, `${resets.textContent ? " · " : ""}${source(pool)}`);
    },
  };
}

const candidateLine = () => view(() => make("li", icon((one) => candidateState(one).tone), make("span",
  make("span.model", (one) => (one.key && one.key !== "key-1" ? `${one.model} (${one.key})` : one.model)), ": ",
  (one) => {
    const word = candidateState(one).word.toLowerCase();
    return one.reason?.startsWith(word) ? one.reason : [word, one.reason].filter(Boolean).join(", ");
  },
  times("until", (one) => one.back_at, ", back"))));

function candidateState(one) {
  if (one.state) return one.state === "healthy" ? { word: "Ready", tone: "good" } : stateOf(one.state);
  if (one.breaker !== "closed") return stateOf(one.breaker);
  if (one.suspect) return stateOf("suspect");
  if (one.reason || one.back_at) return { word: one.reason ? "" : "Resting", tone: "rest" };
  return { word: "Ready", tone: "good" };
}

function lastFailure() {
  const told = ({ last_error: error, local }) =>
    error && `: ${error.model ? `${error.model} ` : ""}${ending(error.kind)}. ${remedy(error.kind, local)}`;
  return make("p.failure", { hidden: (one) => !one.last_error }, make("strong", "Last failure "),
    times("ago", (one) => one.last_error?.at), told, make("span.detail", (one) => one.last_error?.detail));
}

const KEY_STATES = { ok: ["in use", "good"], invalid: ["not accepted", "bad"], held: ["held", "held"], off: ["not used", "none"] };

const keyLine = () => view(() => make("li", icon((key) => KEY_STATES[key.state]?.[1] ?? "none"), make("span",
  (key) => {
    const account = key.account === "default" ? "" : ` (account ${key.account})`;
    return `${key.label}${account}: ${[KEY_STATES[key.state]?.[0] ?? key.state, key.reason].filter(Boolean).join(", ")}`;
  },
  times("until", (key) => key.held_until, ", back"))));

// Closed until someone wants it. The card has the most telling of a provider; this asks for the rest while it is open.
function moreDetails(whole) {
  let latest = null;
  let read = null;
  let readAt = 0;
  let asking = false;
  const summary = make("summary");
  const terms = make("p");
  const told = make("p.note", { role: "status" });
  const parts = [
    ["Keys", "keys", (key) => key.label, keyLine],
    ["Limits", "pools", (pool) => pool.id, quotaBar],
    ["Candidates", "candidates", (one) => one.id, candidateLine],
  ].map(([heading, field, keyOf, create]) => {
    const [title, list, rest] = [make("h4", heading), make(field === "pools" ? "ul.bars.plain" : "ul.troubles.plain"), make("p.note")];
    const render = ({ [field]: entries = [] }) => {
      keyed(list, entries.slice(0, LISTED), keyOf, create);
      line(rest, entries.length > LISTED ? `and ${number(entries.length - LISTED)} more` : "");
      show(title, entries.length);
    };
    return { nodes: [title, list, rest], render };
  });
  const root = make("details", summary, terms, told, ...parts.flatMap(({ nodes }) => nodes));

  async function refresh() {
    if (!root.open || asking || latest === read || Date.now() - readAt < EVERY) return;
    asking = true;
    read = latest;
    text(terms, termsOf(latest));
    line(told, readAt ? "" : "Asking…");
    try {
      const found = await whole(latest.id);
      for (const { render } of parts) render(found);
      line(told, "");
      readAt = Date.now();
    } catch {
      read = null;
      line(told, "The gateway does not answer.");
    }
    asking = false;
  }

  root.addEventListener("toggle", () => {
    readAt = 0;
    read = null;
    refresh();
  });
  return {
    root,
    update(provider) {
      latest = provider;
      const counted = [plural(provider.models, "model")];
      if (provider.keys.length) counted.push(plural(provider.keys.length, "key"));
      if (provider.pool_count) counted.push(plural(provider.pool_count, "limit"));
      text(summary, counted.join(", "));
      refresh();
    },
  };
}
