"""How things stand at a gateway, drawn for a terminal of any size."""

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from freeroute.commands.overview import Room, Seen, overview
from tests.commands.told import GATEWAY, NOW, POOL, PROVIDER, REQUEST, TOLD


def drawn(told, width=160, height=None, trouble="", now=NOW, **how) -> list[str]:
    """Return the lines as a terminal of that size shows them."""
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(overview(Seen(GATEWAY, told, trouble, now), Room(width, height, **how)))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_what_a_client_is_not_told_is_left_open():
    hidden = dict.fromkeys(("served", "failed", "last_error", "latency"))
    nobody = {"provider": None, "served_model": None, "first_event_ms": None, "tokens": None}
    failed = {**REQUEST, **nobody, "status": 429, "code": "capacity_exhausted", "attempts": []}
    told = {**TOLD, "providers": [{**PROVIDER, **hidden, "pools": []}], "requests": [failed]}
    lines = drawn(told)
    assert lines[4].split() == ["groq", "healthy", "-", "-", "-", "closed", "-", "-"]
    assert lines[-1].split()[:8] == ["2", "s", "429", "capacity_exhausted", "free-fast", "-", "-", "0.90"]


def test_a_resting_provider_counts_down():
    spent = {**PROVIDER, "state": "resting", "pools": [{**POOL, "used": 12}]}
    broken = {**PROVIDER, "state": "open", "breaker": {"state": "open", "until": NOW + 40}}
    told = {**TOLD, "providers": [spent, broken]}
    assert "resting  ████████ 100% requests/day, back in 3 h" in drawn(told)[4]
    assert "back in 119 s" in drawn(told, now=NOW + 3 * 3600 - 119)[4]
    assert " open 40 s " in drawn(told)[5]
    assert " open 30 s " in drawn(told, now=NOW + 10)[5]


def test_what_newer_gateways_tell_is_shown_as_well():
    alert = {
        "severity": "warning",
        "what": "groq refuses the key key-1.",
        "provider": "groq",
        "do": "Set it.",
    }
    more = {"in_flight": 3, "waiting": {"for_capacity": 7, "room": 1000, "for_limits": 0}, "alerts": [alert]}
    rest = {"since": NOW - 60, "message": "new disks"}
    room = {"now": 1200, "today": 34000, "unlimited": 2}
    told = {**TOLD, **more, "capacity": room, "maintenance": rest, "started": NOW - 60}
    lines = drawn(told)
    assert "up 60 s" in lines[0]
    room_told = "room for 1,200 calls now, 34,000 today and 2 models without limits"
    assert f"{room_told}  in flight 3  waiting 7 of 1,000" in lines[1]
    assert lines[2:4] == [
        "maintenance for 60 s: new disks".ljust(len(lines[2])),
        "warning: groq refuses the key key-1. Set it.".ljust(len(lines[3])),
    ]


def test_a_gateway_that_went_away_leaves_what_it_told_last():
    assert drawn(None)[0].strip() == f"asking {GATEWAY} ..."
    assert drawn(None, trouble="nobody there")[0].strip() == "nobody there"
    lines = drawn(TOLD, trouble="nobody there")
    assert "interrupted" in lines[0]
    assert lines[2].strip() == "nobody there"
    assert any("groq" in line for line in lines)


@pytest.mark.parametrize("width", [20, 40, 64, 80, 100, 120, 200])
def test_no_line_is_wider_than_the_terminal_and_the_quota_is_always_there(width):
    lines = drawn({**TOLD, "requests": [REQUEST] * 3}, width)
    assert max(map(len, lines)) <= width
    assert width < 40 or any("50%" in line for line in lines)


@pytest.mark.parametrize("height", [8, 12, 24, 60])
def test_a_screen_is_not_overfull_and_says_what_it_leaves_out(height):
    told = {**TOLD, "providers": [PROVIDER] * 30, "requests": [REQUEST] * 50}
    lines = drawn(told, 100, height)
    assert len(lines) <= height
    assert (height > 50) == (not any(re.match(r"and \d+ more", line) for line in lines))


def test_a_terminal_without_such_signs_gets_plain_ones():
    assert any("####....  50%" in line for line in drawn(TOLD, ascii_only=True))


@given(st.text(), st.integers(10, 200))
def test_no_word_of_a_gateway_steers_the_terminal(text, width):
    provider = {
        **PROVIDER,
        "id": text,
        "state": text,
        "last_error": {**PROVIDER["last_error"], "detail": text},
    }
    request = {**REQUEST, "model": text, "client": text, "code": text}
    told = {**TOLD, "version": text, "providers": [provider], "requests": [request]}
    shown = "\n".join(drawn(told, width, trouble=text))
    assert all(char.isprintable() or char == "\n" for char in shown)
