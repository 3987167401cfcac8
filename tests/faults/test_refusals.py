"""Refusals by a provider: where a request goes next, what it cost, and who is left alone for how long."""

import pytest

from tests.faults.scene import ANSWER, PROMPT, SERVED, Stand, spent, suspect
from tests.support.provider import ANSWERED, ANSWERS, error, refusing

DAY = 86_400.0
MANY = b"429 Too Many Requests"
GONE_BY = b"Mon, 21 Sep 1926 14:15:20 GMT"
BAD = b"400 Bad Request"


# --- the provider's own ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "status",
    ["500 Oops", "502 Bad Gateway", "503 Down", "504 Late", "520 Odd", "529 Over", "408 Late", "425 Early"],
)
async def test_a_fault_moves_on_and_makes_the_candidate_suspect(play, stream, status):
    scene = await play(refusing(status.encode(), error("something broke")))
    tokens = 0 if status.startswith("4") else PROMPT
    assert await scene.moves_on(stream, f"fault:{status[:3]}") == suspect(1, tokens)


async def test_a_proxys_page_about_a_bad_gateway_is_a_fault(play, stream):
    page = b"<html><head><title>502 Bad Gateway</title></head></html>"
    scene = await play(refusing(b"502 Bad Gateway", page))
    assert await scene.moves_on(stream, "fault:502") == suspect(1, PROMPT)


async def test_a_challenge_page_says_nothing_about_the_key(play, stream):
    page = b"<!DOCTYPE html><title>Just a moment...</title>"
    scene = await play(refusing(b"403 Forbidden", page))
    assert await scene.moves_on(stream, "fault:403") == suspect(1, 0)
    assert (await scene.gateway.provider("alpha")).keys == ["ok"]


async def test_a_fault_that_asks_for_time_gets_it(play, stream):
    scene = await play(
        refusing(b"503 Service Unavailable", error("maintenance"), b"retry-after: 90"), ANSWERS
    )
    stand = Stand((1, PROMPT), "resting", "asked us to come back later", 90.0)
    assert await scene.moves_on(stream, "fault:503") == stand
    scene.clock.advance(90)
    assert (await scene.ask(stream)).by == "alpha"


async def test_a_local_server_that_loads_its_model_is_left_alone_for_a_moment(play, stream):
    body = b'{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}'
    scene = await play(refusing(b"503 Service Unavailable", body), alpha={"like": "llamacpp"})
    stand = Stand((0, 0), "resting", "local server is loading a model", 2.0)
    assert await scene.moves_on(stream, "loading:503") == stand


async def test_a_lack_of_capacity_is_neither_a_failure_nor_our_quota(play, stream):
    scene = await play(refusing(MANY, error("Service tier capacity exceeded for this model.", "3505")))
    stand = Stand((0, 0), "resting", "provider is at capacity", 5.0)
    assert await scene.moves_on(stream, "no_capacity:429") == stand


async def test_three_failures_open_the_breaker_and_one_success_after_its_rest_closes_it(play, stream):
    fault = refusing(b"500 Oops", error("something broke"))
    scene = await play(fault, fault, fault, ANSWERS)
    for _ in range(3):
        assert (await scene.ask(stream, provider={"only": ["alpha"]})).status == 502
    assert (await scene.stands()).state == "open"
    scene.clock.advance(15)
    assert (await scene.stands()).state == "half-open"
    assert (await scene.ask(stream)).by == "alpha"
    assert (await scene.stands()).state == "healthy"


# --- quota -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (b"retry-after: 20", 20.0),
        (b"retry-after-ms: 1500", 1.5),
        (b"retry-after: Mon, 21 Sep 2026 14:15:20 GMT", 120.0),
        (b"x-ratelimit-reset-requests: 2m59.5s\r\nx-ratelimit-remaining-requests: 0", 179.5),
    ],
)
async def test_a_spent_quota_rests_for_as_long_as_it_is_asked(play, stream, header, seconds):
    scene = await play(refusing(MANY, error("Rate limit reached"), header), ANSWERS)
    assert await scene.moves_on(stream, "rate_limited:429") == spent(seconds)
    scene.clock.advance(seconds - 0.1)
    assert (await scene.ask(stream)).by == "beta"
    scene.clock.advance(0.2)
    assert (await scene.ask(stream)).by == "alpha"


@pytest.mark.parametrize("header", [b"soon", b"", b"0", b"-5", b"nan", b"1e400", GONE_BY])
async def test_a_time_that_means_nothing_is_no_time(play, header):
    scene = await play(refusing(MANY, error("Slow down"), b"retry-after: " + header))
    assert await scene.moves_on(False, "rate_limited:429") == spent(5.0)


async def test_a_rest_beyond_all_measure_is_a_month(play):
    scene = await play(refusing(MANY, error("Never again"), b"retry-after: 99999999999999"))
    assert await scene.moves_on(False, "rate_limited:429") == spent(31 * DAY)


async def test_a_refusal_that_names_no_time_rests_for_five_seconds_then_for_ten(play, stream):
    scene = await play(refusing(MANY, error("Slow down")))
    assert await scene.moves_on(stream, "rate_limited:429") == spent(5.0)
    scene.clock.advance(5)
    assert (await scene.ask(stream)).by == "beta"
    assert await scene.stands() == spent(10.0)
    assert len(scene.alpha.calls) == 2


async def test_when_all_are_out_of_quota_the_caller_learns_when_the_first_is_back(play, stream):
    first = refusing(MANY, error("Rate limit reached"), b"retry-after: 41")
    second = refusing(MANY, error("Rate limit reached"), b"retry-after: 90")
    scene = await play(first, beta=second)
    reply = await scene.ask(stream)
    assert (reply.status, reply.error["code"]) == (429, "capacity_exhausted")
    back = [(one["provider"], one["back_in"]) for one in reply.error["metadata"]["candidates"]]
    assert back == [("alpha", 41.0), ("beta", 90.0)]
    assert (reply.headers["retry-after"], reply.headers["content-type"]) == ("41", "application/json")
    again = await scene.ask(stream)
    assert (again.status, again.headers["x-freeroute-attempts"]) == (429, "0")  # no call is wasted on it
    assert (len(scene.alpha.calls), len(scene.beta.calls)) == (1, 1)
    assert [await scene.stands(name) for name in ("alpha", "beta")] == [spent(41.0), spent(90.0)]


# --- keys and models ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body", "ending"),
    [
        (b"401 Unauthorized", error("Invalid API Key", "invalid_api_key"), "key_invalid:401"),
        (
            BAD,
            error("API key not valid. Please pass a valid API key.", "INVALID_ARGUMENT"),
            "key_invalid:400",
        ),
    ],
    ids=["401", "googles_400"],
)
async def test_an_invalid_key_gives_way_to_the_next_one(play, stream, status, body, ending):
    scene = await play(refusing(status, body), ANSWERS, keys=2)
    reply = await scene.ask(stream)
    assert (reply.status, reply.by, reply.raw) == (200, "alpha", ANSWERED[stream])
    assert reply.trail == f"alpha/large={ending}"
    alpha = await scene.gateway.provider("alpha")
    assert (alpha.keys, alpha.breaker) == (["invalid", "ok"], "closed")
    assert alpha.held == [("key was refused as invalid", None)]
    assert alpha.used == SERVED.used  # the refused call cost nothing
    asked_with = [call.headers["authorization"][-1] for call in scene.alpha.calls]
    assert asked_with == ["1", "2"]
    assert (await scene.ask(stream)).headers["x-freeroute-attempts"] == "1"


async def test_a_refused_key_is_never_the_callers_error(play, stream):
    body = error("Incorrect API key provided: alpha-secret-key-1.", "invalid_api_key")
    scene = await play(refusing(b"401 Unauthorized", body), beta=refusing(b"401 Unauthorized", body))
    reply = await scene.ask(stream)
    assert (reply.status, reply.error["code"]) == (502, "upstream_failed")
    assert b"secret" not in reply.raw
    assert (await scene.stands()).used == (0, 0)


async def test_a_walk_over_keys_does_not_use_up_the_attempts(play, stream):
    refused = refusing(b"401 Unauthorized", error("Invalid API Key", "invalid_api_key"))
    once = {"max_attempts": 1, "probes": 0, "max_wait": 0}
    scene = await play(refused, ANSWERS, keys=2, routing=once)
    reply = await scene.ask(stream)
    assert (reply.status, reply.by, reply.headers["x-freeroute-attempts"]) == (200, "alpha", "2")
    assert (await scene.stands()).used == SERVED.used


async def test_an_unpaid_key_is_left_alone_for_a_day(play, stream):
    scene = await play(refusing(b"402 Payment Required", error("Insufficient credits")), ANSWERS, keys=2)
    reply = await scene.ask(stream)
    assert (reply.by, reply.trail) == ("alpha", "alpha/large=no_credit:402")
    alpha = await scene.gateway.provider("alpha")
    assert (alpha.keys, alpha.used) == (["held", "ok"], SERVED.used)
    assert alpha.held == [("no credit or quota on this plan", DAY)]


async def test_a_model_that_is_forbidden_is_held_for_that_key_and_the_key_stays(play, stream):
    scene = await play(refusing(b"403 Forbidden", error("You have no access to this model")))
    stand = Stand((1, 0), "held", "model is forbidden for this key", 3600.0)
    assert await scene.moves_on(stream, "forbidden:403") == stand
    assert (await scene.gateway.provider("alpha")).keys == ["ok"]


async def test_a_key_that_is_forbidden_three_models_rests_as_a_whole(play, stream):
    models = [{"id": f"m-{number}", "quality": 90} for number in range(4)]
    scene = await play(refusing(b"403 Forbidden", error("No access")), alpha={"models": models})
    reply = await scene.ask(stream)
    assert (reply.by, reply.raw, len(scene.alpha.calls)) == ("beta", ANSWERED[stream], 3)
    alpha = await scene.gateway.provider("alpha")
    assert (alpha.keys, alpha.breaker, alpha.used) == (["held"], "closed", (3, 0))
    assert ("key is forbidden on several models", 600.0) in alpha.held


@pytest.mark.parametrize("status", ["404 Not Found", "410 Gone"])
async def test_a_retired_model_is_left_alone_and_the_operator_is_told(play, stream, status, log):
    body = error("The model `large` has been decommissioned", "model_decommissioned")
    scene = await play(refusing(status.encode(), body))
    stand = Stand((1, 0), "held", "model is gone at the provider", DAY)
    assert await scene.moves_on(stream, f"model_gone:{status[:3]}") == stand
    assert "the provider has this model no more" in log()
    assert (await scene.gateway.provider("alpha")).told["last_error"]["kind"] == "model_gone"


async def test_a_reset_by_the_operator_lifts_a_hold(play, stream):
    refused = refusing(b"404 Not Found", error("The model `large` is gone", "model_not_found"))
    scene = await play(refused, ANSWERS)
    await scene.moves_on(stream, "model_gone:404")
    await scene.gateway.reset("alpha")
    assert (await scene.ask(stream)).by == "alpha"
    assert await scene.stands() == Stand((2, ANSWER))


async def test_a_path_that_does_not_exist_is_a_wrong_address_and_no_retired_model(play, stream):
    scene = await play(refusing(b"404 Not Found", b"404 page not found"))
    told = "nothing answers at this address: check base_url"
    assert await scene.moves_on(stream, "redirected:404") == Stand((1, 0), "held", told, 300.0)
