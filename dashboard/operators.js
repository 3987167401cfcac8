// The operators' part of the page of keys: who may look after the gateway, and how far.

import { allow, button, cell, icon, keyed, line, make, row, show, table, text, trail, view } from "./dom.js";
import { formDialog } from "./forms.js";
import { showOnce } from "./once.js";
import { reasonOf } from "./session.js";
import { expiry, standingOf } from "./words.js";

const SCOPES = {
  read: "read: see everything, change nothing",
  operate: "operate: also clients, resets, switches, maintenance",
  admin: "admin: also provider keys, addresses and tokens",
};
const FIELDS = [
  { name: "name", label: "Name", required: true, maxlength: 64 },
  { name: "scope", label: "May", options: Object.entries(SCOPES) },
  { name: "expires", label: "Expires", type: "date", note: "When that day begins, in UTC." },
  { name: "note", label: "Note", wide: true, maxlength: 256 },
];

/** Return {root, list}: the part of the page, and what reads its list anew. */
export function operatorsPart(desk) {
  const count = make("span.count");
  const add = button("Add an operator", openNew);
  const barred = make("p.note");
  const trouble = make("p.error", { role: "alert" });
  const none = make("p.panel", "Only the admin key. Give everybody else who looks after this gateway a token of "
    + "their own: what they change is noted with their name, and one token can be revoked alone.");
  const { box, rows } = table("operators", "Table of operators", ["Operator", "State", "May", "Expires", "Change"]);
  show(none, false);
  show(box, false);
  const form = formDialog("operator", FIELDS);
  const root = make("section.operators.clients", { "aria-labelledby": "operators-title" },
    make("div.title", make("h2", { id: "operators-title" }, "Operators ", count), add),
    barred, trouble, none, box, form.root);

  const list = async () => {
    line(barred, desk.may("admin"));
    allow(add, desk.may("admin"));
    if (desk.may("read")) return;
    try {
      const { data } = await desk.ask("GET", "/admin/operators");
      line(trouble, "");
      text(count, data.length ? String(data.length) : "");
      show(none, !data.length);
      show(box, data.length);
      keyed(rows, data, (one) => `${one.name} ${one.created}`, () => operatorRow(desk, revoke));
    } catch (error) {
      line(trouble, reasonOf(error));
    }
  };

  const revoke = async ({ name }) => {
    const why = "The token opens nothing any more, at once and for good. The name can be given to a new one.";
    if (!await desk.sure({ title: `Revoke the token of ${name}?`, why, button: "Revoke", danger: true })) return;
    await desk.act(async () => {
      await desk.ask("DELETE", `/admin/operators/${encodeURIComponent(name)}`);
      desk.notice(`The token of ${name} was revoked.`);
      box.focus(); // the button that led here is gone
      await list();
    });
  };

  function openNew() {
    form.open({
      title: "Add an operator",
      why: "The token is made by the gateway and shown once.",
      button: "Add",
      work: (terms) => desk.ask("POST", "/admin/operators", terms),
      async done({ name, token }) {
        await showOnce(`The token of ${name}`, "Token", token);
        await list();
      },
    });
  }
  return { root, list };
}

const operatorRow = (desk, revoke) => view(() => row({},
  cell("Operator", "who", make("strong", (one) => one.name), trail((one) => one.note)),
  cell("State", "result", icon((one) => standingOf(one).tone), make("span", (one) => standingOf(one).word)),
  cell("May", "scope", make("span", { title: (one) => SCOPES[one.scope] }, (one) => one.scope)),
  cell("Expires", "expires", (one) => expiry(one.expires)),
  cell("Change", "change", button("Revoke", revoke, {
    hidden: (one) => one.revoked !== null, "aria-label": (one) => `Revoke: ${one.name}`, barred: () => desk.may("admin"),
  }))));
