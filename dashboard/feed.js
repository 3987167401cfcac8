// The status as it goes on: one stream, open while somebody looks (docs/status.md). Never open in a hidden tab.

import { follow, linesOf, opening, refusal } from "./session.js";

const FIRST = 1000; // ms until another try; twice as long after each that failed
const SLOWEST = 30000;
const SILENCE = 60000; // the gateway says something every 15 s, a very large one every half minute
const REQUESTS = 50;
const LISTS = ["providers", "clients"];

/** Return what is known after a *change* of what was *known*. Entries that did not change stay the same objects. */
export function merged(known, { ids = {}, requests = [], ...told }) {
  const after = { ...known, ...told, requests: [...requests, ...known.requests].slice(0, REQUESTS) };
  for (const name of LISTS) {
    const entries = new Map([...known[name], ...(told[name] ?? [])].map((entry) => [entry.id, entry]));
    after[name] = ids[name] ? ids[name].map((id) => entries.get(id)) : [...entries.values()];
  }
  return after;
}

/**
 * Follows the status. *ready()* is awaited before it is asked for and says whether to; *told(status)* hears of each
 * change, *failed(error, retryAt)* of each failure, and may pause it.
 */
export class Feed {
  #ready;
  #told;
  #failed;
  #known = null;
  #early = opening; // what was asked for before there was a feed
  #reading = null; // ends the stream that is open
  #timer = null;
  #failures = 0;
  #paused = false;

  constructor({ ready, told, failed }) {
    this.#ready = ready;
    this.#told = told;
    this.#failed = failed;
    document.addEventListener("visibilitychange", () => (document.hidden ? this.#close() : this.open()));
    // Whether the gateway is still there is for it to say: it may be on this machine.
    for (const turn of ["online", "offline"]) window.addEventListener(turn, () => this.#paused || this.resume());
  }

  get paused() {
    return this.#paused;
  }

  /** Stop following. */
  pause() {
    this.#paused = true;
    this.#close();
  }

  /** Go on, at once and from the beginning: perhaps somebody else looks on. */
  resume() {
    this.#paused = false;
    this.#close();
    return this.open();
  }

  /** Follow, unless it is followed already: do not wait for the next try. */
  async open() {
    clearTimeout(this.#timer);
    if (this.#reading || this.#paused || document.hidden) return;
    const { reading = new AbortController(), response } = this.#early;
    this.#early = {};
    this.#reading = reading;
    let failure = null;
    try {
      if (await this.#ready()) await this.#follow(reading, response);
    } catch (error) {
      failure = error;
    }
    if (reading !== this.#reading) return; // it was closed here
    this.#reading = null;
    reading.abort();
    // A stream that ends by itself is asked for again: the gateway, or the key, has come to its end, or was busy.
    const wait = Math.min(SLOWEST, FIRST * 2 ** this.#failures);
    if (failure) {
      this.#failures += 1;
      await this.#failed(failure, Date.now() + wait);
    }
    if (!this.#reading && !this.#paused && !document.hidden) this.#timer = setTimeout(() => this.open(), wait);
  }

  async #follow(reading, early) {
    const alarm = watchdog(reading);
    try {
      const response = (await early) ?? (await follow(reading));
      if (!response.ok) throw await refusal(response);
      let event = "";
      for await (const line of linesOf(response)) {
        alarm.pet();
        if (line.startsWith("event:")) event = line.slice(6).trim();
        if (line.startsWith("data:")) this.#take(event, JSON.parse(line.slice(5)));
      }
    } finally {
      alarm.stop();
    }
  }

  #take(event, said) {
    this.#known = event === "status" ? said : merged(this.#known, said);
    this.#failures = 0;
    this.#told(this.#known);
  }

  #close() {
    clearTimeout(this.#timer);
    for (const reading of [this.#reading, this.#early.reading]) reading?.abort();
    this.#reading = null;
    this.#early = {};
  }
}

// A connection that died without a word is given up.
function watchdog(reading) {
  let timer = null;
  const stop = () => clearTimeout(timer);
  const pet = () => {
    stop();
    timer = setTimeout(() => reading.abort(), SILENCE);
  };
  pet();
  return { pet, stop };
}
