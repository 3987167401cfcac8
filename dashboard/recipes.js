// What to write where, so that a tool or a program asks this gateway. Text in, text out: tests run what is here.

/** How code is told apart: in a program of one's own, or in a tool that is there. */
export const KINDS = { code: "In your own code", tool: "In a tool" };

/** What stands for a key where one is asked for. */
export const PLACEHOLDER = "YOUR-KEY";

/** Tokens that a model is taken to read where the gateway knows no number; `freeroute setup` takes the same. */
const CONTEXT = 128_000;

/**
 * Return all recipes for *address* (with /v1), *model* and *key*, as {id, name, kind, steps, note}. A step is {say, code}.
 * *known* is what /v1/models says of the model, if it says something.
 */
export function recipes({ address, model, key, known }) {
  const facts = { address, model, key, ...abilities(known) };
  return RECIPES.map((one) => ({ note: "", ...one, steps: one.steps(facts) }));
}

/** Whether a model sees pictures, and how many tokens it reads and writes: some clients want to be told. */
function abilities(known) {
  const context = known?.context_length || CONTEXT;
  return {
    sees: known?.architecture.input_modalities.includes("image") ?? false,
    limit: { context, output: known?.top_provider.max_completion_tokens || Math.floor(context / 8) },
  };
}

// One shape of text holds in Python, JavaScript, JSON and YAML alike.
const quoted = (text) => JSON.stringify(text);

const inShell = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

const lines = (...all) => all.join("\n");

const message = { role: "user", content: "Hello!" };

const RETRIES = "The gateway tries others by itself; the client's own retries would begin all of it anew.";

// How opencode is told that a model sees pictures.
const SEEING = { attachment: true, modalities: { input: ["text", "image"], output: ["text"] } };

const RECIPES = [
  {
    id: "curl", name: "curl", kind: "code",
    steps: ({ address, model, key }) => [{
      say: "In a shell",
      code: lines(
        `curl ${inShell(`${address}/chat/completions`)} \\`,
        `  -H ${inShell(`Authorization: Bearer ${key}`)} \\`,
        '  -H "Content-Type: application/json" \\',
        `  -d ${inShell(JSON.stringify({ model, messages: [message] }))}`,
      ),
    }],
  },
  {
    id: "openai-python", name: "OpenAI for Python", kind: "code",
    steps: ({ address, model, key }) => [
      { say: "Once", code: "pip install openai" },
      {
        say: "In Python",
        code: lines(
          "from openai import OpenAI",
          "",
          "client = OpenAI(",
          `    base_url=${quoted(address)},`,
          `    api_key=${quoted(key)},`,
          "    max_retries=0,",
          ")",
          "reply = client.chat.completions.create(",
          `    model=${quoted(model)},`,
          `    messages=[{"role": "user", "content": "Hello!"}],`,
          ")",
          "print(reply.choices[0].message.content)",
        ),
      },
    ],
    note: RETRIES,
  },
  {
    id: "openai-node", name: "OpenAI for JavaScript", kind: "code",
    steps: ({ address, model, key }) => [
      { say: "Once", code: "npm install openai" },
      {
        say: "In a module of Node.js",
        code: lines(
          'import OpenAI from "openai";',
          "",
          "const client = new OpenAI({",
          `  baseURL: ${quoted(address)},`,
          `  apiKey: ${quoted(key)},`,
          "  maxRetries: 0,",
          "});",
          "const reply = await client.chat.completions.create({",
          `  model: ${quoted(model)},`,
          '  messages: [{ role: "user", content: "Hello!" }],',
          "});",
          "console.log(reply.choices[0].message.content);",
        ),
      },
    ],
    note: RETRIES,
  },
  {
    id: "langchain", name: "LangChain", kind: "code",
    steps: ({ address, model, key }) => [
      { say: "Once", code: "pip install langchain-openai" },
      {
        say: "In Python",
        code: lines(
          "from langchain_openai import ChatOpenAI",
          "",
          "chat = ChatOpenAI(",
          `    model=${quoted(model)},`,
          `    base_url=${quoted(address)},`,
          `    api_key=${quoted(key)},`,
          "    max_retries=0,",
          "    stream_usage=True,",
          ")",
          'print(chat.invoke("Hello!").text)',
        ),
      },
    ],
    note: RETRIES,
  },
  {
    id: "aider", name: "aider", kind: "tool",
    steps: ({ address, model, key }) => [{
      say: "In a shell, in your project",
      code: lines(
        `export OPENAI_API_BASE=${inShell(address)}`,
        `export OPENAI_API_KEY=${inShell(key)}`,
        `aider --model ${inShell(`openai/${model}`)}`,
      ),
    }],
    note: "The openai/ in front is aider's own: it stays, whatever the model is called. On Windows: setx in place of "
      + "export, and a new shell.",
  },
  {
    id: "continue", name: "Continue", kind: "tool",
    steps: ({ address, model, key, sees }) => [{
      say: "In ~/.continue/config.yaml; if the file is there, add the entry to its models",
      code: lines(
        "name: freeroute",
        "version: 0.0.1",
        "schema: v1",
        "models:",
        "  - name: freeroute",
        "    provider: openai",
        `    model: ${quoted(model)}`,
        `    apiBase: ${quoted(address)}`,
        `    apiKey: ${quoted(key)}`,
        "    roles: [chat, edit, apply]",
        `    capabilities: [tool_use${sees ? ", image_input" : ""}]`,
      ),
    }],
  },
  {
    id: "cline", name: "Cline", kind: "tool",
    steps: ({ address, model, key }) => [
      { say: "In its settings, choose the API Provider “OpenAI Compatible”. Base URL", code: address },
      { say: "API Key", code: key },
      { say: "Model ID", code: model },
    ],
  },
  {
    id: "opencode", name: "opencode", kind: "tool",
    steps: ({ address, model, key, sees, limit }) => [{
      say: "In opencode.json in your project, or ~/.config/opencode/opencode.json for all",
      code: JSON.stringify({
        provider: {
          freeroute: {
            npm: "@ai-sdk/openai-compatible",
            name: "freeroute",
            options: { baseURL: address, apiKey: key },
            models: { [model]: { name: model, limit, ...(sees ? SEEING : {}) } },
          },
        },
        model: `freeroute/${model}`,
        small_model: `freeroute/${model}`,
      }, null, 2),
    }],
    note: "More models stand beside the first, and are chosen by /models. A key need not be in the file: "
      + "“{env:FREEROUTE_KEY}” takes it from the environment.",
  },
  {
    id: "open-webui", name: "Open WebUI", kind: "tool",
    steps: ({ address, key }) => [{
      say: "In a shell, for its first start",
      code: lines(
        `export OPENAI_API_BASE_URL=${inShell(address)}`,
        `export OPENAI_API_KEY=${inShell(key)}`,
        "open-webui serve",
      ),
    }],
    note: "It finds the models by itself. Later, it goes by what it has kept: Admin Panel, Settings, Connections. In a "
      + "container localhost is the container: give it an address at which others reach this gateway, or, on Linux, the "
      + "network of the host.",
  },
  {
    id: "claude-code", name: "Claude Code", kind: "tool",
    steps: ({ address, model, key }) => [{
      say: "In a shell",
      code: lines(
        `export ANTHROPIC_BASE_URL=${inShell(address.replace(/\/v1$/, ""))}`,
        `export ANTHROPIC_AUTH_TOKEN=${inShell(key)}`,
        `export ANTHROPIC_MODEL=${inShell(model)}`,
        "claude",
      ),
    }],
    note: "It needs a model with tools and room for its own prompt of 20,000 tokens.",
  },
  {
    id: "codex", name: "Codex CLI", kind: "tool",
    steps: ({ address, model, key }) => [
      {
        say: "In ~/.codex/config.toml",
        code: lines(
          `model = ${quoted(model)}`,
          'model_provider = "freeroute"',
          "",
          "[model_providers.freeroute]",
          'name = "freeroute"',
          `base_url = ${quoted(address)}`,
          'wire_api = "responses"',
          'env_key = "GATEWAY_KEY"',
          "request_max_retries = 0",
          "stream_max_retries = 0",
        ),
      },
      { say: "In a shell", code: lines(`export GATEWAY_KEY=${inShell(key)}`, "codex") },
    ],
    note: RETRIES,
  },
];
