// A card for each provider, and a line for each one that is not switched on.

import { allow, attr, bar, fill, icon, keyed, line, make, paint, show, text } from "/dashboard/dom.js";
import { sparkline } from "/dashboard/sparkline.js";
import { ticking } from "/dashboard/ticker.js";
import { brief, ending, millis, number, plural, privacy, remedy, source, stateOf } from "/dashboard/words.js";

const BARS = 4;
const TROUBLES = 3;
const LISTED = 100; // of each kind in the details; who needs more has the lists of the command line
const EVERY = 5000; // ms between two readings of the details while they are open

/**
 * Return the view of one provider's card. *verbs* are reset(provider), called by its button, barred(), why it may not be,
 * and whole(id), which reads everything there is to tell of it.
 */
export function providerCard(first, verbs) {
  let latest = first;
  const title = make("h3", { id: `provider-${first.id}` });
  const stateIcon = icon("none");
  const stateWord = make("span");
  const button = make("button", { type: "button" }, "Reset");
  const why = make("span");
  const back = make("span");
  const facts = make("p", { class: "facts" });
  const used = make("span");
  const counts = make("span");
  const bars = make("ul", { class: "bars plain" });
  const troubles = make("ul", { class: "troubles plain" });
  const failure = lastFailure();
  const room = make("p", { class: "facts" });
  const latency = sparkline("latencies");
  const more = moreDetails(verbs.whole);
  facts.append(counts, used);

  const root = make("li", { class: "card", "aria-labelledby": title.id },
    make("div", { class: "head" },
      title,
      make("p", { class: "state" }, stateIcon, stateWord),
      button),
    make("p", { class: "why" }, why, " ", back),
    room, facts, latency.root, bars, troubles, failure.root, more.root);
  button.addEventListener("click", () => verbs.reset(latest));

  const update = (provider) => {
    latest = provider;
    const state = stateOf(provider.state);
    text(title, provider.name);
    attr(root, "data-tone", state.tone);
    text(stateWord, state.word);
    paint(stateIcon, state.tone);
    attr(button, "aria-label", `Reset ${provider.name}`);
    const barred = verbs.barred();
    allow(button, barred);
    if (!barred) attr(button, "title", "Close the breakers and lift the holds");
    text(why, explain(provider, state));
    const returns = returnOf(provider);
    ticking(back, "until", returns, returns ? "Back" : "");
    show(why.parentNode, why.textContent || returns);
    line(room, roomOf(provider.capacity));
    text(counts, countsOf(provider));
    latency.update(provider.latency);
    ticking(used, "ago", provider.last_used, provider.last_used ? " · last used" : "");
    keyed(bars, telling(provider.pools), (pool) => pool.id, quotaBar);
    keyed(troubles, provider.candidates.filter(inTrouble).slice(0, TROUBLES), (one) => one.id, candidateLine);
    failure.update(provider);
    more.update(provider);
  };
  return { root, update };
}

/** Return the view of a provider that is not switched on. */
export function unusedLine() {
  const name = make("strong");
  const posture = make("span");
  const root = make("li", {}, name, " ", posture);
  return {
    root,
    update(provider) {
      text(name, provider.name);
      text(posture, [privacy(provider.privacy), provider.terms].filter(Boolean).join(". "));
    },
  };
}

const inTrouble = (one) => one.breaker !== "closed" || one.suspect || Boolean(one.reason);
const badKeys = (provider) => provider.keys.filter((key) => key.state !== "ok");

function explain(provider, state) {
  const bad = badKeys(provider).length;
  if (bad && bad === provider.keys.length) {
    const refused = provider.keys.every((key) => key.state === "invalid");
    return refused ? "It accepts none of its keys. Check them." : "None of its keys can be used now.";
  }
  if (state.means) return state.means;
  return bad ? `${plural(bad, "key")} of ${provider.keys.length} cannot be used.` : "";
}

// When the whole provider is away: its breaker's end, or the first of its candidates to be back.
function returnOf(provider) {
  if (provider.breaker.until) return provider.breaker.until;
  if (!["open", "resting", "held"].includes(provider.state)) return null;
  const ends = provider.candidates.map((one) => one.back_at).filter(Boolean);
  return ends.length ? Math.min(...ends) : null;
}

function roomOf(capacity) {
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

const share = (pool) => (pool.limit > 0 ? pool.used / pool.limit : Number(pool.used > 0));

// The fullest few, in the gateway's order, so that bars do not change places while they fill.
function telling(pools) {
  if (pools.length <= BARS) return pools;
  const fullest = [...pools].sort((a, b) => share(b) - share(a)).slice(0, BARS);
  return pools.filter((pool) => fullest.includes(pool));
}

function quotaBar() {
  const label = make("span", { class: "label" });
  const model = make("span", { class: "model" });
  const amount = make("span", { class: "amount" });
  const strip = bar("quota", ["used"]);
  const resets = make("span");
  const origin = make("span");
  const root = make("li", {},
    make("p", { class: "line" }, label, " ", amount),
    strip,
    make("p", { class: "small" }, model, resets, origin));
  return {
    root,
    update(pool) {
      const full = share(pool);
      attr(root, "data-level", full >= 1 ? "spent" : full >= 0.8 ? "low" : null);
      text(label, pool.label.replace("_", " ").replace("/", " per "));
      line(model, pool.model);
      const level = full >= 1 ? ", spent" : full >= 0.8 ? ", nearly spent" : " used";
      text(amount, `${brief(pool.used)} of ${brief(pool.limit)}${level}`);
      fill(strip, [full]);
      const moving = pool.used > 0 && pool.resets_at;
      ticking(resets, "until", moving ? pool.resets_at : null, moving ? "resets" : pool.used > 0 ? "" : "unused");
      ticking(origin, "ago", pool.told_at, `${resets.textContent ? " · " : ""}${source(pool)}`);
    },
  };
}

function candidateLine() {
  const sign = icon("none");
  const name = make("span", { class: "model" });
  const reason = make("span");
  const back = make("span");
  const root = make("li", {}, sign, make("span", {}, name, ": ", reason, back));
  return {
    root,
    update(one) {
      const state = candidateState(one);
      paint(sign, state.tone);
      text(name, one.key && one.key !== "key-1" ? `${one.model} (${one.key})` : one.model);
      const word = state.word.toLowerCase();
      text(reason, one.reason?.startsWith(word) ? one.reason : [word, one.reason].filter(Boolean).join(", "));
      ticking(back, "until", one.back_at, one.back_at ? ", back" : "");
    },
  };
}

function candidateState(one) {
  if (one.state) return one.state === "healthy" ? { word: "Ready", tone: "good" } : stateOf(one.state);
  if (one.breaker !== "closed") return stateOf(one.breaker);
  if (one.suspect) return stateOf("suspect");
  if (one.reason || one.back_at) return { word: one.reason ? "" : "Resting", tone: "rest" };
  return { word: "Ready", tone: "good" };
}

function lastFailure() {
  const when = make("span");
  const what = make("span");
  const detail = make("span", { class: "detail" });
  const root = make("p", { class: "failure" }, make("strong", {}, "Last failure "), when, what, detail);
  return {
    root,
    update(provider) {
      const error = provider.last_error;
      show(root, Boolean(error));
      if (!error) return;
      ticking(when, "ago", error.at);
      const advice = remedy(error.kind, provider.local);
      text(what, `: ${error.model ? `${error.model} ` : ""}${ending(error.kind)}. ${advice}`);
      line(detail, error.detail);
    },
  };
}

function keyLine() {
  const sign = icon("none");
  const what = make("span");
  const back = make("span");
  const root = make("li", {}, sign, make("span", {}, what, back));
  return {
    root,
    update(key) {
      paint(sign, { ok: "good", invalid: "bad", held: "held" }[key.state] ?? "none");
      const account = key.account === "default" ? "" : ` (account ${key.account})`;
      const state = { ok: "in use", off: "not used", invalid: "not accepted", held: "held" }[key.state] ?? key.state;
      text(what, `${key.label}${account}: ${[state, key.reason].filter(Boolean).join(", ")}`);
      ticking(back, "until", key.held_until, key.held_until ? ", back" : "");
    },
  };
}

// Closed until someone wants it. The card has the most telling of a provider; this asks for the rest while it is open.
function moreDetails(whole) {
  let latest = null;
  let read = null;
  let readAt = 0;
  let asking = false;
  const summary = make("summary");
  const terms = make("p");
  const told = make("p", { class: "note", role: "status" });
  const parts = [
    ["Keys", "keys", (key) => key.label, keyLine],
    ["Limits", "pools", (pool) => pool.id, quotaBar],
    ["Candidates", "candidates", (one) => one.id, candidateLine],
  ].map(([heading, field, keyOf, create]) => {
    const list = make("ul", { class: field === "pools" ? "bars plain" : "troubles plain" });
    const rest = make("p", { class: "note" });
    return { title: make("h4", {}, heading), list, rest, field, keyOf, create };
  });
  const root = make("details", {}, summary, terms, told,
    ...parts.flatMap(({ title, list, rest }) => [title, list, rest]));

  function render(provider) {
    for (const { title, list, rest, field, keyOf, create } of parts) {
      const entries = provider?.[field] ?? [];
      keyed(list, entries.slice(0, LISTED), keyOf, create);
      line(rest, entries.length > LISTED ? `and ${number(entries.length - LISTED)} more` : "");
      show(title, entries.length);
    }
  }

  async function refresh() {
    if (!root.open || asking || latest === read || Date.now() - readAt < EVERY) return;
    asking = true;
    read = latest;
    text(terms, [privacy(latest.privacy), latest.terms].filter(Boolean).join(". "));
    line(told, readAt ? "" : "Asking…");
    try {
      render(await whole(latest.id));
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
