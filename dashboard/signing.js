// Who is signed in: the panel and the dialog that ask for a key, and what the header says of it.

import { byId, line, show, text } from "./dom.js";
import { Refused, enter, opening, signIn, signOut, whoAmI } from "./session.js";

const EVERY = 60000; // ms between two looks at whether the session still stands
const NOBODY = { name: null, scope: null, client: null, demo: false, needs_key: false };
const ENDED = "You were signed out: the session is over, or its key has ended.";

const called = ({ name, scope, client }) => (scope === name ? name : `${name} (${client ? "client" : scope})`);

/** Knows who is signed in; *changed()* hears when it is somebody else, *act(action)* does what had to wait for a key. */
export class Signing {
  #who = NOBODY;
  #known = false;
  #pending = null; // the action that waits for a key
  #last = null; // who was signed in last
  #ended = false; // whether that session came to its end by itself
  #changed;
  #act;

  constructor({ changed, act }) {
    this.#changed = changed;
    this.#act = act;
    byId("sign-in").addEventListener("click", () => this.#open(null, this.#ended ? ENDED : ""));
    byId("sign-out").addEventListener("click", () => this.#leave());
    byId("signin-form").addEventListener("submit", (event) => this.#enter(event, "signin"));
    byId("dialog-form").addEventListener("submit", (event) => this.#enter(event, "dialog"));
    byId("dialog-cancel").addEventListener("click", () => byId("signin-dialog").close());
    byId("signin-dialog").addEventListener("close", () => {
      byId("dialog-key").value = "";
      if (!byId("signin-dialog").open) this.#pending = null;
    });
    // A key may end, a first client be added, or another tab sign in or out, while nothing is asked here.
    const look = () => {
      if (!document.hidden && (this.#who.name || this.demanding)) this.learn().catch(() => {});
    };
    document.addEventListener("visibilitychange", look);
    window.addEventListener("hashchange", look);
    setInterval(look, EVERY);
  }

  /** Who is signed in, as the gateway tells it. */
  get who() {
    return this.#who;
  }

  /** Whether nothing is shown before somebody signs in, as far as is known. */
  get wanted() {
    return this.#who.needs_key && !this.#who.name;
  }

  /** Whether the panel stands in place of the pages. */
  get demanding() {
    return !byId("signin").hidden;
  }

  /** Find out who is signed in, and whether the session still stands: a gateway that started anew has forgotten it. */
  async learn({ back = false } = {}) {
    const before = this.#who.name;
    // A demo is signed in to when it is opened, and when it is *back*.
    const first = opening.who;
    delete opening.who;
    const who = await (first ?? ((back && before) || !this.#known ? enter() : whoAmI()));
    // Somebody else signed in, in another tab.
    if (before && who.name && who.name !== before) return location.reload();
    if (before && !who.name) this.#ended = true;
    this.#become(who);
    if (before && this.wanted) this.demand(ENDED);
  }

  /** Ask for a key in place of everything else. */
  demand(complaint = "") {
    // What is asked in front of the panel would bar it; a key that is shown this once is taken first.
    for (const dialog of document.querySelectorAll("dialog[open]:not(#once)")) dialog.close();
    if (this.demanding && !complaint) return;
    show(byId("signin"), true);
    text(byId("signin-error"), complaint);
    byId("signin-key").focus();
  }

  /** Ask for the key that *action* was refused for, and then do it. */
  async askFor(action) {
    await this.learn().catch(() => {});
    const { client } = this.#who;
    if (!this.wanted) this.#open(action, client ? `${client} is a client.` : this.#ended ? ENDED : "");
  }

  #open(action, complaint) {
    this.#pending = action;
    text(byId("dialog-error"), complaint);
    if (!byId("signin-dialog").open) byId("signin-dialog").showModal();
    byId("dialog-key").focus();
  }

  async #enter(event, form) {
    event.preventDefault();
    const [field, button, error] = ["key", "button", "error"].map((part) => byId(`${form}-${part}`));
    button.disabled = true;
    text(error, "");
    try {
      const who = await signIn(field.value.trim());
      field.value = "";
      // What the pages hold was for somebody else's eyes.
      if (form === "signin" && this.#last && this.#last !== who.name) return location.reload();
      const action = this.#pending;
      byId("signin-dialog").close();
      this.#become(who);
      if (action) await this.#act(action);
      else byId(form === "signin" ? "main" : "sign-out").focus(); // the button that led here is gone
    } catch (failure) {
      text(error, failure instanceof Refused ? failure.message : "The gateway does not answer.");
      field.select();
    } finally {
      button.disabled = false;
    }
  }

  async #leave() {
    await this.#act(async () => {
      const who = await signOut();
      if (!who.demo) return location.reload(); // nothing stays of what was shown. A demo would be signed in to again
      this.#become(who);
      if (!this.wanted) byId("sign-in").focus();
    });
  }

  #become(who) {
    const changed = this.#known && ["name", "scope", "needs_key"].some((fact) => who[fact] !== this.#who[fact]);
    this.#known = true;
    this.#who = who;
    this.#last = who.name ?? this.#last;
    if (who.name) this.#ended = false;
    line(byId("who"), who.name && `Signed in as ${called(who)}`);
    show(byId("sign-in"), !who.name && !this.wanted);
    show(byId("sign-out"), who.name);
    if (!this.wanted) show(byId("signin"), false);
    if (changed) this.#changed();
  }
}
