// Dialogs that ask for something: one form, whose complaints stand beside the field that they are about.

import { attr, button, line, make, text } from "./dom.js";
import { Refused } from "./session.js";

const UNSURE = "The gateway did not answer in time. See in the list whether it was done.";

/** What to say of *error* where something was to be changed. */
export const wordsOf = (error) => (error instanceof Refused ? error.message : UNSURE);

/**
 * Return {root, open, inputs} of a dialog. *fields* are {name, label, note, wide, options, ...attributes of the input};
 * with options it is a choice among them, [value, words] each, with list a text of several. open({title, why, button, values,
 * fixed, work, done}) shows it; *work(terms, changed)* gets a value or null for each field and the names of those that are
 * no more as they were; what it throws is told in the form, what it returns is *done* with once the form is gone.
 */
export function formDialog(id, fields) {
  const views = fields.map((field) => [field.name, fieldView(id, field)]);
  const inputs = Object.fromEntries(views.map(([name, view]) => [name, view.input]));
  const title = make("h2", { id: `${id}-title` });
  const why = make("p.note");
  const error = make("p.error", { role: "alert", id: `${id}-error` });
  const cancel = button("Cancel", () => root.close());
  const submit = make("button", { type: "submit", class: "primary" });
  const form = make("form", title, why, make("div.fields", ...views.map(([, view]) => view.root)), error,
    make("div.actions", cancel, submit));
  const root = make("dialog", { id, class: "wide", "aria-labelledby": `${id}-title` }, form);
  const before = {};
  let task = null; // {work, done} of the dialog as it was opened last

  const complain = (problem) => {
    const [field] = (problem?.param ?? "").split(/[.[]/); // "models[0]" is about the field of models
    text(error, problem ? labelled(problem, fields.find(({ name }) => name === field)) : "");
    for (const [name, input] of Object.entries(inputs)) {
      const wrong = name === field;
      attr(input, "aria-invalid", wrong ? "true" : null);
      if (wrong) input.focus();
    }
  };
  const run = async () => {
    if (submit.disabled) return;
    submit.disabled = true;
    complain(null);
    const mine = task; // it may be cancelled, and another be opened, before the gateway answers
    try {
      const changed = Object.keys(inputs).filter((name) => inputs[name].value !== before[name]);
      const made = await mine.work(termsOf(fields, inputs), changed);
      if (task === mine) root.close();
      mine.done?.(made);
    } catch (problem) {
      if (task === mine) complain(problem);
    } finally {
      if (task === mine) submit.disabled = false;
    }
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    run();
  });
  root.addEventListener("close", () => form.reset()); // a key must not stay in a field

  const open = ({ title: named, why: told, button: word, values = {}, fixed = [], work, done }) => {
    task = { work, done };
    submit.disabled = false;
    form.reset();
    complain(null);
    text(title, named);
    line(why, told);
    text(submit, word);
    for (const [name, input] of Object.entries(inputs)) {
      if (values[name] !== undefined) input.value = values[name] ?? "";
      attr(input, "disabled", fixed.includes(name));
      before[name] = input.value;
    }
    root.showModal();
    Object.values(inputs).find((input) => !input.disabled)?.focus();
  };
  return { root, open, inputs };
}

// The gateway names the field as its settings do; here it has a label.
function labelled(problem, field) {
  const told = wordsOf(problem);
  const path = `${problem.param}: `;
  return field && told.includes(path) ? `${field.label}: ${told.slice(told.indexOf(path) + path.length)}` : told;
}

function fieldView(form, { name, label, note, wide, list, options, ...attributes }) {
  const id = `${form}-${name}`;
  const described = { "aria-describedby": note ? `${id}-note ${form}-error` : `${form}-error` };
  const input = options
    ? make("select", { id, name, ...described, ...attributes }, ...options.map(([value, words]) => make("option", { value }, words)))
    : make("input", { id, name, autocomplete: "off", autocapitalize: "off", spellcheck: "false", ...described, ...attributes });
  const root = make("div", { class: wide ? "whole" : null }, make("label", { for: id }, label), input);
  if (note) root.append(make("p", { id: `${id}-note`, class: "note" }, note));
  return { input, root };
}

/** What the form says: text without the spaces around it, numbers as numbers, nothing as null. */
function termsOf(fields, inputs) {
  return Object.fromEntries(fields.map(({ name, type, list }) => {
    const written = inputs[name].value.trim();
    if (!written) return [name, null];
    if (list) return [name, written.split(/[\s,]+/).filter(Boolean)];
    return [name, type === "number" ? Number(written) : written];
  }));
}
