// A streamed answer: events as they arrive, and the message they add up to.

import { linesOf } from "./session.js";

/** The stream ended without saying so. */
export class CutShort extends Error {}

/** Give the events of *response*, parsed, until `[DONE]`; throws CutShort if it never comes. */
export async function* eventsOf(response) {
  for await (const line of linesOf(response)) {
    if (!line.startsWith("data:")) continue; // blank lines, and comments that keep the connection alive
    const said = line.slice(5).trim();
    if (said === "[DONE]") return;
    yield JSON.parse(said);
  }
  throw new CutShort("The answer ended in the middle.");
}

/** One answer as it grows. Without any of these it has said nothing yet. */
export class Answer {
  text = "";
  thoughts = "";
  calls = [];
  finish = null;
  usage = null;
  error = null;
  continued = [];
  dropped = [];

  /** Add an event. */
  take({ choices, usage, error, freeroute }) {
    if (usage) this.usage = usage;
    if (error) this.error = error;
    this.continued = freeroute?.continued ?? this.continued;
    this.dropped = freeroute?.dropped ?? this.dropped;
    const [choice] = choices ?? [];
    if (!choice) return;
    const { content, refusal, reasoning_content: thought, reasoning, tool_calls: pieces } = choice.delta ?? {};
    this.text += content ?? refusal ?? "";
    this.thoughts += thought ?? reasoning ?? "";
    for (const piece of pieces ?? []) this.#add(piece);
    this.finish = choice.finish_reason ?? this.finish;
  }

  /** Whether there is anything to read. */
  get speaks() {
    return Boolean(this.text || this.thoughts || this.calls.length);
  }

  /** The answer as a message of the conversation: what the model is told again, thoughts left out. */
  get message() {
    const calls = this.calls.filter(Boolean);
    return { role: "assistant", content: this.text || null, ...(calls.length && { tool_calls: calls }) };
  }

  // Arguments come in pieces; whatever else a provider says of a call, a signature say, it wants back.
  #add({ index = 0, function: called = {}, ...others }) {
    const call = (this.calls[index] ??= { type: "function", function: { name: "", arguments: "" } });
    Object.assign(call, others);
    call.function.name += called.name ?? "";
    call.function.arguments += called.arguments ?? "";
  }
}
