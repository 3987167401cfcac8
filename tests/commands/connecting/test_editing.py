"""Texts are changed as little as possible, or not at all."""

import tomllib
from typing import Any

import pytest
import yaml

from freeroute.commands.connecting.editing import Form, edited
from freeroute.commands.connecting.trees import Unfit
from tests.commands.connecting.examples import ITEM, JSONS, PROVIDER, TABLE, TOML, VALUES, YAML, ZED


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
