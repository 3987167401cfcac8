"""What comes back from Ollama's own API."""

import msgspec

from freeroute.domain.usage import Usage
from tests.support.asking import rest, stream_of
from tests.support.clocks import ManualClock
from tests.support.ollamas import END, WHOLE, Talk, chunks, line, ndjson
from tests.support.transports import json_reply


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
