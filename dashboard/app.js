// The page: asks for the status, shows it, and passes on what the operator does.

import { refreshClients } from "/dashboard/desk.js";
import { attr, byId, icon, keyed, line, make, paint, show, text } from "/dashboard/dom.js";
import { Poller } from "/dashboard/poller.js";
import { providerCard, unusedLine } from "/dashboard/providers.js";
import { requestRow } from "/dashboard/requests.js";
import { Refused, keep, keyOf, readStatus, resetProvider, setStrategy, signInDemo } from "/dashboard/session.js";
import { tick, ticking } from "/dashboard/ticker.js";
import { brief, moment, number, setClock, span, stateOf } from "/dashboard/words.js";

let latest = null;
let slowest = 0;
let demoTried = false;
let routingBusy = false;
let retryAt = null;
let pending = null; // the action that waits for the admin key
const states = new Map();
const liveIcon = icon("none");
const liveWord = make("span");

const poller = new Poller(load, failed);

async function load() {
  const status = await readStatus();
  if (status.demo) await tryDemo();
  latest = status;
  setClock(status.now);
  retryAt = null;
  show(byId("trouble"), false);
  show(byId("signin"), false);
  show(byId("loading"), false);
  show(byId("board"), true);
  render(status);
  announceChanges(status.providers);
  refreshClients(status.clients, notice);
  showLive();
}

async function tryDemo() {
  if (demoTried || keyOf("admin")) return false;
  demoTried = true;
  return signInDemo();
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
  show(byId("board"), false);
  show(byId("trouble"), false);
  show(byId("signin"), true);
  text(byId("signin-error"), given ? `That key was not accepted. ${error.message}` : "");
  byId("signin-key").focus();
  showLive();
}

// ---- showing

function render(status) {
  text(byId("version"), status.version);
  show(byId("demo"), status.demo);
  renderMaintenance(status.maintenance);
  ticking(byId("uptime"), "up", status.now - status.uptime, "Up for");
  renderTotals(status);
  renderRouting(status.strategy);
  renderProviders(status.providers);
  renderRequests(status.requests);
}

function renderMaintenance(maintenance) {
  const message = maintenance?.message ? `: ${maintenance.message}` : "";
  line(byId("maintenance"), maintenance && `Maintenance, no requests are let in${message}`);
}

function renderTotals({ totals, providers }) {
  const on = providers.filter(isOn);
  const ready = on.filter((one) => ["healthy", "suspect", "half-open"].includes(one.state));
  const rate = totals.requests ? `${number((100 * totals.served) / totals.requests)} %` : "–";
  const facts = [
    ["Ready", `${ready.length} of ${on.length}`],
    ["Requests", brief(totals.requests)],
    ["Served", rate],
    ["Failed", brief(totals.failed)],
    ["Tokens", brief(totals.tokens)],
  ];
  keyed(byId("totals"), facts, ([name]) => name, ([name]) => {
    const value = make("dd");
    const root = make("div", {}, make("dt", {}, name), value);
    return { root, update: ([, written]) => text(value, written) };
  });
}

function renderRouting(strategy) {
  if (routingBusy) return;
  for (const choice of byId("routing").elements.strategy) choice.checked = choice.value === strategy;
}

const isOn = (provider) => provider.state !== "no-key";

function renderProviders(providers) {
  const on = providers.filter(isOn);
  const off = providers.filter((one) => !isOn(one));
  text(byId("providers-count"), on.length ? String(on.length) : "");
  show(byId("nothing"), !on.length);
  keyed(byId("providers"), on, (one) => one.id, (one) => providerCard(one, reset));
  show(byId("unused"), off.length);
  text(byId("unused-title"), `${off.length} more without a key or a model`);
  keyed(byId("unused-list"), off, (one) => one.id, unusedLine);
}

function renderRequests(requests) {
  const newest = [...requests].sort((a, b) => b.at - a.at).slice(0, 50);
  slowest = Math.max(0, ...newest.map((request) => request.total_ms));
  text(byId("requests-count"), newest.length ? String(newest.length) : "");
  show(byId("silence"), !newest.length);
  show(byId("requests-box"), newest.length);
  keyed(byId("requests"), newest, (request) => `${request.id} ${request.at}`, () => requestRow(() => slowest));
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

function notice(words, tone = "good") {
  const node = byId("notice");
  text(node, words);
  attr(node, "data-tone", tone);
  clearTimeout(noticeTimer);
  noticeTimer = setTimeout(() => text(node, ""), 8000);
}

// ---- doing

const reset = (provider) => act(async () => {
  await resetProvider(provider.id);
  notice(`${provider.name} was reset.`);
});

function changeStrategy(event) {
  const choice = event.target;
  act(async () => {
    await setStrategy(choice.value);
    latest.strategy = choice.value;
    notice(`Equals in free are now ordered: ${choice.parentNode.textContent.trim().toLowerCase()}.`);
  });
}

/** Do it; when the gateway wants the admin key, ask for it and do it again. */
async function act(action) {
  routingBusy = true;
  try {
    await action();
  } catch (error) {
    if (error instanceof Refused && error.wantsKey) {
      const given = keyOf("admin");
      keep("admin", null);
      return openAdmin(action, given ? "That key was not accepted." : "");
    }
    notice(error instanceof Refused ? error.message : "The gateway does not answer; nothing was changed.", "bad");
  } finally {
    routingBusy = false;
    if (latest) renderRouting(latest.strategy);
    showLive();
  }
  return poller.ask();
}

function openAdmin(action, complaint) {
  pending = action;
  byId("admin-key").value = "";
  text(byId("admin-error"), complaint);
  show(byId("admin-forget"), keyOf("admin"));
  text(byId("admin-why"), keyOf("admin")
    ? "You are signed in. Another key replaces the one in use."
    : "Clients, resets and the routing are for operators.");
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
byId("routing").addEventListener("change", changeStrategy);
byId("routing").addEventListener("submit", (event) => event.preventDefault());
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
text(byId("first-call"), [
  `curl ${location.origin}/v1/chat/completions \\`,
  `  -d '{"model": "free-fast", "messages": [{"role": "user", "content": "Hello!"}]}'`,
].join("\n"));
setInterval(() => {
  if (document.hidden || poller.paused) return;
  tick();
  showRetry();
}, 1000);
poller.ask();
