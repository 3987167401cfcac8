"""What was written is taken back, of any text: what was there is there again, and what came since stays."""

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from freeroute.commands.connecting import jsonc
from freeroute.commands.connecting.editing import Form, Wrote, edited, undone
from freeroute.commands.connecting.trees import Unfit, leaves, look_up
from tests.commands.connecting.examples import ITEM, JSONS, TABLE, TOML, VALUES, YAML

# --- taking back -------------------------------------------------------------------------------------------

CASES = [
    (Form.JSON, JSONS["comments"][0], VALUES),
    (Form.JSON, "", VALUES),
    (
        Form.TOML,
        TOML,
        {("model",): "free", ("model_provider",): "f", ("model_providers", "freeroute"): TABLE},
    ),
    (Form.YAML, YAML, {("models", ("name", "freeroute")): ITEM, ("model",): "x"}),
]


def wrote(values):
    each = [leaf for place, value in values.items() for leaf in leaves(place, value).items()]
    return [Wrote(path, [value]) for path, value in each]


@pytest.mark.parametrize(("form", "before", "values"), CASES)
def test_taking_back_gives_what_was_there(form, before, values):
    after = edited(form, before, values)
    left = undone(form, after, before, wrote(values))
    assert form.editor.read(left or "{}") == form.editor.read(before or "{}")
    assert undone(form, edited(form, "", values), None, wrote(values)) is None


@pytest.mark.parametrize(
    ("form", "before", "values", "addition"),
    [
        (*CASES[0], (("more",), 1)),
        (*CASES[2], (("more",), 1)),
        (*CASES[3], (("more",), 1)),
        (*CASES[3], (("models", ("name", "own")), {"name": "own"})),
    ],
)
def test_what_somebody_added_since_stays(form, before, values, addition):
    after = edited(form, edited(form, before, values), dict([addition]))
    left = undone(form, after, before, wrote(values))
    assert left is not None
    assert form.editor.read(left) == form.editor.read(edited(form, before, dict([addition])))


def test_what_somebody_else_set_since_is_not_ours_any_more():
    before = '{"model": "a"}'
    after = edited(Form.JSON, before, {("model",): "free", ("x", "y"): 1})
    after = edited(Form.JSON, after, {("model",): "theirs"})
    ours = wrote({("model",): "free", ("x", "y"): 1})
    assert json.loads(undone(Form.JSON, after, before, ours) or "") == {"model": "theirs"}


def test_a_file_of_ours_with_something_else_in_it_stays_without_ours():
    after = edited(Form.JSON, edited(Form.JSON, "", VALUES), {("mine",): 1})
    assert json.loads(undone(Form.JSON, after, None, wrote(VALUES)) or "") == {"mine": 1}


def test_what_was_begun_with_a_scaffold_goes_with_it():
    scaffold = "name: freeroute\n"
    values: Any = {("models", ("name", "freeroute")): ITEM}
    fresh = edited(Form.YAML, "", values, scaffold)
    assert fresh.startswith(scaffold)
    assert undone(Form.YAML, fresh, None, wrote(values), scaffold) is None
    # Somebody took the item out by hand.
    assert undone(Form.YAML, scaffold, None, wrote(values), scaffold) is None


def test_comments_after_our_table_stay_when_it_is_written_anew_and_when_it_goes():
    table = ("x", "y")
    ours = [Wrote((*table, "b"), [1, 2])]
    first = edited(Form.TOML, "a = 1\n", {table: {"b": 1}})
    for added in ("\n# mine\n# too", "# mine\n"):
        again = edited(Form.TOML, first + added, {table: {"b": 2}})
        assert again == "a = 1\n\n[x.y]\nb = 2\n" + added
        assert undone(Form.TOML, again, "a = 1\n", ours) == "a = 1\n\n" + added.lstrip()


@pytest.mark.parametrize(
    ("form", "comment"), [(Form.JSON, "// mine\n"), (Form.TOML, "# mine\n"), (Form.YAML, "# mine\n")]
)
def test_a_file_of_ours_in_which_somebody_put_a_comment_stays_for_that(form, comment):
    values: Any = {("model",): "x"}
    for text in (comment + edited(form, "", values), edited(form, "", values) + comment):
        left = undone(form, text, None, wrote(values))
        assert left is not None
        assert comment in left


def test_what_cannot_be_taken_out_is_left_alone():
    ours = [Wrote(("model_providers", "freeroute", "name"), [1])]
    for text in ("model_providers.freeroute = {name = 1}\n", "[model_providers]\nfreeroute = {name = 1}\n"):
        with pytest.raises(Unfit):
            undone(Form.TOML, text + "# by hand\n", None, ours)


# --- any text ----------------------------------------------------------------------------------------------

scalars = st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5)
trees = st.dictionaries(
    st.text(max_size=4),
    st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
        max_leaves=6,
    ),
    max_size=4,
)
trivia = st.sampled_from(["", " ", "\n", "\n  ", "// c\n", "/* d */", "\t", "\r\n"])


@st.composite
def json_texts(draw):
    """JSON with comments and blanks wherever they may be, and trailing commas."""

    def write(value):
        gap = lambda: draw(trivia)  # noqa: E731
        if isinstance(value, dict):
            parts = [
                f"{gap()}{json.dumps(key)}{gap()}:{gap()}{write(one)}{gap()}" for key, one in value.items()
            ]
            comma = "," if parts and draw(st.booleans()) else ""
            return "{" + ",".join(parts) + comma + gap() + "}"
        if isinstance(value, list):
            return "[" + ",".join(f"{gap()}{write(one)}{gap()}" for one in value) + gap() + "]"
        return json.dumps(value)

    value = draw(trees)
    return value, draw(trivia) + write(value) + draw(trivia)


@given(json_texts(), st.lists(st.text(max_size=4), min_size=1, max_size=3), trees)
def test_any_json_takes_a_value_and_gives_it_back(told, path, value):
    tree, text = told
    assert jsonc.read(text) == tree
    path = tuple(path)
    try:
        after = edited(Form.JSON, text, {path: value})
    except Unfit:
        return  # something that is no object is in the way
    assert all(look_up(jsonc.read(after), leaf) == one for leaf, one in leaves(path, value).items())
    changed = edited(Form.JSON, after, {("added by hand",): True})
    left = undone(Form.JSON, changed, text, wrote({path: value}))
    assert left is not None
    assert jsonc.read(left) == {**tree, "added by hand": True}


lines = st.sampled_from(
    ["# c", "", "model: x", "a: 1 # d", "models:\n- name: x\n  b: [1]", "z: |-\n  t", "'q': {r: 1}"]
)


@given(st.lists(lines, unique_by=lambda line: line.partition(":")[0] or line, max_size=5), st.booleans())
def test_any_yaml_takes_a_value_and_an_item_and_gives_them_back(parts, ended):
    text = "\n".join(parts) + ("\n" if ended else "")
    values = {("model",): "free", ("models", ("name", "freeroute")): ITEM}
    after = edited(Form.YAML, text, values)
    changed = edited(Form.YAML, after, {("added",): True})
    left = undone(Form.YAML, changed, text, wrote(values))
    assert left is not None
    assert yaml.safe_load(left) == {**(yaml.safe_load(text) or {}), "added": True}
