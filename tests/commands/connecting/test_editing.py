"""Texts are changed as little as possible, or not at all; and taking back gives what was there."""

import json
import tomllib
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from freeroute.commands.connecting import jsonc
from freeroute.commands.connecting.editing import Form, Wrote, edited, undone
from freeroute.commands.connecting.trees import Unfit, leaves, look_up

ZED = ("language_models", "openai_compatible", "freeroute")
PROVIDER = {"api_url": "http://127.0.0.1:3000/v1", "available_models": [{"name": "free"}]}
TABLE = {"name": "freeroute", "wire_api": "responses"}
ITEM = {"name": "freeroute", "model": "free", "roles": ["chat", "edit"]}

JSONS = {
    "comments": (
        """\
// Zed settings
{
  "theme": "One Dark", // dark
  /* models */
  "language_models": {
    "ollama": { "api_url": "http://localhost:11434" } // local
  },
  "agent": { "default_model": { "provider": "zed.dev", "model": "x" } }, // mine
  // the end
}
""",
        """\
// Zed settings
{
  "theme": "One Dark", // dark
  /* models */
  "language_models": {
    "ollama": { "api_url": "http://localhost:11434" }, // local
    "openai_compatible": {
      "freeroute": {
        "api_url": "http://127.0.0.1:3000/v1",
        "available_models": [
          {
            "name": "free"
          }
        ]
      }
    }
  },
  "agent": { "default_model": { "provider": "freeroute", "model": "x" } }, // mine
  // the end
}
""",
    ),
    "one line": (
        '{"a": 1}',
        (
            '{"a": 1, "language_models": {"openai_compatible": {"freeroute": {"api_url":'
            ' "http://127.0.0.1:3000/v1", "available_models": [{"name": "free"}]}}},'
            ' "agent": {"default_model": {"provider": "freeroute"}}}'
        ),
    ),
    "tabs and no end of line": (
        '{\n\t"a": {}\n}',
        """\
{
\t"a": {},
\t"language_models": {
\t\t"openai_compatible": {
\t\t\t"freeroute": {
\t\t\t\t"api_url": "http://127.0.0.1:3000/v1",
\t\t\t\t"available_models": [
\t\t\t\t\t{
\t\t\t\t\t\t"name": "free"
\t\t\t\t\t}
\t\t\t\t]
\t\t\t}
\t\t}
\t},
\t"agent": {
\t\t"default_model": {
\t\t\t"provider": "freeroute"
\t\t}
\t}
}""",
    ),
}
VALUES: Any = {ZED: PROVIDER, ("agent", "default_model"): {"provider": "freeroute"}}


@pytest.mark.parametrize("name", JSONS)
def test_json_keeps_its_comments_its_order_and_its_looks(name):
    before, after = JSONS[name]
    assert edited(Form.JSON, before, VALUES) == after
    assert edited(Form.JSON, after, VALUES) == after


def test_an_object_without_members_gets_its_first():
    assert edited(Form.JSON, "{}", {("a",): 1}) == '{\n  "a": 1\n}'
    assert edited(Form.JSON, "{ }\n", {("a", "b"): 1}) == '{\n  "a": {\n    "b": 1\n  }\n}\n'
    assert edited(Form.JSON, "{\n  // none\n}\n", {("a",): 1}) == '{\n  "a": 1\n  // none\n}\n'
    assert edited(Form.JSON, "", {("a",): 1}) == edited(Form.JSON, " \n", {("a",): 1}) == '{\n  "a": 1\n}\n'


def test_lines_that_end_as_on_windows_go_on_to():
    after = edited(Form.JSON, '{\r\n  "a": 1 // x\r\n}\r\n', {("b",): 2})
    assert after == '{\r\n  "a": 1, // x\r\n  "b": 2\r\n}\r\n'
    assert edited(Form.TOML, "a = 1\r\n", {("b",): 2}) == "a = 1\r\nb = 2\r\n"
    assert edited(Form.YAML, "a: 1\r\n", {("b",): 2}) == "a: 1\r\nb: 2\r\n"


def test_of_several_members_with_one_name_the_last_counts():
    assert edited(Form.JSON, '{"a": 1, "a": 2}', {("a",): 3}) == '{"a": 1, "a": 3}'


TOML = """\
# Codex
model = "gpt-5.5" # mine
notify = [
  "a",
]

# servers
[mcp_servers.docs]
command = "docs"

# last
[profiles]
"""


def test_toml_keeps_its_comments_and_its_order():
    table = ("model_providers", "freeroute")
    values: Any = {("model",): "free", ("model_provider",): "freeroute", table: TABLE}
    after = edited(Form.TOML, TOML, values)
    assert after == (
        '# Codex\nmodel = "free" # mine\nnotify = [\n  "a",\n]\nmodel_provider = "freeroute"\n\n# servers\n'
        '[mcp_servers.docs]\ncommand = "docs"\n\n# last\n[profiles]\n\n'
        '[model_providers.freeroute]\nname = "freeroute"\nwire_api = "responses"\n'
    )
    other = edited(Form.TOML, after, {("model_providers", "freeroute"): {"name": "other"}})
    assert tomllib.loads(other)["model_providers"] == {"freeroute": {**TABLE, "name": "other"}}


def test_a_table_in_the_middle_is_replaced_where_it_stands():
    text = "a = 1\n\n[x.y]\nb = 1\n# of z\n\n[z]\nc = 2\n"
    for value in (2, 3):
        text = edited(Form.TOML, text, {("x", "y"): {"b": value}})
    assert text == "a = 1\n\n[x.y]\nb = 3\n# of z\n\n[z]\nc = 2\n"
    assert edited(Form.TOML, "[z]\nc = 2", {("a",): 1}) == "a = 1\n[z]\nc = 2"


YAML = """\
# mine
name: My config   # first
models:
  - name: local
    model: llama3  # at home

  # rules follow
rules: []
"""


def test_yaml_keeps_its_comments_and_its_order():
    after = edited(Form.YAML, YAML, {("models", ("name", "freeroute")): ITEM})
    assert after == (
        "# mine\nname: My config   # first\nmodels:\n  - name: local\n    model: llama3  # at home\n"
        '  - name: "freeroute"\n    model: "free"\n    roles: ["chat", "edit"]\n'
        "\n  # rules follow\nrules: []\n"
    )
    other = edited(Form.YAML, after, {("models", ("name", "freeroute")): {**ITEM, "model": "free-fast"}})
    assert other == after.replace('"free"', '"free-fast"')


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", 'GOOSE_MODEL: "free"\n'),
        ("# only a comment\n", '# only a comment\nGOOSE_MODEL: "free"\n'),
        ("GOOSE_MODEL: x # y\nextensions: {}", 'GOOSE_MODEL: "free" # y\nextensions: {}'),
        ("GOOSE_MODEL:\nz: 1\n", 'GOOSE_MODEL: "free"\nz: 1\n'),
        ("a: |\n  text\n", 'a: |\n  text\nGOOSE_MODEL: "free"\n'),
    ],
)
def test_a_key_of_yaml_is_set_where_it_stands_or_at_the_end(before, after):
    assert edited(Form.YAML, before, {("GOOSE_MODEL",): "free"}) == after


@pytest.mark.parametrize("before", ["models:\n", "models: []\n", "models: null # none\n", "a: 1"])
def test_a_list_that_is_empty_or_missing_gets_its_first_item(before):
    after = edited(Form.YAML, before, {("models", ("name", "freeroute")): ITEM})
    assert yaml.safe_load(after)["models"] == [ITEM]


@pytest.mark.parametrize(
    ("form", "text", "told"),
    [
        (Form.JSON, "{", "line 1, column 2: "),
        (Form.JSON, '{\n  "a": 1\n  "b": 2\n}', "line 3, column 3: a comma"),
        (Form.JSON, '{"a" 1}', "line 1, column 6: a colon"),
        (Form.JSON, "{a: 1}", "line 1, column 2: a key in quotes"),
        (Form.JSON, "[1]", "not a JSON object"),
        (Form.JSON, "{} {}", "something follows"),
        (Form.JSON, "{} /* x", "this comment does not end"),
        (Form.JSON, '{"a": [1 2]}', "a comma or ]"),
        (Form.JSON, '{"a": ' * 5000, "nested too deeply"),
        (Form.JSON, '{"language_models": []}', "openai_compatible belongs into an object"),
        (Form.TOML, "a = \n", "line 1, column 5: this is not valid TOML"),
        (Form.TOML, "[[model_providers]]\n", ""),
        (Form.TOML, 'language_models = "x"', ""),
        (Form.YAML, "a: [1", "line 1, column 6: this is not valid YAML"),
        (Form.YAML, "- 1\n", "this is not a mapping"),
        (Form.YAML, "a: \x00", "not valid YAML"),
        (Form.YAML, "{b: 1}", "a key on each line"),
    ],
)
def test_what_cannot_be_edited_is_refused_with_the_place(form, text, told):
    values: Any = (
        {("a",): 1} if form is Form.YAML else {("model_providers", "freeroute"): TABLE, ZED: PROVIDER}
    )
    with pytest.raises(Unfit) as caught:
        edited(form, text, values)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("form", "text", "path"),
    [
        (Form.YAML, "models: [{name: a}]\n", ("models", ("name", "freeroute"))),
        (Form.YAML, "models: {a: 1}\n", ("models", ("name", "freeroute"))),
        (Form.YAML, "model: |\n  a\n", ("model",)),
        (Form.YAML, "model: [1]\n", ("model",)),
        (Form.YAML, "a: 1\n---\nb: 2\n", ("model",)),
        (Form.TOML, 'model = """\nx"""\n', ("model",)),
        (Form.TOML, "model = [1]\n", ("model",)),
    ],
)
def test_what_is_not_understood_well_enough_is_left_alone(form, text, path):
    value = ITEM if len(path) > 1 else "free"
    with pytest.raises(Unfit):
        edited(form, text, {path: value})


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
