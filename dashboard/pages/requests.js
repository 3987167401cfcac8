// The last requests, live, and older ones from the records; each opens to its course.

import { picker } from "../controls.js";
import { allow, button, keyed, line, make, show, table, text } from "../dom.js";
import { OUTCOMES, fromRecord, keyOf, matches } from "../receipts.js";
import { requestDetail } from "../request_detail.js";
import { requestRow } from "../request_row.js";
import { reasonOf } from "../session.js";
import { moment, number } from "../words.js";

const PAGE = 100;
const MOST = 1000; // older ones in the list; files of more are for GET /admin/receipts
const SINCE = "400d"; // as far back as anybody keeps them by itself
const PLACE = /^[\w.-]*(?=\?|$)/; // a request's id, before a "?" and what is looked for; either may be missing
const COLUMNS = ["Time", "Result", "Asked → answered", "Latency", "Tokens"];
// The records do not tell who was turned away from who failed.
const STORED = { served: "served", failed: "failed", turned: "failed", left: "left" };

/** Build the page. */
export function build(desk) {
  let wanted = {};
  let open = null; // the key of the opened request
  let live = []; // what the status tells
  let kept = null; // what is shown instead while somebody reads, so that nothing moves under them
  let older = [];
  let after = null; // the mark of the next page of records
  let looking = false;
  let ended = false;
  let slowest = 0;

  const count = make("span.count");
  const title = make("h2", { tabindex: "-1", id: "requests-title" }, "Requests ", count);
  const fields = filters((next) => {
    if (next.outcome !== wanted.outcome || next.client !== wanted.client) forget();
    [wanted, open] = [next, null];
    follow();
    remember();
  });
  const fresh = button("", showFresh);
  const missing = make("p.panel", { role: "status", hidden: true });
  const silence = make("div.panel",
    make("h3", "No request yet. Send the first one:"), make("pre", { tabindex: "0" }, make("code")));
  const none = make("p.panel", "None of the requests here is like that.");
  const { box, rows } = table("requests", "Table of requests", COLUMNS);
  const more = button("", loadOlder);
  const moreNote = make("p.note", { role: "status" });
  const root = make("section.requests", { "aria-labelledby": "requests-title" }, title, fields.root,
    missing, make("p.fresh", fresh), silence, none, box, make("div.more", more, moreNote));
  const view = {
    slowest: () => slowest,
    isOpen: (request) => keyOf(request) === open,
    toggle: (request) => (view.isOpen(request) ? close() : openUp(request)),
  };
  root.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && open) close();
  });

  const all = () => merged(kept ?? live, older);

  /** Show what comes as it comes, unless somebody reads. */
  function follow() {
    if (!open && !older.length) kept = null;
    render();
  }

  function render() {
    const here = all();
    const shown = here.filter((request) => matches(request, wanted));
    const known = new Set(here.map(keyOf));
    const news = live.filter((request) => !known.has(keyOf(request)) && matches(request, wanted)).length;
    slowest = Math.max(0, ...shown.map((request) => request.total_ms));
    fields.update(here, wanted);
    text(count, shown.length === here.length ? String(here.length || "") : `${number(shown.length)} of ${number(here.length)}`);
    text(fresh, `${number(news)} new: show ${news === 1 ? "it" : "them"}`);
    show(fresh, news);
    show(silence, !here.length);
    text(silence.querySelector("code"), firstCall(desk.who().needs_key));
    show(none, here.length && !shown.length);
    show(box, shown.length);
    const items = shown.flatMap((request) => [{ request }, ...(view.isOpen(request) ? [{ request, opened: true }] : [])]);
    keyed(rows, items, ({ request, opened }) => `${opened ?? ""} ${keyOf(request)}`, ({ request, opened }) =>
      (opened ? requestDetail(request, desk, close) : requestRow(request, view)));
    renderMore();
  }

  // ---- opening

  function openUp(request) {
    kept ??= live;
    open = keyOf(request);
    remember(request.id);
    render();
  }

  function close() {
    const opener = rows.querySelector("[aria-expanded=true]");
    open = null;
    remember();
    follow();
    if (opener?.isConnected) opener.focus();
  }

  /** Open the request with this *id*, from the records if it is not among the last ones. */
  async function find(id) {
    const here = () => all().find((request) => request.id === id);
    if (!here() && !desk.may("read")) {
      try {
        const { data } = await desk.ask("GET", `/admin/receipts?${new URLSearchParams({ id, since: SINCE, limit: 1 })}`);
        kept = merged(live, data.map(fromRecord));
      } catch (error) {
        return line(missing, `Request ${id} cannot be looked up: ${reasonOf(error)}`);
      }
    }
    if (!here()) return line(missing, `Request ${id} is not among those that are known here.`);
    openUp(here());
    rows.querySelector(".opened")?.previousElementSibling.scrollIntoView();
  }

  /** Show what came meanwhile; older ones stay if nothing is missing between them and the newest. */
  function showFresh() {
    const known = new Set(all().map(keyOf));
    if (older.length && live.some((request) => known.has(keyOf(request)))) older = all();
    else forget();
    kept = live;
    if (!all().some(view.isOpen)) open = null;
    follow();
    title.focus();
  }

  /** Write into the address what is looked at, without going anywhere. */
  function remember(id = "") {
    const asked = new URLSearchParams(Object.entries(wanted).filter(([, value]) => value)).toString();
    const place = [id, asked].filter(Boolean).join("?");
    history.replaceState(null, "", place ? `#requests/${encodeURIComponent(place)}` : "#requests");
  }

  // ---- older ones

  async function loadOlder() {
    looking = true;
    renderMore();
    const asked = new URLSearchParams({ since: SINCE, limit: PAGE });
    if (wanted.outcome) asked.set("outcome", STORED[wanted.outcome]);
    if (wanted.client) asked.set("client", wanted.client);
    if (after) asked.set("after", after);
    let trouble = "";
    try {
      const page = await desk.ask("GET", `/admin/receipts?${asked}`);
      kept ??= live;
      older = merged(older, page.data.map(fromRecord)).slice(0, MOST);
      [after, ended] = [page.next, !page.next || older.length >= MOST];
    } catch (error) {
      trouble = `Older requests cannot be had: ${reasonOf(error)}`;
    }
    looking = false;
    render();
    if (trouble) line(moreNote, trouble);
  }

  function forget() {
    [older, after, ended] = [[], null, false];
  }

  function renderMore() {
    const barred = desk.may("read");
    show(more, !desk.who().client && !ended);
    allow(more, barred || (looking && "Looking…"));
    text(more, looking ? "Looking…" : "Load older requests");
    const back = older.length ? `Looked back to ${moment(older.at(-1).at)}. ` : "";
    const last = older.length >= MOST ? "More are in the records." : "There are none before.";
    line(moreNote, desk.who().client ? "" : barred || back + (ended ? last : ""));
  }

  return {
    root,
    update(status) {
      live = [...status.requests].sort((a, b) => b.at - a.at);
      follow();
    },
    shown(place) {
      if (!desk.status()) return; // it is opened again with the first one
      const id = PLACE.exec(place)?.[0] ?? "";
      const asked = place.slice(id.length).replace("?", "");
      [wanted, open, kept] = [Object.fromEntries(new URLSearchParams(asked)), null, null];
      forget();
      line(missing, "");
      this.update(desk.status());
      if (id) find(id);
    },
  };
}

/** Both lists as one, the newest first, without doubles; of two the first is kept. */
function merged(first, second) {
  const all = new Map([...second, ...first].map((request) => [keyOf(request), request]));
  return [...all.values()].sort((a, b) => b.at - a.at);
}

const firstCall = (needsKey) => [
  `curl ${location.origin}/v1/chat/completions \\`,
  ...(needsKey ? ['  -H "Authorization: Bearer $YOUR_KEY" \\'] : []),
  `  -d '{"model": "free-fast", "messages": [{"role": "user", "content": "Hello!"}]}'`,
].join("\n");

/** The fields that say which requests are wanted; *changed(wanted)* is called whenever they do. */
function filters(changed) {
  let latest = {};
  const change = (name, value) => changed({ ...latest, [name]: value });
  const find = make("input", { type: "search", placeholder: "Find", "aria-label": "Find by model, provider, client or request id" });
  const outcome = picker("Outcome", [["", "every"], ...Object.entries(OUTCOMES)], (id) => change("outcome", id));
  const provider = picker("Asked", [["", "anybody"]], (id) => change("provider", id));
  const client = picker("Client", [["", "every"]], (id) => change("client", id));
  const clear = button("Show all", () => {
    changed({});
    find.focus();
  });
  find.addEventListener("input", () => change("q", find.value.trim()));
  return {
    root: make("div.strip", { role: "search", "aria-label": "Requests" }, find, outcome.root, provider.root, client.root, clear),
    update(requests, wanted) {
      latest = wanted;
      if (find.value.trim() !== (wanted.q ?? "")) find.value = wanted.q ?? "";
      outcome.set(wanted.outcome ?? "");
      const asked = requests.flatMap((request) => request.attempts.map((attempt) => attempt.provider));
      provider.set(wanted.provider ?? "", [["", "anybody"], ...named([...asked, wanted.provider])]);
      const clients = named([...requests.map((request) => request.client), wanted.client]);
      client.set(wanted.client ?? "", [["", "every"], ...clients]);
      show(client.root, clients.length > 1);
      show(clear, Object.values(wanted).some(Boolean));
    },
  };
}

const named = (names) => [...new Set(names.filter(Boolean))].sort().map((name) => [name, name === "-" ? "without a key" : name]);
