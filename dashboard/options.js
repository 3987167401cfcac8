// What a request of the playground asks for besides its messages; and the same request as a command.

import { attr, make, show } from "./dom.js";

const EXAMPLE = [{
  type: "function",
  function: {
    name: "get_weather",
    description: "The weather in a city right now",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
}];

/** The options, folded away. */
export function optionsView() {
  const system = make("textarea", { rows: 2, placeholder: "You are …" });
  const temperature = make("input", { type: "number", min: 0, max: 2, step: 0.1, placeholder: "not set" });
  const most = make("input", { type: "number", min: 1, step: 1, placeholder: "not set" });
  const wait = make("input", { type: "number", min: 0, step: 1, placeholder: "as configured" });
  const json = make("input", { type: "checkbox" });
  const strict = make("input", { type: "checkbox" });
  const offered = make("input", { type: "checkbox" });
  const tools = make("textarea", { rows: 16, spellcheck: "false" });
  const toolsField = make("label.whole", { hidden: true }, "Tools, a list in JSON", tools);
  const form = make("form.fields",
    make("label.whole", "System prompt", system),
    make("label", "Temperature", temperature),
    make("label", "Most tokens", most),
    make("label", "Longest wait for room, s", wait),
    make("label.tick", json, "Answer in JSON"),
    make("label.tick", { title: "x-freeroute-strict: one candidate is asked, once" }, strict, "No failover, no waiting"),
    make("label.tick", offered, "Offer tools"),
    toolsField);
  const root = make("details.panel", make("summary", "Options"), form);
  tools.value = JSON.stringify(EXAMPLE, null, 2);

  function checkTools() {
    const wrong = offered.checked ? wrongWith(tools.value) : "";
    tools.setCustomValidity(wrong);
    attr(tools, "aria-invalid", wrong ? "true" : null);
  }
  tools.addEventListener("input", checkTools);
  offered.addEventListener("change", () => {
    show(toolsField, offered.checked);
    checkTools();
  });
  form.addEventListener("submit", (event) => event.preventDefault());

  return {
    root,
    /** Whether they can be sent; if not, the first that cannot is shown. */
    valid() {
      if (form.checkValidity()) return true;
      root.open = true;
      return form.reportValidity();
    },
    /** The messages before all others. */
    system: () => (system.value.trim() ? [{ role: "system", content: system.value.trim() }] : []),
    /** Fields of the request. */
    fields: () => ({
      ...(temperature.value && { temperature: Number(temperature.value) }),
      ...(most.value && { max_tokens: Number(most.value) }),
      ...(json.checked && { response_format: { type: "json_object" } }),
      ...(offered.checked && { tools: JSON.parse(tools.value) }),
    }),
    /** Headers of the request. */
    headers: () => ({
      ...(wait.value && { "x-freeroute-max-wait": wait.value }),
      ...(strict.checked && { "x-freeroute-strict": "true" }),
    }),
  };
}

function wrongWith(written) {
  try {
    return Array.isArray(JSON.parse(written)) ? "" : "This has to be a list: [ … ]";
  } catch (error) {
    return error.message;
  }
}

/** A command that sends *body* with *headers*; with a key, if the gateway wants one. */
export function curlOf(path, body, headers, wantsKey) {
  const named = Object.entries({ "content-type": "application/json", ...headers });
  return [
    `curl -N ${location.origin}${path} \\`,
    ...named.map(([name, value]) => `  -H "${name}: ${value}" \\`),
    ...(wantsKey ? ['  -H "authorization: Bearer $FREEROUTE_API_KEY" \\'] : []),
    "  --data-binary @- <<'JSON'", // quotes and dollars in it mean nothing to the shell, and it may be long
    JSON.stringify(body, null, 2),
    "JSON",
    "",
  ].join("\n");
}
