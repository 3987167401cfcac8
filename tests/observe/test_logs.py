"""What the log says of requests, and what it never says."""

import contextlib
import io
import json
import logging
import re
import sys
from datetime import datetime

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from structlog.testing import capture_logs

from freeroute.domain.outcome import Kind, Outcome
from freeroute.domain.usage import Usage
from freeroute.errors import FreerouteError
from freeroute.observe import lines as module
from freeroute.observe.lines import of_receipt
from freeroute.observe.logs import RequestLog, set_up
from freeroute.observe.scrub import HIDDEN, Scrub
from tests.support.receipts import changed, receipt
from tests.support.world import World, provider, streamed

KEYS = [
    "sk-proj-abcdefghijklmnop",
    "gsk_abcdefghijklmnop1234",
    "AIzaSyA1234567890abcdefghijk",
    "nvapi-ABCDEFGHIJKLMNOP",
    "hf_ABCDEFGHIJKLMNOPQR",
    "fr-QWERTYUIOPASDFGHJKLZXCVBNM",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIx.abc-_",
]
RECEIPT = receipt(client="-")


@pytest.fixture(autouse=True)
def _unconfigured():
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def written(capsys):
    """Return what has come out on stderr since the last look."""
    return lambda: capsys.readouterr().err


def lines(written):
    return [json.loads(line) for line in written().splitlines()]


def test_a_request_is_one_line_with_what_became_of_it(written):
    set_up("json", "info")
    RequestLog().saw(RECEIPT)
    (line,) = lines(written)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "level": "info",
        "event": "request",
        "status": 200,
        "model": "free-fast",
        "provider": "groq",
        "served": "openai/gpt-oss-120b",
        "ms": 500.0,
        "overhead_ms": 0.4,
        "tokens_in": 10,
        "tokens_out": 20,
        "id": "req_1",
    }


def test_for_people_it_is_plain_text_without_colours_where_no_terminal_is(written):
    set_up("console", "info")
    RequestLog().saw(RECEIPT)
    (line,) = written().splitlines()
    assert "request" in line
    assert "status=200" in line
    assert "provider=groq" in line
    assert "\x1b" not in line


async def test_failed_hops_are_told_in_the_same_line(written):
    set_up("json", "info")
    world = World(provider("groq"), provider("cerebras"), groq=[Outcome(Kind.FAULT, 503)])
    await world.ask("free")
    RequestLog().saw(world.receipts.last)
    (line,) = lines(written)
    assert line["attempts"] == 2
    assert line["trail"] == "groq/m=fault:503"


async def test_a_stream_that_broke_off_is_a_warning(written):
    set_up("json", "warning")
    world = World(provider("groq"), groq=[streamed(ending=Kind.TRUNCATED)])
    await world.ask("free", stream=True)
    RequestLog().saw(world.receipts.last)
    (line,) = lines(written)
    assert (line["level"], line["code"], line["first_ms"]) == ("warning", "truncated", 0.0)


def test_a_caller_who_left_is_no_warning(written):
    set_up("json", "info")
    RequestLog().saw(changed(RECEIPT, status=499, code="caller_left", caller_left=True))
    (line,) = lines(written)
    assert (line["level"], line["code"]) == ("info", "caller_left")


def test_events_that_could_not_be_read_are_told_where_there_are_any(written):
    set_up("json", "info")
    RequestLog().saw(RECEIPT)
    RequestLog().saw(structs.replace(RECEIPT, skipped=2))
    assert [line.get("skipped") for line in lines(written)] == [None, 2]


def test_a_flood_that_was_turned_away_is_told_by_those_that_have_a_line(written):
    set_up("json", "info")
    refused = changed(RECEIPT, status=401, code="invalid_api_key")
    for one in (refused, structs.replace(refused, unrecorded=9_900)):
        RequestLog().saw(one)
    assert [line.get("unrecorded") for line in lines(written)] == [None, 9_900]


def test_a_stream_that_others_went_on_with_says_how_often(written):
    set_up("json", "info")
    RequestLog().saw(RECEIPT)
    RequestLog().saw(structs.replace(RECEIPT, continued=2))
    assert [line.get("continued") for line in lines(written)] == [None, 2]


@pytest.mark.parametrize("form", ["console", "json"])
@given(
    receipt=st.builds(
        changed,
        st.just(RECEIPT),
        status=st.sampled_from([200, 502]),
        asked=st.sampled_from(["free", "two words", "100%s", "sk-proj-abcdefghijklmnop", ""]),
        provider=st.sampled_from(["groq", None]),
        model=st.sampled_from(["m", "a model", None]),
        client=st.sampled_from(["-", "laptop", "a client", "50 %", "gsk_abcdefghijklmnop1234"]),
        total=st.floats(0, 1000),
        overhead=st.floats(-1, 1000),
        usage=st.none() | st.builds(Usage, st.integers(0, 10**6), st.integers(0, 10**6)),
        request_id=st.from_regex(r"[\w.-]{1,128}", fullmatch=True),
        code=st.sampled_from([None, "truncated"]),
        skipped=st.integers(0, 2),
        stream=st.booleans(),
        first_event=st.none() | st.floats(0, 1000),
    )
)
def test_a_line_that_is_filled_in_is_that_of_its_event(form, receipt):
    stream = io.StringIO()
    with contextlib.redirect_stderr(stream):
        set_up(form, "info", ["my own secret"])
        log = RequestLog()
        for one in (receipt, structs.replace(receipt, request_id="another")):
            log.saw(one)
        filled, again = stream.getvalue().splitlines()
        stream.truncate(stream.seek(0))
        level = "warning" if "warning" in re.split('[ "]', filled) else "info"
        getattr(structlog.get_logger(), level)("request", **of_receipt(receipt))
    after_time, before_id = (" ", " id=") if form == "console" else (",", ',"id":')
    filled, again, of_event = [
        line.partition(after_time)[2] for line in (filled, again, stream.getvalue().rstrip("\n"))
    ]
    assert filled == of_event
    assert again.rpartition(before_id)[0] == filled.rpartition(before_id)[0]
    assert again.rpartition(before_id)[2].strip('"}') == "another"


def test_times_for_machines_are_told_to_the_microsecond(written, monkeypatch):
    set_up("json", "info")
    for now in (1790000000.0, 1790000000.25, 1790000000.999999, 1790000001.5, 1789999999.75):
        monkeypatch.setattr(module, "wall", lambda now=now: now)
        structlog.get_logger().info("x")
    told = [line["timestamp"] for line in lines(written)]
    assert [datetime.fromisoformat(one).timestamp() for one in told] == pytest.approx(
        [1790000000.0, 1790000000.25, 1790000000.999999, 1790000001.5, 1789999999.75], abs=2e-6
    )
    assert {len(one) for one in told} == {len("2026-09-21T14:13:20.000000Z")}


def test_keys_that_are_told_later_are_hidden_in_lines_like_those_before(written):
    scrub = set_up("console", "info")
    log = RequestLog()
    log.saw(changed(RECEIPT, client="correct-horse"))
    scrub.hide(["correct-horse", "battery-staple"])
    log.saw(changed(RECEIPT, client="correct-horse", request_id="battery-staple"))
    before, after = written().splitlines()
    assert "client=correct-horse " in before
    assert f"client={HIDDEN} id={HIDDEN}" in after


def test_who_reads_lines_by_a_processor_of_its_own_gets_those_of_requests_too():
    set_up("console", "info")
    log = RequestLog()
    log.saw(RECEIPT)
    with capture_logs() as events:
        log.saw(RECEIPT)
    assert [(event["event"], event["log_level"], event["status"]) for event in events] == [
        ("request", "info", 200)
    ]


def test_under_its_level_a_request_writes_nothing(written):
    set_up("json", "warning")
    RequestLog().saw(RECEIPT)
    assert written() == ""


@pytest.mark.parametrize("kind", [Kind.KEY_INVALID, Kind.NO_CREDIT, Kind.MODEL_GONE, Kind.REDIRECTED])
async def test_what_an_operator_must_see_to_is_a_line_of_its_own(written, kind):
    set_up("json", "warning")
    world = World(provider("groq"), provider("cerebras"), groq=[Outcome(kind, 401, detail="no such key")])
    await world.ask("free")
    RequestLog().saw(world.receipts.last)
    (line,) = lines(written)
    assert line["level"] == "warning"
    assert (line["provider"], line["key"], line["detail"]) == ("groq", "k1", "no such key")


async def test_no_key_and_no_prompt_of_a_failed_request_is_in_its_line(written):
    set_up("json", "debug")
    world = World(provider("groq"), groq=[Kind.FAULT])
    with pytest.raises(FreerouteError):
        await world.ask("free")
    RequestLog().saw(world.receipts.last)
    text = written()
    assert "request" in text
    assert "secret-k1" not in text
    assert "messages" not in text


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("form", ["json", "console"])
def test_what_looks_like_a_key_is_hidden_wherever_it_stands(written, key, form):
    set_up(form, "info")
    event = f"using {key}"
    structlog.get_logger().info(event, value=key, inside=[{"a": f"Bearer {key}"}], url=f"http://x/?key={key}")
    text = written()
    assert key not in text
    assert text.count(HIDDEN) == 4


def test_keys_in_use_are_hidden_even_if_they_look_like_nothing(written):
    set_up("json", "info", secrets=["correct horse battery", "demo"])
    structlog.get_logger().info("sent correct horse battery to the demo")
    assert lines(written)[0]["event"] == f"sent {HIDDEN} to the demo"


def test_a_key_in_a_traceback_is_hidden_and_the_traceback_keeps_its_lines(written):
    set_up("json", "info")
    try:
        raise ValueError("sk-proj-abcdefghijklmnop")
    except ValueError:
        structlog.get_logger().exception("failed")
    (line,) = lines(written)
    assert "sk-proj" not in line["exception"]
    assert "ValueError" in line["exception"]
    assert "\n" in line["exception"]


@given(st.text())
def test_no_text_from_outside_can_begin_a_line_of_its_own(text):
    assert str(Scrub().clean(f"a{text}b")).isprintable()


@given(st.lists(st.sampled_from(["x", " ", "Bearer ", "key=", "token=", *KEYS, "correct horse"])))
def test_what_begins_or_follows_a_key_does_not_keep_it_from_being_hidden(parts):
    scrub = Scrub(["correct horse"])
    assert scrub.clean("".join(parts)) == scrub.hidden("".join(parts))


ID_PARTS = st.sampled_from(["AIza", "eyJ", "sk", "gsk", "_", "-", "key=", "é", "\n", *"0123456789abcdefzq"])


@given(st.lists(ID_PARTS).map("".join), st.lists(st.tuples(st.integers(0, 20), st.integers(8, 28))))
def test_of_the_ids_of_requests_that_alone_is_left_in_which_no_key_could_be(rest, places):
    text = f"req_{rest:0<24.24}"
    scrub = Scrub(text[begin : begin + length] for begin, length in places)
    for one in (text, "req_0123456789abcdef01234567", f"{text}x", text[1:]):
        hidden = scrub.hidden(one)
        assert scrub.one_line(one) == "".join(char if char.isprintable() else "?" for char in hidden)


@pytest.mark.parametrize(
    "harmless",
    [
        "deepseek-r1-distill-qwen-32b-2025-awq",
        "0190c0de-1234-7abc-8def-0123456789ab",
        "risk-assessment-of-something-long",
        "req_0123456789abcdef01234567",
        "groq/openai/gpt-oss-120b=fault:503",
    ],
)
def test_model_names_and_request_ids_are_not_mistaken_for_keys(harmless):
    assert Scrub().clean(harmless) == harmless


def test_what_libraries_warn_of_comes_out_in_the_same_form(written):
    set_up("json", "info")
    set_up("json", "info")
    logging.getLogger("uvicorn.error").warning("token=%s", "abcdef123456")
    logging.getLogger("uvicorn.error").info("chatter")
    (line,) = lines(written)
    assert (line["level"], line["event"]) == ("warning", f"token={HIDDEN}")


def test_a_log_nobody_reads_any_more_fails_no_request(monkeypatch):
    closed = io.StringIO()
    closed.close()
    set_up("json", "info")
    monkeypatch.setattr(sys, "stderr", closed)
    RequestLog().saw(RECEIPT)


def test_values_of_any_type_can_be_logged_as_json(written):
    set_up("json", "info")
    structlog.get_logger().info("odd", value=object, number=float("nan"), many={1, 2})
    (line,) = lines(written)
    assert line["number"] is None
