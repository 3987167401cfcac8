// The shell around the pages: follows the status, does what operators want, tells what happened.

import { attr, byId, icon, line, make, paint, show, text, tick, ticking } from "./dom.js";
import { Feed } from "./feed.js";
import { Router } from "./router.js";
import { Refused, Unanswered, call, open, reasonOf } from "./session.js";
import { Signing } from "./signing.js";
import { moment, setClock, span, stateOf } from "./words.js";

const RANKS = ["read", "operate", "admin"];

let latest = null;
let retryAt = null;
const states = new Map();
const liveIcon = icon("none");
const liveWord = make("span");

const feed = new Feed({ ready, told, failed });
const signing = new Signing({ changed: turned, act });

/** What every page works with. */
const desk = {
  /** What the gateway said last (docs/status.md), or null. */
  status: () => latest,
  /** Who is signed in: {name, scope, client, demo, needs_key}. */
  who: () => signing.who,
  /** Why somebody of less than this *scope* is not let do something; empty for who may. */
  may(scope) {
    const { name, scope: has, client } = signing.who;
    if (RANKS.indexOf(has) >= RANKS.indexOf(scope)) return "";
    if (has) return `This needs a token of scope ${scope}; ${name} has scope ${has}.`;
    return `This needs the key of an operator${client ? `; ${client} is a client` : ": sign in"}.`;
  },
  ask: call,
  open,
  act,
  notice,
  sure,
  refresh: () => feed.open(),
  /** Open a page, at a *place* of it. */
  go(page, place) {
    location.hash = place ? `${page}/${encodeURIComponent(place)}` : page;
  },
};
const router = new Router(desk);

// Nobody is told anything before it is known who looks on.
async function ready() {
  await signing.learn({ back: !latest || Boolean(retryAt) });
  if (signing.wanted) askForKey();
  return !signing.wanted;
}

async function told(status) {
  const first = !latest;
  const back = Boolean(retryAt);
  latest = status;
  setClock(status.now);
  attr(byId("live"), "data-at", status.now);
  retryAt = null;
  show(byId("trouble"), false);
  show(byId("loading"), false);
  show(byId("pages"), true);
  renderShell(status);
  if (first) await router.go(false);
  else router.update(status);
  if (back && !first) await router.retry();
  announceChanges(status.providers);
  showLive();
}

// Somebody else looks on now, or nobody any more: they may see more, or less.
function turned() {
  if (signing.wanted) return askForKey();
  if (latest) router.update(latest);
  feed.resume();
}

async function failed(error, next) {
  show(byId("loading"), false);
  if (error instanceof Refused && error.status === 401) {
    await signing.learn().catch(() => {});
    if (signing.wanted) return askForKey();
  }
  retryAt = next / 1000;
  const told = error instanceof Refused
    ? error.message
    : "The gateway does not answer. Is it running?";
  text(byId("trouble-text"), latest ? `${told} What you see is from ${moment(latest.now)}.` : told);
  show(byId("trouble"), true);
  showRetry();
  showLive();
}

function askForKey() {
  feed.pause();
  show(byId("loading"), false);
  show(byId("pages"), false);
  show(byId("trouble"), false);
  signing.demand();
  showLive();
}

// ---- showing

function renderShell(status) {
  text(byId("version"), status.version);
  show(byId("demo"), status.demo);
  const message = status.maintenance?.message ? `: ${status.maintenance.message}` : "";
  line(byId("maintenance"), status.maintenance && `Maintenance, no requests are let in${message}`);
  ticking(byId("uptime"), "up", status.started, "Up for");
}

function liveness() {
  if (signing.demanding) return ["Needs a key", "held"];
  if (feed.paused) return ["Paused", "rest"];
  if (retryAt) return ["Interrupted", "bad"];
  return latest ? ["Live", "good"] : ["Connecting", "none"];
}

function showLive() {
  const [word, tone] = liveness();
  paint(liveIcon, tone);
  text(liveWord, word);
  show(byId("pause"), !signing.demanding);
  show(byId("nav"), !signing.demanding);
  text(byId("pause"), feed.paused ? "Resume updates" : "Pause updates");
  attr(byId("pause"), "aria-pressed", String(feed.paused));
}

function showRetry() {
  const wait = retryAt && !feed.paused ? retryAt - Date.now() / 1000 : null;
  line(byId("trouble-next"), wait === null ? "" : wait > 0 ? `Trying again in ${span(wait)}.` : "Trying again…");
}

// ---- telling

function announceChanges(providers) {
  const told = [];
  for (const { id, name, state } of providers) {
    if (states.has(id) && states.get(id) !== state) told.push(`${name}: ${stateOf(state).word}`);
    states.set(id, state);
  }
  if (told.length) text(byId("news"), told.join(". "));
}

let noticeTimer = null;

/** Tell something in passing. */
function notice(words, tone = "good") {
  const node = byId("notice");
  text(node, words);
  attr(node, "data-tone", tone);
  clearTimeout(noticeTimer);
  noticeTimer = setTimeout(() => text(node, ""), 8000);
}

// ---- doing

/** Do it; when the gateway wants a key, ask for it and do it again. Returns whether it was done. */
async function act(action) {
  try {
    await action();
  } catch (error) {
    if (error instanceof Refused && error.wantsKey) {
      await signing.askFor(action);
      return false;
    }
    notice(error instanceof Unanswered ? "The gateway does not answer; nothing was changed." : reasonOf(error), "bad");
    return false;
  } finally {
    showLive();
  }
  feed.open();
  return true;
}

/** Ask whether somebody is sure. Returns a promise of the answer. */
function sure({ title, why = "", button, danger = false }) {
  const dialog = byId("ask-dialog");
  text(byId("ask-title"), title);
  text(byId("ask-why"), why);
  text(byId("ask-yes"), button);
  attr(byId("ask-yes"), "class", danger ? "danger" : "primary");
  dialog.returnValue = "no";
  dialog.showModal();
  byId(danger ? "ask-no" : "ask-yes").focus();
  return new Promise((answer) => {
    dialog.addEventListener("close", () => answer(dialog.returnValue === "yes"), { once: true });
  });
}

function togglePause() {
  if (feed.paused) feed.resume();
  else feed.pause();
  showLive();
}

byId("live").append(liveIcon, liveWord);
showLive();
byId("skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address names the page
  byId("main").focus();
});
byId("pause").addEventListener("click", togglePause);
byId("retry").addEventListener("click", () => feed.open());
setInterval(() => {
  if (document.hidden || feed.paused) return;
  tick();
  showRetry();
}, 1000);
feed.open();
