// The clients: the list, and the dialogs that add, rotate, revoke and remove.

import { clientRow, joined } from "/dashboard/client_row.js";
import { attr, byId, keyed, line, show, text } from "/dashboard/dom.js";
import { Refused, addClient, readClients, removeClient, revokeClient, rotateClient } from "/dashboard/session.js";
import { number } from "/dashboard/words.js";

const EVERY = 10000; // ms between two lists: they change by an operator's hand, their use comes with the status
const MOST = 200; // rows at once; the others are found by name
const FINDABLE = 12; // from how many clients there is a field to find one

const VERBS = {
  rotate: {
    title: (name) => `Give ${name} a new key?`,
    why: "The new key is shown once. Its limits and what it has used stay.",
    button: "Make the key",
    work: (name) => rotateClient(name, byId("overlap").value),
    told: (name) => `${name} has a new key.`,
  },
  revoke: {
    title: (name) => `Revoke ${name}?`,
    why: "All of its keys end at once, for good. It stays listed, and the name can be added again as a new client.",
    button: "Revoke",
    work: revokeClient,
    told: (name) => `${name} was revoked.`,
  },
  remove: {
    title: (name) => `Remove ${name}?`,
    why: "All of its keys end at once, and it is forgotten. Its records stay.",
    button: "Remove",
    work: removeClient,
    told: (name) => `${name} was removed.`,
  },
};

let desk = null;
let clients = null; // as they were listed last; null before
let listedFor = null; // the operator who was shown them
let listedAt = 0;
let busy = false;
let chosen = null; // {verb, name} that waits for a yes

/** Build the page. */
export function build(given) {
  desk = given;
  byId("client-new").addEventListener("click", openForm);
  byId("client-form").addEventListener("submit", add);
  byId("client-cancel").addEventListener("click", () => byId("client-dialog").close());
  byId("clients-find").addEventListener("input", render);
  byId("sure-form").addEventListener("submit", doChosen);
  byId("sure-cancel").addEventListener("click", () => byId("sure-dialog").close());
  byId("key-copy").addEventListener("click", copyKey);
  byId("key-done").addEventListener("click", () => {
    byId("key-value").value = "";
    byId("key-dialog").close();
  });
  byId("key-dialog").addEventListener("cancel", (event) => event.preventDefault()); // a slip must not lose the key
  byId("key-dialog").addEventListener("close", listAgain);
  return { root: byId("page-clients"), update: refresh };
}

async function refresh() {
  const { name, scope } = desk.who();
  if (listedFor !== name) {
    clients = null;
    listedFor = name;
    listedAt = 0;
  }
  if (scope && !busy && Date.now() - listedAt >= EVERY) await list();
  render();
}

async function list() {
  busy = true;
  listedAt = Date.now();
  try {
    clients = await readClients();
    text(byId("clients-trouble"), "");
  } catch (error) {
    text(byId("clients-trouble"), error instanceof Refused ? error.message : "The clients could not be read.");
  } finally {
    busy = false;
  }
}

async function listAgain() {
  listedAt = 0;
  await refresh();
}

const barred = () => desk.may("operate");

function render() {
  renderScope();
  for (const id of ["clients-none", "clients-box", "clients-find"]) if (!clients) show(byId(id), false);
  if (clients) renderClients();
}

function renderScope() {
  line(byId("clients-scope"), barred());
  attr(byId("client-new"), "disabled", Boolean(barred()));
  attr(byId("client-new"), "title", barred() || null);
}

function renderClients() {
  const sought = byId("clients-find").value.trim().toLowerCase();
  const found = joined(clients, desk.status()?.clients).filter((one) => `${one.name} ${one.note}`.toLowerCase().includes(sought));
  const shown = found.slice(0, MOST);
  text(byId("clients-count"), clients.length ? String(clients.length) : "");
  show(byId("clients-find"), clients.length >= FINDABLE || sought);
  show(byId("clients-none"), !clients.length);
  show(byId("clients-box"), shown.length);
  line(byId("clients-more"), shown.length === clients.length
    ? ""
    : `${number(shown.length)} of ${number(clients.length)} are shown.`);
  keyed(byId("clients"), shown, (one) => `${one.from} ${one.name}`, () => clientRow(askWhetherSure, barred));
}

// ---- adding

function openForm() {
  byId("client-form").reset();
  complain(null);
  byId("client-dialog").showModal();
  byId("client-name").focus();
}

/** What the form says, in the fields of the API; what is empty is left out. */
function termsOf(form) {
  const terms = {};
  for (const field of form.elements) {
    const written = field.name ? field.value.trim() : "";
    if (!written) continue;
    terms[field.name] = field.type === "number" ? Number(written) : written;
  }
  if (terms.models) terms.models = terms.models.split(/[\s,]+/).filter(Boolean);
  return terms;
}

async function add(event) {
  event.preventDefault();
  const terms = termsOf(byId("client-form"));
  complain(null);
  const added = await attempt(byId("client-add"), () => addClient(terms), complain);
  if (!added) return;
  byId("client-dialog").close();
  showKey(added);
}

// Say what is wrong, and lead to the field that it is about.
function complain(error) {
  text(byId("client-error"), error ? wordsOf(error) : "");
  for (const field of byId("client-form").elements) {
    const wrong = Boolean(error?.param) && field.name === error.param;
    attr(field, "aria-invalid", wrong ? "true" : null);
    if (wrong) field.focus();
  }
}

// ---- rotating, revoking, removing

function askWhetherSure(verb, { name }) {
  chosen = { verb, name };
  const { title, why, button } = VERBS[verb];
  text(byId("sure-title"), title(name));
  text(byId("sure-why"), why);
  text(byId("sure-do"), button);
  text(byId("sure-error"), "");
  show(byId("overlap-field"), verb === "rotate");
  attr(byId("sure-do"), "class", verb === "rotate" ? "primary" : "danger");
  byId("sure-dialog").showModal();
  byId(verb === "rotate" ? "overlap" : "sure-cancel").focus();
}

async function doChosen(event) {
  event.preventDefault();
  const { verb, name } = chosen;
  const complaint = (error) => text(byId("sure-error"), wordsOf(error));
  const done = await attempt(byId("sure-do"), async () => (await VERBS[verb].work(name)) ?? {}, complaint);
  if (!done) return;
  byId("sure-dialog").close();
  if (done.key) showKey(done);
  else byId("clients-box").focus(); // the button that led here goes away
  desk.notice(VERBS[verb].told(name));
}

/** Do *work* once, with its button off meanwhile; a failure goes to *complaint*. Returns the answer, or null. */
async function attempt(button, work, complaint) {
  if (button.disabled) return null;
  button.disabled = true;
  try {
    return await work();
  } catch (error) {
    complaint(error);
    return null;
  } finally {
    button.disabled = false;
    listAgain();
  }
}

const wordsOf = (error) => (error instanceof Refused
  ? error.message
  : "The gateway did not answer in time. See in the list whether it was done.");

// ---- the key, this once

function showKey({ name, key }) {
  text(byId("key-title"), `The key of ${name}`);
  byId("key-value").value = key;
  text(byId("key-told"), "");
  byId("key-dialog").showModal();
  byId("key-copy").focus();
}

async function copyKey() {
  const field = byId("key-value");
  try {
    await navigator.clipboard.writeText(field.value); // is not there on a page without TLS, except on localhost
    text(byId("key-told"), "Copied.");
  } catch {
    field.focus();
    field.select();
    text(byId("key-told"), "Selected: copy it with the keyboard or the menu.");
  }
}
