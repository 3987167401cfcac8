// Times that move by themselves between two answers of the gateway.

import { attr, text } from "/dashboard/dom.js";
import { ago, span, until, now } from "/dashboard/words.js";

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

function retell(node) {
  const { ticks, at, before } = node.dataset;
  text(node, [before, FORMS[ticks](Number(at))].filter(Boolean).join(" "));
}

/** Bring every moving time on the page up to date. */
export function tick() {
  document.querySelectorAll("[data-ticks]").forEach(retell);
}

/**
 * Do *work* by `now()` at once, and by `soon()` when *every* ms have passed since the last time, once for all who asked
 * meanwhile; `stop()` forgets who asked.
 */
export function paced(every, work) {
  let last = 0;
  let timer = null;
  const stop = () => {
    clearTimeout(timer);
    timer = null;
  };
  const run = () => {
    stop();
    last = Date.now();
    work();
  };
  return { now: run, soon: () => { timer ??= setTimeout(run, Math.max(0, last + every - Date.now())); }, stop };
}
