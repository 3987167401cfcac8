"""Files of clients: merged as shown, whole or not at all, for their owners, and brought back."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from msgspec.structs import replace

from freeroute.commands.connecting import files
from freeroute.commands.connecting.editing import Form
from freeroute.commands.connecting.files import Edit
from freeroute.errors import ConfigError
from tests.commands.conftest import ROOT
from tests.commands.connecting import golden
from tests.commands.connecting.golden import KEYED, NAMES, TARGET, edits, made


@pytest.fixture
def place(tmp_path):
    """An empty directory."""
    directory: Path = tmp_path / "place"
    directory.mkdir()
    return directory


EXAMPLES = [name for client in NAMES for name in edits(client)]


def example(name: str, target=TARGET) -> Edit:
    return next(found[name] for client in NAMES if name in (found := edits(client, target)))


def inside(directory, edit: Edit) -> Edit:
    return replace(edit, path=directory / edit.path.name)


def there(edit: Edit) -> list[str]:
    return sorted(path.name for path in edit.path.parent.iterdir())


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_file_becomes_what_was_looked_at(name):
    edit = example(name)
    assert made(edit, None) == (golden.HERE / f"{name}.fresh").read_text()
    if text := golden.before(name):
        assert made(edit, text) == (golden.HERE / f"{name}.after").read_text()


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("existing", [True, False])
def test_writing_twice_is_writing_once_and_undoing_leaves_nothing_behind(place, name, existing):
    edit = inside(place, example(name))
    before = golden.before(name) if existing else None
    if before is not None:
        edit.path.write_text(before)
        edit.path.chmod(0o644)
    for target in (TARGET, KEYED, TARGET):
        files.write(inside(place, example(name, target)))
    assert edit.path.read_text() == made(edit, before)
    again = files.write(edit)
    assert again.before == again.after
    copy = edit.path.with_name(f"{edit.path.name}.before-freeroute")
    assert (copy.read_text() if copy.exists() else None) == before
    undone = files.undo(edit)
    assert undone is not None
    assert undone.after == before
    assert there(edit) == ([] if before is None else [edit.path.name])
    assert before is None or (edit.path.read_text(), edit.path.stat().st_mode & 0o777) == (before, 0o644)
    assert files.undo(edit) is None


def test_what_holds_a_key_is_its_owners_alone_and_the_rest_stays_as_open_as_it_was(place):
    for name, target, mode in [
        ("claude-code.settings.json", KEYED, 0o600),
        ("codex.config.toml", KEYED, 0o664),
    ]:
        edit = inside(place, example(name, target))
        edit.path.write_text(golden.before(name) or "")
        edit.path.chmod(0o664)
        files.write(edit)
        assert edit.path.stat().st_mode & 0o777 == mode
        beside = [path for path in place.iterdir() if path.name.startswith(f"{edit.path.name}.")]
        assert {path.stat().st_mode & 0o777 for path in beside} == {0o600}
    fresh = inside(place / "new" / "deep", example("claude-code.settings.json"))
    files.write(fresh)
    assert fresh.path.stat().st_mode & 0o777 == 0o600
    assert fresh.path.parent.stat().st_mode & 0o777 == 0o700


def test_a_link_stays_one_and_what_it_leads_to_is_changed(place):
    (place / "dotfiles").mkdir()
    kept = place / "dotfiles" / "settings.json"
    kept.write_text('{"a": 1}')
    edit = Edit(place / "settings.json", Form.JSON, {("b",): 2})
    edit.path.symlink_to(kept)
    files.write(edit)
    assert edit.path.is_symlink()
    assert kept.read_text() == '{"a": 1, "b": 2}'
    assert [path.name for path in kept.parent.iterdir()] == ["settings.json"]
    files.undo(edit)
    assert edit.path.is_symlink()
    assert kept.read_text() == '{"a": 1}'


def test_a_byte_order_mark_stays(place):
    edit = Edit(place / "settings.json", Form.JSON, {("b",): 2})
    edit.path.write_bytes(b'\xef\xbb\xbf{"a": 1}')
    files.write(edit)
    assert edit.path.read_bytes() == b'\xef\xbb\xbf{"a": 1, "b": 2}'
    files.undo(edit)
    assert edit.path.read_bytes() == b'\xef\xbb\xbf{"a": 1}'


def test_what_somebody_did_since_stays_and_ours_goes(place):
    edit = inside(place, example("continue.config.yaml"))
    edit.path.write_text(golden.before("continue.config.yaml") or "")
    files.write(edit)
    edit.path.write_text(edit.path.read_text().replace("name: Mine", "name: Ours") + "rules: [short]\n")
    files.undo(edit)
    assert yaml.safe_load(edit.path.read_text()) == {
        **yaml.safe_load(golden.before("continue.config.yaml") or ""),
        "name": "Ours",
        "rules": ["short"],
    }


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b'{"a": 1,,}', "line 1, column 9: a key in quotes"),
        (b"\xff", "is not UTF-8 (byte 0)"),
        (b" " * (files.LARGEST + 1), "is not a file of at most"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_the_place_and_stays(place, content, told):
    edit = Edit(place / "settings.json", Form.JSON, {("b",): 2})
    edit.path.write_bytes(content)
    with pytest.raises(ConfigError, match="nothing was changed") as caught:
        files.write(edit)
    assert told in str(caught.value)
    assert str(edit.path) in str(caught.value)
    assert (edit.path.read_bytes(), there(edit)) == (content, ["settings.json"])


def test_what_is_no_file_or_cannot_be_written_is_told(place):
    edit = Edit(place / "a" / "settings.json", Form.JSON, {("b",): 2})
    edit.path.mkdir(parents=True)
    with pytest.raises(ConfigError, match="is not a file"):
        files.write(edit)
    (place / "b").write_text("")
    with pytest.raises(ConfigError, match="cannot be"):
        files.write(replace(edit, path=place / "b" / "settings.json"))


def test_a_record_that_is_damaged_lets_the_file_be(place):
    edit = Edit(place / "settings.json", Form.JSON, {("b",): 2})
    edit.path.write_text("{}")
    files.write(edit)
    written = edit.path.read_text()
    (place / "settings.json.freeroute-undo").write_text("{")
    for act in (files.undo, files.write):
        with pytest.raises(ConfigError, match="is damaged"):
            act(replace(edit, values={("b",): 3}))
    assert edit.path.read_text() == written


def test_a_record_without_its_copy_takes_nothing_back_and_goes(place):
    edit = Edit(place / "settings.json", Form.JSON, {("b",): 2})
    edit.path.write_text("{}")
    files.write(edit)
    written = edit.path.read_text()
    (place / "settings.json.before-freeroute").unlink()
    undone = files.undo(edit)
    assert undone is not None
    assert (undone.copy_is_gone, edit.path.read_text()) == (True, written)
    assert there(edit) == ["settings.json"]
    assert files.undo(edit) is None


def test_a_record_without_its_copy_is_begun_anew_by_writing(place):
    edit = Edit(place / "settings.json", Form.JSON, {("b",): 2})
    edit.path.write_text("{}")
    files.write(edit)
    (place / "settings.json.before-freeroute").unlink()
    edit.path.write_text('{"a": 1}')
    files.write(edit)
    files.undo(edit)
    assert (edit.path.read_text(), there(edit)) == ('{"a": 1}', ["settings.json"])


def test_what_cannot_be_written_leaves_nothing_beside_it(place):
    kept = place / "dotfiles" / ("x" * 255)  # so long that no file can be made beside it, by root either
    kept.parent.mkdir()
    kept.write_text("{}")
    edit = Edit(place / "home" / "settings.json", Form.JSON, {("b",): 2})
    edit.path.parent.mkdir()
    edit.path.symlink_to(kept)
    with pytest.raises(ConfigError, match="cannot be written"):
        files.write(edit)
    assert (kept.read_text(), there(edit)) == ("{}", ["settings.json"])
    assert files.undo(edit) is None


def test_what_is_as_it_was_is_not_written_to_take_it_back(place):
    edit = Edit(place / "settings.json", Form.JSON, {("b",): 2})
    edit.path.write_text("{}")
    files.write(edit)
    (place / "dotfiles").mkdir()
    kept = place / "dotfiles" / ("x" * 255)
    kept.write_text("{}")
    edit.path.unlink()
    edit.path.symlink_to(kept)
    files.undo(edit)
    assert there(edit) == ["dotfiles", "settings.json"]


UNDONE_AND_KILLED = """
import os, sys
from pathlib import Path
from freeroute.commands.connecting import files
from freeroute.commands.connecting.editing import Form
left, unlink = int(sys.argv[2]), Path.unlink
def dying(path, missing_ok=False):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), 9)
    unlink(path, missing_ok=missing_ok)
Path.unlink = dying
files.undo(files.Edit(Path(sys.argv[1]), Form.JSON, {}))
"""


@pytest.mark.parametrize("at", range(2))
def test_an_undo_that_was_killed_can_be_done_again(place, at):
    edit = Edit(place / "settings.json", Form.JSON, {("b",): 2})
    edit.path.write_text('{"a": 1}')
    files.write(edit)
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-c", UNDONE_AND_KILLED, str(edit.path), str(at)]
    assert subprocess.run(words, env=env, check=False).returncode == -signal.SIGKILL
    files.undo(edit)
    assert edit.path.read_text() == '{"a": 1}'
    files.write(edit)
    files.undo(edit)
    assert (edit.path.read_text(), there(edit)) == ('{"a": 1}', ["settings.json"])


KILLED = """
import os, sys
from pathlib import Path
from freeroute.commands.connecting import files
from freeroute.commands.connecting.editing import Form
left = int(sys.argv[2])
fsync = os.fsync
def dying(descriptor):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), 9)
    fsync(descriptor)
os.fsync = dying
files.write(files.Edit(Path(sys.argv[1]), Form.JSON, {("b",): 2}))
"""


@pytest.mark.parametrize("at", range(7))
def test_whoever_is_killed_leaves_the_file_as_it_was_or_as_it_was_meant(place, at):
    edit = Edit(place / "settings.json", Form.JSON, {("b",): 2})
    edit.path.write_text('{"a": 1}')
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", KILLED, str(edit.path), str(at)], env=env, check=False)
    assert done.returncode in {0, -signal.SIGKILL}
    assert edit.path.read_text() in {'{"a": 1}', '{"a": 1, "b": 2}'}
    files.write(edit)
    assert edit.path.read_text() == '{"a": 1, "b": 2}'
    files.undo(edit)
    assert (edit.path.read_text(), there(edit)) == ('{"a": 1}', ["settings.json"])


ONE_LINE = '{"a":{"b":1},"c":[1,2]}'
TURNS: list[dict[Any, Any]] = [
    {("x",): {"p": 1}, ("a", "b"): 2},
    {("x",): {"p": 2}, ("c",): [3]},
    {("a", "b"): 1, ("a", "d"): 4},
]


@pytest.mark.parametrize("before", [ONE_LINE, "\ufeff{}", '{ "a" : {} } // mine', None])
@pytest.mark.parametrize("turns", [1, 2, 3])
def test_after_several_writings_a_file_comes_back_to_the_byte(place, before, turns):
    path = place / "settings.json"
    if before is not None:
        path.write_bytes(before.encode())
    for values in TURNS[:turns]:
        files.write(Edit(path, Form.JSON, values))
    files.undo(Edit(path, Form.JSON, {}))
    assert (path.read_bytes().decode() if path.exists() else None) == before
    assert len(list(place.iterdir())) == (before is not None)


def test_what_others_wrote_between_two_writings_outlives_the_undoing(place):
    edit = Edit(place / "settings.json", Form.JSON, {("x",): 1})
    edit.path.write_text('{"a": 1}')
    files.write(edit)
    edit.path.write_text('{"a": 1, "x": 1, "mine": 2}')
    files.write(replace(edit, values={("x",): 3}))
    files.undo(edit)
    assert json.loads(edit.path.read_text()) == {"a": 1, "mine": 2}
