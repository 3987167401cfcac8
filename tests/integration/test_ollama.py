"""Ollama in its own API over real sockets: contexts grow when they must, and nothing is cut."""

import asyncio

from tests.support.live import entry, pair

LONG = "word " * 8000  # 10,000 tokens


def ollama(context: int = 32_768, capabilities: tuple[str, ...] = (), **given):
    return entry("ollama", model={"context": context, "capabilities": list(capabilities)}, **given)


async def test_a_context_grows_with_the_need_and_then_stays(run, stream):
    gateway = await run({"alpha": ollama()})
    for text in ("Hello!", LONG, "Hello!", LONG):
        reply = await gateway.ask(text, stream=stream)
        assert (reply.status, reply.error if stream else None) == (200, None)
    assert gateway["ollama"].dialect.loaded == {"llama3.2:3b": 32_768 // 2}
    assert gateway["ollama"].dialect.loads == 2
    prompts = [call["tokens"] > 9000 for call in await gateway.calls("ollama")]
    assert prompts == [False, True, False, True]


async def test_a_prompt_too_long_for_the_estimate_goes_on_to_another_and_teaches_nothing(run, stream):
    gateway = await run({"alpha": ollama(), "beta": entry("groq")})
    await gateway.script("ollama", "context_too_long")
    reply = await gateway.ask(stream=stream, provider={"order": ["alpha"]})
    assert (reply.status, reply.by) == (200, "beta")
    assert "context_too_long" in reply.trail
    reply = await gateway.ask(LONG, stream=stream, provider={"order": ["alpha"]})
    assert reply.by == "alpha"


async def test_a_prompt_beyond_what_may_be_loaded_does_not_go_there(run):
    gateway = await run({"alpha": ollama(8192), "beta": entry("mistral")})
    reply = await gateway.ask(LONG, provider={"order": ["alpha"]})
    assert (reply.by, reply.trail) == ("beta", "")


async def test_a_cold_model_is_waited_for(run, stream):
    gateway = await run(pair("ollama"))
    gateway["ollama"].dialect.loading = 0.2
    reply = await gateway.ask(stream=stream, provider={"order": ["alpha"]})
    assert (reply.status, reply.by) == (200, "alpha")


async def test_tools_are_called_with_ids_and_arguments_as_text(run, stream):
    gateway = await run({"alpha": ollama(capabilities=("tools",))})
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
    reply = await gateway.ask("look!", stream=stream, tools=[tool])
    if stream:
        [call] = [c for event in reply.events for c in event["choices"][0]["delta"].get("tool_calls", ())]
        finish = reply.events[-1]["choices"][0]["finish_reason"]
    else:
        [choice] = reply.json["choices"]
        [call], finish = choice["message"]["tool_calls"], choice["finish_reason"]
    assert (call["function"], finish) == ({"name": "look", "arguments": "{}"}, "tool_calls")
    assert call["id"].startswith("call_")


async def test_one_call_at_a_time_is_asked_of_a_model(run):
    gateway = await run(
        {"alpha": ollama(limits=[{"unit": "concurrency", "amount": 1, "scope": "model"}])},
        routing={"probes": 0, "max_wait": "20s"},
    )
    gateway["ollama"].dialect.queue = 0  # anybody who waits there is turned away
    replies = await asyncio.gather(*(gateway.ask(str(n)) for n in range(8)))
    assert [reply.status for reply in replies] == [200] * 8
    assert {call["status"] for call in await gateway.calls("ollama")} == {200}
