"""Answers that hold vectors."""

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeroute.wire.vectors import as_wanted, joined, vectors_of

numbers = st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=8)


def answer(*vectors, usage=None, order=None) -> bytes:
    places = order or range(len(vectors))
    data = [{"index": place, "embedding": vectors[place]} for place in places]
    return json.dumps({"data": data, "model": "m", "usage": usage}).encode()


@given(st.lists(numbers, min_size=1, max_size=5))
def test_packed_and_unpacked_again_a_vector_is_the_same(vectors):
    packed = as_wanted(answer(*vectors), packed=True)
    assert all(one.is_packed for one in vectors_of(packed).data)
    again = as_wanted(packed, packed=False)
    assert [entry["embedding"] for entry in json.loads(again)["data"]] == vectors


def test_what_is_so_already_keeps_its_bytes():
    body = answer([1.0], [2.0])
    assert as_wanted(body, packed=False) is body


def test_vectors_are_put_in_order():
    body = as_wanted(answer([1.0], [2.0], [3.0], order=[2, 0, 1]), packed=False)
    assert [(one["index"], one["embedding"]) for one in json.loads(body)["data"]] == [
        (0, [1.0]),
        (1, [2.0]),
        (2, [3.0]),
    ]


def test_vectors_without_a_place_stay_where_they_are():
    assert [
        one.numbers for one in vectors_of(b'{"data":[{"embedding":[1]},{"embedding":[2]}]}').in_order
    ] == [
        [1.0],
        [2.0],
    ]


def test_what_answers_took_is_summed():
    first = vectors_of(answer([1.0], usage={"prompt_tokens": 2, "total_tokens": 2, "estimated": True}))
    second = vectors_of(answer([2.0], usage=None))
    third = vectors_of(answer([3.0], usage={"prompt_tokens": 3, "total_tokens": 3}))
    told = json.loads(joined([first, second, third]))
    assert [one["embedding"] for one in told["data"]] == [[1.0], [2.0], [3.0]]
    assert told["usage"] == {"prompt_tokens": 5, "total_tokens": 5, "estimated": True}


def test_half_a_number_is_none():
    with pytest.raises(struct.error):
        _ = vectors_of(b'{"data":[{"embedding":"AAA="}]}').data[0].numbers
