"""A JSON object in pieces: its end is found, and what is none is known as soon as it shows."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeroute.wire.growing import DEEPEST, GrowingObject

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def taken(text: str) -> tuple[int, bool, bool]:
    """Return what one piece and single characters alike lead to: the size at its end, and what is known."""
    found = []
    for pieces in ([text], text):
        growing = GrowingObject()
        size = sum(map(growing.feed, pieces))
        found.append((size if growing.ended else 0, growing.ended, growing.broken))
    assert found[0] == found[1]
    return found[0]


@given(st.dictionaries(st.text(), VALUES, max_size=4), st.sampled_from([None, 2]), st.text(max_size=4))
def test_every_object_is_followed_to_its_end(value: dict[str, Any], indent, behind):
    text = json.dumps(value, indent=indent)
    assert taken(text + behind) == (len(text), True, False)
    assert taken(text[:-1])[1:] == (False, False)


@given(st.text('{}[]":,\\ \n0-.e1tnull', max_size=30))
def test_what_is_taken_for_an_object_is_one(text):
    size, ended, broken = taken("{" + text)
    assert not (ended and broken)
    if ended and "\\" not in text:
        assert isinstance(json.loads(("{" + text)[:size]), dict)


@pytest.mark.parametrize(
    "text",
    [
        "[",
        "}",
        "{{",
        "{]",
        "{,",
        '{"a"}',
        '{"a":}',
        '{"a":1,}',
        '{"a":1 2',
        '{"a":[1,]',
        '{"a":[1}',
        '{"a":nul}',
        '{"a":01}',
        '{"a":1.}',
        '{"a" "',
        '{"a":"b" "',
        '{"a":"\n',
        "{a",
        '{"a":' + "[" * DEEPEST,
    ],
)
def test_what_is_none_is_known_with_the_last_character_of_it(text):
    assert taken(text)[1:] == (False, True)
    assert not taken(text[:-1])[2]


def test_a_number_has_an_end():
    growing = GrowingObject()
    assert growing.feed('{"a":1' + "0" * 1100) > 1000
    assert growing.broken
