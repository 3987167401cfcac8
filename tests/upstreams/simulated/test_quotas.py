"""The limits simulated providers hold, and how they tell of them."""

from typing import Any

import pytest

from freeroute.upstreams.transport import Deadlines, TimedOut
from tests.support.simulation import Heard, World, message_of


@pytest.fixture
def world() -> World:
    return World()


async def until_refused(world: World, name: str, most: int = 70, **fields: Any) -> tuple[int, Heard]:
    """Ask until refused; return how many were served, and the refusal."""
    for served in range(most):
        heard = await world.ask(name, **fields)
        if heard.status != 200:
            return served, heard
    raise AssertionError("never refused")


async def test_groq_sends_the_day_of_requests_and_the_minute_of_tokens_each_time(world):
    heard = await world.ask("groq", max_tokens=98)
    assert heard.rates == {
        "x-ratelimit-limit-requests": "1000",
        "x-ratelimit-remaining-requests": "999",
        "x-ratelimit-reset-requests": "1m26.4s",
        "x-ratelimit-limit-tokens": "8000",
        "x-ratelimit-remaining-tokens": "7900",
        "x-ratelimit-reset-tokens": "750ms",
    }


async def test_groq_serves_thirty_a_minute_and_each_is_back_a_minute_later(world):
    served, heard = await until_refused(world, "groq", max_tokens=1)
    assert (served, heard.status, heard.rates["retry-after"]) == (30, 429, "60")
    assert "on requests per minute (RPM): Limit 30, Used 30, Requested 1." in message_of("groq", heard.json)
    assert heard.json["error"]["type"] == "requests"
    world.clock.advance(60)
    assert (await world.ask("groq")).status == 200


async def test_groq_charges_max_tokens_before_and_settles_after(world):
    groq, model = world["groq"], "openai/gpt-oss-120b"
    heard = await world.ask("groq", max_tokens=5000)
    used = heard.json["usage"]["total_tokens"]
    assert heard.rates["x-ratelimit-remaining-tokens"] == str(8000 - 5002)
    rule = next(rule for rule in groq.models[model].rules if (rule.metric, rule.per) == ("tokens", "minute"))
    assert groq.ledger().window(rule, model).used(world.clock.now()) == used == groq.calls[-1].tokens


async def test_groq_refuses_with_413_what_no_minute_holds(world):
    heard = await world.ask("groq", max_tokens=8000)
    assert heard.status == 413
    assert "tokens per minute (TPM): Limit 8000, Requested 8002" in message_of("groq", heard.json)
    assert (await world.ask("groq", max_tokens=7000)).status == 200


async def test_groq_names_a_spent_minute_of_tokens(world):
    world["groq"].answer_tokens = (4000, 4000)
    _, heard = await until_refused(world, "groq", max_tokens=4000)
    assert heard.status == 429
    assert "on tokens per minute (TPM): Limit 8000, Used " in message_of("groq", heard.json)
    assert heard.json["error"]["type"] == "tokens"


async def test_groq_tells_of_the_day_of_tokens_in_the_text_alone(world):
    world["groq"].answer_tokens = (7000, 7000)
    heard = await world.ask("groq", max_tokens=7000)
    while heard.status == 200:
        world.clock.advance(60)
        heard = await world.ask("groq", max_tokens=7000)
    assert "on tokens per day (TPD): Limit 200000, Used " in message_of("groq", heard.json)
    wait = int(heard.rates["retry-after"])
    world.clock.advance(wait)
    assert (await world.ask("groq", max_tokens=7000)).status == 200


async def test_the_models_of_groq_are_counted_apart(world):
    await until_refused(world, "groq", max_tokens=1)
    assert (await world.ask("groq", model="openai/gpt-oss-20b")).status == 200


async def test_keys_share_their_account_unless_told_otherwise(world):
    world["groq"].accounts["demo-other"] = "other"
    await until_refused(world, "groq", max_tokens=1)
    assert (await world.ask("groq", key="demo-2")).status == 429
    assert (await world.ask("groq", key="demo-other")).status == 200


async def test_gemini_names_the_quota_of_the_minute(world):
    served, heard = await until_refused(world, "gemini")
    assert (served, heard.status, heard.rates) == (5, 429, {})
    error = heard.json[0]["error"]
    failure, retry = error["details"]
    assert error["status"] == "RESOURCE_EXHAUSTED"
    assert failure["violations"][0]["quotaId"] == "GenerateRequestsPerMinutePerProjectPerModel-FreeTier"
    assert failure["violations"][0]["quotaValue"] == "5"
    assert retry["retryDelay"] == "60s"


async def test_gemini_hides_a_spent_day_behind_a_short_delay_until_midnight_pacific(world):
    for _ in range(20):
        assert (await world.ask("gemini")).status == 200
        world.clock.advance(30)
    failure, retry = (await world.ask("gemini")).json[0]["error"]["details"]
    assert failure["violations"][0]["quotaId"] == "GenerateRequestsPerDayPerProjectPerModel-FreeTier"
    assert int(retry["retryDelay"].removesuffix("s")) <= 60
    # The clock started at 07:13 in California and ran ten minutes.
    world.clock.advance(16.5 * 3600)
    assert (await world.ask("gemini")).status == 429
    world.clock.advance(0.5 * 3600)
    assert (await world.ask("gemini")).status == 200


async def test_gemini_counts_what_goes_in_and_what_it_refuses(world):
    messages = [{"role": "user", "content": "x" * 4 * 9000}]
    heard = await world.ask("gemini", model="gemma-4-31b-it", messages=messages, max_tokens=9000)
    assert heard.status == 200
    heard = await world.ask("gemini", model="gemma-4-31b-it", messages=messages)
    violation = heard.json[0]["error"]["details"][0]["violations"][0]
    assert violation["quotaId"] == "GenerateContentInputTokensPerModelPerMinute-FreeTier"
    for _ in range(5):
        assert (await world.ask("gemini", store=True)).status == 400
    assert (await world.ask("gemini")).status == 429


async def test_cerebras_tells_everything_in_float_seconds(world):
    heard = await world.ask("cerebras", max_completion_tokens=98)
    assert heard.rates["x-ratelimit-limit-tokens-day"] == "1000000"
    assert heard.rates["x-ratelimit-remaining-requests-minute"] == "4"
    assert float(heard.rates["x-ratelimit-reset-tokens-minute"]) == pytest.approx(0.2)
    assert len(heard.rates) == 18


async def test_cerebras_assumes_a_long_answer_when_nobody_says(world):
    heard = await world.ask("cerebras")
    assert heard.rates["x-ratelimit-remaining-tokens-minute"] == str(30_000 - 16_384 - 2)


async def test_cerebras_names_the_span_that_is_spent(world):
    served, heard = await until_refused(world, "cerebras", max_completion_tokens=1)
    assert (served, heard.status, heard.json["code"]) == (5, 429, "request_quota_exceeded")
    assert "per minute" in heard.json["message"]
    world.clock.advance(12)
    assert (await world.ask("cerebras", max_completion_tokens=1)).status == 200


async def test_mistral_counts_without_telling_when(world):
    heard = await world.ask("mistral")
    assert heard.rates["x-ratelimit-remaining-req-minute"] == "59"
    assert not any("reset" in name for name in heard.rates)
    served, refused = await until_refused(world, "mistral", max_tokens=1)
    assert (served, refused.json["code"], refused.json["type"]) == (59, "1300", "rate_limited")


async def test_openrouter_counts_all_models_together_and_tells_at_the_429_only(world):
    assert (await world.ask("openrouter")).rates == {}
    served, heard = await until_refused(world, "openrouter", model="qwen/qwen3.8-27b:free")
    assert (served, heard.status) == (19, 429)
    assert "free-models-per-min" in message_of("openrouter", heard.json)
    reset = round((world.clock.now().wall + 60) * 1000)
    assert heard.rates == {
        "x-ratelimit-limit": "20",
        "x-ratelimit-remaining": "0",
        "x-ratelimit-reset": str(reset),
    }
    assert heard.json["error"]["metadata"]["headers"]["X-RateLimit-Reset"] == str(reset)


async def test_openrouter_counts_failed_calls_against_its_day_which_ends_at_midnight_utc(world):
    world["openrouter"].always(502)
    for _ in range(50):
        assert (await world.ask("openrouter")).status == 502
        world.clock.advance(5)
    world["openrouter"].always(None)
    heard = await world.ask("openrouter")
    assert "free-models-per-day" in message_of("openrouter", heard.json)
    reset = int(heard.rates["x-ratelimit-reset"]) / 1000
    assert reset % 86400 == 0
    world.clock.advance(reset - world.clock.now().wall)
    assert (await world.ask("openrouter")).status == 200


async def test_ollama_has_one_slot_and_gives_it_back(world):
    first = await world.begin("ollama", stream=True)
    brief = Deadlines(first_byte=0.01)
    with pytest.raises(TimedOut, match="first_byte"):
        await world.begin("ollama", deadlines=brief)
    first.abort()
    assert (await world.ask("ollama")).status == 200
    assert not world["ollama"].open
