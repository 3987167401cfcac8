// OpenAI's SDK for JavaScript over the gateway.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import OpenAI from "openai";
import { zodFunction, zodResponseFormat, zodResponsesFunction, zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";
import * as stage from "./stage.mjs";

const client = new OpenAI({ baseURL: stage.url, apiKey: "not-needed", maxRetries: 0 });
const hello = [{ role: "user", content: "Hello" }];
const ada = [{ role: "user", content: "'Ada' is 36." }];
const Person = z.object({ name: z.string(), age: z.int() });
const models = [
  "free-smart",
  "my-gemini/gemini-3.5-flash",
  "my-mistral/mistral-small-2603",
  "my-openrouter/google/gemma-4-31b-it:free",
];

beforeEach(stage.reset);

for (const model of models) {
  test(`${model} chats`, async () => {
    const reply = await client.chat.completions.create({ model, messages: hello });
    assert.match(reply.choices[0].message.content, /^This is a simulated answer/);
    assert.ok(reply.usage.total_tokens > 0);
  });

  test(`${model} streams`, async () => {
    const stream = await client.chat.completions.create({ model, messages: hello, stream: true });
    const chunks = await stage.all(stream);
    assert.ok(chunks.length > 10);
    assert.equal(chunks.at(-1).choices[0].finish_reason, "stop");
    assert.match(chunks.map((one) => one.choices[0].delta.content ?? "").join(""), /^This is a simulated/);
  });

  test(`${model} answers by the Responses API, whole and streamed`, async () => {
    const reply = await client.responses.create({ model, input: "Hello" });
    assert.match(reply.output_text, /^This is a simulated answer/);
    assert.ok(reply.usage.total_tokens > 0);
    const stream = client.responses.stream({ model, input: "Hello" });
    const events = await stage.all(stream);
    assert.equal(events.at(-1).type, "response.completed");
    assert.match((await stream.finalResponse()).output_text, /^This is a simulated answer/);
  });

  test(`${model} calls functions and fills a schema by the Responses API`, async () => {
    const city = z.object({ city: z.string() });
    const input = [{ role: "user", content: "Use get_weather for 'Oslo'." }];
    const tools = [zodResponsesFunction({ name: "get_weather", parameters: city })];
    const reply = await client.responses.parse({ model, input, tools });
    const [call] = reply.output.filter((item) => item.type === "function_call");
    assert.deepEqual(call.parsed_arguments, { city: "Oslo" });
    const given = { type: "function_call_output", call_id: call.call_id, output: "Rain" };
    const last = await client.responses.create({ model, input: [...input, ...reply.output, given], tools });
    assert.match(last.output_text, /^This is a simulated answer/);
    const text = { format: zodTextFormat(Person, "person") };
    const filled = await client.responses.parse({ model, input: "'Ada' is 36.", text });
    assert.deepEqual(filled.output_parsed, { name: "Ada", age: 36 });
  });

  test(`${model} streams usage where it is asked for`, async () => {
    const asked = { model, messages: hello, stream: true, stream_options: { include_usage: true } };
    const chunks = await stage.all(await client.chat.completions.create(asked));
    assert.ok(chunks.at(-1).usage.completion_tokens > 0);
  });

  test(`${model} fills a schema`, async () => {
    const response_format = zodResponseFormat(Person, "person");
    const reply = await client.chat.completions.parse({ model, messages: ada, response_format });
    assert.deepEqual(reply.choices[0].message.parsed, { name: "Ada", age: 36 });
  });

  test(`${model} calls tools, and answers when they did`, async () => {
    const asked = [];
    const parse = (text) => z.object({ city: z.string() }).parse(JSON.parse(text));
    const runner = client.chat.completions.runTools({
      model,
      stream: true,
      messages: [{ role: "user", content: "Use get_weather for 'Oslo'." }],
      tools: [
        {
          type: "function",
          function: {
            name: "get_weather",
            parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
            parse,
            function: ({ city }) => asked.push(city) && "Rain",
          },
        },
      ],
    });
    assert.match(await runner.finalContent(), /^This is a simulated answer/);
    assert.deepEqual(asked, ["Oslo"]);
  });
}

const shown = `data:image/png;base64,${stage.picture}`;

test("a picture is shown", async () => {
  const content = [{ type: "text", text: "What is it?" }, { type: "image_url", image_url: { url: shown } }];
  const messages = [{ role: "user", content }];
  const reply = await client.chat.completions.create({ model: "free-smart", messages });
  assert.ok(reply.choices[0].message.content);
  assert.ok(await stage.showedAPicture());
});

test("a picture is shown by the Responses API", async () => {
  const content = [{ type: "input_text", text: "What is it?" }, { type: "input_image", image_url: shown }];
  const reply = await client.responses.create({ model: "free-smart", input: [{ role: "user", content }] });
  assert.ok(reply.output_text);
  assert.ok(await stage.showedAPicture());
});

test("vectors are given", async () => {
  const reply = await client.embeddings.create({ model: "gemini-embedding-001", input: ["a", "b", "c"] });
  assert.deepEqual(reply.data.map((one) => one.embedding.length), [3072, 3072, 3072]);
});

test("the arguments of a tool are parsed", async () => {
  const reply = await client.chat.completions.parse({
    model: "free-smart",
    messages: ada,
    tools: [zodFunction({ name: "person", parameters: Person })],
    tool_choice: "required",
  });
  const [call] = reply.choices[0].message.tool_calls;
  assert.deepEqual(call.function.parsed_arguments, { name: "Ada", age: 36 });
});

test("models are listed and shown", async () => {
  const ids = (await stage.all(client.models.list())).map((model) => model.id);
  assert.ok(models.every((model) => ids.includes(model)));
  assert.equal((await client.models.retrieve(models.at(-1))).id, models.at(-1));
});

test("a failing provider is not noticed", async () => {
  await stage.steer("groq", { faults: [503] });
  const asked = client.chat.completions.create({ model: "free-smart", messages: hello });
  const { data, response } = await asked.withResponse();
  assert.ok(data.choices[0].message.content);
  assert.equal(response.headers.get("x-freeroute-provider"), "beta");
});

test("errors have their classes and codes", async () => {
  const ask = (fields) => client.chat.completions.create({ model: "free", messages: hello, ...fields });
  const expected = [
    [{ model: "no-such-model" }, OpenAI.NotFoundError, "model_not_found"],
    [{ model: "spent/openai/gpt-oss-120b" }, OpenAI.RateLimitError, "capacity_exhausted"],
    [{ messages: [] }, OpenAI.BadRequestError, "invalid_request"],
  ];
  for (const [fields, kind, code] of expected) {
    await assert.rejects(ask(fields), (error) => error instanceof kind && error.code === code);
  }
});

test("errors of the Responses API have their classes and codes", async () => {
  const ask = (model) => client.responses.create({ model, input: "Hello" });
  for (const [model, kind, code] of [
    ["no-such-model", OpenAI.NotFoundError, "model_not_found"],
    ["spent/openai/gpt-oss-120b", OpenAI.RateLimitError, "capacity_exhausted"],
  ]) {
    await assert.rejects(ask(model), (error) => error instanceof kind && error.code === code);
  }
});

test("a stream of the Responses API that breaks throws, and leaving one ends the provider's work", async () => {
  await stage.steer("groq", { faults: [{ kind: "cut", after: 3 }] });
  const asked = { model: "free-smart", input: "Hello", stream: true };
  await assert.rejects(stage.all(await client.responses.create(asked)), /stopped in the middle/);
  await stage.reset();
  await stage.slow();
  for await (const event of await client.responses.create(asked)) {
    if (event.type === "response.output_text.delta") break;
  }
  assert.ok(await stage.leftBehind());
});

test("a stream that breaks throws", async () => {
  await stage.steer("groq", { faults: [{ kind: "cut", after: 3 }] });
  const stream = await client.chat.completions.create({ model: "free-smart", messages: hello, stream: true });
  await assert.rejects(stage.all(stream), /stopped in the middle/);
});

test("leaving a stream ends the provider's work", async () => {
  await stage.slow();
  const stream = await client.chat.completions.create({ model: "free-smart", messages: hello, stream: true });
  for await (const _ of stream) break;
  assert.ok(await stage.leftBehind());
});

test("aborting a request that waits for its answer ends the provider's work", async () => {
  await stage.slow();
  const signal = AbortSignal.timeout(300);
  const asked = client.chat.completions.create({ model: "free-smart", messages: hello }, { signal });
  await assert.rejects(asked, OpenAI.APIUserAbortError);
  assert.ok(await stage.leftBehind());
});
