"""What the dashboard makes of receipts: stored ones in the status's shape, their ends, which are wanted."""

import json
import shutil
import subprocess

import msgspec
import pytest
from msgspec import structs

from freeroute.domain.outcome import Kind
from freeroute.domain.receipt import AttemptNote
from freeroute.resources import dashboard_dir
from freeroute.stores.records.writing import plain
from tests.support.receipts import receipt, row_of

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="no node on this machine")

REFUSED = AttemptNote("gemini", "m", "k", Kind.RATE_LIMITED, 0.25, 429, "slow down")
SERVED = AttemptNote("groq", "m", "k", Kind.SERVED, 0.5, 200)


def run(expression, *given):
    """Return what *expression* of the dashboard's receipts is, with *given* as ``given``."""
    module = (dashboard_dir() / "receipts.js").read_text()
    ending = f"console.log(JSON.stringify(((given) => {expression})({json.dumps(given)})))"
    assert NODE is not None
    ran = subprocess.run(
        [NODE, "--input-type=module", "--eval", f"{module}\n{ending}"],
        capture_output=True,
        check=True,
        timeout=60,
    )
    return json.loads(ran.stdout)


def stored(**changes):
    """Return a stored receipt with *changes*, as the gateway gives it."""
    return msgspec.json.decode(msgspec.json.encode(plain(structs.asdict(row_of(receipt(**changes))))))


def shown(line):
    return run("fromRecord(given[0])", line)


def times(found):
    return [
        *((round(wait["began"], 6), round(wait["seconds"], 6)) for wait in found["waits"]),
        *((one["provider"], round(one["began"], 6), round(one["seconds"], 6)) for one in found["attempts"]),
    ]


def test_a_stored_request_that_went_well_is_one_attempt_from_its_arrival_on():
    found = shown(stored(stream=True))
    assert times(found) == [("groq", 0, 0.5)]
    assert found["attempts"][0]["first_event"] == 0.25
    assert (found["total_ms"], found["tokens"]) == (500, {"prompt": 10, "completion": 20})
    assert (found["stored"], found["dated"]) == (True, True)


def test_a_stored_request_waited_between_its_attempts_as_long_as_it_waited_in_all():
    hops = (structs.replace(REFUSED, began=0.001), SERVED)
    found = shown(stored(attempts=hops, queued=1.0, total=2.0, first_event=None))
    assert times(found) == [(0.251, 1.0), ("gemini", 0.001, 0.25), ("groq", 1.251, 0.749)]


def test_a_stored_request_that_waited_before_each_attempt_tells_both_waits():
    hops = (structs.replace(REFUSED, began=0.5), SERVED)
    found = shown(stored(attempts=hops, queued=0.7, total=2.0, first_event=None))
    assert times(found) == [(0, 0.5), (0.75, 0.2), ("gemini", 0.5, 0.25), ("groq", 0.95, 1.05)]


def test_what_ran_beside_another_attempt_moves_no_other():
    late = AttemptNote("gemini", "m", "k", Kind.OUTRUN, 0.4, began=0.0)
    assert times(shown(stored(attempts=(late, SERVED)))) == [("gemini", 0, 0.4), ("groq", 0, 0.5)]


def test_a_stored_request_that_nobody_served_has_the_attempts_in_vain_alone():
    nobody = {"provider": None, "model": None, "key": None, "usage": None, "first_event": None}
    found = shown(stored(attempts=(REFUSED,), status=429, code="capacity_exhausted", total=0.25, **nobody))
    assert times(found) == [("gemini", 0, 0.25)]
    assert (found["provider"], found["tokens"]) == (None, None)
    assert run("outcomeOf(given[0])", found) == "failed"


def test_a_trail_of_an_older_version_says_no_times():
    line = stored(attempts=(REFUSED, SERVED))
    del line["trail"][0]["began"]
    assert shown(line)["dated"] is False


def test_how_a_request_ended_is_one_of_four():
    endings: list[tuple[int, str | None, list[dict[str, str]], str]] = [
        (200, None, [{}], "served"),
        (200, "stalled", [{}], "failed"),
        (502, "upstream_failed", [{}], "failed"),
        (401, "invalid_api_key", [], "turned"),
        (499, "caller_left", [{}], "left"),
    ]
    given = [{"status": status, "code": code, "attempts": asked} for status, code, asked, _ in endings]
    assert run("given.map(outcomeOf)", *given) == [outcome for *_, outcome in endings]
    assert run("Object.keys(OUTCOMES)") == ["served", "failed", "turned", "left"]


def test_requests_are_found_by_words_outcome_provider_and_client():
    found = [{}, {"q": "GROQ"}, {"q": "req_1"}, {"outcome": "served", "provider": "groq", "client": "alice"}]
    missed = [{"q": "free-smart"}, {"outcome": "failed"}, {"provider": "gemini"}, {"client": "bob"}]
    matched = run(
        "given.slice(1).map((wanted) => matches(fromRecord(given[0]), wanted))", stored(), *found, *missed
    )
    assert matched == [True] * len(found) + [False] * len(missed)
