// How everything stands, on one screen.

import { attr, byId, keyed, line, make, show, text } from "/dashboard/dom.js";
import { providerCard, unusedLine } from "/dashboard/provider_card.js";
import { resetProvider, setStrategy } from "/dashboard/session.js";
import { brief, number } from "/dashboard/words.js";

const isOn = (provider) => provider.state !== "no-key";

/** Build the page. */
export function build(desk) {
  let changing = false;
  // Whoever is signed in is told at once; nobody is asked for a key, once something is wanted.
  const barred = () => (desk.who().name ? desk.may("operate") : "");

  const reset = (provider) => desk.act(async () => {
    await resetProvider(provider.id);
    desk.notice(`${provider.name} was reset.`);
  });

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
      renderTotals(status);
      line(byId("overview-scope"), barred() && `Resets and the order of equals are off. ${barred()}`);
      renderRouting(status.strategy);
      renderProviders(status.providers, reset, barred);
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
  keyed(byId("totals"), facts, ([name]) => name, ([name]) => {
    const value = make("dd");
    const root = make("div", {}, make("dt", {}, name), value);
    return { root, update: ([, written]) => text(value, written) };
  });
}

function renderProviders(providers, reset, barred) {
  const on = providers.filter(isOn);
  const off = providers.filter((one) => !isOn(one));
  text(byId("providers-count"), on.length ? String(on.length) : "");
  show(byId("nothing"), !on.length);
  keyed(byId("providers"), on, (one) => one.id, (one) => providerCard(one, reset, barred));
  show(byId("unused"), off.length);
  text(byId("unused-title"), `${off.length} more without a key or a model`);
  keyed(byId("unused-list"), off, (one) => one.id, unusedLine);
}
