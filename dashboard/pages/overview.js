// How everything stands, on one screen.

import { attr, byId, icon, keyed, line, listFacts, make, show, text, times, view } from "../dom.js";
import { providerCard, unusedLine } from "../provider_card.js";
import { readProvider, resetProvider, setStrategy } from "../session.js";
import { brief, number, plural } from "../words.js";

const SEVERITIES = { problem: ["Problem", "bad"], warning: ["Warning", "warn"], note: ["Note", "rest"] };
// Where something can be done about it.
const PLACES = {
  key_refused: ["keys", "Keys"],
  no_credit: ["keys", "Keys"],
  wrong_address: ["keys", "Keys"],
  model_gone: ["models", "Models"],
  forbidden: ["models", "Models"],
};

const isOn = (provider) => provider.state !== "no-key";

/** Build the page. */
export function build(desk) {
  let changing = false;
  // Whoever is signed in is told at once; nobody is asked for a key, once something is wanted.
  const barred = () => (desk.who().name ? desk.may("operate") : "");

  const verbs = {
    reset: (provider) => desk.act(async () => {
      await resetProvider(provider.id);
      desk.notice(`${provider.name} was reset.`);
    }),
    barred,
    whole: readProvider,
  };

  function renderRouting(strategy) {
    if (changing) return;
    for (const choice of byId("routing").elements.strategy) {
      choice.checked = choice.value === strategy;
      attr(choice, "disabled", Boolean(barred()));
    }
  }

  async function changeStrategy({ target: choice }) {
    changing = true;
    await desk.act(async () => {
      await setStrategy(choice.value);
      desk.status().strategy = choice.value;
      desk.notice(`Equals in free are now ordered: ${choice.parentNode.textContent.trim().toLowerCase()}.`);
    });
    changing = false;
    renderRouting(desk.status().strategy);
  }

  byId("routing").addEventListener("change", changeStrategy);
  byId("routing").addEventListener("submit", (event) => event.preventDefault());
  return {
    root: byId("page-overview"),
    update(status) {
      renderRoom(status);
      renderTotals(status);
      line(byId("overview-scope"), barred() && `Resets and the order of equals are off. ${barred()}`);
      showAlerts(byId("alerts-box"), byId("alerts"), status.alerts);
      renderRouting(status.strategy);
      renderProviders(status.providers, verbs);
    },
  };
}

function renderTotals({ totals, providers }) {
  const on = providers.filter(isOn);
  const ready = on.filter((one) => ["healthy", "suspect", "half-open"].includes(one.state));
  const rate = totals.requests ? `${number((100 * totals.served) / totals.requests)} %` : "–";
  const facts = [
    ["Ready", `${ready.length} of ${on.length}`],
    ["Requests", brief(totals.requests)],
    ["Served", rate],
    ["Failed", brief(totals.failed)],
    ["Tokens", brief(totals.tokens)],
  ];
  listFacts(byId("totals"), facts);
}

// A client is not told how much there is for all.
function renderRoom({ capacity, waiting, in_flight: inFlight, providers }) {
  show(byId("room-box"), Boolean(capacity) && providers.some(isOn));
  if (!capacity) return;
  const facts = [
    ["Calls left now", callsOf(capacity.now, capacity.unlimited)],
    ["Calls left today", callsOf(capacity.today, capacity.unlimited)],
    ["Under way", brief(inFlight)],
    ["Waiting", `${brief(waiting.for_capacity)} of ${brief(waiting.room)}`],
  ];
  if (waiting.for_limits) facts.push(["Waiting for their own limits", brief(waiting.for_limits)]);
  listFacts(byId("room"), facts);
  const without = capacity.unlimited;
  const also = without
    ? ` ${plural(without, capacity.today ? "more model" : "model")} ${without === 1 ? "has" : "have"} no known limit.`
    : "";
  text(byId("room-note"), `Typical calls, 200 tokens asked and 300 answered; today ends at midnight UTC.${also}`);
}

// Where some have no known limit, none of the others being left says nothing.
const callsOf = (left, unlimited) => (!left && unlimited ? "No limit known" : brief(left));

function renderProviders(providers, verbs) {
  const on = providers.filter(isOn);
  const off = providers.filter((one) => !isOn(one));
  text(byId("providers-count"), on.length ? String(on.length) : "");
  show(byId("nothing"), !on.length);
  keyed(byId("providers"), on, (one) => one.id, (one) => providerCard(one, verbs));
  show(byId("unused"), off.length);
  text(byId("unused-title"), `${off.length} more without a key or a model`);
  keyed(byId("unused-list"), off, (one) => one.id, unusedLine);
}

/** Show *alerts* in *list*; *box* is hidden when there are none. */
function showAlerts(box, list, alerts) {
  show(box, alerts.length);
  keyed(list, alerts, (one) => `${one.kind} ${one.provider} ${one.what}`, alertLine);
}

function alertLine({ kind }) {
  const [page, name] = PLACES[kind] ?? [];
  return view(() => make("li", { "data-severity": (alert) => alert.severity }, icon((alert) => SEVERITIES[alert.severity]?.[1] ?? "none"),
    make("p",
      make("span.hidden", (alert) => `${SEVERITIES[alert.severity]?.[0] ?? alert.severity}: `),
      make("strong", (alert) => alert.what), " ", (alert) => alert.do, " ",
      page ? make("a", { href: `#${page}` }, name) : "", " ", times("until", (alert) => alert.until, "Over", "span.small"))));
}
