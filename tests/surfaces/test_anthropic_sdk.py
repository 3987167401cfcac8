"""Anthropic's own SDK against the surface on a real socket, and its types against every event."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from freeroute import errors
from freeroute.domain.clients import Client, hash_key
from freeroute.surfaces.access import Policy
from freeroute.surfaces.anthropic_answer import Message, in_anthropics_shape
from tests.contract.speaking import server_sent
from tests.support.gateways import FakeServed, chunk
from tests.support.serving import serving

anthropic = pytest.importorskip("anthropic")
types = pytest.importorskip("anthropic.types")
pydantic = pytest.importorskip("pydantic")

HELLO: Any = [{"role": "user", "content": "Hello!"}]
WEATHER: Any = {
    "name": "weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}


def sdk(url: str, **given: Any) -> Any:
    return anthropic.AsyncAnthropic(base_url=url, api_key="not-needed", max_retries=0, **given)


def said(finish: str | None = None, usage: Any = None, **delta: Any) -> bytes:
    head = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    choices = [] if usage else [{"index": 0, "delta": delta, "finish_reason": finish}]
    return msgspec.json.encode({**head, "choices": choices, **({"usage": usage} if usage else {})})


def called(index: int, arguments: str, **more: Any) -> bytes:
    named = {"name": more.pop("name")} if "name" in more else {}
    return said(tool_calls=[{"index": index, **more, "function": {**named, "arguments": arguments}}])


TALK = [
    said(role="assistant", content=""),
    said(reasoning_content="Hm."),
    said(content="Let me "),
    said(content="see."),
    called(0, "", id="call_1", name="weather"),
    called(0, '{"city":'),
    called(0, '"Ulm"}'),
    called(1, "{}", id="call_2", name="weather"),
    said("tool_calls"),
    said(usage={"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 3}}),
]


async def ask(client: Any, **given: Any) -> Any:
    return await client.messages.create(model="free", max_tokens=8, messages=HELLO, **given)


async def test_it_reads_a_whole_answer_and_its_id(build):
    async with serving(build()) as url, sdk(url) as client:
        message = await ask(client)
    assert [block.text for block in message.content] == ["Hello!"]
    assert (message.stop_reason, message.role) == ("end_turn", "assistant")
    assert message.id == "msg_" + message._request_id.removeprefix("req_")


async def test_it_follows_a_stream_to_the_message_it_makes(build, gateway):
    gateway.answer = FakeServed(batches=[[one] for one in TALK])
    async with serving(build()) as url, sdk(url) as client:
        asked = {"model": "free", "max_tokens": 8, "messages": HELLO, "tools": [WEATHER]}
        async with client.messages.stream(**asked) as stream:
            events = [event.type async for event in stream]
            message = await stream.get_final_message()
    assert events.count("content_block_stop") == 4
    assert [block.type for block in message.content] == ["thinking", "text", "tool_use", "tool_use"]
    thought, text, call, other = message.content
    assert (thought.thinking, text.text, call.input, other.input) == (
        "Hm.",
        "Let me see.",
        {"city": "Ulm"},
        {},
    )
    assert (call.id, call.name, message.stop_reason) == ("call_1", "weather", "tool_use")
    assert (message.usage.input_tokens, message.usage.cache_read_input_tokens) == (6, 3)
    assert message.usage.output_tokens == 4


def validated(body: bytes) -> list[Any]:
    """Return the events of a stream as the SDK's types have them; fails for one that they do not allow."""
    adapter = pydantic.TypeAdapter(types.RawMessageStreamEvent)
    told = [(name, data) for name, data in server_sent(body) if name != "ping"]
    found = [adapter.validate_json(data, strict=True) for _, data in told]
    assert [event.type for event in found] == [name for name, _ in told]
    return found


def unknown_in(value: Any) -> list[str]:
    """Return the fields of *value*, and of what is in it, that the SDK's types do not have."""
    if isinstance(value, list):
        return [name for one in value for name in unknown_in(one)]
    if not isinstance(value, pydantic.BaseModel):
        return []
    inside = [name for field in type(value).model_fields for name in unknown_in(getattr(value, field))]
    return [*(value.model_extra or {}), *inside]


@pytest.mark.parametrize(
    "chunks",
    [
        TALK,
        [said(content="Hi"), said("stop")],
        [said(content="Hi"), said("length")],
        [said(refusal="No."), said("stop")],
        [said("length")],
    ],
)
def test_every_event_has_the_sdks_type(chunks: Sequence[bytes]):
    message = Message("req_1", "free", 5, frozenset())
    events = validated(b"".join(message.events([one]) for one in chunks) + message.end())
    assert unknown_in(events) == []
    assert [events[0].type, *(event.type for event in events[-2:])] == [
        *("message_start", "message_delta", "message_stop")
    ]


def test_a_whole_answer_has_the_sdks_type():
    message = {"role": "assistant", "content": "Hi", "reasoning_content": "Hm."}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"completion_tokens_details": {"reasoning_tokens": 1}, "completion_tokens": 3, "prompt_tokens": 2}
    answer = msgspec.json.encode({"model": "m", "choices": [choice], "usage": usage})
    told = Message("req_1", "free", 5, frozenset()).whole(answer)
    assert unknown_in(types.Message.model_validate_json(told, strict=True)) == []


ERRORS = {
    errors.InvalidRequest: "BadRequestError",
    errors.InvalidApiKey: "AuthenticationError",
    errors.Forbidden: "PermissionDeniedError",
    errors.NotFound: "NotFoundError",
    errors.TooLarge: "ContentTooLargeError",
    errors.CapacityExhausted: "RateLimitError",
    errors.UpstreamFailed: "InternalServerError",
    errors.NoProvider: "ServiceUnavailableError",
    errors.UpstreamTimeout: "GatewayTimeoutError",
}


@pytest.mark.parametrize("kind", ERRORS)
async def test_an_error_is_its_exception_with_our_code(build, gateway, kind):
    gateway.answer = kind("not now", retry_after=7)
    async with serving(build()) as url, sdk(url) as client:
        with pytest.raises(anthropic.APIStatusError) as caught:
            await ask(client)
    error = caught.value
    assert (type(error).__name__, error.status_code) == (ERRORS[kind], kind.status)
    assert (error.api_message, error.error_code) == ("not now", kind.default_code)
    assert error.response.headers["retry-after"] == "7"
    assert error.request_id == error.response.headers["x-request-id"]


@pytest.mark.parametrize("kind", [kind for kind in ERRORS if kind is not errors.TooLarge])
def test_an_error_has_the_sdks_type(kind):
    body = in_anthropics_shape(kind("not now", param="model", metadata={"attempts": []}), "req_1")
    told = (
        types.ErrorResponse.model_validate_json(body, strict=True)
        if hasattr(types, "ErrorResponse")
        else None
    )
    told = told or anthropic.types.shared.ErrorResponse.model_validate_json(body, strict=True)
    assert (told.error.message, told.request_id) == ("not now", "req_1")


async def test_an_error_in_a_stream_is_raised(build, gateway):
    broke = msgspec.json.encode({"error": {"message": "it broke", "code": "upstream_failed"}, "choices": []})
    gateway.answer = FakeServed(batches=[[chunk("Hel")], [broke, broke]])
    async with serving(build()) as url, sdk(url) as client:
        with pytest.raises(anthropic.APIStatusError, match="it broke"):
            [event async for event in await ask(client, stream=True)]


async def test_it_counts_tokens_and_lists_models(build):
    async with serving(build()) as url, sdk(url) as client:
        counted = await client.messages.count_tokens(model="free", messages=HELLO)
        models = [model.id async for model in client.models.list(limit=1)]
        shown = await client.models.retrieve("groq/openai/gpt-oss-120b")
    assert counted.input_tokens > 0
    assert models == ["free", "groq/openai/gpt-oss-120b"]
    assert (shown.id, unknown_in(shown)) == ("groq/openai/gpt-oss-120b", [])


async def test_its_key_is_the_one_of_a_client(build):
    clients = (Client("alice", hash_key("fr-alice")),)
    async with serving(build(Policy(clients=clients))) as url:
        async with anthropic.AsyncAnthropic(base_url=url, api_key="fr-alice", max_retries=0) as client:
            assert (await ask(client)).content
        async with anthropic.AsyncAnthropic(base_url=url, auth_token="fr-alice", max_retries=0) as client:
            assert (await ask(client)).content
        async with sdk(url) as client:
            with pytest.raises(anthropic.AuthenticationError):
                await ask(client)
