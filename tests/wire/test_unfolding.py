"""How large schemas unfold, and where their steps are counted."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema_rs import validator_for

from freeroute.wire.unfolding import STEP, STEP_COST, WORK, Steps, counted, unfolded, written

LEAF = {"type": "integer"}
REF = {"$ref": "#/$defs/a"}
STEPPED = {"allOf": [{STEP: 0}, REF]}
ENDLESS = None


def chain(length: int) -> dict[str, object]:
    """Return a schema of a few lines for each step that twice leads to the next."""
    names = [f"d{at}" for at in range(length + 1)]
    both = {name: {"anyOf": [{"$ref": f"#/$defs/{after}"}] * 2} for name, after in itertools.pairwise(names)}
    return {"$ref": "#/$defs/d0", "$defs": {**both, names[-1]: LEAF}}


@pytest.mark.parametrize(
    ("schema", "size"),
    [
        (True, 0),
        (LEAF, 1),
        ({"items": LEAF, "anyOf": [LEAF, LEAF, False]}, 4),
        ({"default": {"a": {}}, "examples": [{}], "enum": ["a", "b"], "const": "a"}, 1),
        ({"const": {"a": {"b": {}}}, "enum": [{"a": 1}, 2]}, 1 + 8 * 7),
        ({"properties": {"a": LEAF}, "unevaluatedProperties": False}, 5),
        ({"items": REF, "$defs": {"a": LEAF, "b": {"items": LEAF}}}, 3),
        ({"items": {"$ref": "#/$defs/a~1b~0c"}, "$defs": {"a/b~c": LEAF}}, 3),
        (chain(3), 30),
        (chain(12), ENDLESS),
        (chain(500), ENDLESS),
        ({"items": {"$ref": "#"}}, ENDLESS),
        ({"items": {"$ref": "#somewhere"}}, ENDLESS),
        ({"items": {"$ref": "#/no/where"}}, ENDLESS),
        ({"items": {"$ref": 7}}, ENDLESS),
        ({"items": {"$ref": "#/type/x"}, "type": "array"}, ENDLESS),
    ],
)
def test_references_are_followed_as_often_as_a_validator_would(schema, size):
    extent = unfolded(schema)
    assert (extent.looks if extent.is_plain else ENDLESS) == size


def test_what_is_scanned_counts_by_its_letters():
    schema = {"pattern": "a", "items": {"uniqueItems": True, "patternProperties": {"b": True, "c": True}}}
    extent = unfolded(schema)
    assert (extent.looks, extent.scans) == (3, 4)
    assert extent.work(100) == 51 * 3 + 100 * 4 * 12


def test_what_is_written_is_counted_once():
    assert written(chain(30)).looks == 93
    assert written({"items": {"$ref": "#"}, "$defs": {"a": LEAF}}).looks == 4
    deep: dict[str, object] = {}
    for _ in range(5000):
        deep = {"not": deep}
    assert not written(deep).is_plain


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (True, True),
        (LEAF, LEAF),
        ({"$ref": "#/$defs/a", "$defs": {"a": REF}}, {"$ref": "#/$defs/a", "$defs": {"a": STEPPED}}),
        ({"items": REF, "anyOf": [REF, True]}, {"items": STEPPED, "anyOf": [STEPPED, True]}),
        ({"properties": {"$ref": REF, "enum": REF}}, {"properties": {"$ref": STEPPED, "enum": STEPPED}}),
        ({"enum": [REF], "const": REF, "default": REF}, {"enum": [REF], "const": REF, "default": REF}),
        (
            {"items": LEAF, "patternProperties": {"a": LEAF}, "not": LEAF},
            {
                "items": {"allOf": [{STEP: 0}, LEAF]},
                "patternProperties": {"a": {"allOf": [{STEP: 0}, LEAF]}},
                "not": LEAF,
            },
        ),
        ({"not": {"pattern": "a"}}, {"not": {"allOf": [{STEP: 1}, {"pattern": "a"}]}}),
        ({"not": {"unevaluatedItems": True}}, {"not": {"allOf": [{STEP: 0}, {"unevaluatedItems": True}]}}),
        (
            {"properties": {"const": LEAF}, "required": ["$ref"]},
            {"properties": {"const": LEAF}, "required": ["$ref"]},
        ),
    ],
)
def test_each_subschema_that_a_value_may_meet_again_is_a_step(schema, expected):
    assert counted(schema) == expected


@pytest.mark.parametrize(
    ("scans", "value", "cost"),
    [(0, "abc", 0), (2, "abc", 72), (1, {"ab": 1}, 24), (1, [1, 2], 48), (1, 7, 0)],
)
def test_steps_run_out(scans, value, cost):
    steps = Steps({"items": LEAF})
    step = steps.keyword(None, scans, [])
    steps.left = STEP_COST + 2 + cost
    step.validate(value)
    assert steps.left == 0
    with pytest.raises(ValueError, match="out of steps"):
        step.validate({})


def test_what_the_whole_scans_is_taken_at_the_beginning():
    steps = Steps({"uniqueItems": True})
    steps.begin([1, 2])
    assert steps.left == WORK - STEP_COST - 1 - 48
    with pytest.raises(ValueError, match="out of steps"):
        steps.begin([1] * WORK)
    Steps(True).begin([1] * WORK)


A = {"$ref": "#/$defs/a"}
SCHEMAS = st.recursive(
    st.sampled_from([True, A, {"type": "integer"}, {"type": "string", "pattern": "^a"}, {"const": [1]}]),
    lambda inner: st.one_of(
        st.fixed_dictionaries({"items": inner, "uniqueItems": st.booleans()}),
        st.fixed_dictionaries({"properties": st.dictionaries(st.sampled_from("abc"), inner, max_size=3)}),
        st.fixed_dictionaries({"patternProperties": st.fixed_dictionaries({"[ab]": inner})}),
        st.builds(
            lambda key, some: {key: some},
            st.sampled_from(["anyOf", "allOf", "oneOf"]),
            st.lists(inner, min_size=1),
        ),
        st.builds(lambda some, rest: {"allOf": [some], "unevaluatedProperties": rest}, inner, inner),
        st.builds(lambda some, rest: {"properties": {"a": some}, "additionalProperties": rest}, inner, inner),
        st.fixed_dictionaries({"contains": inner, "not": inner}),
        st.fixed_dictionaries({"prefixItems": st.lists(inner, min_size=1), "unevaluatedItems": inner}),
        st.fixed_dictionaries({"propertyNames": inner, "if": inner, "then": inner, "else": inner}),
    ),
    max_leaves=8,
)
VALUES = st.recursive(
    st.sampled_from([1, 2, "a", "b", None]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


@given(SCHEMAS, SCHEMAS, VALUES)
def test_counting_changes_nothing_but_how_long_it_takes(schema, named, value):
    whole = {
        "allOf": [schema],
        "$defs": {"a": {"items": named} if named == A else {"properties": {"a": named}}},
    }
    steps = Steps(whole)
    steps.begin(value)
    keywords: Any = {STEP: steps.keyword}
    counting = validator_for(counted(whole), keywords=keywords)
    assert counting.is_valid(value) == validator_for(whole).is_valid(value)
    assert steps.left > 0
