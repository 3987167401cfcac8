// Work that is asked for often, and done now and then.

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
    return work();
  };
  return { now: run, soon: () => { timer ??= setTimeout(run, Math.max(0, last + every - Date.now())); }, stop };
}
