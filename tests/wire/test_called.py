import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeroute.wire.called import CallIds, Calls, WholeCall
from freeroute.wire.hearing import CallPiece

OBJECTS = st.dictionaries(
    st.text(max_size=3), st.recursive(st.text() | st.integers(), st.lists, max_leaves=5)
)


def named(index: int = 0, arguments: str = "") -> CallPiece:
    return CallPiece(index, f"call_{index}", "weather", arguments)


def more(arguments: str, index: int = 0) -> CallPiece:
    return CallPiece(index, "", "", arguments)


@given(OBJECTS, st.lists(st.integers(0, 100), max_size=5))
def test_however_it_is_cut_a_call_is_given_once_and_with_its_last_piece(arguments, cuts):
    written = json.dumps(arguments)
    ends = sorted({min(cut, len(written)) for cut in cuts} | {len(written)})
    pieces = [written[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    calls = Calls()
    given_ = calls.take([named()])
    for piece in pieces[:-1]:
        given_ += calls.take([more(piece)])
    assert given_ == []
    assert calls.take([more(pieces[-1])]) == [WholeCall("call_0", "weather", arguments)]
    assert calls.take([more(" ")]) == calls.rest("tool_calls") == []


def test_calls_are_told_apart_by_their_index():
    calls = Calls()
    assert calls.take([named(0, '{"a"'), named(1, "{")]) == []
    assert [call.id for call in calls.take([more("}", 1)])] == ["call_1"]
    assert [call.arguments for call in calls.take([more(":1}", 0)])] == [{"a": 1}]


def test_a_call_without_arguments_is_given_at_the_end():
    calls = Calls()
    assert calls.take([named()]) == []
    assert calls.rest("tool_calls") == [WholeCall("call_0", "weather", {})]


def test_arguments_that_are_not_quite_json_are_read_all_the_same():
    calls = Calls()
    assert calls.take([named(0, '{"a": NaN}')]) == []
    assert calls.rest("tool_calls") == [WholeCall("call_0", "weather", {"a": None})]


@pytest.mark.parametrize("arguments", ["[1]", "city", '{"city":', "null", '{"a": nope}'])
def test_arguments_that_are_no_object_are_told_as_they_were_written(arguments):
    calls = Calls()
    given_ = calls.take([named(0, arguments)]) + calls.rest("tool_calls")
    assert given_ == [WholeCall("call_0", "weather", {"arguments": arguments})]


def test_a_call_that_was_cut_off_is_left_out():
    calls = Calls()
    calls.take([named(0, '{"city":')])
    assert calls.rest("length") == []


def test_results_find_their_calls_by_id_by_name_or_in_turn():
    ids = CallIds()
    assert [ids.called("a", None), ids.called("b", "mine"), ids.called("a", None)] == [
        "call_1",
        "mine",
        "call_3",
    ]
    assert ids.answered("a", None) == "call_1"
    assert ids.answered(None, "mine") == "mine"
    assert ids.answered(None, None) == "call_3"
    assert ids.answered("a", None) is None
    assert ids.answered("a", "elsewhere") == "elsewhere"
