"""An event that is like those before it is known without being read, and to be what reading would find."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeroute.upstreams.likeness import Likeness
from freeroute.wire.sse import SseParser, payload_of
from freeroute.wire.strict import words_in
from tests.support.asking import event

_TEXT = st.text(max_size=5) | st.text(alphabet='m0"\\n{:,}\u2028\x7f', max_size=5)
_FIELDS = st.sampled_from([{}, {"m": "m"}, {"role": "assistant"}, {"content": "m", "reasoning_content": ""}])


def _written(said: dict[str, Any], more: dict[str, Any], *, spaced: bool, ascii_only: bool) -> bytes:
    chunk = json.loads(event(said)[6:-2]) | more
    separators = None if spaced else (",", ":")
    text = json.dumps(chunk, ensure_ascii=ascii_only, separators=separators)
    return b"data: %b\n\n" % text.encode("utf-8", "surrogatepass")


def _noted(*events: bytes) -> Likeness:
    likeness = Likeness()
    for one in events:
        words = words_in(payload_of(one))
        assert words is not None
        likeness.note(one, words)
    return likeness


def test_the_third_of_its_kind_is_known_by_its_words():
    once, twice = (
        _noted(event({"content": "one"})),
        _noted(event({"content": "one"}), event({"content": "two"})),
    )
    assert once.size(event({"content": "three"})) == 0
    assert twice.size(event({"content": "three"})) == 5
    assert twice.size(event({"content": " ü🙂"})) == 7
    assert twice.size(event({"content": 'a\n"b" \\'})) == 7


@pytest.mark.parametrize(
    "other",
    [
        event({"content": ""}),
        event({"content": "x"}, finish="stop"),
        event({"content": "x"}, id="c2"),
        event({"reasoning_content": "x"}),
        event({"content": "x"}) + event({"content": "x"}),
        event({"content": "x"})[:-1],
        event({"content": "x"}).replace(b"x", b"\xff"),
        event({"content": "x"}).replace(b"x", b"a\rb"),
        event({"content": "x"}).replace(b"x", b"\\u0041"),
        event({"content": "x"}).replace(b"x", b'","tool_calls":[],"content":"'),
        event({"content": "x"}).replace(b"x", b"\\"),
        b"data: [DONE]\n\n",
        b"",
    ],
)
def test_what_is_otherwise_in_anything_is_not_known(other):
    assert _noted(event({"content": "one"}), event({"content": "two"})).size(other) == 0


def test_words_that_are_in_two_places_are_not_known():
    both = [event({"content": text, "reasoning_content": "and"}) for text in ("one", "two")]
    assert _noted(*both).size(event({"content": "six", "reasoning_content": "and"})) == 0


def test_a_word_that_stands_elsewhere_too_is_found_where_it_changes():
    likeness = _noted(*[event({"content": text}, more=text) for text in ("m", "m")])
    assert likeness.size(event({"content": "m"}, more="x")) == 0
    assert likeness.size(event({"content": "x"}, more="m")) == 0


@given(st.lists(_TEXT, min_size=3, max_size=6), _FIELDS, _FIELDS, st.booleans(), st.booleans())
def test_what_is_known_reads_as_known(texts, beside, more, spaced, ascii_only):
    likeness = Likeness()
    for text in texts:
        told = _written({**beside, "content": text}, more, spaced=spaced, ascii_only=ascii_only)
        words = words_in(payload_of(told))
        if size := likeness.size(told):
            assert words is not None
            assert words.size == size
            assert SseParser().alone(told) == payload_of(told)
        elif words is not None:
            likeness.note(told, words)


@given(st.lists(st.sampled_from(["one", "m", "-", "1"]), min_size=2, max_size=2), st.data())
def test_bytes_changed_anywhere_read_as_known_or_are_not_known(texts, data):
    likeness = _noted(*[event({"content": text}) for text in texts])
    whole = event({"content": "some words"})
    begin = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(begin, len(whole)))
    changed = (
        whole[:begin] + data.draw(st.binary(max_size=3) | st.sampled_from([b'"', b"\\n", b"x"])) + whole[end:]
    )
    if size := likeness.size(changed):
        words = words_in(payload_of(changed))
        assert words is not None
        assert (words.size, SseParser().alone(changed)) == (size, payload_of(changed))
