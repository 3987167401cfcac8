"""What people have in a file stays theirs: through writing, writing again, and taking back."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from msgspec.structs import replace

from freeroute.commands.connecting import files
from freeroute.commands.connecting.editing import Form, Wrote, edited, undone
from freeroute.commands.connecting.files import Edit
from freeroute.commands.connecting.trees import Unfit, leaves
from tests.commands.connecting.golden import KEYED, TARGET, edits

CODEX = ("model_providers", "freeroute")
CONTINUE = ("models", ("name", "freeroute"))


@pytest.fixture
def place(tmp_path):
    """An empty directory."""
    directory: Path = tmp_path / "place"
    directory.mkdir()
    return directory


def placed_in(directory, name, target=TARGET) -> Edit:
    edit = edits(name.partition(".")[0], target)[name]
    return replace(edit, path=directory / edit.path.name, older=None)


def wrote(values):
    each = [leaf for place, value in values.items() for leaf in leaves(place, value).items()]
    return [Wrote(path, [value]) for path, value in each]


# --- a file that is not there any more ----------------------------------------------------------------------


def test_a_file_that_somebody_removed_comes_back_as_it_was(place):
    edit = Edit(place / "settings.json", Form.JSON, {("b",): 2})
    edit.path.write_text('{"a": 1}')
    edit.path.chmod(0o644)
    files.write(edit)
    edit.path.unlink()
    change = files.undo(edit)
    assert change is not None
    assert (change.before, change.after) == (None, '{"a": 1}')
    assert (edit.path.read_text(), edit.path.stat().st_mode & 0o777) == ('{"a": 1}', 0o644)
    assert [one.name for one in place.iterdir()] == ["settings.json"]


def test_what_a_link_led_to_comes_back_where_it_was(place):
    kept = place / "dotfiles" / "settings.json"
    kept.parent.mkdir()
    kept.write_text('{"a": 1}')
    edit = Edit(place / "settings.json", Form.JSON, {("b",): 2})
    edit.path.symlink_to(kept)
    files.write(edit)
    kept.unlink()
    kept.parent.rmdir()
    files.undo(edit)
    assert edit.path.is_symlink()
    assert kept.read_text() == '{"a": 1}'


def test_a_file_that_was_removed_and_written_again_comes_back_as_it_was(place):
    edit = Edit(place / "settings.json", Form.JSON, {("b",): 2})
    edit.path.write_text('{"a": 1} // mine')
    files.write(edit)
    edit.path.unlink()
    files.write(edit)
    files.undo(edit)
    assert edit.path.read_text() == '{"a": 1} // mine'


def test_a_file_of_ours_that_somebody_removed_leaves_nothing(place):
    edit = Edit(place / "settings.json", Form.JSON, {("b",): 2})
    files.write(edit)
    edit.path.unlink()
    files.undo(edit)
    assert list(place.iterdir()) == []


# --- what somebody added to what is ours --------------------------------------------------------------------


def test_a_model_and_options_of_somebody_stay_under_our_provider_however_often_it_is_written(place):
    edit = placed_in(place, "opencode.opencode.json")
    own: Any = {
        "options": {"timeout": 600, "headers": {"x": "y"}, "apiKey": "old"},
        "models": {"mine": {"name": "Mine"}},
    }
    edit.path.write_text(json.dumps({"provider": {"freeroute": own}}, indent=2))
    for target in (TARGET, KEYED, TARGET):
        files.write(placed_in(place, "opencode.opencode.json", target))
    provider = json.loads(edit.path.read_text())["provider"]["freeroute"]
    assert provider["options"] == {**own["options"], "apiKey": TARGET.sent, "baseURL": f"{TARGET.url}/v1"}
    assert list(provider["models"]) == ["mine", "free-smart", "free"]
    files.undo(edit)
    assert json.loads(edit.path.read_text()) == {"provider": {"freeroute": own}}


def test_models_that_the_gateway_has_no_more_go_and_those_of_somebody_stay(place):
    edit = placed_in(place, "opencode.opencode.json")
    files.write(edit)
    edit.path.write_text(edit.path.read_text().replace('"models": {', '"models": {"mine": {}, // my own'))
    fewer = replace(TARGET, models=TARGET.models[:1])
    files.write(placed_in(place, "opencode.opencode.json", fewer))
    text = edit.path.read_text()
    assert list(edit.form.editor.read(text)["provider"]["freeroute"]["models"]) == ["mine", "free-smart"]
    assert "// my own" in text


def test_models_of_somebody_stay_in_the_list_of_our_provider(place):
    edit = placed_in(place, "zed.settings.json")
    own = """{
  "language_models": {"openai_compatible": {"freeroute": {"available_models": [
    {"name": "mine", "max_tokens": 9}, // my own
    {"name": "free", "max_output_tokens": 7}
  ]}}}
}
"""
    edit.path.write_text(own)
    for target in (TARGET, replace(TARGET, models=TARGET.models[1:])):
        files.write(placed_in(place, "zed.settings.json", target))
        provider = edit.form.editor.read(edit.path.read_text())["language_models"]["openai_compatible"]
        models = provider["freeroute"]["available_models"]
        assert [one["name"] for one in models[:2]] == ["mine", "free"]
        assert [one["name"] for one in models[2:]] == [one.id for one in target.models if one.id != "free"]
        assert models[1].items() >= {"max_output_tokens": 7, "max_tokens": 131_072}.items()
    edit.path.write_text(edit.path.read_text() + "// more\n")
    change = files.undo(edit)
    assert change is not None
    assert change.left == ()
    assert Form.JSON.editor.read(edit.path.read_text()) == Form.JSON.editor.read(own)
    assert "// my own" in edit.path.read_text()


def test_a_model_that_somebody_added_to_a_list_of_ours_is_told_to_stay(place):
    edit = placed_in(place, "zed.settings.json")
    files.write(edit)
    edit.path.write_text(edit.path.read_text().replace('models": [', 'models": [ { "name": "mine" },'))
    change = files.undo(edit)
    assert change is not None
    assert change.left == ("language_models.openai_compatible.freeroute.available_models",)
    assert json.loads(edit.path.read_text()) == {
        "language_models": {"openai_compatible": {"freeroute": {"available_models": [{"name": "mine"}]}}}
    }


def test_keys_and_comments_of_somebody_stay_in_our_table():
    text = (
        '[model_providers.freeroute] # mine\nname = "other" # a name\n# more\nrequest_max_retries = 5\n\n'
        '[model_providers.freeroute.http_headers]\nx = "y"\n\n[z]\n'
    )
    values: Any = {CODEX: {"name": "freeroute", "wire_api": "responses"}}
    after = edited(Form.TOML, text, values)
    assert after == (
        '[model_providers.freeroute] # mine\nname = "freeroute" # a name\n# more\nrequest_max_retries = 5\n'
        'wire_api = "responses"\n\n[model_providers.freeroute.http_headers]\nx = "y"\n\n[z]\n'
    )
    assert undone(Form.TOML, after, text, wrote(values)) == text


def test_fields_and_comments_of_somebody_stay_in_our_item():
    text = (
        "models:\n  - model: x # theirs\n    name: freeroute\n    roles:\n      - chat\n"
        "    defaultCompletionOptions:\n      temperature: 0.1 # cool\n"
    )
    values: Any = {CONTINUE: {"name": "freeroute", "model": "free", "roles": ["chat", "edit"], "apiKey": "k"}}
    after = edited(Form.YAML, text, values)
    assert after == (
        'models:\n  - model: "free" # theirs\n    name: freeroute\n    roles: ["chat", "edit"]\n'
        '    defaultCompletionOptions:\n      temperature: 0.1 # cool\n    apiKey: "k"\n'
    )
    left = undone(Form.YAML, after, text, wrote(values))
    assert yaml.safe_load(left or "") == yaml.safe_load(text)
    assert "model: x # theirs" in (left or "")


def test_comments_stay_in_an_object_that_is_set_anew():
    text = '{\n  "agent": {"default_model": {\n      // theirs\n      "provider": "zed.dev" // now\n  }}\n}\n'
    values: Any = {("agent", "default_model"): {"provider": "freeroute", "model": "free"}}
    after = edited(Form.JSON, text, values)
    assert '// theirs\n      "provider": "freeroute", // now\n      "model": "free"\n' in after
    left = undone(Form.JSON, after + "// more\n", text, wrote(values))
    assert left == text + "// more\n"


@pytest.mark.parametrize("was", ["null", "{}"])
def test_what_was_empty_is_filled_and_empty_again(was):
    text = f'{{"agent": {was}}}'
    values: Any = {("agent", "default_model"): {"provider": "freeroute"}}
    after = edited(Form.JSON, text, values)
    assert Form.JSON.editor.read(after)["agent"] == {"default_model": {"provider": "freeroute"}}
    assert undone(Form.JSON, after + " // more", text, wrote(values)) == text + " // more"


# --- taking back from a file that somebody edited ----------------------------------------------------------


def test_every_leaf_of_ours_goes_and_what_somebody_set_is_told(place):
    edit = placed_in(place, "opencode.opencode.json", KEYED)
    files.write(edit)
    text = edit.path.read_text()
    edit.path.write_text(
        text.replace('"baseURL"', '"timeout": 600,\n        "baseURL"').replace("131072", "9")
    )
    change = files.undo(edit)
    assert change is not None
    assert "fr-secret" not in edit.path.read_text()
    assert "ai.example" not in edit.path.read_text()
    assert change.left == (
        "provider.freeroute.options.timeout",
        "provider.freeroute.models.free-smart.limit.context",
        "provider.freeroute.models.free.limit.context",
    )


def test_a_model_of_which_a_field_was_changed_loses_the_key_and_the_address(place):
    edit = placed_in(place, "continue.config.yaml", KEYED)
    edit.path.write_text("name: Mine\n")
    files.write(edit)
    edit.path.write_text(edit.path.read_text().replace('["chat", "edit", "apply"]', '["chat"]'))
    change = files.undo(edit)
    assert change is not None
    assert change.left == ("models.name=freeroute.roles",)
    assert yaml.safe_load(edit.path.read_text()) == {
        "name": "Mine",
        "models": [{"name": "freeroute", "roles": ["chat"]}],
    }


@pytest.mark.parametrize(
    ("by_hand", "mode"),
    [
        (('name: "freeroute"', "name: mine"), 0o600),  # its key is not where it was written
        (('"fr-secret"', "their-own"), 0o600),  # which is a key as well
        (("name: Mine", "name: Ours"), 0o644),
    ],
)
def test_a_file_with_a_key_left_in_it_stays_its_owners_alone(place, by_hand, mode):
    edit = placed_in(place, "continue.config.yaml", KEYED)
    edit.path.write_text("name: Mine\n")
    edit.path.chmod(0o644)
    files.write(edit)
    edit.path.write_text(edit.path.read_text().replace(*by_hand))
    change = files.undo(edit)
    assert change is not None
    assert change.keeps_key == ("fr-secret" in edit.path.read_text())
    assert edit.path.stat().st_mode & 0o777 == mode


@pytest.mark.parametrize(
    ("form", "text", "addition"),
    [
        (Form.YAML, "model: sonnet # mine\n", "a: 1\n"),
        (Form.YAML, "model: &m sonnet\nother: 1\n", "a: 1\n"),
        (Form.YAML, "model:\nother: 1\n", "a: 1\n"),
        (Form.YAML, "model: 'it''s'\n", "# more\n"),
        (Form.TOML, "model = 'x' # mine\n", "a = 1\n"),
        (Form.JSON, '{"model": /* theirs */ "\\u0041"}', "// more"),
        (Form.JSON, '{"model": {\n  // theirs\n  "a": 1 }}', "// more"),
    ],
)
def test_what_stood_there_comes_back_as_it_was_written(form, text, addition):
    values: Any = {("model",): "free"}
    after = edited(form, text, values)
    assert undone(form, after + addition, text, wrote(values)) == text + addition


@pytest.mark.parametrize(
    "text",
    [
        "models: []   # none yet\nrules: []\n",
        "a: 1\nmodels:\nrules: []\n",
        "models: null # none\n",
        "models: []",
    ],
)
def test_a_list_that_was_empty_keeps_its_place_and_its_comment(text):
    values: Any = {CONTINUE: {"name": "freeroute", "model": "free"}}
    after = edited(Form.YAML, text, values)
    assert list(yaml.safe_load(after)) == list(yaml.safe_load(text))
    assert text.count("#") == after.count("#")
    again = undone(Form.YAML, edited(Form.YAML, after, {("more",): 1}), text, wrote(values))
    assert yaml.safe_load(again or "") == {**yaml.safe_load(text), "more": 1}
    assert again is not None
    assert again.startswith(text.rstrip("\n"))


# --- what is written in another way ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("---\nmodel: sonnet\n...\n", '---\nmodel: "free"\nz: 1\n...\n'),
        ("---\na: 1\n... # end\n", '---\na: 1\nmodel: "free"\nz: 1\n... # end\n'),
        ("model: x\nmodel: y\n", 'model: x\nmodel: "free"\nz: 1\n'),
        ("---\n", '---\nmodel: "free"\nz: 1\n'),
        ("b: &b\n  model: x\n<<: *b\n", 'b: &b\n  model: x\n<<: *b\nmodel: "free"\nz: 1\n'),
    ],
)
def test_yaml_with_its_end_marked_or_with_keys_merged_in_is_served(text, after):
    values: Any = {("model",): "free", ("z",): 1}
    assert edited(Form.YAML, text, values) == after
    assert undone(Form.YAML, after, text, wrote(values)) == text


STRINGS = '''\
notes = """
[rules]
model = "not this"
"""
model = "gpt" # mine
table = [
  [1], # [x]
  { a = 1 },
]

[other]
text = \'\'\'
[model_providers.freeroute]
model = 1\'\'\'
'''


def test_an_empty_table_of_somebody_stays():
    values: Any = {CODEX: {"name": "freeroute"}}
    text = "[model_providers] # mine\n"
    assert undone(Form.TOML, edited(Form.TOML, text, values), text, wrote(values)) == text


def test_toml_with_tables_and_keys_inside_of_its_strings_is_served():
    values: Any = {("model",): "free", ("model_provider",): "freeroute", CODEX: {"name": "freeroute"}}
    after = edited(Form.TOML, STRINGS, values)
    assert tomllib.loads(after) == {
        **tomllib.loads(STRINGS),
        "model": "free",
        "model_provider": "freeroute",
        "model_providers": {"freeroute": {"name": "freeroute"}},
    }
    assert '\nmodel = "free" # mine\n' in after
    assert "]\nmodel_provider = " in after
    assert undone(Form.TOML, after, STRINGS, wrote(values)) == STRINGS


@pytest.mark.parametrize(
    ("form", "text", "told"),
    [
        (
            Form.TOML,
            "a = 1\nmodel_providers = {}\n",
            "line 2, column 1: model_providers is not written as tables",
        ),
        (Form.TOML, '[model_providers]\nfreeroute = {name = "y"}\n', "line 2, column 1: "),
        (
            Form.TOML,
            '[model_providers.freeroute]\nname = """\nx"""\n',
            "line 2, column 1: the value of model_pr",
        ),
        (Form.YAML, "a: 1\nmodels: {name: &m x}\n", "line 2, column 1: models is not a list"),
        (
            Form.YAML,
            "a: 1\nmodels:\n- name: freeroute\n  model: &m x\nb: *m\n",
            "line 4, column 3: what model is, is referred to",
        ),
        (
            Form.YAML,
            "a: &m x\nmodels:\n- name: freeroute\n  model: *m\n",
            "line 4, column 3: model stands for",
        ),
        (Form.YAML, "a: 1\n---\nb: 1\n", "line 2, column 1: another document"),
    ],
)
def test_what_is_not_served_is_refused_for_its_reason_with_the_line(form, text, told):
    values: Any = {CODEX: {"name": "freeroute"}} if form is Form.TOML else {CONTINUE: {"model": "free"}}
    with pytest.raises(Unfit) as caught:
        edited(form, text, values)
    assert told in str(caught.value)


def test_an_item_in_braces_is_filled_and_emptied_where_it_stands():
    text = "models:\n- {name: freeroute, own: 1}\n"
    values: Any = {CONTINUE: {"name": "freeroute", "model": "free", "apiKey": "k"}}
    after = edited(Form.YAML, text, values)
    assert after == 'models:\n- {name: freeroute, own: 1, model: "free", apiKey: "k"}\n'
    assert undone(Form.YAML, after, text, wrote(values)) == text
