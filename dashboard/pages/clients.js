// Clients: the list, and the dialogs that add, change, rotate, revoke and remove.

import { clientRow, joined } from "../client_row.js";
import { allow, button, keyed, line, make, show, table, text } from "../dom.js";
import { formDialog } from "../forms.js";
import { showOnce } from "../once.js";
import { paced } from "../paced.js";
import { reasonOf } from "../session.js";
import { number } from "../words.js";

const EVERY = 10000; // ms between two lists: they change by an operator's hand, their use comes with the status
const MOST = 200; // rows at once; the others are found by name
const FINDABLE = 12; // from how many clients there is a field to find one
const COLUMNS = ["Client", "State", "Limits and use", "Models", "Weight", "Expires", "Source", "Change"];

const AMOUNT = { type: "number", min: 1, max: 1e15, step: 1, inputmode: "numeric", placeholder: "no limit" };
const FIELDS = [
  { name: "name", label: "Name", wide: true, required: true, maxlength: 64 },
  { name: "requests_per_minute", label: "Requests per minute", ...AMOUNT },
  { name: "tokens_per_minute", label: "Tokens per minute", ...AMOUNT },
  { name: "tokens_per_day", label: "Tokens per day", ...AMOUNT },
  { name: "tokens_per_month", label: "Tokens per month", ...AMOUNT },
  { name: "concurrency", label: "Requests at once", ...AMOUNT },
  { name: "weight", label: "Weight", type: "number", min: 0.001, max: 1000, step: "any", inputmode: "decimal", placeholder: "1" },
  { name: "models", label: "Models", wide: true, list: true, placeholder: "all", note: "Patterns with commas between, such as free*, groq/*." },
  { name: "expires", label: "Expires", type: "date", note: "When that day begins, in UTC." },
  { name: "privacy", label: "Privacy", options: [["any", "Any provider"], ["no-train", "None that may train"]], note: "Where its prompts may go." },
  { name: "note", label: "Note", wide: true, maxlength: 256 },
];
const OVERLAPS = [["24h", "24 hours"], ["0s", "no time: it ends at once"], ["1h", "1 hour"], ["7d", "7 days"], ["30d", "30 days"]];

const pathOf = (client) => `/admin/clients/${encodeURIComponent(client.name)}`;

/** Build the page. Its places: "+" opens the form for a new client, anything else is sought in the list. */
export function build(desk) {
  let clients = null; // as they were listed last; null before
  let listedFor = null; // the operator who was shown them
  const listing = paced(EVERY, list);
  const count = make("span.count");
  const find = make("input", { type: "search", "aria-label": "Find clients by name or note", placeholder: "Find" });
  const add = button("Add a client", openNew, { class: "primary" });
  const scope = make("p", { id: "clients-scope", class: "note" });
  const trouble = make("p.error", { role: "alert" });
  const none = make("p.panel",
    "No client yet: whoever reaches this gateway may use it. With the first client, every request needs a key.");
  const { box, rows } = table("clients", "Table of clients", COLUMNS);
  const more = make("p.note");
  const form = formDialog("client", FIELDS);
  const rotation = formDialog("rotation", [{ name: "overlap", label: "The present key works on for", wide: true, options: OVERLAPS }]);
  const root = make("section.clients", { "aria-labelledby": "clients-title" },
    make("div.title", make("h2", { id: "clients-title", tabindex: "-1" }, "Clients ", count), find, add),
    scope, trouble, none, box, more, form.root, rotation.root);

  async function list() {
    try {
      clients = (await desk.ask("GET", "/admin/clients")).data;
      text(trouble, "");
    } catch (error) {
      text(trouble, `The clients could not be read. ${reasonOf(error)}`);
    }
    render();
  }

  function refresh() {
    const { name, scope: may } = desk.who();
    const other = listedFor !== name;
    if (other) clients = null;
    listedFor = name;
    render();
    if (may && other) listing.now();
    else if (may) listing.soon();
  }

  const render = () => {
    const barred = desk.may("operate");
    line(scope, barred);
    allow(add, barred);
    const all = clients ?? [];
    const sought = find.value.trim().toLowerCase();
    const found = joined(all, desk.status()?.clients).filter((one) => `${one.name} ${one.note}`.toLowerCase().includes(sought));
    const shown = found.slice(0, MOST);
    text(count, all.length ? String(all.length) : "");
    // Once each: what is hidden loses the focus, even if it is shown again at once.
    show(find, all.length && (all.length >= FINDABLE || sought || find === document.activeElement));
    show(none, clients && !all.length);
    show(box, shown.length);
    line(more, shown.length === all.length ? "" : `${number(shown.length)} of ${number(all.length)} are shown.`);
    keyed(rows, shown, (one) => `${one.from} ${one.name}`, () => clientRow(verbs, () => desk.may("operate")));
  };

  const showKey = async ({ name, key }) => {
    await showOnce(`The key of ${name}`, "Key", key);
    await listing.now();
  };

  function openNew() {
    form.open({
      title: "Add a client",
      why: "An empty limit is no limit. The key is made by the gateway and shown once.",
      button: "Add",
      work: (terms) => desk.ask("POST", "/admin/clients", terms),
      done: showKey,
    });
  }

  /** Revoke or remove, with a yes. */
  const end = async (client, { title, why, button, method, path, told }) => {
    if (!await desk.sure({ title, why, button, danger: true })) return;
    await desk.act(async () => {
      await desk.ask(method, path);
      desk.notice(told);
      box.focus(); // the button that led here goes away
      await listing.now();
    });
  };

  const verbs = {
    change: (client) => form.open({
      title: `Change ${client.name}`,
      why: "An empty limit is no limit. Its key and what it has used stay.",
      button: "Change",
      values: writtenOf(client),
      fixed: ["name"],
      async work(terms, changed) {
        const wanted = Object.fromEntries(changed.map((field) => [field, terms[field]]));
        if (changed.length) await desk.ask("PATCH", pathOf(client), wanted);
        desk.notice(changed.length ? `${client.name} was changed.` : `Nothing of ${client.name} was changed.`);
        await listing.now();
      },
    }),
    rotate: (client) => rotation.open({
      title: `Give ${client.name} a new key?`,
      why: "The new key is shown once. Its limits and what it has used stay.",
      button: "Make the key",
      work: (terms) => desk.ask("POST", `${pathOf(client)}/rotate`, terms),
      done: showKey,
    }),
    revoke: (client) => end(client, {
      title: `Revoke ${client.name}?`,
      why: "All of its keys end at once, for good. It stays listed, and the name can be added again as a new client.",
      button: "Revoke", method: "POST", path: `${pathOf(client)}/revoke`, told: `${client.name} was revoked.`,
    }),
    remove: (client) => end(client, {
      title: `Remove ${client.name}?`,
      why: "All of its keys end at once, and it is forgotten. Its records stay.",
      button: "Remove", method: "DELETE", path: pathOf(client), told: `${client.name} was removed.`,
    }),
  };

  find.addEventListener("input", render);
  return {
    root,
    update: refresh,
    shown(place) {
      find.value = place === "+" ? "" : place;
      if (place === "+" && !desk.may("operate")) openNew();
      refresh();
    },
    hidden: listing.stop,
  };
}

/** What holds for *client*, as the form has it. */
function writtenOf(client) {
  return {
    ...client,
    models: client.models === null ? "" : client.models.join(", "),
    expires: client.expires === null ? "" : new Date(client.expires * 1000).toISOString().slice(0, 10),
  };
}
