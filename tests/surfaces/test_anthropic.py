"""The routes of Anthropic's API, beside those of OpenAI's with the same paths."""

import json
from typing import Any

import pytest

from freeroute.errors import InvalidRequest, NoProvider
from tests.support.gateways import FakeServed, chunk

VERSION = {"anthropic-version": "2023-06-01"}
HI: dict[str, Any] = {"model": "free", "max_tokens": 8, "messages": [{"role": "user", "content": "Hello!"}]}
NAMES = [f"m{number}" for number in range(5)]


@pytest.fixture
def listed(gateway):
    """Give the gateway five models."""
    gateway.models = lambda client: [{"id": name} for name in NAMES]


async def test_a_message_is_answered_with_the_id_of_its_request(ask, gateway):
    async with ask() as client:
        reply = await client.post("/api/v1/messages?beta=true", json=HI, headers={"x-request-id": "mine"})
    assert reply.status_code == 200
    assert reply.json()["content"] == [{"type": "text", "text": "Hello!"}]
    assert (reply.json()["id"], reply.headers["request-id"]) == ("msg_mine", "mine")
    [(call, context)] = gateway.calls
    assert (call.model, context.surface) == ("free", "anthropic")


async def test_a_stream_is_sent_as_events_whatever_it_waits_for(ask, gateway):
    gateway.answer = FakeServed(batches=[[chunk("Hel")], [chunk("lo")]])
    async with ask() as client:
        reply = await client.post(
            "/v1/messages", json={**HI, "stream": True}, headers={"x-freeroute-keepalive": "true"}
        )
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert reply.text.count("event: message_stop\n") == 1


async def test_an_error_has_anthropics_shape(ask, gateway):
    gateway.answer = NoProvider("none is on")
    async with ask() as client:
        reply = await client.post("/v1/messages", json=HI)
    assert reply.status_code == 503
    assert reply.headers["x-should-retry"] == "false"
    assert reply.json() == {
        "type": "error",
        "error": {
            "type": "overloaded_error",
            "message": "none is on",
            "details": {"error_code": "no_provider_configured"},
        },
        "request_id": reply.headers["request-id"],
    }


async def test_tokens_are_counted_without_asking_anybody(ask, gateway):
    async with ask() as client:
        counted = await client.post("/v1/messages/count_tokens", json=HI)
        longer = await client.post("/v1/messages/count_tokens", json={**HI, "system": "Be brief. " * 100})
        nowhere = await client.post("/v1/messages/count_tokens", json={**HI, "model": "fre"})
    assert 0 < counted.json()["input_tokens"] < 20 < longer.json()["input_tokens"] < 400
    assert (nowhere.status_code, nowhere.json()["error"]["type"]) == (404, "not_found_error")
    assert not gateway.calls
    assert len(gateway.refusals) == 1


async def test_a_count_of_what_cannot_be_read_is_refused(ask, gateway):
    async with ask() as client:
        reply = await client.post("/v1/messages/count_tokens", content=b"{}")
    assert (reply.status_code, reply.json()["error"]["type"]) == (400, "invalid_request_error")
    [(_, _, error)] = gateway.refusals
    assert isinstance(error, InvalidRequest)


async def test_models_are_listed_in_the_shape_of_who_asks(ask):
    async with ask() as client:
        theirs = (await client.get("/v1/models", headers=VERSION)).json()
        openais = (await client.get("/v1/models")).json()
        shown = (await client.get("/v1/models/groq%2Fopenai/gpt-oss-120b", headers=VERSION)).json()
        missing = await client.get("/v1/models/fre", headers=VERSION)
    assert openais["object"] == "list"
    assert theirs["data"][1] == shown
    assert shown == {
        "type": "model",
        "id": "groq/openai/gpt-oss-120b",
        "display_name": "groq/openai/gpt-oss-120b",
        "created_at": "1970-01-01T00:00:00Z",
        "lifecycle": "active",
        "max_input_tokens": None,
        "max_tokens": None,
    }
    assert (missing.status_code, missing.json()["error"]["type"]) == (404, "not_found_error")


@pytest.mark.parametrize(
    ("query", "page", "more"),
    [
        ("", NAMES, False),
        ("limit=2", ["m0", "m1"], True),
        ("limit=2&after_id=m1", ["m2", "m3"], True),
        ("limit=2&after_id=m3", ["m4"], False),
        ("after_id=m4", [], False),
        ("after_id=gone", NAMES, False),
        ("limit=2&before_id=m4", ["m2", "m3"], True),
        ("limit=2&before_id=m1", ["m0"], False),
        ("before_id=m0", [], False),
    ],
)
@pytest.mark.usefixtures("listed")
async def test_models_come_in_pages(ask, query, page, more):
    async with ask() as client:
        told = (await client.get(f"/v1/models?{query}", headers=VERSION)).json()
    assert [model["id"] for model in told["data"]] == page
    assert told["has_more"] is more
    assert (told["first_id"], told["last_id"]) == ((page[0], page[-1]) if page else (None, None))


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "all", "", "00001", "9" * 5000])
async def test_a_page_of_another_size_is_refused(ask, limit):
    async with ask() as client:
        reply = await client.get("/v1/models", params={"limit": limit}, headers=VERSION)
    assert reply.status_code == 400
    assert json.loads(reply.content)["error"]["message"] == "limit: must be between 1 and 1000."
