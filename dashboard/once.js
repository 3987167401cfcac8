// A secret that is shown this once.

import { copy } from "./copying.js";
import { button, make, text } from "./dom.js";

const WHY = "This is the only time it is shown: the gateway keeps no more than its hash.";

const title = make("h2", { id: "once-title" });
const field = make("input", { id: "once-value", type: "text", readonly: true, autocomplete: "off", spellcheck: "false" });
const told = make("p", { role: "status" });
const copying = button("Copy", async () => text(told, await copy(field)), { class: "primary" });
const done = button("I have kept it", () => {
  field.value = "";
  root.close();
});
const word = make("label", { for: "once-value" });
const root = make("dialog", { id: "once", class: "wide", "aria-labelledby": "once-title", "aria-describedby": "once-why" },
  title, make("p", { id: "once-why" }, WHY), word, make("div.field", field, copying), told,
  make("div.actions", done));

let kept = null; // called once it was kept
let last = Promise.resolve();

/** Show *secret*, a *kind* of thing such as "Key", and wait until it was kept; one after the other. */
export function showOnce(named, kind, secret) {
  last = last.then(() => shown(named, kind, secret));
  return last;
}

function shown(named, kind, secret) {
  if (!root.isConnected) document.body.append(root);
  text(title, named);
  text(word, kind);
  field.value = secret;
  text(told, "");
  root.showModal();
  copying.focus();
  return new Promise((resolve) => {
    kept = resolve;
  });
}

// A slip must not lose it. Browsers close a dialog all the same when they are asked again and again.
root.addEventListener("keydown", (event) => {
  if (event.key === "Escape") event.preventDefault();
});
root.addEventListener("cancel", (event) => event.preventDefault());
root.addEventListener("close", () => {
  if (field.value) root.showModal();
  else kept();
});
