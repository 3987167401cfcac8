"""Which texts fit a schema, what is cut away around them, and which schemas nothing can be held to."""

import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeroute.wire.conformance import PATTERNS, SCHEMA_LIMIT, BadSchema, check, fitted

PERSON = msgspec.json.encode(
    {
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
        "required": ["name", "age"],
        "additionalProperties": False,
    }
)
ANN = '{"name": "Ann", "age": 7}'


def test_a_text_that_fits_stays_as_it_is():
    assert fitted(f" {ANN}\n", PERSON).text == f" {ANN}\n"


@pytest.mark.parametrize(
    "wrapped",
    [
        f"```json\n{ANN}\n```",
        f"Here you are:\n\n```\n{ANN}\n```\nAnything else?",
        f"Sure! {ANN} That is all.",
        f"The answer is:{ANN}",
    ],
)
def test_what_is_around_the_one_value_is_cut_away(wrapped):
    assert fitted(wrapped, PERSON).text == ANN


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", "the answer is not JSON"),
        ("I do not know.", "the answer is not JSON"),
        ('{"name": "Ann", "age": 7', "the answer is not JSON"),
        (f"{ANN} or {ANN}", "the answer is not JSON"),
        (f"```json\n{ANN}\n```\n```json\n{ANN}\n```", "the answer is not JSON"),
        ('{"name": "Ann"}', "the answer does not fit the schema: required"),
        ('So: {"name": "Ann", "age": "seven"}', "the answer does not fit the schema: type"),
        ("[" * 5000 + "]" * 5000, "the answer is not JSON"),
        ("x " + "[" * 50_000, "the answer is not JSON"),
    ],
)
def test_what_does_not_fit_is_told_without_its_words(text, wrong):
    assert fitted(text, PERSON).text is None
    assert fitted(text, PERSON).wrong == wrong


@given(st.recursive(st.none() | st.integers(-(2**53), 2**53) | st.text(), st.lists, max_leaves=20))
def test_any_json_is_found_in_a_fence(value):
    written = msgspec.json.encode(value).decode()
    fenced = fitted(f"```json\n{written}\n```", b"true").text
    assert fenced == written or "```" in written


def test_references_within_the_schema_are_followed_however_they_turn():
    tree = (
        b'{"type":"object","properties":{"kids":{"type":"array","items":{"$ref":"#"}}},"required":["kids"]}'
    )
    assert fitted('{"kids":[{"kids":[]}]}', tree).text
    assert fitted('{"kids":[{}]}', tree).wrong == "the answer does not fit the schema"
    assert fitted("1", b'{"$ref":"#"}').text == "1"


def test_a_pattern_that_would_take_for_ever_is_given_up():
    schema = rb'{"type":"string","pattern":"^(?=a)(a+)+$"}'
    assert fitted(f'"{"a" * 40}b"', schema).text is None


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        (b'{"type":"objekt"}', "not a valid JSON Schema"),
        (b"5", "not a valid JSON Schema"),
        (b'{"$schema":"https://example.com/own"}', "refers to another document"),
        (b'{"pattern":"((a{1,1000}){1,1000}){1,1000}"}', "a pattern takes more than 10 MiB compiled"),
        (b'{"pattern":"a{2}("}', "not a valid JSON Schema"),
        (b'{"pattern":"("}', "not a valid JSON Schema"),
        (b'{"items":' * 3000 + b"{}" + b"}" * 3000, "not a valid JSON Schema"),
        (b'{"$ref":"http://example.com/x"}', "refers to another document, and none is fetched"),
        (b'{"$ref":"file:///etc/passwd"}', "refers to another document, and none is fetched"),
        (b'{"description":"' + b"x" * SCHEMA_LIMIT + b'"}', "larger than 64 KiB"),
    ],
)
def test_a_schema_that_nothing_can_be_held_to_is_refused(schema, why):
    with pytest.raises(BadSchema, match=why):
        check(schema)


# --- schemas that lead through themselves ------------------------------------------------------------------


def twice(depth: int, keyword: str, end: object) -> bytes:
    """Return a schema of two alternatives in each of *depth* levels, which only differ at the *end*."""
    steps = {
        f"d{at}": {keyword: [{"properties": {"a": {"$ref": f"#/$defs/d{at + 1}"}}, "required": ["a"]}] * 2}
        for at in range(depth)
    }
    return msgspec.json.encode({"$ref": "#/$defs/d0", "$defs": {**steps, f"d{depth}": end}})


def nested(depth: int, end: str) -> str:
    return '{"a":' * depth + end + "}" * depth


@pytest.mark.parametrize("keyword", ["anyOf", "oneOf", "allOf"])
@pytest.mark.parametrize("depth", [25, 60])
def test_alternatives_within_alternatives_are_checked_for_a_while_only(keyword, depth):
    schema = twice(depth, keyword, {"type": "integer"})
    found = fitted(nested(depth, "7" if keyword == "allOf" else '"seven"'), schema)
    assert (found.text, found.wrong) == (None, "the answer takes too long to check")


def test_what_runs_out_of_steps_fits_nothing_not_even_a_negation():
    schema = msgspec.json.decode(twice(25, "anyOf", {"type": "integer"}))
    negated = msgspec.json.encode({"not": {"$ref": "#/$defs/d0"}, "$defs": schema["$defs"]})
    assert fitted(nested(25, '"seven"'), negated).text is None


TREE = msgspec.json.encode(
    {
        "$ref": "#/$defs/node",
        "$defs": {
            "node": {
                "anyOf": [
                    {
                        "type": "object",
                        "properties": {
                            "kind": {"const": kind},
                            "inside": {"type": "array", "items": {"$ref": "#/$defs/node"}},
                        },
                        "required": ["kind", "inside"],
                        "additionalProperties": False,
                    }
                    for kind in "abcdef"
                ]
            }
        },
    }
)


@pytest.mark.parametrize(("leaf", "fits"), [("f", True), ("g", False)])
def test_a_recursive_union_is_checked_at_once_however_deep_its_answer(leaf, fits):
    text = '{"kind":"f","inside":[' * 60 + f'{{"kind":"{leaf}","inside":[]}}' + "]}" * 60
    found = fitted(text, TREE)
    assert (found.text == text, found.wrong) == (fits, "" if fits else "the answer does not fit the schema")


@pytest.mark.parametrize("schema", [b'{"type":"array"}', b'{"const":[1],"properties":{"kind":{"$ref":"#"}}}'])
def test_what_is_nested_deeper_than_the_validator_goes_is_no_crash(schema):
    wrong = fitted('{"kind":' * 300 + "{}" + "}" * 300, schema).wrong
    assert wrong.startswith("the answer does not fit the schema")


ANY_INTEGER = {"type": "integer"}
AB = "".join(random.Random(1).choices("ab", k=200_000))


def unevaluated(depth: int) -> dict[str, object]:
    """Return a schema each level of which looks twice at what is below."""
    schema: dict[str, object] = {"properties": {"a": {}}, "unevaluatedProperties": False}
    for _ in range(depth):
        schema = {"allOf": [schema, {"properties": {"b": {}}}], "unevaluatedProperties": False}
    return schema


def within_itself(**keywords: object) -> dict[str, object]:
    node = {"properties": {"next": {"$ref": "#/$defs/node"}, "v": keywords}}
    return {"$ref": "#/$defs/node", "$defs": {"node": node}}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"items": {"allOf": [ANY_INTEGER] * 999}}, [0] * 100_000),
        ({"items": {"enum": [{"x": at} for at in range(4000)]}}, [{"x": 3999}] * 10_000),
        ({"uniqueItems": True}, [[at] for at in range(300_000)]),
        ({"pattern": "[ab]*a[ab]{100}c|"}, AB * 10),
        (unevaluated(30), {"a": 1}),
        (within_itself(items={"allOf": [ANY_INTEGER] * 900}), {"v": [0] * 100_000}),
        (within_itself(items={"enum": [{"x": at} for at in range(4000)]}), {"v": [{"x": 3999}] * 10_000}),
        (within_itself(pattern="[ab]*a[ab]{100}c|"), {"next": {"v": AB * 10}}),
    ],
)
def test_what_would_take_long_to_check_is_given_up(schema, value):
    told = msgspec.json.encode(schema)
    check(told)
    assert fitted(msgspec.json.encode(value).decode(), told).wrong == "the answer takes too long to check"


@pytest.mark.parametrize("size", [100, 10_000, 60_000])
def test_what_does_not_fit_is_told_with_the_keyword_where_that_is_cheap(size):
    schema = msgspec.json.encode({"items": {"anyOf": [{"type": "string"}, {"maximum": -1}]}})
    cheap = size < 60_000
    found = fitted(msgspec.json.encode([0] * size).decode(), schema)
    assert found.wrong == "the answer does not fit the schema" + (": anyOf" if cheap else "")


def test_a_long_answer_is_held_to_a_large_schema_all_the_same():
    schema = {"items": {"properties": {f"p{at}": {"type": "integer"} for at in range(400)}}}
    told = msgspec.json.encode(schema)
    good = msgspec.json.encode([{"p1": 1}] * 5000).decode()
    assert fitted(good, told).text == good
    assert fitted(good.replace("1}]", '"1"}]'), told).wrong == "the answer does not fit the schema"


ADDRESS = r"^https?://[^\s]{1,2048}$"


@pytest.mark.parametrize("pattern", [ADDRESS, r"^[\p{L}]{1,200}$"])
def test_a_pattern_may_count_as_far_as_names_and_addresses_are_long(pattern: str):
    schema = msgspec.json.encode({"pattern": pattern})
    assert fitted('"https://example.com"', schema).text or fitted('"word"', schema).text
    assert fitted('"1 2"', schema).text is None


def test_many_patterns_share_what_they_may_take():
    schema = {"properties": {f"p{at}": {"pattern": f"{at}|{ADDRESS}"} for at in range(100)}}
    with pytest.raises(BadSchema, match="a pattern takes more than 2 MiB compiled"):
        check(msgspec.json.encode(schema))


def test_a_schema_of_very_many_patterns_is_none():
    schema = {
        "properties": {f"p{at}": {"pattern": f"^(?:[a-z]{{50}}){{50}}{at}$"} for at in range(PATTERNS + 1)}
    }
    with pytest.raises(BadSchema, match="more than 200 patterns"):
        check(msgspec.json.encode(schema))
    del schema["properties"]["p0"]
    check(msgspec.json.encode(schema))
