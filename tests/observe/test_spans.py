"""A receipt as spans: the request, what it waited for, each attempt, the relay."""

from itertools import count

import pytest

from freeroute.domain.outcome import Kind
from freeroute.domain.receipt import AttemptNote, Wait
from freeroute.domain.traces import Trace
from freeroute.domain.usage import Usage
from freeroute.observe.spans import spans
from tests.support.clocks import EPOCH
from tests.support.receipts import receipt

TRACE = Trace("a" * 32, "b" * 16, "c" * 16, 1)
FAILED = AttemptNote("gemini", "flash", "k2", Kind.FAULT, 0.1, 503, "secret detail", began=0.5, span="d" * 16)
SERVED = AttemptNote(
    "groq", "m", "k1", Kind.SERVED, 0.9, 200, first_event=0.3, usage=Usage(10, 20), began=0.6, span="e" * 16
)
WHOLE = receipt(
    stream=True,
    trace=TRACE,
    attempts=(FAILED, SERVED),
    waits=(Wait(0.0, 0.5),),
    queued=0.5,
    first_event=0.9,
    total=1.5,
    usage=Usage(10, 20, reasoning=5, cached=2),
    dropped=("seed",),
)


def told(given=WHOLE, trace=TRACE):
    ids = count(1)
    return list(spans(given, trace, lambda: f"{next(ids):016x}"))


def test_a_request_has_a_span_for_itself_each_wait_each_attempt_and_the_relay():
    assert [(span.name, span.kind) for span in told()] == [
        ("chat free-fast", "server"),
        ("wait", "internal"),
        ("chat flash", "client"),
        ("chat m", "client"),
        ("relay", "internal"),
    ]


def test_all_are_below_the_request_which_is_below_its_caller():
    request, *others = told()
    assert (request.id, request.parent) == ("b" * 16, "c" * 16)
    assert {span.parent for span in others} == {"b" * 16}
    assert len({span.id for span in told()}) == 5


def test_an_attempt_goes_by_the_id_that_its_provider_was_told():
    assert [span.id for span in told() if span.kind == "client"] == ["d" * 16, "e" * 16]


def test_they_lie_where_they_happened():
    times = [(round(s.began - EPOCH, 6), round(s.ended - EPOCH, 6)) for s in told()]
    assert times == [(0.0, 1.5), (0.0, 0.5), (0.5, 0.6), (0.6, 1.5), (0.9, 1.5)]


def test_a_request_says_what_was_asked_and_who_answered_at_what_cost():
    attributes = told()[0].attributes
    assert attributes["gen_ai.request.model"] == "free-fast"
    assert attributes["gen_ai.response.model"] == "openai/gpt-oss-120b"
    assert attributes["gen_ai.provider.name"] == "groq"
    assert attributes["gen_ai.usage.input_tokens"] == 10
    assert attributes["gen_ai.usage.reasoning.output_tokens"] == 5
    assert attributes["gen_ai.response.finish_reasons"] == ("stop",)
    assert attributes["freeroute.request_id"] == "req_1"
    assert attributes["freeroute.dropped"] == ("seed",)
    assert "error.type" not in attributes


def test_an_attempt_says_how_it_ended_and_nothing_that_anybody_wrote():
    failed = told()[2]
    assert failed.attributes["error.type"] == "fault"
    assert failed.attributes["gen_ai.provider.name"] == "gcp.gemini"
    assert failed.attributes["freeroute.provider"] == "gemini"
    assert failed.attributes["http.response.status_code"] == 503
    assert failed.failed
    assert "secret detail" not in repr(told())


@pytest.mark.parametrize(
    ("changes", "failed", "error"),
    [
        ({}, False, None),
        ({"status": 502, "code": "upstream_failed"}, True, "upstream_failed"),
        ({"status": 404, "code": "model_not_found"}, False, "model_not_found"),
        ({"status": 200, "code": "stalled"}, True, "stalled"),
        ({"status": 499, "code": "caller_left", "caller_left": True}, False, "caller_left"),
        ({"status": 500, "code": "never heard of"}, True, "_OTHER"),
    ],
)
def test_what_is_no_fault_of_the_service_is_no_failed_span(changes, failed, error):
    span = told(receipt(**changes))[0]
    assert (span.failed, span.attributes.get("error.type")) == (failed, error)


def test_what_nobody_made_up_names_a_span():
    span = told(receipt(asked="whatever\x00 I want", asked_known=False, attempts=()))[0]
    assert span.name == "chat"
    assert span.attributes["gen_ai.request.model"] == "whatever? I want"


def test_a_whole_answer_is_not_relayed_and_an_attempt_without_an_id_gets_one():
    whole = told(receipt())
    assert [span.kind for span in whole] == ["server", "client"]
    assert whole[1].id == f"{1:016x}"
