// Fields to choose with, made by a script.

import { keyed, make } from "./dom.js";

/** Buttons of which one is pressed; *options* are [value, words]. Returns {root, set(value)}. */
export function choice(words, options, changed) {
  const group = `choice-${words}`;
  const fields = options.map(([value, label]) => {
    const input = make("input", { type: "radio", name: group, value });
    return { input, root: make("label", input, make("span", label)) };
  });
  const root = make("fieldset",
    make("legend", words),
    make("div.switch", ...fields.map((one) => one.root)));
  root.addEventListener("change", ({ target }) => changed(target.value));
  return { root, set: (value) => fields.forEach(({ input }) => { input.checked = input.value === value; }) };
}

let pickers = 0;

/** A list to pick from. Returns {root, set(value, options)}; without options they stay. */
export function picker(words, options, changed) {
  const field = make("select", { id: `picker-${++pickers}` });
  const set = (value, given = options) => {
    keyed(field, given, ([id]) => id, ([id, label]) => ({ root: make("option", { value: id }, label), update() {} }));
    if (field.value !== value) field.value = value;
  };
  field.addEventListener("change", () => changed(field.value));
  set(options[0][0]);
  return { root: make("div.pick", make("label", { for: field.id }, words), field), set };
}
