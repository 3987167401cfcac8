// Small helpers over the DOM. Data only ever enters through text nodes and attributes, never as markup.

import { ago, now, span, until } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";

/** Return the element with this id. */
export const byId = (id) => document.getElementById(id);

/**
 * Make an element: *tag*, with its classes as in "p.note", then attributes, if any, and children: nodes, strings, or null for
 * none. `press` is called by a click, `barred` switches off, telling why. Inside of a `view` a function can stand in place of
 * any attribute or child but `press`: it makes it out of the value.
 */
export function make(tag, ...given) {
  const [name, ...classes] = tag.split(".");
  const node = document.createElement(name);
  if (classes.length) node.className = classes.join(" ");
  return filled(node, given);
}

/** Make an element of a drawing, likewise. */
export const drawn = (tag, ...given) => filled(document.createElementNS(SVG, tag), given);

/** Make a button that does *work* with the value of its view, if it is in one. */
export const button = (words, work, attributes = {}) => make("button", { type: "button", press: work, ...attributes }, words);

let binding = null; // what the view that is made just now tells anew of each value

/** A view that shows one value after the other: {root, update(value)}. *build()* makes its root, once. */
export function view(build) {
  const outer = binding;
  const mine = (binding = []);
  const root = build();
  binding = outer;
  return {
    root,
    update(value) {
      mine.latest = value;
      for (const tell of mine) tell(value);
    },
  };
}

/** Call *apply* with *given*, or, where that is a function, with what it makes of each value of the view. */
export function follow(given, apply) {
  if (typeof given === "function") binding.push((value) => apply(given(value)));
  else apply(given);
}

function filled(node, [first, ...rest]) {
  const named = first?.constructor === Object;
  for (const [name, value] of Object.entries(named ? first : {})) give(node, name, value);
  for (const child of named ? rest : [first, ...rest]) adopt(node, child);
  return node;
}

function give(node, name, value) {
  if (name === "press") {
    const within = binding;
    node.addEventListener("click", () => value(within?.latest));
  } else {
    follow(value, (made) => (name === "barred" ? allow(node, made) : attr(node, name, made)));
  }
}

function adopt(node, child) {
  const words = typeof child === "function" ? new Text() : child;
  if (words !== null && words !== undefined) node.append(words);
  if (words !== child) follow(child, (made) => text(words, made));
}

/** Write text only when it differs, so that nothing flickers and no screen reader starts over. */
export function text(node, value) {
  const written = String(value ?? "");
  if (node.textContent !== written) node.textContent = written;
}

/** Set, or with null and false remove, one attribute, only when it differs. */
export function attr(node, name, value) {
  const wanted = value === true ? "" : value;
  if (wanted === null || wanted === undefined || wanted === false) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
  } else if (node.getAttribute(name) !== String(wanted)) {
    node.setAttribute(name, wanted);
  }
}

/** Show or hide. */
export const show = (node, shown) => attr(node, "hidden", !shown);

/** Show an element with this text, or hide it when there is none. */
export function line(node, value) {
  text(node, value);
  show(node, Boolean(value));
}

/** Switch a button off with the reason *why*, or on if there is none. */
export function allow(node, why) {
  attr(node, "disabled", Boolean(why));
  attr(node, "title", why || null);
}

/** A table that stays one for screen readers where a phone shows it as cards; returns its {box, rows}. */
export function table(id, name, columns) {
  const rows = make("tbody", { id, role: "rowgroup" });
  const heads = columns.map((words) => make("th", { role: "columnheader", scope: "col" }, words));
  const head = make("thead", { role: "rowgroup" }, make("tr", { role: "row" }, ...heads));
  const box = make("div.scroll", { tabindex: "0", role: "region", "aria-label": name },
    make("table", { role: "table" }, head, rows));
  return { box, rows };
}

/** A row of such a table. */
export const row = (attributes, ...cells) => make("tr", { role: "row", ...attributes }, ...cells);

/** A cell; *label* is the name of its column, shown on a phone. */
export const cell = (label, className, ...given) => {
  const node = make("td", ...given);
  for (const [name, value] of Object.entries({ role: "cell", class: className, "data-label": label })) attr(node, name, value);
  return node;
};

/** What is said below the first line of a cell. */
export const trail = (words) => make("span.trail", words);

/** A list of names and values, pairs. */
export const listFacts = (list, facts) => keyed(list, facts, ([name]) => name, ([name]) => view(() =>
  make("div", make("dt", name), make("dd", ([, value]) => value))));

/** An icon from the sprite in the page; decoration beside a word. */
export function icon(tone) {
  const svg = drawn("svg", { class: "icon", "aria-hidden": "true" }, drawn("use"));
  follow(tone, (made) => paint(svg, made));
  return svg;
}

/** Give an icon another shape and colour. */
export function paint(svg, tone) {
  attr(svg.firstChild, "href", `#icon-${tone}`);
  attr(svg, "data-tone", tone);
}

/**
 * A bar of coloured *parts*, laid end to end; *shares* are numbers from 0 to 1. Widths are SVG attributes: the content
 * policy allows no inline style.
 */
export function bar(className, parts, shares, attributes = {}) {
  const frame = { class: className, viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" };
  const svg = drawn("svg", { ...frame, ...attributes },
    ...parts.map((part) => drawn("rect", { class: part, height: 10 })));
  follow(shares, (made) => fill(svg, made));
  return svg;
}

function fill(svg, shares) {
  let x = 0;
  shares.forEach((share, index) => {
    const width = Math.max(0, Math.min(1, share || 0)) * 100;
    attr(svg.children[index], "x", x.toFixed(1));
    attr(svg.children[index], "width", width.toFixed(1));
    x += width;
  });
}

const shownIn = new WeakMap();

/**
 * Make *parent* hold one child for each item, in order. A child that stays is updated in place, and is moved only when
 * its neighbours changed, so the focus survives. *create(item)* returns {root, update(item)}.
 */
export function keyed(parent, items, keyOf, create) {
  const before = shownIn.get(parent) ?? new Map();
  const after = new Map();
  for (const item of items) {
    const key = keyOf(item);
    if (after.has(key)) continue;
    const shown = before.get(key) ?? create(item);
    shown.update(item);
    after.set(key, shown);
  }
  for (const [key, { root }] of before) if (!after.has(key)) root.remove();
  let next = parent.firstElementChild;
  for (const { root } of after.values()) {
    if (root === next) next = next.nextElementSibling;
    else parent.insertBefore(root, next);
  }
  shownIn.set(parent, after);
}

/** Let *parent*, inside of a view, hold what *itemsOf(value)* gives, likewise. */
export function each(parent, itemsOf, keyOf, create) {
  follow(itemsOf, (items) => keyed(parent, items, keyOf, create));
  return parent;
}

// ---- times that move by themselves between two answers of the gateway

const FORMS = { ago, until, up: (since) => span(now() - since) };

/** Let *node* say how far away the moment *at* is, after *before*; without a moment it says *before* alone. */
export function ticking(node, form, at, before = "") {
  const moving = at !== null && at !== undefined;
  attr(node, "data-ticks", moving ? form : null);
  attr(node, "data-at", moving ? at : null);
  attr(node, "data-before", moving && before ? before : null);
  if (moving) retell(node);
  else text(node, before);
}

/** Such a time in a view, that of *momentOf(value)*; there is nothing where there is no moment. */
export function times(form, momentOf, before = "", tag = "span") {
  const node = make(tag);
  follow(momentOf, (at) => ticking(node, form, at || null, at ? before : ""));
  return node;
}

function retell(node) {
  const { ticks, at, before } = node.dataset;
  text(node, [before, FORMS[ticks](Number(at))].filter(Boolean).join(" "));
}

/** Bring every moving time on the page up to date. */
export function tick() {
  document.querySelectorAll("[data-ticks]").forEach(retell);
}
