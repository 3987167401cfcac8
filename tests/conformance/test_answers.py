"""Whatever a provider writes, the caller reads OpenAI's form: types, required fields, enumerations."""

from pathlib import Path

import msgspec
import pytest

from freeroute.resources import config_dir
from tests.support.corpus import CALLS, OBJECT, TEXT, THOUGHT, Entry, Heard, entries
from tests.support.published import check_chunk, check_error, check_model, check_whole
from tests.support.transports import Reply, json_reply

ENTRIES = entries()
WHOLE = [one for one in ENTRIES if not one.streams and "error" not in one.scenario]
STREAMS = [one for one in ENTRIES if one.streams and one.scenario != "broken"]
BROKEN = [one for one in ENTRIES if one.scenario == "broken"]
REFUSALS = [one for one in ENTRIES if "error" in one.scenario]
MEANT = {
    "chat": Heard(TEXT, finish="stop"),
    "length": Heard(TEXT, finish="length"),
    "object": Heard(OBJECT, finish="stop"),
    "reasoning": Heard(TEXT, THOUGHT, finish="stop"),
    "tools": Heard(calls=CALLS, finish="tool_calls"),
}


def named(*chosen: list[Entry]):
    return pytest.mark.parametrize("entry", [pytest.param(e, id=e.id) for part in chosen for e in part])


def payloads(body: bytes) -> list[bytes]:
    """Return the events of a stream as the gateway sends it."""
    events = [part.removeprefix(b"data: ") for part in body.split(b"\n\n")]
    assert events[-2:] == [b"[DONE]", b""]
    return [event.replace(b"\ndata: ", b"\n") for event in events[:-2]]


def test_every_provider_of_the_catalogue_is_in_the_corpus():
    providers = {Path(path).stem for path in (config_dir() / "providers").glob("*.yaml")}
    assert {entry.provider for entry in ENTRIES} == providers
    for provider in providers:
        scenarios = {entry.scenario.partition("-")[0] for entry in ENTRIES if entry.provider == provider}
        assert scenarios >= {"chat", "tools", "object", "length", "broken", "error"}


@named(WHOLE)
async def test_a_whole_answer_has_the_form_and_says_what_the_provider_said(asking, entry: Entry):
    answer = await asking(entry)
    assert answer.status_code == 200, answer.text
    check_whole(answer.content)
    heard = Heard.whole(answer.content)
    assert_meant(heard, entry)


@named(STREAMS)
async def test_each_chunk_has_the_form_and_all_say_what_the_provider_said(asking, entry: Entry):
    answer = await asking(entry)
    assert answer.status_code == 200, answer.text
    chunks = [check_chunk(payload) for payload in payloads(answer.content)]
    assert len({chunk.id for chunk in chunks}) == 1
    assert [chunk.usage for chunk in chunks].count(None) == len(chunks) - 1
    assert_meant(Heard.stream(payloads(answer.content)), entry)


def assert_meant(heard: Heard, entry: Entry) -> None:
    meant = MEANT[entry.scenario]
    assert (heard.text, heard.thought, heard.finish) == (meant.text, meant.thought, meant.finish)
    assert [name for name, _ in heard.calls] == [name for name, _ in meant.calls]
    for (_, said), (_, written) in zip(heard.calls, meant.calls, strict=True):
        assert msgspec.json.decode(said) == msgspec.json.decode(written)
    assert all(heard.ids)
    assert len(set(heard.ids)) == len(heard.calls)
    usage = heard.usage
    assert usage is not None
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


@named([one for one in STREAMS if one.scenario == "chat"])
async def test_a_stream_whose_usage_nobody_asked_for_has_the_form_too(asking, entry: Entry):
    answer = await asking(entry, stream_options=None)
    for payload in payloads(answer.content):
        assert check_chunk(payload).choices


@named([one for one in WHOLE if one.scenario in ("chat", "tools")])
async def test_a_whole_answer_to_a_stream_is_a_stream_of_chunks_with_the_form(asking, entry: Entry):
    answer = await asking(entry, stream=True, stream_options={"include_usage": True})
    for payload in payloads(answer.content):
        check_chunk(payload)
    assert_meant(Heard.stream(payloads(answer.content)), entry)


@named(BROKEN)
async def test_a_stream_that_fails_ends_with_an_error_of_the_form(asking, entry: Entry):
    answer = await asking(entry)
    *good, counted, told, alone = payloads(answer.content)
    assert good
    assert check_chunk(counted).usage is not None
    for payload in good:
        assert check_chunk(payload).choices[0].finish_reason is None
    value = msgspec.json.decode(told)
    error = value.pop("error")
    assert check_error(error).code == "upstream_failed"
    assert msgspec.json.decode(alone) == {"error": error}
    # OpenRouter's shape, which clients know; SDKs raise for the error before they look at it.
    assert value["choices"][0].pop("finish_reason") == "error"
    check_chunk(msgspec.json.encode(value))


@named(REFUSALS)
async def test_a_refusal_is_an_error_of_the_form(asking, entry: Entry):
    answer = await asking(entry)
    assert answer.status_code in {400, 429, 502, 503}
    [(name, error)] = answer.json().items()
    assert name == "error"
    assert check_error(error).code


async def test_models_have_the_form(asking):
    async with asking.gateway("groq") as caller:
        listed = (await caller.get("/v1/models")).json()
        shown = (await caller.get("/v1/models/corpus/m")).json()
    assert listed["object"] == "list"
    assert {check_model(model).id for model in listed["data"]} >= {"free", "corpus/m"}
    assert check_model(shown).id == "corpus/m"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", b"{"),
        ("/v1/chat/completions", b'{"model":"nobody/knows","messages":[{"role":"user","content":"Hi"}]}'),
        ("/v1/chat/completions", b'{"model":"m","messages":[{"role":"user","content":7}]}'),
        ("/v1/nowhere", b"{}"),
        ("/v1/models", b"{}"),
    ],
)
async def test_the_gateways_own_errors_have_the_form(asking, path: str, body: bytes):
    async with asking.gateway("groq") as caller:
        answer = await caller.post(path, content=body)
    assert 400 <= answer.status_code < 500
    check_error(answer.json()["error"])


ODD = [
    b'{"choices":[{"finish_reason":"stop","message":{"content":"Hi"}}]}',
    b'{"choices":[{"message":{"content":"Hi","role":"model"},"finish_reason":"SAFETY","index":"0"}],"id":7}',
    b'{"choices":[{"finish_reason":"stop","message":{"content":{"text":"Hi"},"reasoning":"x","refusal":[]}}],"created":1.5}',
    b'{"choices":[{"finish_reason":"stop","message":{"content":"Hi","tool_calls":{}}}],"usage":{"prompt_tokens":null},"model":null}',
    b'{"choices":[{"finish_reason":"stop","message":{"content":"Hi","tool_calls":[7,{"function":{}},{"function":7}]}}]}',
    b'{"choices":[{"finish_reason":"stop","message":{"content":"Hi"},"logprobs":{"tokens":["Hi"]}}],"system_fingerprint":{}}',
    b'{"choices":[{"finish_reason":"stop","message":{"content":"Hi"},"logprobs":{"content":[{"token":"Hi","logprob":-1}]}}]}',
    b'{"choices":[{"finish_reason":"stop","message":{"content":"Hi"}}],"usage":{"prompt_tokens":1.0,"prompt_tokens_details":7}}',
    b'{"choices":[{"finish_reason":"stop","message":{"content":"Hi"}}],"usage":{"total_tokens":2,"prompt_tokens_details":{"a":"1"}}}',
    b'{"choices":[{"finish_reason":"stop","message":{"content":"Hi","function_call":{"name":"f","arguments":{}}}}]}',
]


@pytest.mark.parametrize("body", ODD)
async def test_what_is_odd_is_mended_whole_and_streamed(asking, body: bytes):
    ask = {"model": "m", "messages": [{"role": "user", "content": "Hello!"}]}
    part = body.replace(b'"message"', b'"delta"')
    odd = Reply([b"data: " + part + b"\n\ndata: [DONE]\n\n"], content_type="text/event-stream")
    async with asking.gateway("vllm", json_reply(body), json_reply(body), odd) as caller:
        whole = await caller.post("/v1/chat/completions", json=ask)
        turned = await caller.post("/v1/chat/completions", json={**ask, "stream": True})
        streamed = await caller.post("/v1/chat/completions", json={**ask, "stream": True})
    assert check_whole(whole.content).choices[0].message.role == "assistant"
    for answer in (turned, streamed):
        for payload in payloads(answer.content):
            value = msgspec.json.decode(payload)
            if "error" not in value:  # no finish: cut
                check_chunk(payload)
