// Finished requests as values: what the status tells and what is stored in one shape, how they ended, which are wanted.

const CALLER_LEFT = 499; // as the gateway notes a caller who hung up
const LEAST_WAIT = 0.002; // seconds; what lies between two attempts and is shorter is the gateway's own time

/** What tells a request from all others, though callers may choose its id. */
export const keyOf = (request) => `${request.id} ${request.at.toFixed(3)}`;

/** How a request ended for its caller. */
export const OUTCOMES = {
  served: "Served",
  failed: "Failed: somebody was asked",
  turned: "Turned away: nobody was asked",
  left: "The caller left",
};

/** Return one of OUTCOMES. */
export function outcomeOf(request) {
  if (request.status === CALLER_LEFT) return "left";
  if (request.status < 400 && !request.code) return "served";
  return request.attempts.length ? "failed" : "turned";
}

/** The attempts that did not serve. */
export const hopsOf = (request) => request.attempts.filter((attempt) => attempt.kind !== "served");

/** Say whether *request* is among those that *wanted* {q, outcome, provider, client} asks for. */
export function matches(request, wanted) {
  const providers = request.attempts.map((attempt) => attempt.provider);
  if (wanted.outcome && outcomeOf(request) !== wanted.outcome) return false;
  if (wanted.client && request.client !== wanted.client) return false;
  if (wanted.provider && !providers.includes(wanted.provider)) return false;
  if (!wanted.q) return true;
  const models = request.attempts.map((attempt) => attempt.model);
  const said = [request.id, request.client, request.model, request.code, ...providers, ...models].join("\n");
  return said.toLowerCase().includes(wanted.q.toLowerCase());
}

/** Return a stored receipt in the shape of the status's. What is not stored is undefined; *stored* says so. */
export function fromRecord(line) {
  const { attempts, waits, dated } = laidOut(line);
  const millis = (seconds) => (seconds === null ? null : seconds * 1000);
  return {
    id: line.request_id,
    at: line.at,
    client: line.client,
    model: line.asked,
    provider: line.provider || null,
    served_model: line.model || null,
    status: line.status,
    code: line.code || null,
    stream: line.stream,
    attempts,
    waits,
    first_event_ms: millis(line.first_event),
    total_ms: millis(line.total),
    queue_ms: millis(line.queued),
    overhead_ms: millis(line.overhead),
    tokens: line.prompt || line.completion ? { prompt: line.prompt, completion: line.completion } : null,
    finish: line.finish || null,
    continued: line.continued,
    stored: true,
    dated,
  };
}

/**
 * Work out when a stored request waited and was served. The trail says when each failed attempt began; what lies
 * between them was waiting, as far as it waited at all, and whoever served had the rest. Older trails say no times.
 */
function laidOut(line) {
  const dated = line.trail.every((hop) => hop.began !== undefined);
  const attempts = line.trail.map((hop) => ({ first_event: null, status: null, detail: "", ...hop }));
  const waits = [];
  let [passed, queued] = [0, line.queued];
  const wait = (seconds) => {
    if (seconds < LEAST_WAIT) return;
    waits.push({ began: passed, seconds });
    queued -= seconds;
    passed += seconds;
  };
  for (const hop of dated ? attempts : []) {
    wait(Math.min(hop.began - passed, queued));
    if (hop.kind !== "outrun") passed = Math.max(passed, hop.began + hop.seconds); // it ran beside another
  }
  wait(queued);
  if (line.attempts > attempts.length && line.provider) {
    const began = Math.min(passed, line.total);
    const first = line.stream && !line.continued && line.first_event !== null ? line.first_event - began : null;
    attempts.push({
      provider: line.provider, model: line.model, kind: "served", status: line.status, detail: "",
      began, seconds: line.total - began, first_event: first,
    });
  }
  return { attempts, waits, dated };
}
