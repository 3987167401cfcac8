"""What the routes of Gemini's API have of their own: keys in a query, forms of streams, models listed."""

from structlog.testing import capture_logs

from freeroute.domain.clients import Client, hash_key
from freeroute.surfaces.access import Policy
from tests.support.gateways import FakeServed, chunk
from tests.surfaces.gemini import HI, STOP, USAGE

GENERATE = "/v1beta/models/free:generateContent"
KEYED = Policy(clients=(Client("alice", hash_key("sk-alice")),), loopback=False)


async def test_a_key_may_be_in_the_query_and_is_told_to_nobody(ask, gateway):
    with capture_logs() as logs:
        async with ask(KEYED) as client:
            passed = await client.post(GENERATE + "?key=sk-alice", json=HI)
            wrong = await client.post(GENERATE + "?key=sk-mallory", json=HI)
            both = await client.post(
                GENERATE + "?key=sk-mallory", json=HI, headers={"x-goog-api-key": "sk-alice"}
            )
            elsewhere = await client.get("/v1/models?key=sk-alice")
    assert passed.status_code == 200
    assert gateway.calls[0][1].client.name == "alice"
    assert [reply.status_code for reply in (wrong, both, elsewhere)] == [401, 401, 401]
    assert "Two different keys" in both.json()["error"]["message"]
    assert "sk-" not in wrong.text + both.text + str(logs)


async def test_sdks_of_google_are_answered_in_their_words_where_openais_models_are(ask):
    async with ask() as client:
        google = await client.get("/v1/models", headers={"x-goog-api-client": "google-genai-sdk/3.4.0"})
        other = await client.get("/v1/models")
        path = "/v1/models/groq/openai/gpt-oss-120b:generateContent"
        answer = await client.post(path, json=HI, headers={"x-goog-api-client": "google-genai-sdk/3.4.0"})
    assert google.json()["models"][0]["name"] == "models/free"
    assert other.json()["data"][0]["id"] == "free"
    assert answer.json()["candidates"]


async def test_names_of_models_may_hold_slashes(ask, gateway):
    async with ask() as client:
        reply = await client.post("/v1beta/models/groq/openai/gpt-oss-120b:generateContent", json=HI)
    assert reply.status_code == 200
    assert gateway.calls[0][0].model == "groq/openai/gpt-oss-120b"


async def test_a_stream_is_sse_only_if_that_is_asked_for(ask, gateway):
    path = "/v1beta/models/free:streamGenerateContent"
    kinds = {}
    for query in ("?alt=sse", ""):
        gateway.answer = FakeServed(batches=[[chunk("Hi"), STOP, USAGE]])
        async with ask() as client:
            reply = await client.post(path + query, json=HI)
        kinds[query] = reply.headers["content-type"]
    assert kinds == {"?alt=sse": "text/event-stream; charset=utf-8", "": "application/json"}


async def test_models_are_listed_page_by_page(ask, gateway):
    gateway.entry = {"context_length": 8192, "supported_parameters": ["reasoning"]}
    async with ask() as client:
        first = (await client.get("/v1beta/models?pageSize=1")).json()
        second = (await client.get(f"/v1beta/models?pageSize=1&pageToken={first['nextPageToken']}")).json()
        wrong = await client.get("/v1beta/models?pageToken=x")
        one = (await client.get("/v1beta/models/free")).json()
    assert [model["name"] for model in first["models"]] == ["models/free"]
    assert [model["name"] for model in second["models"]] == ["models/groq/openai/gpt-oss-120b"]
    assert "nextPageToken" not in second
    assert wrong.status_code == 400
    assert one["inputTokenLimit"] == 8192
    assert one["thinking"] is True


async def test_tokens_are_counted_without_asking_anybody(ask, gateway):
    async with ask() as client:
        reply = await client.post("/v1beta/models/free:countTokens", json=HI)
        missing = await client.post("/v1beta/models/larg:countTokens", json=HI)
    assert reply.json()["totalTokens"] > 0
    assert missing.status_code == 404
    assert missing.json()["error"]["status"] == "NOT_FOUND"
    assert gateway.calls == []
