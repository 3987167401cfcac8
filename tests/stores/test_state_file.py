"""The state file: whole batches or nothing, and never an end to requests."""

import contextlib
import sqlite3
import stat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freeroute.errors import ConfigError
from freeroute.stores.state_file import StateFile, StateFileError, StateFileReplacedError
from tests.support.elsewhere import asked


@pytest.fixture
def file(tmp_path):
    with contextlib.closing(StateFile(tmp_path / "state.db")) as file:
        yield file


def test_what_is_written_is_read_again(file):
    assert file.read() == {}
    file.write({"a": b"1", "b": b"2"})
    file.write({"a": None, "c": b"\x00"})
    assert file.read() == {"b": b"2", "c": b"\x00"}
    file.write({"d": b"4"}, anew=True)
    file.close()
    assert StateFile(file.path).read() == {"d": b"4"}


def test_only_its_owner_can_read_it(file):
    file.write({"a": b"1"})
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in file.path.parent.iterdir()}
    assert set(modes.values()) == {0o600}, modes


def test_closed_it_is_one_file(file):
    file.write({"a": b"1"})
    file.close()
    assert [path.name for path in file.path.parent.iterdir()] == ["state.db"]


def test_a_file_of_a_newer_freeroute_is_refused_and_left_as_it_is(file):
    file.write({"a": b"1"})
    file.close()
    with contextlib.closing(sqlite3.connect(file.path)) as newer:
        newer.execute("PRAGMA user_version = 7")
    before = file.path.read_bytes()
    for _ in range(2):
        with pytest.raises(ConfigError, match=r"state\.db: was written by a newer freeroute \(format 7"):
            file.read()
    assert file.path.read_bytes() == before


def test_a_full_disk_leaves_what_was_there(tmp_path):
    file = StateFile(tmp_path / "state.db", bound=16 * 4096)
    file.write({"a": b"1"})
    with pytest.raises(StateFileError, match="full") as caught:
        file.write({"a": b"2", "b": bytes(1_000_000)})
    assert not caught.value.damaged
    assert file.read() == {"a": b"1"}
    file.write({"a": b"3"})
    assert file.read() == {"a": b"3"}
    file.close()


def test_a_file_that_somebody_else_holds_is_not_damaged(file):
    file.write({"a": b"1"})
    with contextlib.closing(sqlite3.connect(file.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StateFileError, match="locked") as caught:
            file.write({"a": b"2"})
        assert not caught.value.damaged
    file.write({"a": b"2"})
    assert file.read() == {"a": b"2"}


@pytest.mark.parametrize("taken", ["missing/state.db", "directory"])
def test_a_path_that_cannot_be_opened_is_not_damaged(tmp_path, taken):
    (tmp_path / "directory").mkdir()
    with pytest.raises(StateFileError) as caught:
        StateFile(tmp_path / taken).read()
    assert not caught.value.damaged


@pytest.mark.parametrize("content", [b"not a database, " * 300, b"SQLite format 3\x00" + bytes(4080)])
def test_what_is_no_state_file_is_damaged_and_can_be_set_aside(file, content):
    file.path.write_bytes(content)
    with pytest.raises(StateFileError) as caught:
        file.read()
    assert caught.value.damaged
    aside = file.set_aside("20261121T000000Z")
    assert aside.name == "state.db.corrupt-20261121T000000Z"
    assert aside.read_bytes() == content
    assert file.read() == {}


def test_the_log_beside_a_damaged_file_goes_with_it(file):
    file.path.write_bytes(b"nonsense")
    file.path.with_name("state.db-wal").write_bytes(b"more of it")
    aside = file.set_aside("now")
    assert aside.with_name(f"{aside.name}-wal").read_bytes() == b"more of it"
    assert not file.path.with_name("state.db-wal").exists()


def test_what_is_not_there_cannot_be_set_aside(file):
    with pytest.raises(StateFileError) as caught:
        file.set_aside("now")
    assert not caught.value.damaged


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_whatever_happens_to_the_bytes_it_is_read_or_called_damaged(tmp_path_factory, data):
    file = StateFile(tmp_path_factory.mktemp("state") / "state.db")
    written = {f"name-{number}": bytes([number]) * 40 for number in range(100)}
    file.write(written)
    file.close()
    content = bytearray(file.path.read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=8)):
        content[place] = data.draw(st.integers(0, 255))
    file.path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        found = file.read()
    except (StateFileError, ConfigError):
        return
    finally:
        file.close()
    assert len(found) <= len(written)


@pytest.mark.parametrize("state", ["text", 7, 1.5])
def test_a_row_of_another_type_makes_it_a_damaged_file(file, state):
    file.write({"a": b"1"})
    file.close()
    with contextlib.closing(sqlite3.connect(file.path, isolation_level=None)) as other:
        other.execute("UPDATE kept SET state = ?", (state,))
    with pytest.raises(StateFileError, match="rows that freeroute did not write") as caught:
        file.read()
    assert caught.value.damaged


@pytest.mark.parametrize("gone", ["state.db", "state.db-wal"])
def test_a_file_that_was_taken_away_is_told_once_and_begun_anew(file, gone):
    file.write({"a": b"1"})
    file.path.with_name(gone).unlink()
    with pytest.raises(StateFileReplacedError, match="removed or replaced") as caught:
        file.write({"a": b"2"})
    assert not caught.value.damaged
    file.write({"a": b"3"}, anew=True)
    assert asked(file.path, "SELECT state FROM kept") == "b'3'"
