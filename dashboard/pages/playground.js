// Playground: a conversation with any model, and beside each answer how it came about. It lives in memory alone.

import { copy } from "../copying.js";
import { attr, button, line, make, show, text } from "../dom.js";
import { Answer, CutShort, eventsOf } from "../events.js";
import { imagesView } from "../images.js";
import { curlOf, optionsView } from "../options.js";
import { Refused, open } from "../session.js";
import { turnView } from "../turn.js";
import { chats, now } from "../words.js";

const PATH = "/v1/chat/completions";
const LARGEST = 19 * 2 ** 20; // characters of a request: what a gateway takes, unless its settings say otherwise
const NEAR = 120; // px from the end of the page at which one reads along
const IDEAS = ["Why is the sky blue?", "Write a haiku about quotas.", "Explain recursion with a piece of code."];

/** Build the page. */
export function build(desk) {
  const options = optionsView();
  const model = make("select");
  const curl = button("Copy as curl", tell);
  const clear = button("Clear", forget);
  const command = make("textarea", { readonly: true, rows: 8, hidden: true, "aria-label": "The request as a command" });
  const empty = make("div.panel",
    make("p", "Ask any model, and see who answers and why. Nothing is kept here: a reload forgets it."),
    make("div.actions", ...IDEAS.map(idea)));
  const turns = make("ol.plain.turns");
  const complaint = make("p.error", { role: "alert" });
  const images = imagesView({ barred, complain: (words) => text(complaint, words) });
  const draft = make("textarea", { rows: 2, "aria-label": "Message", placeholder: "Ask anything. Ctrl+Enter sends." });
  const send = make("button", { type: "submit", class: "primary" }, "Send");
  const stop = button("Stop", () => stopper?.abort(), { hidden: true, title: "Escape does it, too" });
  const silence = make("p.note", { hidden: true });
  const composer = make("form.composer.panel",
    silence, complaint, images.previews, draft, make("div.actions", images.button, send, stop));
  const news = make("p.hidden", { role: "status" });
  const root = make("section.playground", { "aria-labelledby": "playground-title" },
    make("div.title",
      make("h2", { id: "playground-title", tabindex: -1 }, "Playground"),
      make("label", "Model ", model), make("div.actions", curl, clear)),
    options.root, command, empty, turns, composer, news);

  let models = [];
  let history = []; // the messages of the turns before
  let asked = []; // those of the last turn, as long as it is not answered
  let last = null; // its view
  let sent = null; // its request
  let stopper = null; // there while an answer comes

  function barred() {
    const takes = models.find((one) => one.id === model.value)?.architecture?.input_modalities;
    return takes && !takes.includes("image") ? `${model.value} takes no images.` : "";
  }

  // Where there are clients, those ask, and operators who may change something.
  function update() {
    const { needs_key: keyed, client } = desk.who();
    const why = keyed && !client ? desk.may("operate") : "";
    line(silence, why);
    attr(send, "disabled", Boolean(why));
    attr(send, "title", why || null);
  }

  function idea(words) {
    return button(words, () => {
      draft.value = words;
      draft.focus();
    });
  }

  async function learn(wanted) {
    let wrong = "";
    try {
      models = (await desk.ask("GET", "/v1/models")).data.filter(chats);
    } catch (error) {
      wrong = error instanceof Refused ? error.message : "The models could not be read.";
    }
    listModels(model, models, wanted || model.value);
    images.check();
    if (wrong) text(complaint, wrong);
  }

  // ---- asking

  const bodyOf = (messages) => ({
    model: model.value,
    messages: [...options.system(), ...history, ...messages],
    ...options.fields(),
    stream: true,
    stream_options: { include_usage: true },
  });

  function drafted() {
    const words = draft.value.trim();
    const pictures = images.urls.map((url) => ({ type: "image_url", image_url: { url } }));
    if (!pictures.length) return words ? [{ role: "user", content: words }] : [];
    return [{ role: "user", content: [...(words ? [{ type: "text", text: words }] : []), ...pictures] }];
  }

  /** The results of tools that the model still waits for: no other message may come before them. */
  function owed() {
    const failed = asked.filter((one) => one.role === "tool");
    return failed.length ? failed : last?.results() ?? [];
  }

  function submit(event) {
    event?.preventDefault();
    const messages = drafted();
    if (stopper || send.disabled || !messages.length || !options.valid() || !images.check()) return;
    const fits = JSON.stringify(bodyOf(messages)).length <= LARGEST;
    text(complaint, fits ? "" : "That is more than a request may be. Send fewer or smaller images, or begin anew.");
    if (!fits) return;
    draft.value = "";
    images.clear();
    begin([...owed(), ...messages]);
  }

  function begin(messages) {
    last?.close();
    asked = messages;
    const turn = turnView(messages, {
      again: () => desk.act(() => ask(turn)),
      give: begin,
      look: (id) => desk.go("requests", id),
    });
    last = turn;
    turns.append(turn.root);
    show(empty, false);
    desk.act(() => ask(turn));
  }

  // A refused key is passed on: the desk asks for another one, and does this again.
  async function ask(turn) {
    if (stopper) return;
    const run = { request: bodyOf(asked), answer: new Answer(), began: performance.now(), first: 0 };
    sent = run.request;
    turn.begin(run.request.model, run.answer);
    setBusy(new AbortController());
    turn.root.scrollIntoView({ block: "end" });
    explain(run.request.model, turn);
    const failure = await stream(turn, run).then(() => run.answer.error, (error) => error);
    end(turn, run, stopper.signal.aborted, failure);
    if (failure?.status === 401) throw failure;
  }

  async function stream(turn, run) {
    const response = await open(PATH, {
      method: "POST",
      headers: { "content-type": "application/json", ...options.headers() },
      body: JSON.stringify(run.request),
      signal: stopper.signal,
    });
    turn.head(response.headers);
    if (!response.ok) throw await refusal(response);
    const draw = perFrame(() => alongside(() => turn.grow(run.answer)));
    for await (const event of eventsOf(response)) {
      run.answer.take(event);
      if (run.answer.speaks) run.first ||= performance.now() - run.began;
      draw();
    }
  }

  function end(turn, { answer, began, first }, stopped, failure) {
    const wrong = stopped || !failure ? null : failureFrom(failure);
    const message = stopped ? { role: "assistant", content: answer.text } : answer.message;
    if (!wrong && (message.content || message.tool_calls)) {
      history = [...history, ...asked, message];
      asked = [];
    }
    alongside(() => turn.end(answer, { first, total: performance.now() - began }, stopped, wrong));
    text(news, wrong ? "" : stopped ? "Stopped." : answer.text || "It calls tools."); // what is wrong is an alert
    setBusy(null);
  }

  function explain(name, turn) {
    const path = `/v1/plan?model=${encodeURIComponent(name)}`;
    desk.ask("GET", path).then((plan) => turn.plan(plan), () => {}); // without one, the answer says why
  }

  function setBusy(controller) {
    stopper = controller;
    show(stop, stopper);
    show(send, !stopper);
    attr(clear, "disabled", Boolean(stopper));
    if (!document.activeElement.checkVisibility()) (stopper ? stop : draft).focus(); // what had it went away
  }

  // ---- the rest

  function forget() {
    history = [];
    asked = [];
    last = sent = null;
    turns.replaceChildren();
    show(command, false);
    show(empty, true);
    draft.focus();
  }

  async function tell() {
    if (!options.valid()) return;
    const messages = drafted();
    command.value = curlOf(PATH, messages.length || !sent ? bodyOf(messages) : sent, options.headers(), desk.who().needs_key);
    show(command, true);
    desk.notice(await copy(command));
  }

  composer.addEventListener("submit", submit);
  model.addEventListener("change", images.check);
  images.takeFrom(composer);
  root.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) submit();
  });
  document.addEventListener("keydown", (event) => { // wherever the focus went meanwhile
    if (event.key === "Escape" && !root.hidden) stopper?.abort();
  });
  return { root, shown: learn, update };
}

// Meta-models first, then each provider's; a name that is not among them can be asked for all the same.
function listModels(select, models, wanted) {
  const groups = Map.groupBy(models, (one) => (one.freeroute.meta ? "Meta-models" : one.owned_by));
  const known = models.some((one) => one.id === wanted);
  select.replaceChildren(
    ...(wanted && !known ? [make("option", wanted)] : []),
    ...[...groups].map(([name, members]) => make("optgroup", { label: name }, ...members.map(({ id, freeroute }) => (
      make("option", { value: id }, freeroute.available ? id : `${id} (no room now)`))))));
  if (wanted) select.value = wanted;
}

async function refusal(response) {
  const { error = {} } = await response.json().catch(() => ({}));
  const refused = new Refused(response.status, error.message ?? `The gateway answered ${response.status}.`, error);
  const wait = Number(response.headers.get("retry-after"));
  if (wait) refused.back = now() + wait;
  return refused;
}

// What the gateway said is told in its words; anything else is a network that failed.
function failureFrom(error) {
  const said = error instanceof Refused || error instanceof CutShort || !(error instanceof Error);
  return said ? error : { message: "The gateway does not answer. Is it running?" };
}

/** Do *work* and keep the end of the page in sight of whoever was there. */
function alongside(work) {
  const page = document.documentElement;
  const atEnd = page.scrollHeight - innerHeight - scrollY < NEAR;
  work();
  if (atEnd) scrollTo(0, page.scrollHeight);
}

/** Return what does *work* once a frame, however often it is called. */
function perFrame(work) {
  let frame = 0;
  return () => {
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      work();
    });
  };
}
