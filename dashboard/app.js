// The shell around the pages: asks for the status, signs in, tells what happened.

import { attr, byId, icon, line, make, paint, show, text } from "/dashboard/dom.js";
import { Poller } from "/dashboard/poller.js";
import { Router } from "/dashboard/router.js";
import { Refused, call, keep, keyOf, open, readStatus, signInDemo, whoAmI } from "/dashboard/session.js";
import { tick, ticking } from "/dashboard/ticker.js";
import { moment, setClock, span, stateOf } from "/dashboard/words.js";

const RANKS = ["read", "operate", "admin"];
const NOBODY = { name: null, scope: null, client: null };

let latest = null;
let who = NOBODY;
let asked = null; // the key that *who* was told of
let demoTried = false;
let retryAt = null;
let pending = null; // the action that waits for the admin key
const states = new Map();
const liveIcon = icon("none");
const liveWord = make("span");

const poller = new Poller(load, failed);

/** What every page works with. */
const desk = {
  /** What the gateway said last (docs/status.md), or null. */
  status: () => latest,
  /** Who is signed in: {name, scope, client}. */
  who: () => who,
  /** Why somebody of less than this *scope* is not let do something; empty for who may. */
  may(scope) {
    if (RANKS.indexOf(who.scope) >= RANKS.indexOf(scope)) return "";
    return who.scope
      ? `This needs a token of scope ${scope}; ${who.name} has scope ${who.scope}.`
      : "This needs the key of an operator.";
  },
  ask: call,
  open,
  act,
  notice,
  sure,
  refresh: () => poller.ask(),
  /** Open a page, at a *place* of it. */
  go(page, place) {
    location.hash = place ? `${page}/${encodeURIComponent(place)}` : page;
  },
};
const router = new Router(desk);

async function load() {
  const status = await readStatus();
  if (status.demo) await tryDemo();
  const first = !latest;
  latest = status;
  setClock(status.now);
  retryAt = null;
  await learnWho();
  show(byId("trouble"), false);
  show(byId("signin"), false);
  show(byId("loading"), false);
  show(byId("pages"), true);
  renderShell(status);
  if (first) await router.go(false);
  else router.update(status);
  announceChanges(status.providers);
  showLive();
}

async function tryDemo() {
  if (demoTried || keyOf("admin")) return false;
  demoTried = true;
  return signInDemo();
}

// Each key is asked about once: a client's key is refused every time, and a wrong one is counted.
async function learnWho() {
  const key = keyOf("admin") ?? keyOf("client");
  if (key === asked) return;
  asked = key;
  who = NOBODY;
  if (!key) return;
  try {
    who = { ...NOBODY, ...(await whoAmI()) };
  } catch (error) {
    if (!(error instanceof Refused) || error.status >= 500) asked = null; // nobody said no: ask again
    else if (keyOf("admin") === key) notice(error.message, "bad"); // a client's key is no operator's, and need not be
  }
}

async function failed(error, next) {
  show(byId("loading"), false);
  if (error instanceof Refused && (error.status === 401 || error.status === 403)) {
    if (!keyOf("admin") && (await tryDemo())) return poller.ask();
    return askForKey(error);
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

function askForKey(error) {
  const given = keyOf("admin") ?? keyOf("client");
  keep("admin", null);
  keep("client", null);
  poller.pause();
  show(byId("pages"), false);
  show(byId("trouble"), false);
  show(byId("signin"), true);
  text(byId("signin-error"), given ? `That key was not accepted. ${error.message}` : "");
  byId("signin-key").focus();
  showLive();
}

// ---- showing

function renderShell(status) {
  text(byId("version"), status.version);
  show(byId("demo"), status.demo);
  const message = status.maintenance?.message ? `: ${status.maintenance.message}` : "";
  line(byId("maintenance"), status.maintenance && `Maintenance, no requests are let in${message}`);
  ticking(byId("uptime"), "up", status.now - status.uptime, "Up for");
}

function liveness() {
  if (!byId("signin").hidden) return ["Needs a key", "held"];
  if (poller.paused) return ["Paused", "rest"];
  if (retryAt) return ["Interrupted", "bad"];
  return latest ? ["Live", "good"] : ["Connecting", "none"];
}

function showLive() {
  const [word, tone] = liveness();
  paint(liveIcon, tone);
  text(liveWord, word + (keyOf("admin") ? ", signed in" : ""));
  show(byId("pause"), byId("signin").hidden);
  text(byId("pause"), poller.paused ? "Resume updates" : "Pause updates");
  attr(byId("pause"), "aria-pressed", String(poller.paused));
}

function showRetry() {
  const wait = retryAt && !poller.paused ? retryAt - Date.now() / 1000 : null;
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
      const given = keyOf("admin");
      keep("admin", null);
      openAdmin(action, given ? "That key was not accepted." : "");
      return false;
    }
    notice(error instanceof Refused ? error.message : "The gateway does not answer; nothing was changed.", "bad");
    return false;
  } finally {
    showLive();
  }
  poller.ask();
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

function openAdmin(action, complaint) {
  pending = action;
  byId("admin-key").value = "";
  text(byId("admin-error"), complaint);
  show(byId("admin-forget"), keyOf("admin"));
  text(byId("admin-why"), keyOf("admin")
    ? "You are signed in. Another key replaces the one in use."
    : "Whatever changes something is for operators.");
  if (!byId("admin-dialog").open) byId("admin-dialog").showModal();
  byId("admin-key").focus();
}

function useAdmin(event) {
  event.preventDefault();
  const action = pending;
  keep("admin", byId("admin-key").value.trim());
  byId("admin-dialog").close();
  showLive();
  if (action) return act(action);
  notice("The key will be used from now on.");
  return poller.ask();
}

function forgetAdmin() {
  demoTried = true; // what was forgotten on purpose is not fetched again
  keep("admin", null);
  byId("admin-dialog").close();
  notice("The admin key is forgotten.");
  showLive();
  poller.ask();
}

function signIn(event) {
  event.preventDefault();
  keep("client", byId("signin-key").value.trim());
  byId("signin-key").value = "";
  poller.resume();
}

function togglePause() {
  if (poller.paused) poller.resume();
  else poller.pause();
  showLive();
}

byId("live").append(liveIcon, liveWord);
showLive();
byId("skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address names the page
  byId("main").focus();
});
byId("admin").addEventListener("click", () => openAdmin(null, ""));
byId("admin-form").addEventListener("submit", useAdmin);
byId("admin-forget").addEventListener("click", forgetAdmin);
byId("admin-cancel").addEventListener("click", () => byId("admin-dialog").close());
byId("admin-dialog").addEventListener("close", () => {
  if (byId("admin-dialog").open) return; // a refusal opened it again before this event came
  pending = null;
  byId("admin-key").value = "";
});
byId("signin-form").addEventListener("submit", signIn);
byId("pause").addEventListener("click", togglePause);
byId("retry").addEventListener("click", () => poller.ask());
setInterval(() => {
  if (document.hidden || poller.paused) return;
  tick();
  showRetry();
}, 1000);
poller.ask();
