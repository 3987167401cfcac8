"""Refusals that are about the request: a parameter, its size, its content."""

import json
from typing import Any

import pytest

from tests.integration.asking import ALPHA_FIRST, moved_on
from tests.support.live import MODELS, entry, pair
from tests.support.servers import Peer, serve

# Nothing is known of it: no quirk takes a field out before the provider refuses it.
STRANGER: dict[str, Any] = {"like": "ovh"}
MISGENERATED = (
    b'{"error":{"message":"Failed to call a function. Please adjust your prompt.",'
    b'"type":"invalid_request_error","code":"tool_use_failed","failed_generation":"<function"}}'
)
LONG = "many words " * 600  # some 1,650 tokens


# --- parameters ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "status", "field"), [("groq", 400, "logit_bias"), ("mistral", 422, "new_knob")]
)
async def test_a_parameter_nothing_relies_on_is_dropped_and_remembered(run, stream, kind, status, field):
    gateway = await run(pair(kind, **STRANGER, quirks={"stream_usage": False}))
    sent = {field: {"50256": -100}}
    reply = await gateway.ask(stream=stream, **ALPHA_FIRST, **sent)
    assert (reply.status, reply.by) == (200, "alpha")
    assert reply.headers["x-freeroute-dropped"] == field
    assert reply.trail == f"alpha/{MODELS[kind]}=bad_parameter:{status}"
    again = await gateway.ask(stream=stream, **ALPHA_FIRST, **sent)
    assert (again.by, again.headers["x-freeroute-attempts"]) == ("alpha", "1")
    assert again.headers["x-freeroute-dropped"] == field
    assert [call["status"] for call in await gateway.calls(kind)] == [status, 200, 200]
    assert (await gateway.provider("alpha")).states == ["healthy"]


async def test_a_stream_whose_usage_a_provider_refuses_to_tell_is_served_without_it(run):
    gateway = await run(pair("mistral", **STRANGER))
    reply = await gateway.ask(stream=True, **ALPHA_FIRST)
    assert (reply.by, reply.headers["x-freeroute-attempts"]) == ("alpha", "2")
    assert "x-freeroute-dropped" not in reply.headers  # it was not the caller's wish
    assert (await gateway.ask(stream=True, **ALPHA_FIRST)).headers["x-freeroute-attempts"] == "1"


async def test_a_parameter_the_answer_depends_on_goes_where_it_is_honoured(run, stream):
    gateway = await run(pair(**STRANGER))
    alpha = await moved_on(gateway, stream, "bad_parameter:400", logprobs=True)
    assert alpha.states == ["healthy"]
    assert alpha.told["last_error"] is None
    assert [call["status"] for call in await gateway.calls("groq")] == [400]  # not again without it


async def test_where_nobody_honours_it_the_caller_learns_which_parameter_it_was(run, stream):
    gateway = await run({"alpha": entry(**STRANGER)})
    reply = await gateway.ask(stream=stream, logprobs=True)
    assert (reply.status, reply.error["code"]) == (400, "invalid_request")
    assert reply.error["param"] == "logprobs"
    assert reply.error["message"] == "'logprobs' : property 'logprobs' is unsupported"


# --- slips of the model ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("slips", "by"), [(1, "alpha"), (2, "beta")])
async def test_a_call_of_a_tool_that_went_wrong_is_tried_once_more_there(run, stream, slips, by):
    asked = []

    async def clumsy(peer: Peer) -> None:
        while True:
            asked.append((await peer.request()).body)
            if len(asked) <= slips:
                await peer.answer(MISGENERATED, status=b"400 Bad Request")
            else:
                await peer.answer(ANSWER, b"content-type: application/json")

    async with serve(clumsy) as server:
        gateway = await run(pair(base_url=server.url("/v1")))
        reply = await gateway.ask(stream=stream, **ALPHA_FIRST)
    assert (reply.status, reply.by, len(asked)) == (200, by, 2)
    assert reply.trail.count("misgenerated:400") == slips
    assert (await gateway.provider("alpha")).states == ["healthy"]


# --- answers that have to fit a schema ---------------------------------------------------------------------


def json_of(schema) -> dict[str, Any]:
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    return {"response_format": form, "max_tokens": 500}


async def test_an_answer_that_does_not_fit_its_schema_comes_from_another_model(run, stream):
    plain, native = {"capabilities": ["json_object"]}, {"capabilities": ["json_object", "json_schema"]}
    gateway = await run({"alpha": entry("groq", model=plain), "beta": entry("cerebras", model=native)})
    fields = json_of({"type": "object", "properties": {"n": {"const": 7}}, "required": ["n"]})
    reply = await gateway.ask(stream=stream, **ALPHA_FIRST, **fields)
    assert (reply.status, reply.by, json.loads(reply.text)) == (200, "beta", {"n": 7})
    assert reply.trail == "alpha/openai/gpt-oss-120b=nonconforming:200"
    assert (await gateway.provider("alpha")).states == ["healthy"]


async def test_answers_of_a_model_that_is_told_the_schema_are_served_once_they_fit(run, stream):
    gateway = await run({"alpha": entry("groq", model={"capabilities": ["json_object"]})})
    reply = await gateway.ask(stream=stream, **json_of({"type": "object", "required": ["simulated"]}))
    assert (reply.status, json.loads(reply.text)["simulated"], reply.ended) == (200, True, stream)


async def test_answers_that_never_fit_are_an_error(run, stream):
    gateway = await run({"alpha": entry("groq", model={"capabilities": ["json_object"]})})
    reply = await gateway.ask(stream=stream, **json_of({"type": "array"}))
    assert (reply.status, reply.error["code"]) == (502, "upstream_failed")
    assert reply.error["message"].endswith("the answer does not fit the schema: type")


# --- rejected --------------------------------------------------------------------------------------------


async def test_a_rejected_request_is_served_where_another_provider_disagrees(run, stream):
    gateway = await run()
    await gateway.script("groq", {"kind": "status", "status": 400})
    alpha = await moved_on(gateway, stream, "rejected:400")
    assert (alpha.states, alpha.held) == (["healthy"], [])


async def test_a_request_that_a_second_provider_rejects_too_is_the_callers_error(run, stream):
    gateway = await run({**pair(), "gamma": entry("mistral", quality=10)})
    await gateway.script("groq", {"kind": "status", "status": 400})
    await gateway.script("cerebras", {"kind": "status", "status": 422})
    reply = await gateway.ask(stream=stream)
    assert (reply.status, reply.error["code"]) == (400, "invalid_request")
    assert reply.error["message"] == "Encountered a server error."  # in the words of the one that agreed
    assert not await gateway.calls("mistral")
    for name in ("alpha", "beta"):
        assert (await gateway.provider(name)).states == ["healthy"]


# --- too long --------------------------------------------------------------------------------------------


async def test_a_prompt_too_long_for_one_goes_to_a_roomier_one_and_the_size_is_learned(run, stream):
    gateway = await run(pair("openrouter", model={"context": 1_000_000}))
    gateway["openrouter"].models = {
        name: type(one)(one.id, context=1000) for name, one in gateway["openrouter"].models.items()
    }
    alpha = await moved_on(gateway, stream, "context_too_long:400", "openrouter", text=LONG)
    assert alpha.states == ["healthy"]
    again = await gateway.ask(LONG, stream=stream, **ALPHA_FIRST)
    assert (again.by, again.headers["x-freeroute-attempts"]) == ("beta", "1")  # known by now
    assert (await gateway.ask(stream=stream, **ALPHA_FIRST)).by == "alpha"  # a short one still fits


async def test_a_prompt_too_long_for_all_is_told_so(run, stream):
    gateway = await run()
    await gateway.script("groq", "context_too_long")
    await gateway.script("cerebras", "context_too_long")
    reply = await gateway.ask(stream=stream)
    assert (reply.status, reply.error["code"]) == (400, "context_length_exceeded")
    assert reply.error["param"] == "messages"


async def test_a_prompt_known_to_be_too_long_is_sent_nowhere(run, stream):
    gateway = await run({"alpha": entry(model={"context": 1000})})
    reply = await gateway.ask(LONG, stream=stream)
    assert (reply.status, reply.error["code"]) == (400, "context_length_exceeded")
    assert not await gateway.calls("groq")


async def test_more_than_a_minutes_tokens_goes_elsewhere_and_is_not_taken_for_the_context(run, stream):
    gateway = await run()
    alpha = await moved_on(gateway, stream, "too_large:413", max_tokens=9000)
    assert alpha.states == ["healthy"]
    [call] = await gateway.calls("groq")
    assert call["status"] == 413
    assert (await gateway.ask(LONG, stream=stream, **ALPHA_FIRST)).by == "alpha"


ANSWER = (
    b'{"id":"c1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":'
    b'{"role":"assistant","content":"Done."},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}'
)
