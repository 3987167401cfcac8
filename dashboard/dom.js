// Small helpers over the DOM. Data only ever enters through text nodes and attributes, never as markup.

const SVG = "http://www.w3.org/2000/svg";

/** Return the element with this id. */
export const byId = (id) => document.getElementById(id);

/** Make an element: attributes, then children (nodes or strings). */
export function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) attr(node, name, value);
  node.append(...children);
  return node;
}

/** Write text only when it differs, so that nothing flickers and no screen reader starts over. */
export function text(node, value) {
  const written = value ?? "";
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
export function allow(button, why) {
  attr(button, "disabled", Boolean(why));
  attr(button, "title", why || null);
}

/** A table that stays one for screen readers where a phone shows it as cards; returns its {box, rows}. */
export function table(id, name, columns) {
  const rows = make("tbody", { id, role: "rowgroup" });
  const heads = columns.map((words) => make("th", { role: "columnheader", scope: "col" }, words));
  const head = make("thead", { role: "rowgroup" }, make("tr", { role: "row" }, ...heads));
  const box = make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": name },
    make("table", { role: "table" }, head, rows));
  return { box, rows };
}

/** A cell of such a table; *label* is the name of its column, shown on a phone. */
export const cell = (label, className, ...children) => make("td", { role: "cell", class: className, "data-label": label }, ...children);

/** An icon from the sprite in the page; decoration beside a word. */
export function icon(tone) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  svg.append(document.createElementNS(SVG, "use"));
  paint(svg, tone);
  return svg;
}

/** Give an icon another shape and colour. */
export function paint(svg, tone) {
  attr(svg.firstChild, "href", `#icon-${tone}`);
  attr(svg, "data-tone", tone);
}

/** A bar of coloured parts. Widths are SVG attributes: the content policy allows no inline style. */
export function bar(className, parts) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", className);
  svg.setAttribute("viewBox", "0 0 100 10");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  for (const part of parts) {
    const rect = document.createElementNS(SVG, "rect");
    rect.setAttribute("class", part);
    rect.setAttribute("height", "10");
    svg.append(rect);
  }
  return svg;
}

/** Lay the parts of a bar end to end; *shares* are numbers from 0 to 1. */
export function fill(svg, shares) {
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
    const view = before.get(key) ?? create(item);
    view.update(item);
    after.set(key, view);
  }
  for (const [key, view] of before) if (!after.has(key)) view.root.remove();
  let next = parent.firstElementChild;
  for (const view of after.values()) {
    if (view.root === next) next = next.nextElementSibling;
    else parent.insertBefore(view.root, next);
  }
  shownIn.set(parent, after);
}
