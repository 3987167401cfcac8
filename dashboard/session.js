// Talking to the gateway, and the keys for it. Keys live in sessionStorage: this tab, until it closes.

const SLOTS = { client: "freeroute.client-key", admin: "freeroute.admin-key" };
const memory = new Map(); // for browsers that forbid storage

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

/** Return the key kept in a slot, "client" or "admin". */
export function keyOf(slot) {
  try {
    return sessionStorage.getItem(SLOTS[slot]);
  } catch {
    return memory.get(slot) ?? null;
  }
}

/** Keep a key, or forget it with null. */
export function keep(slot, key) {
  try {
    if (key === null) sessionStorage.removeItem(SLOTS[slot]);
    else sessionStorage.setItem(SLOTS[slot], key);
  } catch {
    if (key === null) memory.delete(slot);
    else memory.set(slot, key);
  }
}

/** Everything the page shows. */
export const readStatus = () => call("GET", "/v1/status");

/** Close a provider's breakers and lift its holds. */
export const resetProvider = (id) => call("POST", `/v1/status/providers/${encodeURIComponent(id)}/reset`);

/** Change the tie order inside `free`. */
export const setStrategy = (strategy) => call("PATCH", "/v1/status/routing", { strategy });

/** The key that goes with what an operator does, or null. */
export const operatorKey = () => keyOf("admin") ?? keyOf("client");

/** Whose token it is, and its scope. */
export const whoAmI = () => call("GET", "/admin/whoami");

/** In demo mode the gateway hands out its admin key. Says whether it did. */
export async function signInDemo() {
  try {
    const { admin_key: key } = await send("GET", "/dashboard/session.json", null);
    if (typeof key === "string") keep("admin", key);
    return typeof key === "string";
  } catch {
    return false;
  }
}

/** Ask the gateway; returns what it says as JSON, null if nothing. Raises Refused, or what a dead network raises. */
export const call = (method, path, body) => send(method, path, operatorKey(), body);

/** Ask for something that is read as it comes: returns the Response, of whatever status. *init* is as for fetch. */
export const open = (path, init = {}) => request(path, operatorKey(), init);

async function send(method, path, key, body) {
  const reply = await request(path, key, {
    method,
    headers: { accept: "application/json", ...(body && { "content-type": "application/json" }) },
    body: body && JSON.stringify(body),
    signal: AbortSignal.timeout(10000),
  });
  const said = await reply.json().catch(() => null);
  if (!reply.ok) {
    const told = said?.error ?? {};
    throw new Refused(reply.status, told.message ?? `The gateway answered ${reply.status}.`, told);
  }
  return said;
}

function request(path, key, init) {
  // A key that cannot be a header value would throw a TypeError and look like a dead network.
  if (key && !/^[\x21-\x7e]+$/.test(key)) throw new Refused(401, "A key has no spaces and no special letters.");
  const headers = { ...init.headers, ...(key && { authorization: `Bearer ${key}` }) };
  return fetch(path, { ...init, headers, cache: "no-store", credentials: "omit", redirect: "error" });
}
