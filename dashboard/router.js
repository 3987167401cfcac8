// Which page is open: the address after "#", "requests/a1b2" being the page "requests" at the place "a1b2".

import { attr, byId, make, show, text } from "./dom.js";

/**
 * Opens pages as the address says. Each is a module of its own, loaded when it is opened first; its *build(desk)*
 * returns {root, update(status), shown(place), hidden()}, of which all but root may be missing.
 */
export class Router {
  #desk;
  #links = [...byId("nav").children];
  #pages = new Map();
  #open = null;
  #lost = null; // the page of the address, if it could not be loaded
  #tries = new Map(); // how often the modules of pages could not be loaded
  #turn = 0;

  constructor(desk) {
    this.#desk = desk;
    window.addEventListener("hashchange", () => this.go(true));
    byId("nav").addEventListener("click", ({ target }) => {
      if (target.hash === location.hash) this.retry(true); // the address does not change
    });
    byId("page-reload").addEventListener("click", () => location.reload());
    this.#fetch(this.#named().hash.slice(1)).catch(() => {}); // while the gateway is asked who looks, and how it is
  }

  /** Open the page of the address; *moved* says that somebody went there, who is led to its title. */
  async go(moved) {
    const [, ...rest] = location.hash.slice(1).split("/");
    const link = this.#named();
    const turn = ++this.#turn;
    const page = await this.#load(link.hash.slice(1)).catch(() => null);
    if (turn !== this.#turn) return; // somebody went on while it was loaded
    this.#leave(page);
    this.#open = page;
    this.#lost = page ? null : link.textContent;
    for (const each of this.#links) attr(each, "aria-current", each === link ? "page" : null);
    document.title = `${link.textContent} · freeroute`;
    text(byId("page-trouble-text"), page ? "" : `The page ${this.#lost} could not be loaded. Choose it again once the gateway answers, or reload.`);
    show(byId("page-trouble"), !page);
    if (!page) return;
    show(page.root, true);
    page.shown?.(decoded(rest.join("/")));
    this.update(this.#desk.status());
    if (moved) page.root.querySelector("h2")?.focus();
  }

  /** Open the page that could not be loaded, if there is one. */
  async retry(moved = false) {
    if (this.#lost) await this.go(moved);
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

  // Browsers remember of a module that it could not be loaded: under another address it is loaded anew.
  async #fetch(id) {
    const tries = this.#tries.get(id) ?? 0;
    const { sheet } = this.#links.find((one) => one.hash === `#${id}`).dataset;
    try {
      const [page] = await Promise.all([import(`./pages/${id}.js${tries ? `?${tries}` : ""}`), styled(sheet)]);
      return page;
    } catch (error) {
      this.#tries.set(id, tries + 1);
      throw error;
    }
  }

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

const sheets = new Map();

/** Load a style sheet, once; rejects if it cannot be had. */
function styled(sheet) {
  if (!sheet || sheets.has(sheet)) return sheets.get(sheet);
  const link = make("link", { rel: "stylesheet", href: new URL(sheet, import.meta.url) });
  const loaded = new Promise((done, failed) => {
    link.addEventListener("load", done);
    link.addEventListener("error", failed);
  });
  loaded.catch(() => {
    link.remove();
    sheets.delete(sheet);
  });
  sheets.set(sheet, loaded);
  document.head.append(link);
  return loaded;
}

function decoded(place) {
  try {
    return decodeURIComponent(place);
  } catch {
    return place;
  }
}
