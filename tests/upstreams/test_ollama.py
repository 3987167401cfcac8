"""Ollama in its own API: what goes up, what comes back as OpenAI's, and which context is asked for."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeroute.domain.catalogue import Candidate, ErrorRule, Key, Model, Provider
from freeroute.domain.outcome import Kind
from freeroute.domain.usage import Usage
from freeroute.engine.ports import Sent, Terms
from freeroute.upstreams.ollama import KEPT, SMALLEST, Contexts, OllamaUpstream, wanted_context
from freeroute.upstreams.transport import Truncated
from freeroute.wire.decode import decode_chat
from tests.support.asking import TERMS, rest, stream_of
from tests.support.clocks import ManualClock
from tests.support.transports import PlayedTransport, Reply, json_reply

PNG = "iVBORw0KGgo="


def candidate(**facts: Any) -> Candidate:
    provider = Provider("ollama", "Ollama", "http://127.0.0.1:11434/v1", kind="ollama", **facts.pop("of", {}))
    model = Model("llama3.2:3b", "llama3.2", **{"context": 32_768, **facts})
    return Candidate(provider, model, Key("", "anonymous"), "c", ())


def line(said: dict[str, Any] | None = None, **more: Any) -> bytes:
    value = {"model": "llama3.2:3b", "created_at": "2026-11-01T00:00:00Z", "done": False, **more}
    if said is not None:
        value["message"] = {"role": "assistant", "content": "", **said}
    return msgspec.json.encode(value) + b"\n"


COUNTS = {"prompt_eval_count": 26, "eval_count": 9}
END = line({}, done=True, done_reason="stop", **COUNTS)
WHOLE = line({"content": "Hi"}, done=True, done_reason="stop", **COUNTS)


def ndjson(*steps: Any) -> Reply:
    return Reply(steps, content_type="application/x-ndjson")


class Talk:
    """One Ollama upstream over prepared answers."""

    def __init__(self, *replies: Reply) -> None:
        self.transport = PlayedTransport(*replies)
        self.clock = ManualClock()
        self.upstream = OllamaUpstream(self.transport, self.clock)

    async def ask(self, asked: Candidate | None = None, terms: Terms = TERMS, **fields: Any) -> Sent:
        body = {"model": "free", "messages": [{"role": "user", "content": "Hello!"}], **fields}
        return await self.upstream.send(decode_chat(msgspec.json.encode(body)), asked or candidate(), terms)

    @property
    def sent(self) -> Any:
        return msgspec.json.decode(self.transport.sent[-1].body)


async def sent(asked: Candidate | None = None, answer: bytes = WHOLE, **fields: Any) -> Any:
    """Return the body that went up."""
    talk = Talk(json_reply(answer))
    assert (await talk.ask(asked, **fields)).outcome.kind is Kind.SERVED
    return talk.sent


async def chunks(*steps: Any, **fields: Any) -> list[Any]:
    stream = stream_of(await Talk(ndjson(*steps)).ask(stream=True, **fields))
    return [msgspec.json.decode(payload) for payload in await rest(stream)]


# --- what goes up --------------------------------------------------------------------------------------


async def test_a_plain_request_asks_for_no_cut_and_leaves_the_rest_to_the_server():
    talk = Talk(json_reply(WHOLE))
    await talk.ask()
    assert talk.transport.sent[0].url == "http://127.0.0.1:11434/api/chat"
    assert talk.sent == {
        "model": "llama3.2:3b",
        "messages": [{"role": "user", "content": "Hello!"}],
        "stream": False,
        "truncate": False,
        "shift": False,
        "options": {},
    }


async def test_sampling_goes_into_the_options_under_ollamas_names():
    body = await sent(
        temperature=0.5, top_p=0.9, seed=7, stop="END", max_tokens=50, presence_penalty=1, top_k=20, min_p=0.1
    )
    assert body["options"] == {
        "temperature": 0.5, "top_p": 0.9, "seed": 7, "presence_penalty": 1, "top_k": 20, "min_p": 0.1,
        "stop": ["END"], "num_predict": 50,
    }  # fmt: skip
    assert (await sent(stop=["a", "b"]))["options"] == {"stop": ["a", "b"]}


async def test_native_fields_of_the_caller_are_passed_on():
    body = await sent(keep_alive="10m", think=True, options={"num_gpu": 1, "temperature": 1}, temperature=0)
    assert (body["keep_alive"], body["think"]) == ("10m", True)
    assert body["options"] == {"num_gpu": 1, "temperature": 0}


async def test_what_has_no_counterpart_is_left_out_and_named():
    talk = Talk(json_reply(WHOLE))
    answer = await talk.ask(user="me", logit_bias={"1": 2}, novelty=3, reasoning_effort="low", n=1)
    assert set(answer.dropped) == {"user", "logit_bias", "novelty", "reasoning_effort"}
    assert {"user", "logit_bias", "novelty", "think"}.isdisjoint(talk.sent)


@pytest.mark.parametrize(
    ("effort", "told"),
    [
        ("minimal", ("reasoning_effort=low",)),
        ("xhigh", ("reasoning_effort=high",)),
        ("none", ()),
        ("low", ()),
    ],
)
async def test_an_effort_that_ollama_does_not_know_is_told_as_what_it_became(effort, told):
    thinker = candidate(capabilities=frozenset({"reasoning"}))
    assert (await Talk(json_reply(WHOLE)).ask(thinker, reasoning_effort=effort)).dropped == told


async def test_a_stream_always_tells_its_usage_so_nothing_is_dropped():
    talk = Talk(ndjson(line({"content": "Hi"}), END))
    answer = await talk.ask(stream=True, stream_options={"include_usage": True})
    assert (answer.dropped, talk.sent["stream"]) == ((), True)


TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"n": 2}, "n"),
        ({"tools": [TOOL], "tool_choice": "required"}, "tool_choice"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"messages": [{"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": "https://a.example/b.png"}}]}]}, "messages"),
        ({"messages": [{"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,A"}}]}]}, "messages"),
        ({"messages": [{"role": "user", "content": [
            {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}]}]}, "messages"),
        ({"messages": [{"role": "assistant", "tool_calls": [
            {"id": "1", "function": {"name": "f", "arguments": "{broken"}}]}]}, "messages"),
    ],
)  # fmt: skip
async def test_what_ollama_cannot_do_goes_to_another_candidate(fields: dict[str, Any], field: str):
    talk = Talk()
    outcome = (await talk.ask(**fields)).outcome
    assert (outcome.kind, outcome.param, outcome.counted) == (Kind.BAD_PARAMETER, field, False)
    assert talk.transport.sent == []


async def test_no_tool_is_offered_where_none_may_be_called():
    assert "tools" not in await sent(tools=[TOOL], tool_choice="none")
    assert (await sent(tools=[TOOL], tool_choice="auto"))["tools"] == [TOOL]


async def test_the_form_of_the_answer_is_a_word_or_a_schema():
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    named = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    unnamed: Any = {"type": "json_schema", "json_schema": {}}
    json = line({"content": "{}"}, done=True, done_reason="stop", **COUNTS)
    assert (await sent(answer=json, response_format=named))["format"] == schema
    assert (await sent(answer=json, response_format=unnamed))["format"] == "json"
    assert (await sent(response_format={"type": "json_object"}))["format"] == "json"
    assert "format" not in await sent(response_format={"type": "text"})


@pytest.mark.parametrize(("effort", "think"), [("none", False), ("minimal", "low"), ("xhigh", "high")])
async def test_a_model_that_thinks_is_told_how_much(effort: str, think: Any):
    thinker = candidate(capabilities=frozenset({"reasoning"}))
    assert (await sent(thinker, reasoning_effort=effort))["think"] == think


async def test_a_conversation_with_tools_and_images_is_told_in_ollamas_form():
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"at":"it"}'}}
    body = await sent(
        messages=[
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [
                {"type": "text", "text": "What is"}, {"type": "text", "text": "this?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64," + PNG.rstrip("=")}},
            ]},
            {"role": "assistant", "content": None, "reasoning_content": "Hm.", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": "a cat"},
            {"role": "function", "name": "old", "content": "x"},
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
        ]
    )  # fmt: skip
    function = {"name": "look", "arguments": {"at": "it"}}
    assert body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What is\nthis?", "images": [PNG]},
        {"role": "assistant", "content": "", "thinking": "Hm.",
         "tool_calls": [{"function": function, "id": "c1"}]},
        {"role": "tool", "content": "a cat", "tool_name": "look", "tool_call_id": "c1"},
        {"role": "tool", "content": "x", "tool_name": "old"},
        {"role": "assistant", "content": "No."},
    ]  # fmt: skip


# --- what comes back -----------------------------------------------------------------------------------


async def test_a_whole_answer_is_a_completion_with_exact_counts():
    answer = (await Talk(json_reply(WHOLE)).ask()).answer
    assert answer is not None
    body = msgspec.json.decode(answer.body)
    assert body.pop("id").startswith("chatcmpl-")
    assert body == {
        "object": "chat.completion",
        "created": int(ManualClock().now().wall),
        "model": "llama3.2:3b",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 26, "completion_tokens": 9, "total_tokens": 35},
    }
    assert (answer.usage, answer.finish) == (Usage(26, 9), "stop")


async def test_a_stream_becomes_chunks_with_one_identity_and_the_usage_if_asked():
    steps = (line({"thinking": "Hm"}), line({"content": "Hi"}), line({}), line({"content": "!"}), END)
    told = await chunks(*steps, stream_options={"include_usage": True})
    assert [chunk["choices"][0]["delta"] for chunk in told[:-1]] == [
        {"role": "assistant", "reasoning_content": "Hm"},
        {"content": "Hi"},
        {"content": "!"},
        {},
    ]
    assert [chunk["choices"][0]["finish_reason"] for chunk in told[:-1]] == [None, None, None, "stop"]
    assert (told[-1]["choices"], told[-1]["usage"]["total_tokens"]) == ([], 35)
    assert len({(c["id"], c["created"], c["model"], c["object"]) for c in told}) == 1
    assert len(await chunks(*steps)) == 4


async def test_tool_calls_get_ids_and_running_numbers():
    one = {"function": {"index": 0, "name": "a", "arguments": {"x": 1}}}
    two = {"id": "own", "function": {"index": 0, "name": "b", "arguments": {}}}
    told = await chunks(line({"tool_calls": [one]}), line({"tool_calls": [two]}), END)
    calls = [call for c in told for call in c["choices"][0]["delta"].get("tool_calls", ())]
    assert [(c["index"], c["function"]["name"], c["function"]["arguments"]) for c in calls] == [
        (0, "a", '{"x":1}'),
        (1, "b", "{}"),
    ]
    assert calls[0]["id"].startswith("call_")
    assert calls[1]["id"] == "own"
    assert told[-1]["choices"][0]["finish_reason"] == "tool_calls"
    cut = await chunks(line({"tool_calls": [one]}), line({}, done=True, done_reason="length"))
    assert cut[-1]["choices"][0]["finish_reason"] == "length"
    answer = (await Talk(json_reply(line({"tool_calls": [one]}, done=True))).ask()).answer
    assert answer is not None
    [choice] = msgspec.json.decode(answer.body)["choices"]
    assert choice["finish_reason"] == "tool_calls"
    assert set(choice["message"]["tool_calls"][0]) == {"id", "type", "function"}


async def test_log_probabilities_are_passed_on():
    probability = {"token": "Hi", "logprob": -0.1}
    told = await chunks(line({"content": "Hi"}, logprobs=[probability]), END, logprobs=True)
    assert told[0]["choices"][0]["logprobs"] == {"content": [{**probability, "top_logprobs": []}]}


async def test_a_cached_prompt_that_is_not_counted_is_estimated_and_no_counts_are_no_usage():
    stream = stream_of(await Talk(ndjson(line({"content": "Hi"}), line({}, done=True, eval_count=3))).ask(
        stream=True
    ))  # fmt: skip
    await rest(stream)
    assert stream.usage is not None
    assert (stream.usage.completion, stream.usage.prompt > 0, stream.usage.estimated) == (3, True, True)
    stream = stream_of(await Talk(ndjson(line({"content": "Hi"}), line({}, done=True))).ask(stream=True))
    await rest(stream)
    assert stream.usage is not None
    assert stream.usage.estimated


async def test_a_stream_is_the_same_however_its_bytes_are_cut():
    data = line({"content": "Hé"}) + line({"content": "!"}) + END.rstrip(b"\n")
    at_once, in_bytes = await chunks(data), await chunks(*(data[i : i + 1] for i in range(len(data))))
    assert [chunk["choices"] for chunk in at_once] == [chunk["choices"] for chunk in in_bytes]


# --- how it fails --------------------------------------------------------------------------------------


def refusal(text: str) -> bytes:
    return msgspec.json.encode({"error": text})


def overflow(context: int) -> bytes:
    """The runner's error as newer versions pass it on: JSON in a text."""
    error = {"code": 400, "message": "the request exceeds the available context size",
             "type": "exceed_context_size_error", "n_prompt_tokens": 99_000, "n_ctx": context}  # fmt: skip
    return refusal(msgspec.json.encode({"error": error}).decode())


BUSY = (
    ErrorRule(status=503, contains="loading model", kind="loading"),
    ErrorRule(status=503, kind="no_capacity"),
)


@pytest.mark.parametrize(
    ("status", "body", "kind", "param"),
    [
        (404, refusal("model 'x' not found"), Kind.MODEL_GONE, None),
        (400, refusal("ollama.ai/library/x does not support tools"), Kind.BAD_PARAMETER, "tools"),
        (400, refusal("the input length exceeds the context length"), Kind.CONTEXT_TOO_LONG, None),
        (400, overflow(8192), Kind.CONTEXT_TOO_LONG, None),
        (400, refusal("illegal base64 data at input byte 0"), Kind.REJECTED, None),
        (500, refusal("model requires more system memory (9.1 GiB) than is available"), Kind.FAULT, None),
        (503, refusal("server busy.  maximum pending requests exceeded"), Kind.NO_CAPACITY, None),
        (503, refusal("llm server loading model"), Kind.LOADING, None),
        (200, refusal("an error was encountered while running the model"), Kind.FAULT, None),
        (200, b"{}", Kind.GARBAGE, None),
        (200, b"nonsense", Kind.GARBAGE, None),
        (200, line({}, done=True, done_reason="load"), Kind.EMPTY, None),
        (200, line({"content": "Hi"}), Kind.TRUNCATED, None),
    ],
)  # fmt: skip
async def test_each_refusal_is_understood(status: int, body: bytes, kind: Kind, param: str | None):
    asked = candidate(of={"errors": BUSY})
    outcome = (await Talk(json_reply(body, status)).ask(asked)).outcome
    assert (outcome.kind, outcome.param) == (kind, param)


@pytest.mark.parametrize(
    ("steps", "kind"),
    [
        ((), Kind.EMPTY),
        ((refusal("out of memory") + b"\n",), Kind.FAULT),
        ((b"<<garbage>>\n", b"\x80\n"), Kind.GARBAGE),
        ((b"x" * 1_100_000,), Kind.GARBAGE),
        ((line({}),), Kind.EMPTY),
        ((END,), Kind.EMPTY),
    ],
)
async def test_a_stream_without_a_first_event_is_a_failed_attempt(steps: tuple[bytes, ...], kind: Kind):
    talk = Talk(ndjson(*steps))
    assert (await talk.ask(stream=True)).outcome.kind is kind
    assert talk.transport.exchanges[0].aborted


@pytest.mark.parametrize(
    ("step", "kind"),
    [
        (b"", Kind.TRUNCATED),
        (Truncated("x"), Kind.TRUNCATED),
        (refusal("llama runner process has terminated") + b"\n", Kind.FAULT),
        (b"x" * 1_100_000, Kind.GARBAGE),
    ],
)
async def test_a_stream_that_dies_is_told_from_one_that_ended(step: Any, kind: Kind):
    stream = stream_of(await Talk(ndjson(line({"content": "Hi"}), step)).ask(stream=True))
    assert len(await rest(stream)) == 1
    assert stream.outcome is not None
    assert stream.outcome.kind is kind


@given(st.lists(st.binary(max_size=40) | st.just(END) | st.just(line({"content": "x"})), max_size=6))
async def test_no_bytes_at_all_break_a_stream(steps: list[bytes]):
    answer = await Talk(ndjson(*(step for step in steps if step))).ask(stream=True)
    if answer.stream is not None:
        await rest(answer.stream)
        assert answer.stream.usage is not None


# --- which context -------------------------------------------------------------------------------------


@given(
    prompt=st.integers(1, 400_000),
    bound=st.none() | st.integers(1, 50_000),
    held=st.none() | st.integers(512, 300_000),
    ceiling=st.none() | st.integers(512, 300_000),
)
def test_a_loaded_context_stays_if_it_suffices_and_never_shrinks_or_passes_the_ceiling(
    prompt: int, bound: int | None, held: int | None, ceiling: int | None
):
    asked = wanted_context(prompt, bound, held, ceiling)
    need = prompt + (bound or 1)
    if asked is None:
        assert held is None
        assert need <= SMALLEST
    elif asked != held:
        assert held is None or asked > held
        assert need <= asked or asked == ceiling
        assert asked == ceiling or asked % SMALLEST == 0
        assert ceiling is None or asked <= ceiling


async def test_a_conversation_that_grows_loads_the_model_a_few_times_and_then_stays():
    talk = Talk(*[json_reply(WHOLE)] * 6)
    asked: list[int | None] = []
    for size in (10, 20_000, 15_000, 40_000, 10, 10):
        if len(asked) == 5:
            talk.clock.advance(KEPT)  # and nobody needed it, so it is unloaded
        await talk.ask(messages=[{"role": "user", "content": "x" * size}])
        asked.append(talk.sent["options"].get("num_ctx"))
    assert asked == [None, 8192, 8192, 16384, 16384, None]


async def test_a_context_that_could_not_be_loaded_is_not_kept():
    talk = Talk(json_reply(refusal("not enough memory"), 500), json_reply(WHOLE))
    await talk.ask(messages=[{"role": "user", "content": "x" * 20_000}])
    await talk.ask()
    assert "num_ctx" not in talk.sent["options"]


async def test_what_the_server_has_loaded_is_asked_for_again():
    body = await sent(candidate(default_context=16_384))
    assert body["options"] == {"num_ctx": 16_384}


async def test_an_overflow_of_what_was_loaded_teaches_nothing_of_the_model():
    learned = [
        (await Talk(json_reply(overflow(size), 400)).ask(candidate(context=context))).outcome.context
        for size, context in ((4096, 32_768), (32_768, 32_768), (4096, None))
    ]
    assert learned == [None, 32_768, None]


def test_no_more_contexts_are_remembered_than_there_are_models():
    contexts, now = Contexts(), ManualClock().now()
    models = [Candidate(candidate().provider, Model(str(n), "f"), Key("", "k"), "c", ()) for n in range(301)]
    for one in models:
        contexts.used(one, 8192, now)
    assert [contexts.held(one, now) for one in (models[0], models[1])] == [None, 8192]
