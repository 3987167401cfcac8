// Connect: what to write where, filled with the address of this gateway and the model that is chosen.

import { copy } from "/dashboard/copying.js";
import { allow, byId, keyed, line, make, show, text } from "/dashboard/dom.js";
import { KINDS, PLACEHOLDER, recipes } from "/dashboard/recipes.js";
import { reasonOf, whoAmI } from "/dashboard/session.js";

const LOCAL = ["localhost", "127.0.0.1", "[::1]"];
const USUAL = ["free-smart", "free-fast", "free"]; // the best for what writes code first
const NO_KEY = "not-needed"; // clients insist on some text

/** The address for clients, also where this page is served below a path or with TLS. */
const address = () => `${location.origin}${location.pathname.replace(/\/dashboard(\/.*)?$/, "")}/v1`;

export function build(desk) {
  let needsKey = desk.who().needs_key;
  const model = make("select", { id: "connect-model", autocomplete: "off" });
  const trouble = make("p", { class: "note" });
  const where = make("code", { tabindex: "-1" }, address());
  const local = make("p", { class: "note" }, "It is an address of this machine: others do not reach it.");
  const keyWords = make("p", { class: "note" });
  const newClient = make("button", { type: "button" }, "Add a client for this");
  const jumps = make("ul", { class: "jumps plain" });
  const groups = Object.entries(KINDS).map(([kind, words]) => {
    const list = make("div", { class: "recipes" });
    return { kind, list, root: make("section", { "aria-label": words }, make("h3", {}, words), list) };
  });
  const root = make("section", { class: "connect", "aria-labelledby": "connect-title" },
    make("h2", { id: "connect-title", tabindex: "-1" }, "Connect"),
    make("p", {}, "Anything that speaks OpenAI's chat completions speaks to this gateway. Choose a model, copy, paste."),
    make("div", { class: "panel" },
      make("div", { class: "choices" },
        make("div", {}, make("label", { for: "connect-model" }, "Model"), model),
        make("div", {}, make("span", { class: "label" }, "Address"), make("div", { class: "line" },
          where, copier(desk, where, "the address")))),
      trouble, local, keyWords, newClient),
    make("nav", { "aria-label": "Tools" }, jumps),
    ...groups.map((group) => group.root));

  const render = () => {
    const made = recipes({ address: address(), model: model.value || "free", key: needsKey ? PLACEHOLDER : NO_KEY });
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
      const { data } = await desk.ask("GET", "/v1/models");
      offer(model, data.map(({ id, freeroute }) => [id, freeroute.available ? id : `${id} (not now)`]));
      line(trouble, data.length ? "" : "No model is on yet: see the overview for how to get one.");
    } catch (error) {
      if (!model.value) offer(model, USUAL.map((id) => [id, id]));
      line(trouble, `The list of models could not be read. ${reasonOf(error)}`);
    }
    render();
  };

  model.addEventListener("change", render);
  newClient.addEventListener("click", () => desk.go("clients", "+"));
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
  keyed(select, models, ([id]) => id, ([id]) => {
    const option = make("option", { value: id });
    return { root: option, update: ([, words]) => text(option, words) };
  });
  const ids = models.map(([id]) => id);
  select.value = [before, ...USUAL, ids[0]].find((id) => ids.includes(id)) ?? "";
}

function jump({ id, name }) {
  const link = make("a", { href: `#connect/${id}` });
  return { root: make("li", {}, link), update: () => text(link, name) };
}

function recipeView(desk, { id, name, missing }) {
  const steps = make("ol", { class: "plain" });
  const note = make("p", { class: "note" });
  const root = make("article", { class: "panel", id: `connect/${id}`, tabindex: "-1", "aria-labelledby": `connect-${id}-name` },
    make("h4", { id: `connect-${id}-name` }, name),
    ...(missing ? [make("p", { class: "missing" }, make("strong", {}, "Not yet. "), missing)] : []),
    steps, note);
  return {
    root,
    update(recipe) {
      keyed(steps, recipe.steps, (step) => step.say, (step) => stepView(desk, step, name));
      line(note, recipe.note);
    },
  };
}

function stepView(desk, { say }, name) {
  const code = make("code");
  const box = make("pre", { tabindex: "0", role: "region", "aria-label": `${name}: ${say}` }, code);
  const root = make("li", {}, make("div", { class: "line" }, make("span", {}, say), copier(desk, box, `${name}, ${say}`)), box);
  return { root, update: (step) => text(code, step.code) };
}

function copier(desk, node, what) {
  const button = make("button", { type: "button", "aria-label": `Copy: ${what}` }, "Copy");
  button.addEventListener("click", async () => desk.notice(await copy(node)));
  return button;
}
