// Asks again and again, one call at a time: every 2 s while someone looks, slower while it fails, never when hidden.

const EVERY = 2000;
const SLOWEST = 30000;

/** Calls *load* until paused; *failed(error, retryAt)* hears of each failure and may pause it. */
export class Poller {
  #load;
  #failed;
  #timer = null;
  #busy = false;
  #again = false;
  #failures = 0;
  #paused = false;

  constructor(load, failed) {
    this.#load = load;
    this.#failed = failed;
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) clearTimeout(this.#timer);
      else if (!this.#paused) this.ask();
    });
  }

  /** Ask now. While an answer is on its way, ask once more after it. */
  async ask() {
    clearTimeout(this.#timer);
    if (this.#busy) {
      this.#again = true;
      return;
    }
    this.#busy = true;
    let wait = EVERY;
    try {
      await this.#load();
      this.#failures = 0;
    } catch (error) {
      this.#failures += 1;
      wait = Math.min(SLOWEST, EVERY * 2 ** this.#failures);
      this.#failed(error, Date.now() + wait);
    } finally {
      this.#busy = false;
    }
    if (this.#paused) return;
    if (this.#again) wait = 0;
    this.#again = false;
    if (!document.hidden) this.#timer = setTimeout(() => this.ask(), wait);
  }

  get paused() {
    return this.#paused;
  }

  /** Stop asking. */
  pause() {
    this.#paused = true;
    this.#again = false;
    clearTimeout(this.#timer);
  }

  /** Go on, at once. */
  resume() {
    this.#paused = false;
    return this.ask();
  }
}
