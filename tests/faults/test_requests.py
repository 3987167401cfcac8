"""Refusals of the request itself: a parameter, its size, its content; and errors when nobody is left."""

import msgspec
import pytest

from tests.faults.scene import ANSWER, SERVED, UNTOUCHED, Stand
from tests.support.provider import ANSWERED, ANSWERS, Reply, error, refusing

BAD = b"400 Bad Request"
LONG = "many words " * 600  # some 1,650 tokens


# --- parameters --------------------------------------------------------------------------------------------


FORBIDDEN = b'{"detail":[{"type":"extra_forbidden","loc":["body","new_knob"],"msg":"Extra inputs"}]}'


@pytest.mark.parametrize(
    ("status", "body", "field"),
    [
        (BAD, error("Unknown parameter: 'seed'.", param="seed"), "seed"),
        (b"422 Unprocessable Entity", FORBIDDEN, "new_knob"),
    ],
    ids=["known", "unknown"],
)
async def test_a_parameter_nothing_relies_on_is_left_out_and_remembered(play, stream, status, body, field):
    scene = await play(refusing(status, body), ANSWERS)
    reply = await scene.ask(stream, **{field: 7})
    assert (reply.by, reply.raw, reply.headers["x-freeroute-dropped"]) == ("alpha", ANSWERED[stream], field)
    assert reply.trail == f"alpha/large=bad_parameter:{status[:3].decode()}"
    assert await scene.stands() == Stand((2, ANSWER))
    again = await scene.ask(stream, **{field: 7})
    assert (again.headers["x-freeroute-attempts"], again.headers["x-freeroute-dropped"]) == ("1", field)
    assert [field.encode() in call.body for call in scene.alpha.calls] == [True, False, False]


async def test_a_value_that_is_refused_is_left_out_and_the_parameter_is_not_held_against(play, stream):
    refusal = error("`seed` must be between 0 and 2147483647", param="seed")
    scene = await play(refusing(BAD, refusal), ANSWERS)
    reply = await scene.ask(stream, seed=-7)
    assert (reply.by, reply.raw, reply.headers["x-freeroute-dropped"]) == ("alpha", ANSWERED[stream], "seed")
    again = await scene.ask(stream, seed=7)
    assert (again.headers["x-freeroute-attempts"], "x-freeroute-dropped" in again.headers) == ("1", False)
    assert [b"seed" in call.body for call in scene.alpha.calls] == [True, False, True]


async def test_what_a_provider_gets_otherwise_than_it_was_asked_is_told(play, stream, log):
    quirks = {
        "clamps": {"presence_penalty": [0, 1]},
        "efforts": {"*": ["none", "high"]},
        "message_name": False,
    }
    scene = await play(alpha={"quirks": quirks})
    named = [{"role": "user", "content": "Hello!", "name": "walrus"}]
    reply = await scene.ask(stream, messages=named, presence_penalty=-1.5, reasoning_effort="low")
    told = "messages[].name,presence_penalty=0,reasoning_effort=high"
    assert (reply.by, reply.headers["x-freeroute-dropped"]) == ("alpha", told)
    assert f'"dropped":"{told}"' in log()
    sent = msgspec.json.decode(scene.alpha.calls[0].body)
    assert sent["messages"] == [{"role": "user", "content": "Hello!"}]
    assert (sent["presence_penalty"], sent["reasoning_effort"]) == (0, "high")


async def test_usage_that_a_provider_refuses_to_tell_is_not_asked_for_again(play):
    scene = await play(refusing(BAD, error("Unknown parameter: 'stream_options'.")), ANSWERS)
    reply = await scene.ask(True)
    assert (reply.by, reply.raw, reply.headers["x-freeroute-attempts"]) == ("alpha", ANSWERED[True], "2")
    assert "x-freeroute-dropped" not in reply.headers  # it was not the caller's wish
    assert (await scene.ask(True)).headers["x-freeroute-attempts"] == "1"


async def test_a_parameter_the_answer_depends_on_goes_where_it_is_taken(play, stream):
    scene = await play(refusing(BAD, error("property 'logprobs' is unsupported")))
    reply = await scene.ask(stream, logprobs=True)
    assert (reply.by, reply.trail) == ("beta", "alpha/large=bad_parameter:400")
    assert await scene.stands() == Stand((1, 0))
    assert len(scene.alpha.calls) == 1  # not again without it
    assert b'"logprobs":true' in scene.beta.calls[0].body


async def test_a_number_of_choices_that_is_too_many_says_nothing_of_fewer(play, stream):
    scene = await play(refusing(BAD, error("'n' : number must be at most 2", param="n")), ANSWERS)
    assert (await scene.ask(stream, n=8)).by == "beta"
    assert (await scene.ask(stream, n=4)).by == "alpha"  # it may have been only eight
    assert (await scene.ask(stream, n=9)).by == "beta"
    assert [b'"n":8' in call.body for call in scene.alpha.calls] == [True, False]


async def test_where_nobody_takes_it_the_caller_learns_which_parameter_it_was(play, stream):
    body = error("property 'logprobs' is unsupported")
    scene = await play(refusing(BAD, body), beta=refusing(BAD, body))
    reply = await scene.ask(stream, logprobs=True)
    assert (reply.status, reply.error["code"], reply.error["param"]) == (400, "invalid_request", "logprobs")
    assert reply.error["message"] == "property 'logprobs' is unsupported"
    assert [await scene.stands(name) for name in ("alpha", "beta")] == [Stand((1, 0))] * 2


PREFILL = [
    "This model does not support assistant message prefill. The conversation must end with a user message.",
    "Prefilling assistant messages is not supported for this model.",
    "Cannot set `add_generation_prompt` to True when the last message is from the assistant.",
    "Expected last role User or Tool (or Assistant with prefix True) for serving but got assistant",
]


@pytest.mark.parametrize("refusal", PREFILL, ids=["anthropic", "bedrock", "vllm", "mistral"])
async def test_an_answer_begun_by_the_caller_goes_to_whoever_continues_it(play, stream, refusal):
    """Two refuse it, which says nothing about the request: the third is asked all the same."""
    scene = await play(
        refusing(BAD, error(refusal)), beta=refusing(BAD, error(refusal)), others={"gamma": ANSWERS}
    )
    begun = [{"role": "user", "content": "Hello!"}, {"role": "assistant", "content": "Well"}]
    reply = await scene.ask(stream, messages=begun)
    assert (reply.status, reply.by, reply.raw) == (200, "gamma", ANSWERED[stream])
    assert reply.trail == "alpha/large=bad_parameter:400; beta/large=bad_parameter:400"
    assert [await scene.stands(name) for name in ("alpha", "beta")] == [Stand((1, 0))] * 2
    again = await scene.ask(stream, messages=begun)
    assert (again.by, again.headers["x-freeroute-attempts"]) == ("gamma", "1")  # the two are known by now


# --- the request -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slips", [1, 2])
async def test_a_broken_call_of_a_tool_is_tried_once_more_there(play, stream, slips):
    slip = refusing(BAD, error("Failed to call a function.", "tool_use_failed"))
    scene = await play(*[slip] * slips, ANSWERS)
    reply = await scene.ask(stream)
    assert (reply.by, reply.raw) == ("alpha" if slips == 1 else "beta", ANSWERED[stream])
    assert reply.trail.count("misgenerated:400") == slips
    assert len(scene.alpha.calls) == 2
    assert await scene.stands() == (Stand((2, ANSWER)) if slips == 1 else Stand((2, 0)))


async def test_a_rejected_request_is_served_where_another_provider_disagrees(play, stream):
    scene = await play(refusing(BAD, error("messages: roles must alternate")))
    assert await scene.moves_on(stream, "rejected:400") == Stand((1, 0))


async def test_a_request_that_two_providers_reject_is_the_callers_error(play, stream):
    first, second = error("roles must alternate"), error("roles must alternate user and assistant")
    scene = await play(refusing(BAD, first), beta=refusing(BAD, second), others={"gamma": ANSWERS})
    reply = await scene.ask(stream)
    assert (reply.status, reply.error["code"]) == (400, "invalid_request")
    assert reply.error["message"] == "roles must alternate user and assistant"
    assert await scene.stands("gamma") == UNTOUCHED
    assert [await scene.stands(name) for name in ("alpha", "beta")] == [Stand((1, 0))] * 2


async def test_a_prompt_too_long_for_one_goes_to_a_roomier_one_and_its_size_is_learned(play, stream):
    body = error("This model's maximum context length is 1024 tokens.", "context_length_exceeded")
    scene = await play(refusing(BAD, body), ANSWERS)
    reply = await scene.ask(stream, messages=[{"role": "user", "content": LONG}])
    assert (reply.by, reply.trail) == ("beta", "alpha/large=context_too_long:400")
    assert await scene.stands() == Stand((1, 0))
    again = await scene.ask(stream, messages=[{"role": "user", "content": LONG}])
    assert (again.by, again.headers["x-freeroute-attempts"]) == ("beta", "1")  # known by now
    assert (await scene.ask(stream)).by == "alpha"  # a short one still fits


async def test_a_prompt_climbs_from_context_to_context_until_one_has_room(play, stream):
    def full(context: int) -> Reply:
        return refusing(BAD, error(f"maximum context length is {context} tokens", "context_length_exceeded"))

    scene = await play(full(512), beta=full(1024), others={"gamma": ANSWERS})
    reply = await scene.ask(stream, messages=[{"role": "user", "content": LONG}])
    assert (reply.status, reply.by, reply.raw) == (200, "gamma", ANSWERED[stream])
    assert reply.trail == "alpha/large=context_too_long:400; beta/large=context_too_long:400"
    assert [await scene.stands(name) for name in ("alpha", "beta")] == [Stand((1, 0))] * 2
    assert await scene.stands("gamma") == SERVED


async def test_a_prompt_known_to_be_too_long_is_sent_nowhere(play, stream):
    small = {"models": [{"id": "large", "context": 512}]}
    scene = await play(alpha=small)
    asked = {"messages": [{"role": "user", "content": LONG}], "provider": {"only": ["alpha"]}}
    reply = await scene.ask(stream, **asked)
    assert (reply.status, reply.error["code"]) == (400, "context_length_exceeded")
    assert (await scene.stands(), scene.alpha.calls) == (UNTOUCHED, [])


async def test_a_prompt_too_long_by_the_estimate_alone_is_left_to_the_provider_to_judge(play, stream):
    body = error("prompt is too long: 1205 tokens > 1000 maximum")
    scene = await play(refusing(BAD, body), ANSWERS, alpha={"models": [{"id": "large", "context": 1000}]})
    asked = {"messages": [{"role": "user", "content": LONG}], "provider": {"only": ["alpha"]}}
    reply = await scene.ask(stream, **asked)
    assert (reply.status, reply.error["code"]) == (400, "context_length_exceeded")
    assert reply.error["metadata"]["context_length"] == 1000
    again = await scene.ask(stream, **asked)
    assert (again.status, again.error["metadata"]["context_length"]) == (400, 1000)
    assert len(scene.alpha.calls) == 1  # what it refused once it is not asked again
    scene.clock.advance(3600)
    assert (await scene.ask(stream, **asked)).by == "alpha"


async def test_a_prompt_too_long_says_nothing_of_another_kind_of_text(play):
    body = error("prompt is too long: 1205 tokens > 1000 maximum")
    scene = await play(refusing(BAD, body), ANSWERS, alpha={"models": [{"id": "large", "context": 1000}]})
    for text, status in ((LONG, 400), (LONG + "and more", 400), ("0123456789abcdef" * 110, 200)):
        asked = {"messages": [{"role": "user", "content": text}], "provider": {"only": ["alpha"]}}
        assert (await scene.ask(True, **asked)).status == status


async def test_a_prompt_too_long_for_all_is_told_so_after_each_was_asked_once(play, stream):
    refusal = refusing(BAD, error("prompt is too long", "context_length_exceeded"))
    scene = await play(refusal, beta=refusal)
    reply = await scene.ask(stream)
    assert (reply.status, reply.error["code"]) == (400, "context_length_exceeded")
    assert reply.error["param"] == "messages"
    assert (len(scene.alpha.calls), len(scene.beta.calls)) == (1, 1)
    assert [await scene.stands(name) for name in ("alpha", "beta")] == [Stand((1, 0))] * 2


async def test_more_than_a_minutes_tokens_goes_elsewhere_and_teaches_no_context(play, stream):
    told = "Request too large: tokens per minute (TPM): Limit 6000, Requested 9000"
    scene = await play(refusing(b"413 Payload Too Large", error(told, "rate_limit_exceeded")), ANSWERS)
    assert (await scene.moves_on(stream, "too_large:413")).state == "healthy"
    assert (await scene.ask(stream, messages=[{"role": "user", "content": LONG}])).by == "alpha"


async def test_a_filtered_prompt_is_told_and_asked_nowhere_else(play, stream):
    scene = await play(
        refusing(BAD, error("The prompt was stopped by the content filter.", "content_filter"))
    )
    reply = await scene.ask(stream)
    assert (reply.status, reply.error["code"]) == (400, "content_filter")
    assert reply.error["message"] == "The prompt was stopped by the content filter."
    assert await scene.stands() == Stand((1, 0))
    assert await scene.stands("beta") == UNTOUCHED


# --- nothing left ------------------------------------------------------------------------------------------


async def test_when_every_candidate_fails_the_error_tells_each_attempt(play, stream):
    scene = await play(refusing(b"500 Oops", error("broken")), beta=refusing(b"200 OK", b"<html></html>"))
    reply = await scene.ask(stream)
    assert (reply.status, reply.error["code"]) == (502, "upstream_failed")
    assert reply.headers["content-type"] == "application/json"
    told = [(one["provider"], one["kind"]) for one in reply.error["metadata"]["attempts"]]
    assert told == [("alpha", "fault"), ("beta", "garbage")]
    assert reply.trail == "alpha/large=fault:500; beta/large=garbage:200"
    assert "broken" not in reply.error["message"]
    assert [(await scene.stands(name)).state for name in ("alpha", "beta")] == ["suspect"] * 2


async def test_no_more_attempts_are_made_than_allowed(play, stream):
    fault = refusing(b"500 Oops", error("broken"))
    others = {f"more-{n}": fault for n in range(4)}
    scene = await play(
        fault, beta=fault, others=others, routing={"max_attempts": 3, "probes": 0, "max_wait": 0}
    )
    reply = await scene.ask(stream)
    assert (reply.status, reply.headers["x-freeroute-attempts"]) == (502, "3")
    assert sum(len(one.calls) for one in scene.providers.values()) == 3
