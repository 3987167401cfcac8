// The operators' part of the page of keys: who may look after the gateway, and how far.

import { allow, attr, cell, icon, keyed, line, make, paint, show, table, text } from "/dashboard/dom.js";
import { formDialog } from "/dashboard/forms.js";
import { showOnce } from "/dashboard/once.js";
import { reasonOf } from "/dashboard/session.js";
import { expiry } from "/dashboard/words.js";

const SCOPES = {
  read: "read: see everything, change nothing",
  operate: "operate: also clients, resets, switches, maintenance",
  admin: "admin: also provider keys, addresses and tokens",
};
const STATES = {
  active: { word: "Active", tone: "good" },
  expired: { word: "Expired", tone: "rest" },
  revoked: { word: "Revoked", tone: "bad" },
};
const FIELDS = [
  { name: "name", label: "Name", required: true, maxlength: 64 },
  { name: "scope", label: "May", options: Object.entries(SCOPES) },
  { name: "expires", label: "Expires", type: "date", note: "When that day begins, in UTC." },
  { name: "note", label: "Note", wide: true, maxlength: 256 },
];

/** Return {root, list}: the part of the page, and what reads its list anew. */
export function operatorsPart(desk) {
  const count = make("span", { class: "count" });
  const add = make("button", { type: "button" }, "Add an operator");
  const barred = make("p", { class: "note" });
  const trouble = make("p", { class: "error", role: "alert" });
  const none = make("p", { class: "panel" }, "Only the admin key. Give everybody else who looks after this gateway a token of "
    + "their own: what they change is noted with their name, and one token can be revoked alone.");
  const { box, rows } = table("operators", "Table of operators", ["Operator", "State", "May", "Expires", "Change"]);
  show(none, false);
  show(box, false);
  const form = formDialog("operator", FIELDS);
  const root = make("section", { class: "operators clients", "aria-labelledby": "operators-title" },
    make("div", { class: "title" }, make("h2", { id: "operators-title" }, "Operators ", count), add),
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

  add.addEventListener("click", () => form.open({
    title: "Add an operator",
    why: "The token is made by the gateway and shown once.",
    button: "Add",
    work: (terms) => desk.ask("POST", "/admin/operators", terms),
    async done({ name, token }) {
      await showOnce(`The token of ${name}`, "Token", token);
      await list();
    },
  }));
  return { root, list };
}

function operatorRow(desk, revoke) {
  let latest = null;
  const [name, note, word, scope, expires] = ["strong", "span", "span", "span", "span"].map((tag) => make(tag));
  const sign = icon("none");
  const button = make("button", { type: "button" }, "Revoke");
  attr(note, "class", "trail");
  button.addEventListener("click", () => revoke(latest));
  const root = make("tr", { role: "row" }, cell("Operator", "who", name, note), cell("State", "result", sign, word),
    cell("May", "scope", scope), cell("Expires", "expires", expires), cell("Change", "change", button));
  return {
    root,
    update(operator) {
      latest = operator;
      const state = STATES[operator.state] ?? { word: operator.state, tone: "none" };
      text(name, operator.name);
      line(note, operator.note);
      paint(sign, state.tone);
      text(word, state.word);
      text(scope, operator.scope);
      attr(scope, "title", SCOPES[operator.scope] ?? null);
      text(expires, expiry(operator.expires));
      show(button, operator.revoked === null);
      allow(button, desk.may("admin"));
      attr(button, "aria-label", `Revoke: ${operator.name}`);
    },
  };
}
