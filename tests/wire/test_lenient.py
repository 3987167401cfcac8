"""Payloads that are not quite JSON are read without losing text."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeroute.wire.lenient import LONGEST, WAITING, Lenient


def read(*payloads: str | bytes) -> list[Any]:
    lenient = Lenient()
    raw = [payload.encode() if isinstance(payload, str) else payload for payload in payloads]
    mended = [lenient.mended(payload) for payload in raw]
    return [None if payload is None else msgspec.json.decode(payload) for payload in mended]


def test_numbers_that_json_has_not_are_null():
    assert read('{"a":NaN,"b":-Infinity,"c":[Infinity,1.5]}') == [{"a": None, "b": None, "c": [None, 1.5]}]


def test_a_letter_in_two_halves_is_told_with_the_second():
    assert read(r'{"t":"b\ud83d"}', r'{"t":"\ude00c"}') == [{"t": "b"}, {"t": "😀c"}]
    assert read(r'{"t":"\ud83d\ude00"}') == [{"t": "😀"}]


def test_halves_of_two_strings_are_not_mixed():
    first = r'{"choices":[{"index":1,"t":"\ud83d"},{"index":0,"t":"\ud83c"}]}'
    last = r'{"choices":[{"index":0,"t":"\udf08"},{"index":1,"t":"\ude00"}]}'
    assert read(first, last)[1] == {"choices": [{"index": 0, "t": "🌈"}, {"index": 1, "t": "😀"}]}


def test_a_half_that_stays_alone_is_marked():
    assert read(r'{"t":"a\ude00b"}', r'{"t":"a\ud83db"}') == [{"t": "a\ufffdb"}, {"t": "a\ufffdb"}]
    assert read(r'{"t":"\ud83d"}', r'{"t":"no other half"}') == [{"t": ""}, {"t": "\ufffdno other half"}]


def test_bytes_that_are_no_text_are_marked():
    assert read(b'{"t":"na\xefve"}') == [{"t": "na\ufffdve"}]


def test_a_line_break_inside_a_string_is_a_letter_like_others():
    assert read('{"t":"a\nb"}') == [{"t": "a\nb"}]


def test_it_says_while_half_a_letter_waits():
    lenient = Lenient()
    waits = [lenient.waits]
    for payload in (rb'{"t":"\ud83d"}', b'{"other":1}', rb'{"t":"\ude00"}'):
        lenient.mended(payload)
        waits.append(lenient.waits)
    assert waits == [False, True, True, False]


def test_a_payload_longer_than_any_event_is_not_mended():
    assert read(b'{"t":"' + b"x" * LONGEST + b'"}') == [None]


@pytest.mark.parametrize("payload", [b"", b"{oops", b'{"t":"cut', b"\xff\xfe", b"[" * 100_000, b"ping"])
def test_what_is_no_json_at_all_is_not_read(payload):
    assert read(payload) == [None]


def test_not_every_string_may_wait():
    texts = ",".join(rf'"{place}":"\ud83d"' for place in range(WAITING + 1))
    [told] = read("{" + texts + "}")
    assert list(told.values()) == [""] * WAITING + ["\ufffd"]


@given(st.text(), st.data())
def test_a_text_cut_between_any_of_its_halves_arrives(text, data):
    halves = text.encode("utf-16-le", "surrogatepass")
    cuts = sorted(data.draw(st.sets(st.integers(0, len(halves) // 2))))
    spans = zip([0, *cuts], [*cuts, len(halves) // 2], strict=True)
    parts = [halves[2 * a : 2 * b].decode("utf-16-le", "surrogatepass") for a, b in spans]
    escaped = ["".join(rf"\u{ord(unit):04x}" for unit in _units(part)) for part in parts]
    assert "".join(value["t"] for value in read(*(f'{{"t":"{part}"}}' for part in escaped))) == text


def _units(part: str) -> str:
    """Return *part* with each letter beyond the basic plane as its two halves."""
    raw = part.encode("utf-16-le", "surrogatepass")
    return "".join(chr(int.from_bytes(raw[at : at + 2], "little")) for at in range(0, len(raw), 2))
