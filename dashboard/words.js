// Facts into words: times, numbers, states and endings as people say them.

/** Return what formats a value by *Kind* of Intl with *options*; made at the first one, since it takes milliseconds. */
export function formatter(Kind, options) {
  let made = null;
  return (value) => (made ??= new Kind(undefined, options)).format(value);
}

const { DateTimeFormat, NumberFormat } = Intl;
const whole = formatter(NumberFormat, { maximumFractionDigits: 0 });
const fine = formatter(NumberFormat, { maximumFractionDigits: 2 });
const tenths = formatter(NumberFormat, { maximumFractionDigits: 1 });
const time = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
const clock = formatter(DateTimeFormat, { ...time, second: "2-digit" });
const dated = formatter(DateTimeFormat, { month: "short", day: "numeric", ...time });

// The gateway's clock, so that a wrong clock on this side does not bend a countdown.
let skew = 0;

/** Remember what the gateway's clock says. */
export function setClock(gatewayNow) {
  skew = gatewayNow - Date.now() / 1000;
}

/** The gateway's time now, in seconds. */
export const now = () => Date.now() / 1000 + skew;

/** A number; small ones with decimals. */
export const number = (value) => (Math.abs(value) < 10 ? fine : whole)(value);

/** A number in little room: 9,999, 12.3K, 4.5M. By hand: the compact form of Intl alone takes 20 ms to be made. */
export function brief(value) {
  if (Math.abs(value) < 10000) return whole(value);
  let [rest, power] = [value, 0];
  for (; Math.abs(rest) >= 999.95 && power < 4; power += 1) rest /= 1000;
  return tenths(rest) + " KMBT"[power];
}

/** "1 key", "2 keys". */
export const plural = (count, word) => `${number(count)} ${word}${count === 1 ? "" : "s"}`;

/** Seconds as people count them: 42 s, 3 min, 2 h 5 min, 3 d. */
export function span(seconds) {
  const s = Math.max(0, Math.ceil(seconds));
  if (s < 100) return `${s} s`;
  const minutes = Math.round(s / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return `${Math.round(hours / 24)} d`;
}

/** Milliseconds as people count them. */
export function millis(ms) {
  if (ms === null || ms === undefined) return "–";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  return ms < 10000 ? `${(ms / 1000).toFixed(2)} s` : span(ms / 1000);
}

/** The time of day here; with the date when it is not today. */
export function moment(at) {
  const date = new Date(at * 1000);
  const sameDay = date.toDateString() === new Date(now() * 1000).toDateString();
  return (sameDay ? clock : dated)(date);
}

const DAY = 86400;
const day = formatter(DateTimeFormat, { dateStyle: "medium", timeZone: "UTC" });
const minute = formatter(DateTimeFormat, { dateStyle: "medium", timeStyle: "short", timeZone: "UTC" });

/** When something ends, in UTC, as it is entered. */
export const expiry = (at) => (at === null ? "never" : `${(at % DAY ? minute : day)(at * 1000)} UTC`);

/** "12 s ago". */
export const ago = (at) => (now() - at < 2 ? "just now" : `${span(now() - at)} ago`);

/** "in 12 s". */
export const until = (at) => (at - now() <= 0 ? "any moment" : `in ${span(at - now())}`);

/** Each state of a provider or candidate: its word, its shape, and what it means. */
export const STATES = {
  healthy: { word: "Healthy", tone: "good", means: "" },
  suspect: { word: "Suspect", tone: "warn", means: "It failed lately and is asked last until it answers again." },
  resting: { word: "Resting", tone: "rest", means: "Its quota is spent for now." },
  open: { word: "Breaker open", tone: "bad", means: "It kept failing and is left alone." },
  "half-open": { word: "On trial", tone: "half", means: "One call tests whether it is back." },
  held: { word: "Held", tone: "held", means: "It is not used for now." },
  off: { word: "Off", tone: "off", means: "An operator switched it off." },
  "no-key": { word: "No key", tone: "none", means: "It needs a key." },
};

/** Return a state's entry; a word from a newer gateway is shown as it is. */
export const stateOf = (state) => STATES[state] ?? { word: state, tone: "none", means: "" };

const STANDINGS = { active: "good", expired: "rest", revoked: "bad" };

/** How a client or an operator stands. */
export function standingOf({ state }) {
  if (state === "hidden by the settings") return { word: "Hidden", tone: "held" };
  return { word: `${state[0].toUpperCase()}${state.slice(1)}`, tone: STANDINGS[state] ?? "none" };
}

/** How an attempt ended, in words that follow "provider:". */
export const ENDINGS = {
  served: "answered",
  garbage: "sent something that is no answer",
  empty: "sent an empty answer",
  rate_limited: "out of quota",
  no_capacity: "too busy itself",
  key_invalid: "did not accept the key",
  no_credit: "asks for payment, or the quota is zero",
  forbidden: "refused the model to this key",
  model_gone: "no longer has the model",
  bad_parameter: "does not know a parameter",
  misgenerated: "made a broken tool call or broken JSON",
  nonconforming: "did not keep to the schema asked for",
  rejected: "refused the request",
  context_too_long: "the prompt is too long for the model",
  too_large: "the request is too large for its token limit",
  filtered: "its content filter stopped it",
  crowded: "no connection to it was free here",
  loading: "is still loading the model",
  fault: "failed on its side",
  unreachable: "could not be reached",
  disconnected: "closed the connection",
  stale: "an old connection had died",
  timed_out: "did not answer in time",
  truncated: "cut its answer short",
  stalled: "stopped in the middle",
  outrun: "another one spoke first",
  diverged: "would have said something else",
  redirected: "sent us elsewhere",
  caller_left: "the caller left",
  caller_stalled: "the caller stopped reading",
  internal_error: "freeroute itself failed",
  shutting_down: "freeroute was shut down",
};

const REMEDIES = {
  key_invalid: "Check the key, or make a new one there.",
  no_credit: "Look at the account's plan there.",
  forbidden: "The account may need to accept the model's terms.",
  model_gone: "Choose another model, or update freeroute.",
  redirected: "Check its base_url.",
};

/** Return an ending in words, with the HTTP status if there was one. */
export function ending(kind, status) {
  const words = ENDINGS[kind] ?? kind;
  return status && status !== 200 ? `${words} (${status})` : words;
}

/** What to do about an ending, if there is anything. */
export function remedy(kind, local) {
  if (kind === "unreachable") return local ? "Is it running?" : "Check the network, and its status page.";
  return REMEDIES[kind] ?? "";
}

const SOURCES = {
  documented: "published",
  observed: "as observed",
  guessed: "a guess",
  configured: "from settings",
  header: "told by provider",
  body: "told by provider",
  measured: "measured",
};

/** Where a limit's number comes from. */
export const source = (pool) => SOURCES[pool.source] ?? pool.source;

const PRIVACY = {
  trains: "May train on prompts",
  "no-train": "Does not train on prompts",
  unknown: "Privacy not stated",
  local: "Stays on your machines",
};

/** What happens to prompts there. */
export const privacy = (posture) => PRIVACY[posture] ?? posture;

const FAILURES = {
  invalid_request: "bad request",
  unsupported_capability: "nothing can serve this",
  context_length_exceeded: "prompt too long",
  invalid_api_key: "wrong key",
  model_not_allowed: "model not allowed",
  forbidden_origin: "foreign page",
  model_not_found: "unknown model",
  rate_limit_exceeded: "client's limit",
  capacity_exhausted: "all out of quota",
  upstream_failed: "all failed",
  no_provider_configured: "no provider",
  internal_error: "a fault of freeroute",
  shutting_down: "freeroute was shutting down",
};

/** A request's result in words. */
export function result(request) {
  if (request.status === 499) return "caller left";
  if (!request.code && request.status < 400) return "ok";
  if (!request.code) return "failed";
  return FAILURES[request.code] ?? request.code.replaceAll("_", " ");
}

/** Say whether *model* answers in words. */
export const chats = (model) => model.architecture.output_modalities.includes("text");
