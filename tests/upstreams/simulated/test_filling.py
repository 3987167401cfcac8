"""Values that fit a schema."""

import random
import uuid
from typing import Any

import pytest

from freeroute.upstreams.simulated.filling import fill
from freeroute.upstreams.simulated.understanding import Question


def filled(schema: Any, text: str = "") -> Any:
    return fill(schema, random.Random(7), Question(text))


def an(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


INTEGER, STRING = {"type": "integer"}, {"type": "string"}


def test_what_the_question_says_is_used_where_it_fits_and_once():
    schema = an(count=INTEGER, name=STRING, share={"type": "number"}, title=STRING)
    value = filled(schema, "Order 3 of 'pear' for “Ann O'Neill” at 2.5")
    assert value == {"count": 3, "name": "pear", "share": 2.5, "title": "Ann O'Neill"}


def test_a_number_out_of_bounds_is_left_for_another_field():
    schema = an(days=INTEGER | {"minimum": 1, "maximum": 3}, year=INTEGER)
    value = filled(schema, "in 2026")
    assert 1 <= value["days"] <= 3
    assert value["year"] == 2026


@pytest.mark.parametrize(
    ("schema", "allowed"),
    [
        (INTEGER | {"exclusiveMinimum": 4, "exclusiveMaximum": 6}, {5}),
        (INTEGER | {"minimum": -2, "maximum": -1}, {-2, -1}),
        ({"const": "x"}, {"x"}),
        ({"enum": ["a", "b"]}, {"a", "b"}),
        ({"type": ["boolean", "null"]}, {True, False}),
        ({"anyOf": [{"const": 1}, {"type": "null"}]}, {1}),
        (STRING | {"format": "date"}, {"2026-11-02"}),
    ],
)
def test_bounds_and_choices_are_kept(schema, allowed):
    assert {fill(schema, random.Random(seed)) for seed in range(20)} <= allowed


def test_lengths_are_kept():
    assert len(filled(STRING | {"minLength": 12})) == 12
    assert len(filled(STRING | {"maxLength": 2})) == 2
    assert len(filled({"type": "array", "items": INTEGER, "minItems": 3})) == 3
    assert filled({"type": "array", "prefixItems": [{"const": 1}, {"const": "a"}]}) == [1, "a"]
    assert uuid.UUID(filled(STRING | {"format": "uuid"})).version


def test_a_reference_leads_to_its_definition():
    schema = an(home={"$ref": "#/$defs/Town"}) | {"$defs": {"Town": an(name={"const": "Oslo"})}}
    assert filled(schema) == {"home": {"name": "Oslo"}}


def test_a_reference_that_leads_nowhere_is_null():
    assert filled(an(a={"$ref": "#/$defs/None"}, b={"$ref": "https://elsewhere"})) == {"a": None, "b": None}


def test_a_schema_that_refers_to_itself_ends_as_it_may():
    tree = an(name=STRING, children={"type": "array", "items": {"$ref": "#"}})
    chain = an(next={"anyOf": [{"$ref": "#"}, {"type": "null"}]})

    def sound(node: Any) -> bool:
        return isinstance(node["name"], str) and all(map(sound, node["children"]))

    assert sound(filled(tree))
    link = filled(chain)
    while link is not None:
        link = link["next"]


def test_a_schema_that_never_ends_is_given_up():
    wide = an(**{name: {"$ref": "#"} for name in "abcdefgh"})
    assert filled(wide).keys() == set("abcdefgh")
