// What every client's tests need: where the gateway is, and a hand on the providers behind it.

import { setTimeout as sleep } from "node:timers/promises";

const { GATEWAY_URL, SIMULATED_URL, ADMIN_KEY } = process.env;
// A dot, as a PNG in base64, and how many tokens the simulated providers take any picture for.
export const picture =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";
const TOKENS_OF_A_PICTURE = 258;
const PATIENCE = 5000; // milliseconds in which what should happen at once must have happened

export const url = `${GATEWAY_URL}/v1`;

/** Everything that `iterable` gives. */
export async function all(iterable) {
  const found = [];
  for await (const one of iterable) found.push(one);
  return found;
}

async function http(address, body, headers = {}) {
  const answer = await fetch(address, {
    method: body === undefined ? "GET" : "POST",
    headers: { "content-type": "application/json", ...headers },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${address}: ${answer.status} ${await answer.text()}`);
  return answer.json();
}

const admin = { authorization: `Bearer ${ADMIN_KEY}` };

/** Tell the simulated provider `name` how to answer. */
export const steer = (name, orders) => http(`${SIMULATED_URL}/_script/${name}`, orders);

/** Let providers answer well and at once, and forget what happened to them. */
export async function reset() {
  for (const name of ["groq", "cerebras"]) {
    await steer(name, { always: null, speed: { first_token: 0, tokens_per_second: 0 } });
  }
  for (const name of ["alpha", "beta"]) await http(`${url}/status/providers/${name}/reset`, {}, admin);
}

/** Let streams take their time: a token every 50 ms. */
export const slow = () => steer("groq", { speed: { first_token: 0.05, tokens_per_second: 20 } });

/** Say whether the last call was cut short for a caller who left; fails if it still goes on. */
export async function leftBehind() {
  const deadline = Date.now() + PATIENCE;
  for (;;) {
    const seen = await http(`${SIMULATED_URL}/_calls/groq`);
    if (!seen.open) return seen.calls.at(-1).aborted;
    if (Date.now() > deadline) throw new Error("the upstream call goes on although the caller left");
    await sleep(20);
  }
}

/** What the gateway keeps of the last request. */
export const last = async () => (await http(`${url}/status`, undefined, admin)).requests[0];

/** Say whether a provider took the last request for one with a picture. */
export const showedAPicture = async () => (await last()).tokens.prompt > TOKENS_OF_A_PICTURE;
