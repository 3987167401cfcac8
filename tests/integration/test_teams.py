"""Several people on one gateway, over real sockets: what each is let to do, and what each is told."""

import pytest

from freeroute.domain.clients import LONGEST_KEY
from freeroute.domain.knocks import BURST, RATE
from tests.support.live import AS_ADMIN, Live

CLIENTS = [
    {"name": "alice", "key": "fr-alice", "requests_per_minute": 2, "tokens_per_day": 1000},
    {"name": "bob", "key": "fr-bob", "models": ["beta/*"]},
    {"name": "late", "key": "fr-late", "expires": "2020-01-01"},
    {"name": "private", "key": "fr-private", "privacy": "no-train"},
]


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


@pytest.fixture
async def team(run) -> Live:
    return await run(clients=CLIENTS)


@pytest.mark.parametrize(
    ("headers", "status", "code", "told"),
    [
        ({}, 401, "invalid_api_key", "No key was sent"),
        (bearer("fr-nobody"), 401, "invalid_api_key", "This key is unknown"),
        (bearer("fr-late"), 401, "invalid_api_key", "This key has expired"),
        (bearer("k" * (LONGEST_KEY + 1)), 401, "invalid_api_key", "more than 512 characters"),
        (bearer("k" * 2**17), 431, "headers_too_large", ""),
        ({"authorization": "Basic fr-alice"}, 401, "invalid_api_key", "is not `Bearer` and a key"),
        ({"x-api-key": "fr-nobody"}, 401, "invalid_api_key", "This key is unknown"),
        (bearer("fr-bob"), 403, "model_not_allowed", "bob may not use model 'free'"),
        (bearer("fr-private"), 400, "unsupported_capability", "no-train is required"),
        (bearer("fr-alice"), 200, None, ""),
        ({"x-api-key": "fr-alice"}, 200, None, ""),
        ({"api-key": "fr-alice"}, 200, None, ""),
    ],
)
async def test_each_key_gets_the_answer_that_is_its_own(team, headers, status, code, told):
    answer = await team.ask(headers=headers)
    assert answer.status == status
    if code is not None:
        assert answer.error["code"] == code
        assert told in answer.error["message"]
        assert "fr-" not in answer.error["message"]


async def test_a_client_over_its_limit_is_told_when_to_come_back(team, stream):
    for left in ("1", "0"):
        answer = await team.ask(headers=bearer("fr-alice"), stream=stream)
        assert answer.headers["x-ratelimit-limit-requests"] == "2"
        assert answer.headers["x-ratelimit-remaining-requests"] == left
        assert answer.headers["x-ratelimit-limit-tokens"] == "1000"
    team.clock.advance(20)
    refused = await team.ask(headers=bearer("fr-alice"), stream=stream)
    assert (refused.status, refused.error["code"]) == (429, "rate_limit_exceeded")
    assert refused.error["metadata"]["limit"] == "requests/minute"
    wait = int(refused.headers["retry-after"])
    assert wait in (40, 41)
    assert refused.headers["x-ratelimit-remaining-requests"] == "0"
    team.clock.advance(wait)
    assert (await team.ask(headers=bearer("fr-alice"), stream=stream)).status == 200


async def test_a_client_sees_how_it_stands_and_nothing_of_the_others(team):
    await team.ask(headers=bearer("fr-alice"))
    await team.ask(
        model="beta/" + team.app.gateway.catalogue.providers["beta"].models[0].id, headers=bearer("fr-bob")
    )
    told = (await team.http.get("/api/v1/key", headers=bearer("fr-alice"))).json()["data"]
    assert told["label"] == "alice"
    assert told["freeroute"]["limits"][0]["remaining"] == 1
    seen = await team.http.get("/v1/status", headers=bearer("fr-alice"))
    assert "bob" not in seen.text
    whole = (await team.http.get("/v1/status", headers=AS_ADMIN)).json()
    assert [one["client"] for one in whole["requests"]] == ["bob", "alice"]
    used = {one["name"]: [use["provider"] for use in one["use"]] for one in whole["clients"]}
    assert used == {"bob": ["beta"], "alice": ["alpha"], "late": [], "private": []}


async def test_wrong_keys_in_numbers_keep_nobody_out_and_are_counted_and_not_kept(team):
    for number in range(3 * BURST):
        assert (await team.ask(headers=bearer(f"wrong-{number}"))).status == 401
    assert (await team.ask(headers=bearer("fr-alice"))).status == 200
    assert await counted(team, "freeroute_requests_total", 'code="invalid_api_key"') == BURST
    team.clock.advance(1 / RATE)
    await team.ask(headers=bearer("wrong"))
    assert await counted(team, "freeroute_requests_total", 'code="invalid_api_key"') == 3 * BURST + 1
    assert "wrong-" not in await team.metrics()


async def counted(team: Live, name: str, label: str) -> float:
    """Return what the one series of *name* with *label* says."""
    lines = (await team.metrics()).splitlines()
    [value] = [line.rpartition(" ")[2] for line in lines if line.startswith(f"{name}{{") and label in line]
    return float(value)


async def test_a_whole_answer_says_what_is_left_after_it(team):
    answer = await team.ask(headers=bearer("fr-alice"))
    told = (await team.http.get("/v1/key", headers=bearer("fr-alice"))).json()["data"]["freeroute"]
    tokens = next(limit for limit in told["limits"] if limit["label"] == "tokens/day")
    assert answer.headers["x-ratelimit-remaining-tokens"] == f"{tokens['remaining']:.0f}"
