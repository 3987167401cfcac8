// Talking to the gateway. A cookie that no script can read stands for the key that somebody signed in with, and counts
// only beside the header that our own page sends: no key is kept here.

const SESSION = "/dashboard/session";

/** The gateway said no, or said nothing sensible. *param* names the field that is wrong, if one is. */
export class Refused extends Error {
  constructor(status, message, { code, param } = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.param = param;
  }

  /** Whether another key would help; one of too small a scope is known, and kept. */
  get wantsKey() {
    return this.status === 401 || (this.status === 403 && this.code !== "insufficient_scope");
  }
}

/** Nobody answered, or not in time. */
export class Unanswered extends Error {}

/** What to say of *error* where something was only to be read. One of our own is told to the console, too. */
export function reasonOf(error) {
  if (error instanceof Refused) return error.message;
  if (error instanceof Unanswered) return "The gateway does not answer; what you see may be old.";
  reportError(error);
  return "This page failed. Reload it, and tell its makers if it fails again.";
}

/** The whole of one provider; the status as it goes on has the most telling of it. */
export const readProvider = (id) => call("GET", `/v1/status/providers/${encodeURIComponent(id)}`);

/** Close a provider's breakers and lift its holds. */
export const resetProvider = (id) => call("POST", `/v1/status/providers/${encodeURIComponent(id)}/reset`);

/** Change the tie order inside `free`. */
export const setStrategy = (strategy) => call("PATCH", "/v1/status/routing", { strategy });

/** Who is signed in: {name, scope, client, demo, needs_key}. */
export const whoAmI = () => call("GET", SESSION);

/** Who looks on, as whoAmI tells it; whoever opens a demo is signed in to it. */
export const enter = () => call("POST", SESSION, {});

/** Sign in with the key of an operator or a client. Returns who it is. */
export const signIn = (key) => call("POST", SESSION, { key });

/** Sign out; returns what is left, as whoAmI does. */
export const signOut = () => call("DELETE", SESSION);

/**
 * Ask the gateway; returns what it says as JSON, null if nothing. Raises Refused, and Unanswered if it says nothing
 * sensible within *patience* ms.
 */
export async function call(method, path, body, patience = 10000) {
  const reply = await open(path, {
    method,
    headers: { accept: "application/json", ...(body && { "content-type": "application/json" }) },
    body: body && JSON.stringify(body),
    signal: AbortSignal.timeout(patience),
  });
  if (!reply.ok) throw await refusal(reply);
  return reply.text().then((said) => (said ? JSON.parse(said) : null)).catch(unanswered);
}

/** What a *reply* that is not ok says, as a Refused. */
export async function refusal(reply) {
  const told = (await reply.json().catch(() => null))?.error ?? {};
  return new Refused(reply.status, told.message ?? `The gateway answered ${reply.status}.`, told);
}

/** Ask for something that is read as it comes: returns the Response, of whatever status. *init* is as for fetch. */
export function open(path, init = {}) {
  const headers = { ...init.headers, "x-freeroute-dashboard": "1" };
  return fetch(path, { ...init, headers, cache: "no-store", credentials: "same-origin", redirect: "error" })
    .catch(unanswered);
}

/** Give the lines of *response* as they arrive; what follows the last line end is not one. */
export async function* linesOf(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      yield* lines;
    }
  } finally {
    reader.cancel().catch(() => {}); // whoever stops reading lets go of the connection
  }
}

function unanswered(cause) {
  throw new Unanswered("The gateway does not answer.", { cause });
}

/** The status as it goes on, until *reading* is aborted: a Response (docs/status.md). */
export const follow = (reading) => open("/v1/status/events", { signal: reading.signal });

/**
 * What is asked as soon as this module is there, while the others are on their way: *who* looks on, and the *response* that
 * goes on until *reading* is aborted, null for who needs a key. Each is for who takes it first.
 */
export const opening = document.hidden ? {} : begun();

function begun() {
  const who = enter();
  const reading = new AbortController();
  const response = who.then(({ needs_key: keyed, name }) => (keyed && !name ? null : follow(reading)));
  response.catch(() => {}); // whoever awaits it hears of it
  return { who, reading, response };
}
