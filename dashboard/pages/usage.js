// Who used what: tokens and requests by client, provider or model, over an hour to ninety days.

import { chart, ranked, spell } from "../chart.js";
import { choice, picker } from "../controls.js";
import { button, cell, keyed, line, listFacts, make, row, show, table, text, view } from "../dom.js";
import { Refused, reasonOf } from "../session.js";
import { paced } from "../paced.js";
import { brief, millis, now, number } from "../words.js";

const EVERY = 30000; // ms between two readings of the records
const MOST = 200; // rows of a table

// How each span is divided: the step to ask for, seconds of a bar, number of bars. The second is for gateways with so
// much in it that the first is refused.
const SPANS = {
  "1h": ["1 hour", ["minute", 60, 60]],
  "6h": ["6 hours", ["minute", 600, 36], ["hour", 3600, 6]],
  "24h": ["24 hours", ["hour", 3600, 24]],
  "7d": ["7 days", ["hour", 10800, 56], ["day", 86400, 7]],
  "30d": ["30 days", ["day", 86400, 30]],
  "90d": ["90 days", ["day", 86400, 90]],
};
const BY = { provider: "Provider", model: "Model", client: "Client" };
const MEASURES = {
  tokens: ["Tokens", (one) => one.prompt + one.completion],
  requests: ["Requests", (one) => one.requests],
  failed: ["Failed", (one) => one.failed],
};
const NAMELESS = { provider: "(nobody answered)", model: "(nobody answered)", client: "(without a client)" };
const nameOf = (by) => (one) => (one[by] === "-" ? "" : one[by]) || NAMELESS[by];
const named = (entries) => Object.entries(entries).map(([id, [words]]) => [id, words]);
const SUMMED = ["requests", "failed", "prompt", "completion", "first_events", "first_event", "total"];

/** Build the page. */
export function build(desk) {
  const wanted = { span: "24h", by: "provider", show: "tokens", client: "" };
  let answer = null; // {data, by, starts, width, query} as it was read last
  let readFor = null;
  let turn = 0;

  const reading = paced(EVERY, read);
  const notice = make("p.panel", { role: "status" });
  const picture = chart();
  const totals = make("dl.totals");
  const listed = tableOf("usage-names", "Usage by name");
  const timed = tableOf("usage-times", "Usage over time");
  const steps = make("details.panel", make("summary", "The bars as a table"), timed.root);
  const bySpan = picker("Time", named(SPANS), (id) => change("span", id));
  const byWhat = choice("By", Object.entries(BY), (id) => change("by", id));
  const measure = choice("Show", named(MEASURES), (id) => change("show", id));
  const clients = picker("Client", [["", "all"]], (id) => change("client", id));
  const csv = button("CSV", () => desk.act(saveCsv), { title: "Save what is shown as CSV" });
  const json = button("JSON", saveJson, { title: "Save what is shown as JSON" });
  const saving = make("div.actions", { role: "group", "aria-label": "Save what is shown" }, csv, json);
  const controls = make("div.strip", bySpan.root, byWhat.root, measure.root, clients.root, saving);
  const board = make("div.stack", totals, picture.root, listed.root, steps);
  const title = make("h2", { id: "usage-title", tabindex: -1 }, "Usage");
  const root = make("section.usage", { "aria-labelledby": "usage-title" }, title, controls, notice, board);
  show(board, false);

  steps.addEventListener("toggle", render);

  async function saveCsv() {
    const reply = await desk.open(`/admin/usage?${answer.query}&format=csv`);
    if (!reply.ok) throw new Refused(reply.status, `The gateway answered ${reply.status}; nothing was saved.`);
    save(await reply.blob(), "csv");
  }

  function saveJson() {
    const { since, until, data } = answer;
    save(new Blob([JSON.stringify({ since, until, data }, null, 2)], { type: "application/json" }), "json");
  }

  function save(blob, kind) {
    const address = URL.createObjectURL(blob);
    make("a", { href: address, download: `usage-${wanted.by}-${wanted.span}.${kind}` }).click();
    setTimeout(() => URL.revokeObjectURL(address), 10000);
  }

  function change(name, value) {
    wanted[name] = value;
    history.replaceState(null, "", `#usage/${new URLSearchParams(Object.entries(wanted).filter(([, one]) => one))}`);
    if (name === "show") render();
    else reading.now();
  }

  async function read() {
    const mine = ++turn;
    readFor = desk.who().name;
    if (!answer) line(notice, "Reading the records…");
    try {
      const found = desk.may("read") ? await ownUse() : await asked();
      if (mine !== turn) return;
      answer = found;
      line(notice, found.told);
    } catch (error) {
      if (mine !== turn) return;
      line(notice, troubleOf(error));
      if (error instanceof Refused) answer = null;
    }
    render();
  }

  async function asked() {
    const [, ...ways] = SPANS[wanted.span];
    for (const [step, width, bars] of ways) {
      const first = (Math.floor(now() / width) - bars + 1) * width;
      const query = new URLSearchParams({ by: `${wanted.by},${step}`, since: first });
      if (wanted.client) query.set("client", wanted.client);
      try {
        const found = await desk.ask("GET", `/admin/usage?${query}`);
        const starts = Array.from({ length: bars }, (_, at) => first + at * width);
        const told = found.data.length ? "" : "Nothing was asked for in this time.";
        return { ...found, query, width, starts, told, by: wanted.by };
      } catch (error) {
        if (error.param !== "since" || step === ways.at(-1)[0]) throw error;
      }
    }
    return null;
  }

  // A client sees what it used itself since the gateway started: records are for operators.
  async function ownUse() {
    const { data } = await desk.ask("GET", "/v1/key");
    const why = "Charts over time need the key of an operator";
    if (!data.freeroute) return { data: [], starts: [], told: `${why}, or a token of scope read.` };
    const lines = data.freeroute.use.map((one) => ({ ...one, model: `${one.provider}/${one.model}` }));
    return { data: lines, starts: [], by: "model", told: `What ${data.freeroute.name} used since the gateway started. ${why}.` };
  }

  function render() {
    show(saving, Boolean(answer?.query));
    show(board, Boolean(answer?.data.length));
    show(controls, !desk.may("read"));
    bySpan.set(wanted.span);
    byWhat.set(wanted.by);
    measure.set(wanted.show);
    const names = new Set((desk.status()?.clients ?? []).map((one) => one.name));
    if (wanted.client) names.add(wanted.client);
    clients.set(wanted.client, [["", "all"], ...[...names].sort().map((name) => [name, nameOf("client")({ client: name })])]);
    if (answer?.data.length) renderFigures();
  }

  function renderFigures() {
    const { by, starts, width, data } = answer;
    const byName = summed(data, nameOf(by));
    const [words, of] = MEASURES[wanted.show];
    renderTotals(summed(data, () => "all").get("all"));
    listed.update(BY[by], [...byName].sort(([, a], [, b]) => of(b) - of(a) || b.requests - a.requests));
    show(picture.root, starts.length);
    show(steps, starts.length);
    if (!starts.length) return;
    const place = (one) => Math.floor((one.start - starts[0]) / width);
    const values = new Map([...byName.keys()].map((name) => [name, starts.map(() => 0)]));
    for (const one of data) values.get(nameOf(by)(one))[place(one)] += of(one);
    const series = ranked([...values].map(([name, all]) => ({ name, values: all })));
    picture.update({ label: words.toLowerCase(), width, starts, series: series.filter((one) => one.total) });
    if (!steps.open) return;
    const spans = summed(data, place);
    timed.update("Time", [...spans].sort(([a], [b]) => b - a).map(([at, sums]) => [spell(starts[at], width), sums]));
  }

  function renderTotals(all) {
    const facts = { Requests: all.requests, Failed: all.failed, "Prompt tokens": all.prompt, "Completion tokens": all.completion };
    const known = Object.entries(facts).filter(([, figure]) => figure !== undefined);
    listFacts(totals, known.map(([name, figure]) => [name, brief(figure)]));
  }

  return {
    root,
    shown(place) {
      for (const [name, value] of new URLSearchParams(place)) if (allowed(name, value)) wanted[name] = value;
      reading.now();
    },
    update() {
      if (readFor === desk.who().name) reading.soon();
      else reading.now();
    },
    hidden: reading.stop,
  };
}

// Whatever else an address says is not heard.
const CHOICES = { span: SPANS, by: BY, show: MEASURES };
const allowed = (name, value) => name === "client" || (Object.hasOwn(CHOICES, name) && Object.hasOwn(CHOICES[name], value));

function troubleOf(error) {
  if (error.code !== "records_unavailable") return reasonOf(error);
  return `${error.message} Usage is read from the receipts that the gateway stores: see storage.records in its settings.`;
}

/** What *lines* come to for each name that *nameOf* gives them. */
function summed(lines, nameOf) {
  const found = new Map();
  for (const one of lines) {
    const name = nameOf(one);
    if (!found.has(name)) found.set(name, {});
    const sums = found.get(name);
    for (const field of SUMMED) if (field in one) sums[field] = (sums[field] ?? 0) + one[field];
  }
  return found;
}

// ---- parts

const mean = (sum, count) => (count ? millis((1000 * sum) / count) : "–");
const COLUMNS = [
  ["Requests", "requests", (one) => number(one.requests)],
  ["Failed", "failed", (one) => number(one.failed)],
  ["Prompt", "prompt", (one) => number(one.prompt)],
  ["Completion", "completion", (one) => number(one.completion)],
  ["First token", "first_event", (one) => mean(one.first_event, one.first_events)],
  ["Answer", "total", (one) => mean(one.total, one.requests)],
];

function tableOf(id, name) {
  const { box, rows } = table(id, name, ["", ...COLUMNS.map(([words]) => words)]);
  const head = box.querySelector("th");
  const more = make("p.note");
  box.append(more);
  const figures = () => view(() => row({}, make("th", { role: "rowheader", scope: "row" }, ([words]) => words),
    ...COLUMNS.map(([words, field, of]) => cell(words, "figure", ([, sums]) => (field in sums ? of(sums) : "–")))));
  return {
    root: box,
    update(title, lines) {
      text(head, title);
      keyed(rows, lines.slice(0, MOST), ([words]) => words, figures);
      line(more, lines.length > MOST ? `${number(MOST)} of ${number(lines.length)} are shown; a file has all.` : "");
    },
  };
}
