"""Refusals by quota, key and model: where to go next, and what is left alone for how long."""

import pytest

from tests.integration.asking import ALPHA_FIRST, moved_on
from tests.support.live import MODELS, entry, pair
from tests.support.servers import Peer, serve

DAY = 86_400.0
TWO_KEYS = ["demo-1", "demo-2"]


# --- 429 -----------------------------------------------------------------------------------------------


async def test_a_spent_minute_rests_for_as_long_as_the_provider_asks(run, stream):
    gateway = await run()
    await gateway.script("groq", {"kind": "rate_limit", "scope": "minute", "retry_after": 20})
    alpha = await moved_on(gateway, stream, "rate_limited:429")
    assert alpha.held == [("out of quota for this minute, says the provider", 20.0)]
    assert (alpha.states, alpha.breaker) == (["resting"], "closed")
    assert alpha.used == (30, 0)  # others spent it, says the answer; nothing was generated
    gateway.clock.advance(20)
    assert (await gateway.ask(stream=stream, **ALPHA_FIRST)).by == "alpha"
    assert len(await gateway.calls("groq")) == 2


async def test_a_spent_day_rests_longer_than_a_minute(run, stream):
    gateway = await run()
    await gateway.script(
        "groq", {"kind": "rate_limit", "scope": "day", "metric": "tokens", "retry_after": 5000}
    )
    alpha = await moved_on(gateway, stream, "rate_limited:429")
    assert alpha.held == [("out of quota for this day, says the provider", 5000.0)]


async def test_a_spent_calendar_day_ends_with_the_providers_own_midnight(run, stream):
    day = {"unit": "requests", "amount": 500, "per": "day", "window": "calendar", "tz": "America/Los_Angeles"}
    minute = {"unit": "requests", "amount": 100, "per": "minute"}
    tokens = {"unit": "tokens", "amount": 50_000, "per": "minute"}
    gateway = await run(pair("gemini", limits=[minute, tokens, day]))
    await gateway.script("gemini", {"kind": "rate_limit", "scope": "day"})
    alpha = await moved_on(gateway, stream, "rate_limited:429", "gemini")
    # The clock stands at 07:13:20 in Los Angeles; the delay in the answer never exceeds a minute.
    assert alpha.held == [("out of quota for this day, says the provider", DAY - (7 * 3600 + 13 * 60 + 20))]


async def test_a_429_that_names_nothing_is_tried_again_after_five_seconds_then_ten(run, stream):
    async def busy(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.answer(b'{"error":{"message":"Slow down"}}', status=b"429 Too Many Requests")

    async with serve(busy) as server:
        gateway = await run(pair(base_url=server.url("/v1")))
        alpha = await moved_on(gateway, stream, "rate_limited:429")
        assert alpha.held == [("out of quota, says the provider", 5.0)]
        gateway.clock.advance(5)
        alpha = await moved_on(gateway, stream, "rate_limited:429")
        assert alpha.held == [("out of quota, says the provider", 10.0)]
    assert alpha.breaker == "closed"


async def test_a_429_that_names_nothing_while_nothing_is_used_rests_for_a_moment(run, stream):
    async def busy(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.answer(b'{"error":{"message":"Slow down"}}', status=b"429 Too Many Requests")

    async with serve(busy) as server:
        limits = [
            {"unit": "requests", "amount": 1, "per": "minute"},
            {"unit": "tokens", "amount": 50_000, "per": "minute"},
        ]
        gateway = await run(pair(base_url=server.url("/v1"), limits=limits))
        alpha = await moved_on(gateway, stream, "rate_limited:429")
    assert alpha.held == [("out of quota, says the provider", 5.0)]


async def test_when_all_are_out_of_quota_the_caller_learns_when_the_first_is_back(run, stream):
    gateway = await run()
    await gateway.script("groq", {"kind": "rate_limit", "retry_after": 41})
    await gateway.script("cerebras", {"kind": "rate_limit", "retry_after": 90})
    reply = await gateway.ask(stream=stream)
    assert (reply.status, reply.error["code"]) == (429, "capacity_exhausted")
    assert reply.headers["retry-after"] == "41"
    told = [(one["provider"], one["back_in"]) for one in reply.error["metadata"]["candidates"]]
    assert told == [("alpha", 41.0), ("beta", 90.0)]
    again = await gateway.ask(stream=stream)
    assert (again.status, again.headers["x-freeroute-attempts"]) == (429, "0")  # no call is wasted on it
    assert len(await gateway.calls("groq")) == len(await gateway.calls("cerebras")) == 1


async def test_a_known_limit_is_never_run_into(run, stream):
    limits = [
        {"unit": "requests", "amount": 2, "per": "minute"},
        {"unit": "tokens", "amount": 9000, "per": "minute"},
    ]
    gateway = await run({"alpha": entry(limits=limits)})
    assert [(await gateway.ask(stream=stream)).status for _ in range(3)] == [200, 200, 429]
    assert len(await gateway.calls("groq")) == 2


# --- the provider's own capacity -------------------------------------------------------------------------


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
    alpha = await moved_on(gateway, stream, ending, kind)
    assert alpha.held == [("provider is at capacity", 5.0)]
    assert (alpha.states, alpha.breaker) == (["resting"], "closed")
    assert alpha.used[0] == (kind == "openrouter")  # which counts failed calls too


# --- keys ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "status"), [("groq", 401), ("cerebras", 401), ("gemini", 400)])
async def test_an_invalid_key_gives_way_to_the_next_one(run, stream, kind, status):
    gateway = await run(pair(kind, "mistral", keys=TWO_KEYS))
    await gateway.script(kind, "invalid_key")
    reply = await gateway.ask(stream=stream)
    alpha = await gateway.provider("alpha")
    assert (reply.status, reply.by, reply.trail) == (
        200,
        "alpha",
        f"alpha/{MODELS[kind]}=key_invalid:{status}",
    )
    assert alpha.keys == ["invalid", "ok"]
    assert alpha.held == [("key was refused as invalid", None)]
    assert alpha.breaker == "closed"
    assert [call["key"] for call in await gateway.calls(kind)] == TWO_KEYS
    assert (await gateway.ask(stream=stream)).headers["x-freeroute-attempts"] == "1"


async def test_a_walk_over_keys_does_not_use_up_the_attempts(run, stream):
    keys = [f"demo-{number}" for number in range(6)]
    gateway = await run({"alpha": entry(keys=keys)}, routing={"probes": 0, "max_wait": 0, "max_attempts": 1})
    await gateway.script("groq", *["invalid_key"] * 5)
    reply = await gateway.ask(stream=stream)
    assert (reply.status, reply.headers["x-freeroute-attempts"]) == (200, "6")


async def test_the_callers_error_never_says_unauthorised_for_a_key_of_ours(run, stream):
    gateway = await run({"alpha": entry()})
    await gateway.script("groq", "invalid_key")
    reply = await gateway.ask(stream=stream)
    assert (reply.status, reply.error["code"]) == (502, "upstream_failed")
    assert "demo-1" not in str(reply.json)


async def test_an_unpaid_key_is_left_alone_for_a_day(run, stream):
    gateway = await run(pair(keys=TWO_KEYS))
    await gateway.script("groq", "payment")
    reply = await gateway.ask(stream=stream)
    alpha = await gateway.provider("alpha")
    assert (reply.by, reply.trail) == ("alpha", f"alpha/{MODELS['groq']}=no_credit:402")
    assert alpha.keys == ["held", "ok"]
    assert alpha.held == [("no credit or quota on this plan", DAY)]


async def test_a_forbidden_model_is_held_for_that_key(run, stream):
    gateway = await run()
    await gateway.script("groq", "forbidden")
    alpha = await moved_on(gateway, stream, "forbidden:403")
    assert alpha.held == [("model is forbidden for this key", 3600.0)]
    assert (alpha.keys, alpha.breaker) == (["ok"], "closed")


async def test_a_key_that_is_forbidden_three_models_rests_as_a_whole(run, stream):
    names = ("openai/gpt-oss-120b", "openai/gpt-oss-20b", "qwen/qwen3.8-27b", "other")
    gateway = await run(pair(models=[{"id": name, "quality": 90} for name in names]))
    gateway["groq"].always("forbidden")
    reply = await gateway.ask(stream=stream, **ALPHA_FIRST)
    alpha = await gateway.provider("alpha")
    assert (reply.by, reply.headers["x-freeroute-attempts"]) == ("beta", "4")  # the fourth was not asked
    assert alpha.keys == ["held"]
    assert ("key is forbidden on several models", 600.0) in alpha.held


@pytest.mark.parametrize(("fault", "status"), [("model_gone", 404), (410, 410)])
async def test_a_model_that_is_gone_is_held_and_the_operator_can_see_it(run, stream, fault, status):
    gateway = await run()
    await gateway.script("groq", fault)
    alpha = await moved_on(gateway, stream, f"model_gone:{status}")
    assert alpha.held == [("model is gone at the provider", DAY)]
    assert alpha.told["last_error"]["kind"] == "model_gone"
    assert alpha.breaker == "closed"


async def test_a_reset_by_the_operator_lifts_a_hold(run):
    gateway = await run()
    await gateway.script("groq", "model_gone")
    await gateway.ask()
    await gateway.reset("alpha")
    assert (await gateway.ask()).by == "alpha"
