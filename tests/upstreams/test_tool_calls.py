"""Tool calls in pieces: each piece finds its call by whatever marks its provider gives."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeroute.domain.catalogue import Quirks
from freeroute.upstreams.repairs import Repairs
from freeroute.upstreams.tool_calls import ToolCalls
from freeroute.wire.answers import inspect

F, G = ("f", '{"a":"1"}'), ("g", '{"a":"2"}')
HALF, REST = '{"a":', '"1"}'


def piece(name: str | None = None, arguments: str | None = None, **marks: Any) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {**marks, "function": {key: value for key, value in function.items() if value is not None}}


def repaired(*pieces: Any, trusts_index: bool = True) -> list[Any]:
    calls = ToolCalls(trusts_index=trusts_index)
    return [calls.repaired(one) for one in pieces]


def joined(pieces: list[Any]) -> list[tuple[str, str]]:
    """Put *pieces* together as OpenAI's clients do: by index, text to text. Ids differ and are whole."""
    calls: dict[int, list[str]] = {}
    for one in pieces:
        told = calls.setdefault(one["index"], ["", "", ""])
        function = one.get("function", {})
        for place, text in enumerate((one.get("id"), function.get("name"), function.get("arguments"))):
            told[place] += text or ""
    ids = [told[0] for told in calls.values()]
    assert len(set(ids)) == len(ids)
    assert all(0 < len(one) <= 29 for one in ids)
    assert list(calls) == list(range(len(calls)))
    return [(name, arguments) for _, name, arguments in calls.values()]


@pytest.mark.parametrize("trusts_index", [True, False])
@pytest.mark.parametrize(
    ("pieces", "calls"),
    [
        pytest.param([piece(*F, index=0, id="x"), piece(*G, index=1, id="x")], [F, G], id="one id"),
        pytest.param([piece(*F, id="x"), piece(*G, id="x")], [F, G], id="one id, no index"),
        pytest.param([piece(*F, index=0), piece(*G, index=0)], [F, G], id="one index, no ids"),
        pytest.param([piece(*F, index=0), piece(*F, index=0)], [F, F], id="one index, no ids, one name"),
        pytest.param(
            [piece(*F, index=0, id=""), piece(*G, index=0, id="")], [F, G], id="one index, blank ids"
        ),
        pytest.param([piece(*F, index=0, id="x"), piece(*G, index=0, id="x")], [F, G], id="one mark for all"),
        pytest.param([piece(*F, index=0, id="A"), piece(*G, index=0, id="B")], [F, G], id="one index"),
        pytest.param([piece(*F), piece(*G)], [F, G], id="no marks"),
        pytest.param([piece(*F, id="A"), piece(*G, id="B")], [F, G], id="no index"),
        pytest.param([piece(*F, index=1), piece(*G, index=2)], [F, G], id="index from 1"),
        pytest.param(
            [
                piece("f", "", index="0", id="A"),
                piece("g", "", index="1", id="B"),
                piece(None, F[1], index="0"),
                piece(None, G[1], index="1"),
            ],
            [F, G],
            id="indexes as texts, by turns",
        ),
        pytest.param(
            [
                piece("f", "", index=0, id="A"),
                piece("g", "", index=1, id="B"),
                piece(None, F[1], index=0),
                piece(None, G[1], index=1),
            ],
            [F, G],
            id="indexes by turns",
        ),
        pytest.param(
            [
                piece("f", "", index=0, id="x"),
                piece("g", "", index=1, id="x"),
                piece(None, F[1], index=0, id="x"),
                piece(None, G[1], index=1, id="x"),
            ],
            [F, G],
            id="one id, by turns",
        ),
        pytest.param(
            [
                piece("f", HALF, index=0, id="A"),
                piece("g", HALF, index=0, id="B"),
                piece(None, REST, index=0, id="A"),
            ],
            [F, ("g", HALF)],
            id="one index, ids by turns",
        ),
        pytest.param(
            [piece("f", HALF, index=0, id="A"), piece(None, REST, index=0, id="B")],
            [F],
            id="an id each piece",
        ),
        pytest.param(
            [piece("f", HALF, id="A"), piece(None, REST, id="B"), piece(None, "", id="C")],
            [F],
            id="an id each piece, no index",
        ),
        pytest.param(
            [piece("f", HALF, index=0, id="A"), piece("f", REST, index=0, id="A")],
            [F],
            id="a name each piece",
        ),
        pytest.param(
            [piece("f", part, index=0) for part in (HALF, REST, "")], [F], id="a name each piece, no ids"
        ),
        pytest.param(
            [piece("f", ""), piece(None, F[1]), piece("f", ""), piece(None, G[1])],
            [F, ("f", G[1])],
            id="no marks, one name, in pieces",
        ),
        pytest.param(
            [piece("f", "", index=0), piece("g", "", index=0)], [("f", ""), ("g", "")], id="no arguments"
        ),
        pytest.param(
            [piece("get_", "", index=0, id="A"), piece("time", "{}", index=0)],
            [("get_time", "{}")],
            id="half a name",
        ),
        pytest.param([piece("f", "", id="A"), piece(None, F[1], index=0)], [F], id="an index later"),
        pytest.param([piece("f", HALF, index=0), piece(None, REST, index=0, id="A")], [F], id="an id later"),
        pytest.param(
            [piece("f", '{"a":"}\\', index=0), piece("f", '"{"', index=0), piece("f", "}", index=0)],
            [("f", '{"a":"}\\"{"}')],
            id="braces and quotes in texts",
        ),
    ],
)
def test_each_piece_finds_its_call(pieces, calls, trusts_index):
    assert joined(repaired(*pieces, trusts_index=trusts_index)) == calls


def test_an_index_that_is_not_to_be_trusted_and_leads_nowhere_leads_to_the_last_call():
    pieces = [piece("f", "", index=0, id="A"), piece(None, F[1], index=1)]
    assert joined(repaired(*pieces, trusts_index=False)) == [F]
    assert [one["index"] for one in repaired(*pieces)] == [0, 1]


def test_an_index_beyond_all_reason_is_none():
    assert joined(repaired(piece(*F, index=10**9), piece(*G, index="-1"))) == [F, G]


def test_ids_alone_tell_nameless_calls_apart():
    told = repaired({"index": 0, "id": "a"}, {"index": 0, "id": "b"})
    assert [(one["index"], one["id"]) for one in told] == [(0, "a"), (1, "b")]


def test_arguments_that_come_as_an_object_are_whole():
    told = repaired(*({"function": {"name": "f", "arguments": {"a": 1}}} for _ in range(2)))
    assert [one["index"] for one in told] == [0, 1]


def test_what_is_no_call_stays_what_it_is():
    assert repaired("x", None) == ["x", None]
    assert repaired({"id": "a", "function": 7}) == [{"index": 0, "id": "a", "function": 7}]


@given(
    st.lists(st.dictionaries(st.text(), st.text() | st.integers()), min_size=1, max_size=4),
    st.sampled_from(["both", "index", "id", "neither", "one id", "one index"]),
    st.booleans(),
    st.integers(1, 7),
)
def test_calls_in_any_pieces_and_under_any_marks_come_out_whole(arguments, marks, renames, step):
    texts = [msgspec.json.encode(one).decode() for one in arguments]
    pieces = []
    for at, text in enumerate(texts):
        parts = [text[i : i + step] for i in range(0, len(text), step)]
        for number, part in enumerate(parts):
            one = piece("f" if number == 0 or renames else None, part)
            if marks in ("both", "index", "one id"):
                one["index"] = at
            if marks == "one index":
                one["index"] = 0
            if marks in ("both", "id", "one index") and number == 0:
                one["id"] = f"call_{at}"
            if marks == "one id":
                one["id"] = "call"
            pieces.append(one)
    assert joined(repaired(*pieces)) == [("f", text) for text in texts]


def test_openais_own_form_stays_as_it_is():
    pieces = [
        piece("f", "", index=0, id="A", type="function"),
        piece(None, HALF, index=0),
        piece("g", "", index=1, id="B", type="function"),
        piece(None, REST, index=0),
        piece(None, "{}", index=1),
    ]
    assert repaired(*pieces) == pieces


def test_calls_of_a_whole_answer_have_an_id_each():
    calls = [{"id": "x", "function": {"name": name}} for name in "fgh"] + [{"id": ""}, "junk"]
    payload = msgspec.json.encode({"choices": [{"message": {"content": None, "tool_calls": calls}}]})
    read = inspect(payload)
    assert read is not None
    body = msgspec.json.decode(Repairs(Quirks()).whole(payload, read))
    told = body["choices"][0]["message"]["tool_calls"]
    assert told[0] == calls[0]
    assert told[4] == "junk"
    assert len({one["id"] for one in told[:4]}) == 4
    assert all(one["id"].startswith("call_") for one in told[1:4])
