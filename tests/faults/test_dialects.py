"""What differs from provider to provider: quota and refusals in the words and headers of simulated ones."""

import json
from typing import Any

import pytest

from tests.faults.scene import ALPHA_FIRST
from tests.support.asking import COUNTED, DONE, HI, ROLE, STOP
from tests.support.live import MODELS, Live, Shown, entry, pair
from tests.support.provider import ended, later, raw, sse

DAY = 86_400.0


async def moves_on(gateway: Live, stream: bool, ending: str, first: str = "groq") -> Shown:
    """Ask once: alpha, simulated as *first*, ends like that, and beta answers. Returns how alpha stands."""
    reply = await gateway.ask(stream=stream, **ALPHA_FIRST)
    assert (reply.status, reply.by, reply.error, reply.ended) == (200, "beta", None, stream)
    assert reply.text.startswith("This is a simulated answer from cerebras")
    assert reply.trail == f"alpha/{MODELS[first]}={ending}"
    assert (await gateway.provider("beta")).states == ["healthy"]
    assert len(await gateway.calls(first)) == 1
    return await gateway.provider("alpha")


# --- answers -----------------------------------------------------------------------------------------------


async def test_an_answer_takes_what_its_provider_counted_to_the_token(run, stream):
    gateway = await run()
    reply = await gateway.ask(stream=stream)
    alpha, beta = await gateway.provider("alpha"), await gateway.provider("beta")
    assert (reply.status, reply.by, reply.ended, reply.trail) == (200, "alpha", stream, "")
    assert reply.text == "This is a simulated answer from groq/openai/gpt-oss-120b. The"
    assert reply.headers["x-freeroute-attempts"] == "1"
    [call] = await gateway.calls("groq")
    assert (call["status"], call["stream"], call["key"], call["aborted"]) == (200, stream, "demo-1", False)
    assert (alpha.used, alpha.states) == ((1, call["tokens"]), ["healthy"])
    assert beta.used == (0, 0)


@pytest.mark.parametrize("kind", ["groq", "cerebras", "gemini", "mistral", "openrouter", "ollama"])
async def test_every_dialect_streams_and_tells_its_usage_to_whoever_asks(run, kind):
    gateway = await run({"alpha": entry(kind)})
    plain = await gateway.ask(stream=True)
    asked = await gateway.ask(stream=True, stream_options={"include_usage": True})
    assert plain.text == asked.text
    assert plain.text.startswith(f"This is a simulated answer from {kind}/")
    assert all(event["choices"] for event in plain.events)
    calls = await gateway.calls(kind)
    assert asked.events[-1]["usage"]["total_tokens"] == calls[-1]["tokens"]
    assert (await gateway.provider("alpha")).used == (2, sum(call["tokens"] for call in calls))


async def test_an_answer_that_gemini_filtered_is_served_as_it_is(run, stream):
    gateway = await run(pair("gemini"))
    await gateway.script("gemini", "content_filter")
    reply = await gateway.ask(stream=stream)
    choices = reply.events[-1]["choices"] if stream else reply.json["choices"]
    assert (reply.status, reply.by, reply.text) == (200, "alpha", "")
    assert choices[0]["finish_reason"] == "content_filter"
    assert (await gateway.provider("alpha")).states == ["healthy"]
    assert (await gateway.provider("beta")).used == (0, 0)


# --- what headers tell -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "ending", "used"),
    [(500, "fault:500", (1, 0)), ("html", "garbage:200", (1, 10))],
)
async def test_rate_headers_of_a_failure_say_what_it_cost(run, stream, fault, ending, used):
    gateway = await run()
    await gateway.script("groq", fault)
    alpha = await moves_on(gateway, stream, ending)
    assert (alpha.states, alpha.used) == (["suspect"], used)


async def test_a_spent_minute_that_others_took_is_known_from_then_on(run, stream):
    gateway = await run()
    await gateway.script("groq", {"kind": "rate_limit", "scope": "minute", "retry_after": 20})
    alpha = await moves_on(gateway, stream, "rate_limited:429")
    assert alpha.held == [("out of quota for this minute, says the provider", 20.0)]
    assert (alpha.states, alpha.breaker) == (["resting"], "closed")
    assert alpha.used == (30, 0)  # others spent it, says the answer; nothing was generated
    gateway.clock.advance(20)
    assert (await gateway.ask(stream=stream, **ALPHA_FIRST)).by == "alpha"


async def test_a_spent_day_rests_longer_than_a_minute(run, stream):
    gateway = await run()
    spent = {"kind": "rate_limit", "scope": "day", "metric": "tokens", "retry_after": 5000}
    await gateway.script("groq", spent)
    alpha = await moves_on(gateway, stream, "rate_limited:429")
    assert alpha.held == [("out of quota for this day, says the provider", 5000.0)]


async def test_a_spent_calendar_day_ends_with_the_providers_own_midnight(run, stream):
    day = {"unit": "requests", "amount": 500, "per": "day", "window": "calendar", "tz": "America/Los_Angeles"}
    minute = {"unit": "requests", "amount": 100, "per": "minute"}
    gateway = await run(pair("gemini", limits=[minute, day]))
    await gateway.script("gemini", {"kind": "rate_limit", "scope": "day"})
    alpha = await moves_on(gateway, stream, "rate_limited:429", "gemini")
    # The clock stands at 07:13:20 in Los Angeles; the delay in the answer never exceeds a minute.
    assert alpha.held == [("out of quota for this day, says the provider", DAY - (7 * 3600 + 13 * 60 + 20))]


async def test_a_known_limit_is_never_run_into(run, stream):
    limits = [
        {"unit": "requests", "amount": 2, "per": "minute"},
        {"unit": "tokens", "amount": 9000, "per": "minute"},
    ]
    gateway = await run({"alpha": entry(limits=limits)})
    assert [(await gateway.ask(stream=stream)).status for _ in range(3)] == [200, 200, 429]
    assert len(await gateway.calls("groq")) == 2


# --- words -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "ending"),
    [
        ("groq", "no_capacity:498"),
        ("mistral", "no_capacity:429"),
        ("openrouter", "no_capacity:429"),
        ("ollama", "no_capacity:503"),
    ],
)
async def test_a_provider_without_capacity_rests_for_five_seconds_and_nobody_is_blamed(
    run, stream, kind, ending
):
    gateway = await run(pair(kind))
    await gateway.script(kind, "capacity")
    alpha = await moves_on(gateway, stream, ending, kind)
    assert alpha.held == [("provider is at capacity", 5.0)]
    assert (alpha.states, alpha.breaker) == (["resting"], "closed")
    assert alpha.used[0] == (kind == "openrouter")  # which counts failed calls too


@pytest.mark.parametrize(("kind", "status"), [("groq", 401), ("cerebras", 401), ("gemini", 400)])
async def test_an_invalid_key_is_told_by_each_in_its_own_words(run, stream, kind, status):
    gateway = await run(pair(kind, "mistral", keys=["demo-1", "demo-2"]))
    await gateway.script(kind, "invalid_key")
    reply = await gateway.ask(stream=stream)
    assert (reply.status, reply.by) == (200, "alpha")
    assert reply.trail == f"alpha/{MODELS[kind]}=key_invalid:{status}"
    assert (await gateway.provider("alpha")).keys == ["invalid", "ok"]
    assert [call["key"] for call in await gateway.calls(kind)] == ["demo-1", "demo-2"]


async def test_more_than_a_minutes_tokens_is_not_taken_for_the_context(run, stream):
    gateway = await run()
    reply = await gateway.ask(stream=stream, max_tokens=9000, **ALPHA_FIRST)
    assert (reply.by, reply.trail) == ("beta", f"alpha/{MODELS['groq']}=too_large:413")
    assert (await gateway.provider("alpha")).states == ["healthy"]
    long = await gateway.ask("many words " * 600, stream=stream, **ALPHA_FIRST)
    assert (long.by, [call["status"] for call in await gateway.calls("groq")]) == ("alpha", [413, 200])


# --- answers that have to fit a schema ---------------------------------------------------------------------


def json_of(schema) -> dict[str, Any]:
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    return {"response_format": form, "max_tokens": 500}


async def test_an_answer_that_does_not_fit_its_schema_comes_from_another_model(run, stream):
    plain, native = {"capabilities": ["json_object"]}, {"capabilities": ["json_object", "json_schema"]}
    gateway = await run({"alpha": entry("groq", model=plain), "beta": entry("cerebras", model=native)})
    fields = json_of({"type": "object", "properties": {"n": {"const": 7}}, "required": ["n"]})
    reply = await gateway.ask(stream=stream, **ALPHA_FIRST, **fields)
    assert (reply.status, reply.by, json.loads(reply.text)) == (200, "beta", {"n": 7})
    assert reply.trail == "alpha/openai/gpt-oss-120b=nonconforming:200"
    assert (await gateway.provider("alpha")).states == ["healthy"]


async def test_answers_of_a_model_that_is_told_the_schema_are_served_once_they_fit(run, stream):
    gateway = await run({"alpha": entry("groq", model={"capabilities": ["json_object"]})})
    reply = await gateway.ask(stream=stream, **json_of({"type": "object", "required": ["simulated"]}))
    assert (reply.status, json.loads(reply.text)["simulated"], reply.ended) == (200, True, stream)


async def test_answers_that_never_fit_are_an_error(run, stream):
    gateway = await run({"alpha": entry("groq", model={"capabilities": ["json_object"]})})
    reply = await gateway.ask(stream=stream, **json_of({"type": "array"}))
    assert (reply.status, reply.error["code"]) == (502, "upstream_failed")
    assert reply.error["message"].endswith("the answer does not fit the schema: type")


async def test_a_stream_that_turns_out_not_to_fit_its_schema_ends_with_an_error(play):
    native = {"models": [{"id": "large", "quality": 90, "capabilities": ["json_schema"]}]}
    last = b"".join(b"%x\r\n%b\r\n" % (len(one), one) for one in (STOP, COUNTED, DONE))
    scene = await play(sse(ROLE, HI, then=later(0.1, raw(last, then=ended))), alpha=native)
    reply = await scene.ask(True, **json_of({"type": "object"}))
    assert (reply.status, reply.by, reply.ended) == (200, "alpha", True)
    assert reply.raw.startswith(ROLE + HI)
    *_, chunk, alone = reply.events
    assert chunk["choices"][0]["finish_reason"] == "error"
    assert alone["error"]["message"] == "the answer is not JSON"
    assert (await scene.gateway.last_request())["code"] == "nonconforming"
    assert (await scene.stands()).state == "healthy"


async def test_who_insists_on_a_parameter_is_served_where_it_is_taken(run, stream):
    gateway = await run(pair(quirks={"drops": ["seed"]}))
    insisting = {"provider": {**ALPHA_FIRST["provider"], "require_parameters": True}}
    assert (await gateway.ask(stream=stream, **ALPHA_FIRST, seed=7)).by == "alpha"
    reply = await gateway.ask(stream=stream, **insisting, seed=7)
    assert (reply.status, reply.by, reply.trail) == (200, "beta", "")
    reply = await gateway.ask(stream=stream, **insisting, seed=7, logit_bias={"1": 2})
    assert (reply.status, reply.error["code"]) == (400, "unsupported_capability")
    assert "does not take seed (1); does not take logit_bias (1)" in reply.error["message"]
