// Connect: what to write where, filled with the address of this gateway and the model that is chosen.

import { copy } from "../copying.js";
import { allow, button, byId, each, keyed, line, make, show, text, view } from "../dom.js";
import { KINDS, PLACEHOLDER, recipes } from "../recipes.js";
import { reasonOf, whoAmI } from "../session.js";
import { chats } from "../words.js";

const LOCAL = ["localhost", "127.0.0.1", "[::1]"];
const USUAL = ["free-smart", "free-fast", "free"]; // the best for what writes code first
const NO_KEY = "not-needed"; // clients insist on some text

/** The address for clients, also where this page is served below a path or with TLS. */
const address = () => `${location.origin}${location.pathname.replace(/\/dashboard(\/.*)?$/, "")}/v1`;

export function build(desk) {
  let needsKey = desk.who().needs_key;
  let listed = [];
  const model = make("select", { id: "connect-model", autocomplete: "off" });
  const trouble = make("p.note");
  const where = make("code", { tabindex: "-1" }, address());
  const local = make("p.note", "It is an address of this machine: others do not reach it.");
  const keyWords = make("p.note");
  const newClient = button("Add a client for this", () => desk.go("clients", "+"));
  const jumps = make("ul.jumps.plain");
  const groups = Object.entries(KINDS).map(([kind, words]) => {
    const list = make("div.recipes");
    return { kind, list, root: make("section", { "aria-label": words }, make("h3", words), list) };
  });
  const root = make("section.connect", { "aria-labelledby": "connect-title" },
    make("h2", { id: "connect-title", tabindex: "-1" }, "Connect"),
    make("p", "Anything that speaks OpenAI's chat completions speaks to this gateway. Choose a model, copy, paste."),
    make("div.panel",
      make("div.choices",
        make("div", make("label", { for: "connect-model" }, "Model"), model),
        make("div", make("span.label", "Address"), make("div.line",
          where, copier(desk, where, "the address")))),
      trouble, local, keyWords, newClient),
    make("nav", { "aria-label": "Tools" }, jumps),
    ...groups.map((group) => group.root));

  const render = () => {
    const made = recipes({
      address: address(),
      model: model.value || "free",
      key: needsKey ? PLACEHOLDER : NO_KEY,
      known: listed.find((one) => one.id === model.value),
    });
    for (const { kind, list } of groups) {
      keyed(list, made.filter((one) => one.kind === kind), (one) => one.id, (one) => recipeView(desk, one));
    }
    keyed(jumps, made, (one) => one.id, jump);
    show(local, LOCAL.includes(location.hostname));
    text(keyWords, needsKey
      ? `This gateway asks for a key: put the key of a client in place of ${PLACEHOLDER}.`
      : `No key is asked for at present: “${NO_KEY}” stands where a tool insists on one.`);
    allow(newClient, desk.may("operate"));
  };

  const learn = async () => {
    try {
      needsKey = (await whoAmI()).needs_key; // asked anew: the first client may just have been added
      listed = (await desk.ask("GET", "/v1/models")).data.filter(chats);
      offer(model, listed.map(({ id, freeroute }) => [id, freeroute.available ? id : `${id} (not now)`]));
      line(trouble, listed.length ? "" : "No model is on yet: see the overview for how to get one.");
    } catch (error) {
      if (!model.value) offer(model, USUAL.map((id) => [id, id]));
      line(trouble, `The list of models could not be read. ${reasonOf(error)}`);
    }
    render();
  };

  model.addEventListener("change", render);
  return {
    root,
    update: render,
    async shown(place) {
      render();
      await learn();
      byId(`connect/${place}`)?.focus();
    },
  };
}

/** Put *models*, each an id and words, into the choice; what was chosen stays. */
function offer(select, models) {
  const before = select.value;
  keyed(select, models, ([id]) => id, ([value]) => view(() => make("option", { value }, ([, words]) => words)));
  const ids = models.map(([id]) => id);
  select.value = [before, ...USUAL, ids[0]].find((id) => ids.includes(id)) ?? "";
}

const jump = ({ id }) => view(() => make("li", make("a", { href: `#connect/${id}` }, (one) => one.name)));

const recipeView = (desk, { id, name }) => view(() =>
  make("article.panel", { id: `connect/${id}`, tabindex: "-1", "aria-labelledby": `connect-${id}-name` },
    make("h4", { id: `connect-${id}-name` }, name),
    each(make("ol.plain"), (one) => one.steps, (step) => step.say, (step) => stepView(desk, step, name)),
    make("p.note", (one) => one.note)));

const stepView = (desk, { say }, name) => view(() => {
  const box = make("pre", { tabindex: "0", role: "region", "aria-label": `${name}: ${say}` }, make("code", (step) => step.code));
  return make("li", make("div.line", make("span", say), copier(desk, box, `${name}, ${say}`)), box);
});

const copier = (desk, node, what) => button("Copy", async () => desk.notice(await copy(node)), { "aria-label": `Copy: ${what}` });
