"""How large schemas unfold, and where their steps are counted."""

import itertools

import pytest

from freeroute.wire.unfolding import PLAIN, STEP, Steps, counted, unfolded

LEAF = {"type": "integer"}
REF = {"$ref": "#/$defs/a"}
STEPPED = {"allOf": [{STEP: True}, REF]}


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
        ({"const": {"a": {"b": {}}}, "enum": [{}], "default": {}, "examples": [{}]}, 1),
        ({"items": REF, "$defs": {"a": LEAF, "b": {"items": LEAF}}}, 3),
        ({"items": {"$ref": "#/$defs/a~1b~0c"}, "$defs": {"a/b~c": LEAF}}, 3),
        (chain(3), 30),
        (chain(12), PLAIN + 1),
        (chain(500), PLAIN + 1),
        ({"items": {"$ref": "#"}}, PLAIN + 1),
        ({"items": {"$ref": "#somewhere"}}, PLAIN + 1),
        ({"items": {"$ref": "#/no/where"}}, PLAIN + 1),
        ({"items": {"$ref": 7}}, PLAIN + 1),
        ({"items": {"$ref": "#/type/x"}, "type": "array"}, PLAIN + 1),
    ],
)
def test_references_are_followed_as_often_as_a_validator_would(schema, size):
    assert unfolded(schema) == size


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
            {"properties": {"const": LEAF}, "required": ["$ref"]},
            {"properties": {"const": LEAF}, "required": ["$ref"]},
        ),
    ],
)
def test_each_reference_but_the_first_is_a_step(schema, expected):
    assert counted(schema) == expected


def test_steps_run_out():
    steps = Steps().keyword(None, True, [])
    steps.left = 1
    steps.validate({})
    with pytest.raises(ValueError, match="out of steps"):
        steps.validate({})
