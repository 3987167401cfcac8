// How long the last answers took, as a line without axes.

import { attr, make, show, text } from "/dashboard/dom.js";
import { millis } from "/dashboard/words.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 120;
const HEIGHT = 24;
const FEWEST = 3; // answers of which a line says anything

/** The view of the `latency` of a provider, drawn once there are some answers. */
export function sparkline(className) {
  const lines = ["total", "first"].map((name) => {
    const drawn = document.createElementNS(SVG, "polyline");
    drawn.setAttribute("class", name);
    return drawn;
  });
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 -1 ${WIDTH} ${HEIGHT + 2}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  svg.append(...lines);
  const words = make("span", { class: "small" });
  const root = make("p", { class: className }, svg, words);
  return {
    root,
    update(latency) {
      const { totals = [], first_events: firsts = [] } = latency ?? {};
      show(root, totals.length >= FEWEST);
      if (totals.length < FEWEST) return;
      const most = Math.max(...totals, ...firsts);
      attr(lines[0], "points", points(totals, most));
      attr(lines[1], "points", points(firsts, most));
      const [least, longest] = [Math.min(...totals), Math.max(...totals)].map((each) => millis(each * 1000));
      text(words, `last ${totals.length} answers: ${least} to ${longest}`);
    },
  };
}

// The newest stands at the right.
function points(seconds, most) {
  const step = WIDTH / Math.max(seconds.length - 1, 1);
  return seconds.map((each, at) => `${(at * step).toFixed(1)},${(HEIGHT * (1 - each / most)).toFixed(1)}`).join(" ");
}
