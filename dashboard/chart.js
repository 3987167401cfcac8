// Stacked bars over time, drawn as SVG. The legend tells the figures of the time that is pointed at, so that names and
// order tell what is what, and colour only helps; an entry of it can be looked at by itself.

import { attr, drawn, keyed, make, text, view } from "./dom.js";
import { brief, formatter, number } from "./words.js";

const HEIGHT = 250;
const EDGE = { left: 50, right: 6, top: 8, bottom: 24 };
const APART = 7; // series with a colour of their own; what is left is one more
const DAY = 86400;
const STEPS = [5, 10, 15, 30, 60, 120, 180, 240, 360, 720].map((minutes) => minutes * 60)
  .concat([1, 2, 5, 7, 10, 15, 30].map((days) => days * DAY));
const LABEL = 64; // px that a time below the bars takes

const time = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
const day = { month: "short", day: "numeric" };
const [clock, dated, date, utcDate] = [time, { ...day, ...time }, day, { ...day, timeZone: "UTC" }]
  .map((options) => formatter(Intl.DateTimeFormat, options));

/** Say which time a bar of *width* seconds from *start* on is about; whole days are days in UTC. */
export function spell(start, width) {
  if (width >= DAY) return `${utcDate(start * 1000)} (UTC)`;
  const begins = dated(start * 1000);
  return width <= 60 ? begins : `${begins} – ${clock((start + width) * 1000)}`;
}

/** The largest of *series* ({name, values}) with their sums, and all others as one. */
export function ranked(series) {
  const sized = series.map((one) => ({ ...one, total: sum(one.values) })).sort((a, b) => b.total - a.total);
  const rest = sized.slice(APART);
  if (rest.length < 2) return sized;
  const values = rest[0].values.map((_, at) => sum(rest.map((one) => one.values[at])));
  return [...sized.slice(0, APART), { name: `${number(rest.length)} others`, values, total: sum(values), other: true }];
}

const sum = (values) => values.reduce((whole, value) => whole + value, 0);

/** Marks of an axis from 0 to at least *most*: whole numbers, 1, 2 or 5 times a power of ten apart. */
export function marks(most) {
  const least = most / 4;
  const power = 10 ** Math.floor(Math.log10(least));
  const step = Math.max(1, [1, 2, 5, 10].find((factor) => factor * power >= least) * power);
  return Array.from({ length: Math.ceil(most / step) + 1 }, (_, at) => at * step);
}

/** A chart; *update({label, width, starts, series})* draws it, *series* being as `ranked` has them. */
export function chart() {
  let given = null;
  let pointed = null; // the place of the time that is pointed at
  let alone = null; // the name of the series that is looked at by itself
  const picture = drawn("svg", { class: "plot", role: "slider", tabindex: 0, "aria-valuemin": 0 });
  const title = make("h3");
  const list = make("ul.legend.plain");
  const box = make("div.canvas", picture);
  const root = make("div.chart", box, make("div", title, list));

  const shown = () => given.series.filter((one) => alone === null || one.name === alone);
  const column = () => (box.clientWidth - EDGE.left - EDGE.right) / given.starts.length;

  function point(at) {
    pointed = at === null ? null : Math.max(0, Math.min(given.starts.length - 1, at));
    attr(picture.querySelector(".pointer"), "visibility", pointed === null ? "hidden" : null);
    if (pointed !== null) attr(picture.querySelector(".pointer"), "x", EDGE.left + pointed * column());
    tell();
  }

  function tell() {
    const when = pointed === null ? "The whole time" : spell(given.starts[pointed], given.width);
    const figure = (one) => (pointed === null ? one.total : one.values[pointed]);
    const whole = `${number(sum(shown().map(figure)))} ${given.label}`;
    text(title, `${when}: ${whole}`);
    attr(picture, "aria-valuenow", pointed ?? given.starts.length - 1);
    const parts = shown().filter(figure).map((one) => `${one.name} ${number(figure(one))}`);
    attr(picture, "aria-valuetext", [`${when}: ${whole}`, ...parts].join(", "));
    const lines = given.series.map((one, place) => ({ ...one, place, figure: figure(one), alone: one.name === alone }));
    keyed(list, lines, (one) => one.name, () => legendLine((name) => {
      alone = alone === name ? null : name;
      draw();
    }));
  }

  function draw() {
    if (!given || !box.clientWidth) return;
    const { starts, series } = given;
    const height = HEIGHT - EDGE.top - EDGE.bottom;
    const tall = starts.map((_, at) => sum(shown().map((one) => one.values[at])));
    const scale = marks(Math.max(1, ...tall));
    const y = (value) => EDGE.top + height * (1 - value / scale.at(-1));
    attr(picture, "viewBox", `0 0 ${box.clientWidth} ${HEIGHT}`);
    attr(picture, "height", HEIGHT);
    attr(picture, "data-thin", column() < 8);
    attr(picture, "aria-label", `${given.label} over time`);
    attr(picture, "aria-valuemax", starts.length - 1);
    const below = starts.map(() => 0);
    picture.replaceChildren(
      ...scale.flatMap((value) => [
        drawn("line", { x1: EDGE.left, x2: box.clientWidth - EDGE.right, y1: y(value), y2: y(value) }),
        label(EDGE.left - 6, y(value) + 4, brief(value), "end"),
      ]),
      ...labels(starts, given.width, box.clientWidth - EDGE.left).map(([at, words]) =>
        label(EDGE.left + (at + 0.5) * column(), HEIGHT - 7, words, "middle")),
      ...series.map((one, place) => (shown().includes(one)
        ? drawn("path", { class: shade(one, place), d: bars(one.values, below, column(), y) })
        : drawn("path", {}))),
      drawn("rect", { class: "pointer", y: EDGE.top, width: column(), height, visibility: "hidden" }),
    );
    point(pointed);
  }

  const follow = (event) => {
    const at = Math.floor((event.clientX - box.getBoundingClientRect().left - EDGE.left) / column());
    point(at >= 0 && at < given.starts.length ? at : null);
  };
  picture.addEventListener("pointermove", follow);
  picture.addEventListener("pointerdown", follow);
  picture.addEventListener("pointerleave", () => document.activeElement === picture || point(null));
  picture.addEventListener("focus", () => point(pointed ?? given.starts.length - 1));
  picture.addEventListener("blur", () => point(null));
  picture.addEventListener("keydown", (event) => {
    const last = given.starts.length - 1;
    const to = { ArrowLeft: pointed - 1, ArrowRight: pointed + 1, Home: 0, End: last }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    point(to);
  });
  new ResizeObserver(draw).observe(box);
  return {
    root,
    update(wanted) {
      if (pointed !== null && given?.starts.length !== wanted.starts.length) pointed = null;
      if (!wanted.series.some((one) => one.name === alone)) alone = null;
      given = wanted;
      draw();
    },
  };
}

const shade = (one, place) => (one.other ? "shade-other" : `shade-${place}`);

/** One path for all bars of a series, on top of what is *below* them, which grows by it. */
function bars(values, below, column, y) {
  const wide = Math.max(1, column * 0.8);
  return values.map((value, at) => {
    if (!value) return "";
    const from = y(below[at]);
    below[at] += value;
    const x = EDGE.left + at * column + (column - wide) / 2;
    return `M${x.toFixed(1)} ${from.toFixed(1)}h${wide.toFixed(1)}V${y(below[at]).toFixed(1)}h${-wide.toFixed(1)}z`;
  }).join("");
}

/** Which bars have their time below them, as [place, words]: those in which a round one begins, as far as there is room. */
function labels(starts, width, room) {
  const most = Math.max(2, Math.floor(room / LABEL));
  const whole = starts.length * width;
  const least = whole > 3 * DAY ? DAY : width;
  const step = STEPS.find((one) => one >= least && whole / one <= most) ?? STEPS.at(-1);
  const zone = width >= DAY ? 0 : new Date(starts[0] * 1000).getTimezoneOffset() * -60;
  const form = step < DAY ? clock : width >= DAY ? utcDate : date;
  const turn = (at) => Math.floor((at + zone) / step);
  return starts.flatMap((start, at) => (turn(start) === turn(start - width) ? [] : [[at, form(start * 1000)]]));
}

const legendLine = (choose) => view(() => make("li",
  make("button", {
    type: "button", title: "Look at this alone, or at all again", press: (one) => choose(one.name), "aria-pressed": (one) => String(one.alone),
  },
  drawn("svg", { class: "patch", viewBox: "0 0 10 10", "aria-hidden": "true" },
    drawn("rect", { width: 10, height: 10, class: (one) => shade(one, one.place) })),
  make("span.name", (one) => one.name), make("span.amount", (one) => number(one.figure)))));

const label = (x, y, words, anchor) => drawn("text", { x, y, "text-anchor": anchor }, words);
