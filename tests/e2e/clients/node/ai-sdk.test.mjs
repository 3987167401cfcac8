// Vercel's AI SDK over the gateway, with its provider for what is compatible with OpenAI, and with OpenAI's own.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, embedMany, generateText, isStepCount, Output, streamText, tool } from "ai";
import { z } from "zod";
import * as stage from "./stage.mjs";

const compatible = createOpenAICompatible({
  name: "freeroute",
  baseURL: stage.url,
  supportsStructuredOutputs: true,
  includeUsage: true,
});
const openai = createOpenAI({ baseURL: stage.url, apiKey: "not-needed" });
const ways = {
  compatible: (name) => compatible(name),
  openai: (name) => openai.chat(name),
  responses: (name) => openai(name),
};
const names = [
  "free-smart",
  "my-gemini/gemini-3.5-flash",
  "my-mistral/mistral-small-2603",
  "my-openrouter/google/gemma-4-31b-it:free",
];
const Person = z.object({ name: z.string(), age: z.number().int() });
const maxRetries = 0;
// The gateway keeps no answers here, so that what was said before cannot be referred to.
const providerOptions = { openai: { store: false } };

function weather(asked) {
  return tool({
    description: "The weather in a city",
    inputSchema: z.object({ city: z.string() }),
    execute: ({ city }) => asked.push(city) && "Rain",
  });
}

beforeEach(stage.reset);

for (const [way, model] of Object.entries(ways)) {
  for (const name of names) {
    test(`${way}: ${name} chats`, async () => {
      const given = { model: model(name), prompt: "Hello", maxRetries };
      const { text, usage, finishReason } = await generateText(given);
      assert.match(text, /^This is a simulated answer/);
      assert.ok(usage.outputTokens > 0);
      assert.equal(finishReason, "stop");
    });

    test(`${way}: ${name} streams`, async () => {
      const result = streamText({ model: model(name), prompt: "Hello", maxRetries });
      const pieces = await stage.all(result.textStream);
      assert.ok(pieces.length > 10);
      assert.match(pieces.join(""), /^This is a simulated answer/);
      assert.ok((await result.usage).outputTokens > 0);
    });

    test(`${way}: ${name} calls tools, and answers when they did`, async () => {
      const asked = [];
      const given = {
        model: model(name),
        prompt: "Use get_weather for 'Oslo'.",
        tools: { get_weather: weather(asked) },
        stopWhen: isStepCount(3),
        providerOptions,
        maxRetries,
      };
      assert.match((await generateText(given)).text, /^This is a simulated answer/);
      assert.match(await streamText(given).text, /^This is a simulated answer/);
      assert.deepEqual(asked, ["Oslo", "Oslo"]);
    });

    test(`${way}: ${name} fills a schema, whole and in parts`, async () => {
      const output = Output.object({ schema: Person });
      const given = { model: model(name), prompt: "'Ada' is 36.", output, maxRetries };
      assert.deepEqual((await generateText(given)).output, { name: "Ada", age: 36 });
      const parts = await stage.all(streamText(given).partialOutputStream);
      assert.deepEqual(parts.at(-1), { name: "Ada", age: 36 });
      assert.ok(parts.length > 1);
    });
  }

  test(`${way}: a picture is shown`, async () => {
    const image = { type: "file", mediaType: "image/png", data: stage.picture };
    const messages = [{ role: "user", content: [{ type: "text", text: "What is it?" }, image] }];
    assert.ok((await generateText({ model: model("free-smart"), messages, maxRetries })).text);
    assert.ok(await stage.showedAPicture());
  });

  test(`${way}: a failing provider is not noticed`, async () => {
    await stage.steer("groq", { faults: [503] });
    const { text, response } = await generateText({ model: model("free-smart"), prompt: "Hello", maxRetries });
    assert.ok(text);
    assert.equal(response.headers["x-freeroute-provider"], "beta");
  });

  test(`${way}: errors carry status and code`, async () => {
    const expected = [
      ["no-such-model", 404, "model_not_found"],
      ["spent/openai/gpt-oss-120b", 429, "capacity_exhausted"],
    ];
    for (const [name, status, code] of expected) {
      const asked = generateText({ model: model(name), prompt: "Hello", maxRetries });
      await assert.rejects(asked, (error) => {
        assert.ok(APICallError.isInstance(error));
        assert.equal(error.statusCode, status);
        assert.equal(error.data.error.code, code);
        return true;
      });
    }
  });

  test(`${way}: a stream that breaks is an error`, async () => {
    await stage.steer("groq", { faults: [{ kind: "cut", after: 3 }] });
    const errors = [];
    const onError = ({ error }) => errors.push(error);
    const result = streamText({ model: model("free-smart"), prompt: "Hello", maxRetries, onError });
    const kinds = (await stage.all(result.fullStream)).map((part) => part.type);
    assert.ok(kinds.includes("text-delta"));
    assert.ok(kinds.includes("error"));
    assert.match(JSON.stringify(errors.map((error) => error.message ?? error)), /stopped in the middle/);
  });

  test(`${way}: aborting a stream ends the provider's work`, async () => {
    await stage.slow();
    const abort = new AbortController();
    const given = { prompt: "Hello", maxRetries, abortSignal: abort.signal };
    const result = streamText({ model: model("free-smart"), ...given });
    for await (const part of result.fullStream) if (part.type === "text-delta") abort.abort();
    assert.ok(await stage.leftBehind());
  });
}

for (const [way, model] of Object.entries({
  compatible: compatible.embeddingModel("gemini-embedding-001"),
  openai: openai.embedding("gemini-embedding-001"),
})) {
  test(`${way}: vectors are given`, async () => {
    const { embeddings } = await embedMany({ model, values: ["a", "b", "c"], maxRetries });
    assert.deepEqual(embeddings.map((one) => one.length), [3072, 3072, 3072]);
  });
}
