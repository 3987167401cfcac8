// Which page is open: the address after "#", "requests/a1b2" being the page "requests" at the place "a1b2".

import { attr, byId, show, text } from "/dashboard/dom.js";

/**
 * Opens pages as the address says. Each is a module of its own, loaded when it is opened first; its *build(desk)*
 * returns {root, update(status), shown(place), hidden()}, of which all but root may be missing.
 */
export class Router {
  #desk;
  #links = [...byId("nav").children];
  #pages = new Map();
  #open = null;
  #turn = 0;

  constructor(desk) {
    this.#desk = desk;
    window.addEventListener("hashchange", () => this.go(true));
    this.#fetch(this.#named().hash.slice(1)).catch(() => {}); // while the gateway is asked who looks, and how it is
  }

  /** Open the page of the address; *moved* says that somebody went there, who is led to its title. */
  async go(moved) {
    const [, ...rest] = location.hash.slice(1).split("/");
    const link = this.#named();
    const turn = ++this.#turn;
    byId("page-trouble").hidden = true;
    let page;
    try {
      page = await this.#load(link.hash.slice(1));
    } catch {
      text(byId("page-trouble"), `The page ${link.textContent} could not be loaded. Try again once the gateway answers.`);
      byId("page-trouble").hidden = false;
      return;
    }
    if (turn !== this.#turn) return; // somebody went on while it was loaded
    this.#leave(page);
    this.#open = page;
    for (const each of this.#links) attr(each, "aria-current", each === link ? "page" : null);
    document.title = `${link.textContent} · freeroute`;
    show(page.root, true);
    page.shown?.(decoded(rest.join("/")));
    this.update(this.#desk.status());
    if (moved) page.root.querySelector("h2")?.focus();
  }

  /** Tell the open page what the gateway says now. */
  update(status) {
    if (status) this.#open?.update?.(status);
  }

  #leave(next) {
    if (!this.#open || this.#open === next) return;
    this.#open.hidden?.();
    show(this.#open.root, false);
  }

  /** The link of the page that the address names, of the first one if it names none. */
  #named() {
    const [id] = location.hash.slice(1).split("/");
    return this.#links.find((one) => one.hash === `#${id}`) ?? this.#links[0];
  }

  #fetch = (id) => import(`/dashboard/pages/${id}.js`);

  async #load(id) {
    if (!this.#pages.has(id)) {
      const { build } = await this.#fetch(id);
      if (!this.#pages.has(id)) this.#pages.set(id, this.#built(build));
    }
    return this.#pages.get(id);
  }

  #built(build) {
    const page = build(this.#desk);
    if (!page.root.isConnected) byId("pages").append(page.root);
    return page;
  }
}

function decoded(place) {
  try {
    return decodeURIComponent(place);
  } catch {
    return place;
  }
}
