// One turn of the playground: what was asked, the answer as it grows, and beside it who gives it and how.

import { attr, button, keyed, line, listFacts, make, show, text, ticking, view } from "./dom.js";
import { answered, failureOf, factsOf, headOf, listPlan } from "./told.js";
import { now } from "./words.js";

const FENCE = /^```[^\n]*\n?/m;
const NOBODY = headOf(new Headers());

/**
 * The view of a turn with the messages *asked*. *again()* asks once more, *give(messages)* goes on with the results of
 * its tools, *look(id)* leads to the request.
 */
export function turnView(asked, { again, give, look }) {
  const words = answerView({ again, give });
  const aside = asideView(look);
  const root = make("li.turn", make("div", ...asked.map(askedView), words.root), aside.root);
  let head = NOBODY;
  let planned = null;
  const compare = () => {
    aside.plan(planned, head);
    const who = planned.candidates.find((one) => answered(one, head));
    if (who) words.name(`${who.provider}, ${who.model}`); // a header has it in ASCII
  };
  return {
    root,
    /** It goes out to *model*; *answer* is still empty. */
    begin(model, answer) {
      head = NOBODY;
      words.begin(model);
      words.grow(answer);
      aside.end([], null);
    },
    /** The head of its answer came. */
    head(headers) {
      head = headOf(headers);
      if (head.provider) words.name(`${head.provider}, ${head.model}`);
    },
    /** The *answer* grew. */
    grow: (answer) => words.grow(answer),
    /** It is over, after *times*: told in full, *stopped*, or with a *failure* {message, code, back}. */
    end(answer, times, stopped, failure) {
      words.grow(answer);
      words.end(answer, stopped, failure);
      aside.end(factsOf(head, answer, times), head.id);
      if (planned) compare();
    },
    /** The plan came, as it stood when this was asked. */
    plan(plan) {
      planned = plan;
      compare();
    },
    /** The conversation has gone on: there is nothing more to do here. */
    close: words.close,
    /** What was given as results of the tools that it calls, messages. */
    results: words.results,
  };
}

/** A message of the user, or the result of a tool. */
function askedView({ role, content }) {
  const parts = typeof content === "string" ? [{ type: "text", text: content }] : content;
  return make("div.mine",
    make("h3", role === "tool" ? "Result of a tool" : "You"),
    ...parts.map((part) => (part.type === "text"
      ? make("p.prose", part.text)
      : make("img", { src: part.image_url.url, alt: "An image that was sent" }))));
}

function answerView({ again, give }) {
  const who = make("h3");
  const state = make("p.note");
  const thoughts = make("p.prose");
  const thinking = make("details.thoughts", { hidden: true }, make("summary", "Thoughts"), thoughts);
  const said = make("div");
  const calls = make("ul.plain.calls");
  const results = button("Send the results", () => give(given()), { class: "primary", hidden: true });
  const wrong = make("p.error", { role: "alert" });
  const room = make("p.note", { hidden: true });
  const retry = button("Try again", again, { hidden: true });
  const root = make("div.answer", who, state, thinking, said, calls, results, wrong, room, retry);
  const boxes = () => [...calls.querySelectorAll("textarea")];
  const given = () => boxes().map((box) => ({ role: "tool", tool_call_id: box.dataset.call, content: box.value }));

  function close() {
    for (const part of [results, retry, room]) show(part, false);
    for (const box of boxes()) box.disabled = true;
  }
  return {
    root,
    close,
    results: given,
    name: (written) => text(who, written),
    begin(model) {
      close();
      text(who, model);
      text(wrong, "");
      ticking(state, "up", now(), "Asking for");
      attr(root, "aria-busy", "true");
    },
    grow(answer) {
      if (answer.speaks) ticking(state, null, null, "");
      if (answer.thoughts && thinking.hidden) thinking.open = true; // until there is something better to read
      if (answer.text && !said.textContent) thinking.open = false;
      show(thinking, answer.thoughts);
      text(thoughts, answer.thoughts);
      write(said, answer.text);
      keyed(calls, answer.calls.filter(Boolean), (call) => call.id ?? call.function.name, callView);
    },
    end(answer, stopped, failure) {
      ticking(state, null, null, stopped ? "Stopped." : answer.speaks || failure ? "" : "It said nothing.");
      attr(root, "aria-busy", null);
      line(wrong, failure && failureOf(failure));
      show(retry, failure || !answer.speaks);
      show(room, failure?.back);
      if (failure?.back) ticking(room, "until", failure.back, "There is room");
      const waits = !stopped && !failure && answer.calls.length;
      show(results, waits);
      if (!waits) calls.replaceChildren(); // half a call is none
    },
  };
}

const callView = () => view(() => make("li", "Calls ", make("strong", (call) => call.function.name),
  make("code.prose", (call) => call.function.arguments),
  make("label", "What it returned", make("textarea", { rows: 2, spellcheck: "false", "data-call": (call) => call.id }))));

function asideView(look) {
  const facts = make("dl.told");
  const request = button("See the request", () => look(id), { hidden: true });
  const candidates = make("div");
  const plan = make("details", { hidden: true }, make("summary", "The plan when it was asked"), candidates);
  let id = null;
  return {
    root: make("div.beside", facts, plan, request),
    end(told, known) {
      id = known;
      listFacts(facts, told);
      show(request, id);
    },
    plan(known, head) {
      listPlan(candidates, known, head);
      show(plan, true);
    },
  };
}

// What stands between code fences gets a box of its own; nothing is ever markup.
function write(parent, words) {
  const parts = words ? words.split(FENCE) : [];
  parts.forEach((part, index) => {
    const node = parent.children[index] ?? make(index % 2 ? "pre" : "p", { class: "prose" });
    if (!node.parentNode) parent.append(node);
    text(node, part);
  });
  while (parent.children.length > parts.length) parent.lastChild.remove();
}
