"""A change is written down before it is made, or not made."""

import pytest

from freeroute.engine.changes import Changes
from freeroute.errors import ConfigError, Unavailable
from tests.support.administration import FakeTrail
from tests.support.clocks import EPOCH, ManualClock


def test_a_change_is_written_down_with_who_and_when():
    trail = FakeTrail()
    Changes(trail, ManualClock()).note("ann", "breaker.close", "groq", {"state": "open"}, None)
    [entry] = trail.entries
    assert (entry.at, entry.who, entry.what, entry.target) == (EPOCH, "ann", "breaker.close", "groq")
    assert (entry.before, entry.after, entry.made) == ({"state": "open"}, None, True)


def test_what_cannot_be_written_down_is_not_made():
    trail, done = FakeTrail(), []
    trail.broken = ConfigError("audit.jsonl: cannot be written: No space left on device")
    with (
        pytest.raises(Unavailable, match="No space left") as caught,
        Changes(trail, ManualClock()).making("ann", "client.add", "alice") as note,
    ):
        note(None, 1)
        done.append("made")
    assert caught.value.code == "audit_unavailable"
    assert done == []


def test_a_change_that_fails_after_it_was_written_down_is_told_as_not_made():
    trail = FakeTrail()
    with (
        pytest.raises(ConfigError),
        Changes(trail, ManualClock()).making("ann", "client.add", "alice") as note,
    ):
        note(None, 1)
        raise ConfigError("clients.json: cannot be written")
    assert [(entry.after, entry.made) for entry in trail.entries] == [(1, True), (1, False)]


def test_a_change_that_fails_before_it_was_written_down_leaves_no_trace():
    trail = FakeTrail()
    with pytest.raises(ValueError), Changes(trail, ManualClock()).making("ann", "client.add", "alice"):
        raise ValueError
    assert trail.entries == []


def test_a_change_that_is_made_leaves_one_trace():
    trail = FakeTrail()
    with Changes(trail, ManualClock()).making("ann", "client.add", "alice") as note:
        note(None, 1)
    assert len(trail.entries) == 1
