// Anthropic's SDK for TypeScript over the gateway.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import * as stage from "./stage.mjs";

const client = new Anthropic({ baseURL: stage.url.replace(/\/v1$/, ""), apiKey: "not-needed", maxRetries: 0 });
const messages = [{ role: "user", content: "Hello" }];
const max_tokens = 1000;
const tools = [{
  name: "get_weather",
  input_schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
}];
const models = [
  "free-smart",
  "my-gemini/gemini-3.5-flash",
  "my-mistral/mistral-small-2603",
  "my-openrouter/google/gemma-4-31b-it:free",
];

beforeEach(stage.reset);

for (const model of models) {
  test(`${model} answers, and its tokens are counted`, async () => {
    const message = await client.messages.create({ model, messages, max_tokens });
    assert.match(message.content[0].text, /^This is a simulated answer/);
    assert.equal(message.stop_reason, "end_turn");
    assert.ok(message.usage.output_tokens > 0);
    assert.ok((await client.messages.countTokens({ model, messages })).input_tokens > 0);
  });

  test(`${model} streams`, async () => {
    const stream = client.messages.stream({ model, messages, max_tokens });
    const pieces = [];
    stream.on("text", (piece) => pieces.push(piece));
    const message = await stream.finalMessage();
    assert.ok(pieces.length > 10);
    assert.equal(message.content.at(-1).text, pieces.join(""));
    assert.ok(message.usage.input_tokens > 0);
  });

  test(`${model} calls tools, and answers when they did`, async () => {
    const talk = [{ role: "user", content: "Use get_weather for 'Oslo'." }];
    const asked = await client.messages.stream({ model, messages: talk, max_tokens, tools }).finalMessage();
    assert.equal(asked.stop_reason, "tool_use");
    const call = asked.content.find((block) => block.type === "tool_use");
    assert.deepEqual(call.input, { city: "Oslo" });
    const given = [{ type: "tool_result", tool_use_id: call.id, content: "Rain" }];
    talk.push({ role: "assistant", content: asked.content }, { role: "user", content: given });
    const told = await client.messages.create({ model, messages: talk, max_tokens, tools });
    assert.match(told.content.at(-1).text, /^This is a simulated answer/);
  });
}

test("a picture is shown", async () => {
  const source = { type: "base64", media_type: "image/png", data: stage.picture };
  const content = [{ type: "image", source }, { type: "text", text: "What is it?" }];
  const talk = [{ role: "user", content }];
  assert.ok((await client.messages.create({ model: "free-smart", messages: talk, max_tokens })).content[0].text);
  assert.ok(await stage.showedAPicture());
});

test("a schema is filled", async () => {
  const schema = {
    type: "object",
    properties: { name: { type: "string" }, age: { type: "integer" } },
    required: ["name", "age"],
    additionalProperties: false,
  };
  const talk = [{ role: "user", content: "'Ada' is 36." }];
  const output_config = { format: { type: "json_schema", schema } };
  const message = await client.messages.create({ model: "free-smart", messages: talk, max_tokens, output_config });
  assert.deepEqual(JSON.parse(message.content[0].text), { name: "Ada", age: 36 });
});

test("models are listed and shown", async () => {
  const ids = (await stage.all(client.models.list({ limit: 2 }))).map((model) => model.id);
  assert.ok(models.every((model) => ids.includes(model)));
  assert.equal((await client.models.retrieve(models.at(-1))).id, models.at(-1));
});

test("a failing provider is not noticed", async () => {
  await stage.steer("groq", { faults: [503] });
  const asked = client.messages.create({ model: "claude-opus-4-8", messages, max_tokens });
  const { data, response } = await asked.withResponse();
  assert.ok(data.content[0].text);
  assert.equal(response.headers.get("x-freeroute-provider"), "beta");
});

test("errors have their classes and types", async () => {
  const ask = (fields) => client.messages.create({ model: "free", messages, max_tokens, ...fields });
  const expected = [
    [{ model: "no-such-model" }, Anthropic.NotFoundError, "not_found_error"],
    [{ model: "spent/openai/gpt-oss-120b" }, Anthropic.RateLimitError, "rate_limit_error"],
    [{ messages: [] }, Anthropic.BadRequestError, "invalid_request_error"],
  ];
  for (const [fields, kind, type] of expected) {
    await assert.rejects(ask(fields), (error) => error instanceof kind && error.error.error.type === type);
  }
});

test("a stream that breaks throws", async () => {
  await stage.steer("groq", { faults: [{ kind: "cut", after: 3 }] });
  const stream = await client.messages.create({ model: "free-smart", messages, max_tokens, stream: true });
  await assert.rejects(stage.all(stream), /stopped in the middle/);
});

test("leaving a stream ends the provider's work", async () => {
  await stage.slow();
  const stream = await client.messages.create({ model: "free-smart", messages, max_tokens, stream: true });
  for await (const event of stream) if (event.type === "content_block_delta") break;
  assert.ok(await stage.leftBehind());
});
