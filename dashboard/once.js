// A secret that is shown this once.

import { copy } from "/dashboard/copying.js";
import { make, text } from "/dashboard/dom.js";

const WHY = "This is the only time it is shown: the gateway keeps no more than its hash.";

const title = make("h2", { id: "once-title" });
const field = make("input", { id: "once-value", type: "text", readonly: true, autocomplete: "off", spellcheck: "false" });
const told = make("p", { role: "status" });
const copying = make("button", { type: "button", class: "primary" }, "Copy");
const done = make("button", { type: "button" }, "I have kept it");
const word = make("label", { for: "once-value" });
const root = make("dialog", { id: "once", class: "wide", "aria-labelledby": "once-title", "aria-describedby": "once-why" },
  title, make("p", { id: "once-why" }, WHY), word, make("div", { class: "field" }, field, copying), told,
  make("div", { class: "actions" }, done));

/** Show *secret*, a *kind* of thing such as "Key", and wait until it was kept. */
export function showOnce(named, kind, secret) {
  if (!root.isConnected) document.body.append(root);
  text(title, named);
  text(word, kind);
  field.value = secret;
  text(told, "");
  root.showModal();
  copying.focus();
  return new Promise((kept) => {
    root.addEventListener("close", kept, { once: true });
  });
}

copying.addEventListener("click", async () => text(told, await copy(field)));
done.addEventListener("click", () => {
  field.value = "";
  root.close();
});
root.addEventListener("cancel", (event) => event.preventDefault()); // a slip must not lose it
