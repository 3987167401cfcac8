"""What the doctor finds in the state directory, and that it changes nothing there."""

import os
import shutil
import sqlite3

import pytest

from freeroute.commands.checkup import storage
from tests.commands.checkup.conftest import about


def test_files_that_others_can_use_are_named_and_left_as_they_are(examined, state):
    (state / "admin_key").write_text("fa-secret")
    (state / "admin_key").chmod(0o644)
    found, _ = examined("--offline")
    (told,) = [line for line in found if "others on this machine can use" in line]
    assert told == "warning storage: others on this machine can use admin_key (0644)"
    assert (state / "admin_key").stat().st_mode & 0o777 == 0o644


def test_whole_files_are_told_from_damaged_ones_and_nothing_is_changed(examined, state):
    with sqlite3.connect(state / "state.db") as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE kept (name TEXT)")
    connection.close()
    (state / "records.db").write_bytes(b"no database at all, but long enough to be looked at" * 100)
    (state / "state.db.corrupt-20261101-120000").write_bytes(b"x" * 2**20)
    before = sorted(path.name for path in state.iterdir())
    found, code = examined("--offline")
    assert code == 1
    assert "ok storage: state.db is whole" in found
    assert "problem storage: records.db: file is not a database" in found
    aside = "note storage: damaged files were set aside: state.db.corrupt-20261101-120000 (1.0 MiB)"
    assert aside in found
    assert sorted(path.name for path in state.iterdir()) == before


def test_a_file_that_takes_too_long_to_look_through_is_said_to_open(tmp_path):
    with sqlite3.connect(tmp_path / "records.db") as connection:
        connection.execute("CREATE TABLE receipts (id TEXT)")
        connection.executemany(
            "INSERT INTO receipts VALUES (?)", ((str(number),) for number in range(20_000))
        )
    connection.close()
    (found,) = storage.whole(tmp_path / "records.db", patience=0)
    assert (found.severity, "too large to be looked through in 0 s" in found.what) == ("ok", True)
    assert next(storage.whole(tmp_path / "records.db")).what == "records.db is whole"
    assert not list(storage.whole(tmp_path / "nothing.db"))


def test_records_of_a_newer_freeroute_are_a_problem(examined, state):
    with sqlite3.connect(state / "records.db") as connection:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("INSERT INTO alembic_version VALUES ('9999')")
    connection.close()
    found, code = examined("--offline")
    assert code == 1
    assert any("was written by a newer freeroute" in line for line in about(found, "storage"))


@pytest.mark.parametrize(
    ("size", "severity"), [(2**20, None), (8 * 2**20, "warning"), (40 * 2**20, "problem")]
)
def test_receipts_that_wait_are_told_by_how_many_they_are(examined, state, size, severity):
    with (state / "records.spool").open("wb") as spool:
        spool.truncate(size)
    found, _ = examined("--offline")
    assert [line.split()[0] for line in found if "of receipts wait" in line] == [severity] * bool(severity)


@pytest.mark.parametrize(("free", "severity"), [(2**30, "ok"), (2**28, "warning"), (2**20, "problem")])
def test_a_disk_that_fills_up_is_told(examined, state, monkeypatch, free, severity):
    monkeypatch.setattr(
        shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(2**40, 2**40 - free, free)
    )
    found, _ = examined("--offline")
    assert [line.split()[0] for line in found if "are free on the disk" in line] == [severity]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_that_cannot_be_written_to_is_a_problem(examined, state, home):
    state.chmod(0o500)
    found, code = examined("--offline")
    assert code == 1
    assert "problem storage: ~/.local/state/freeroute: is no directory that can be written to" in found


def test_a_state_directory_that_is_a_file_is_a_problem(examined, home, monkeypatch):
    (home / "file").write_text("")
    monkeypatch.setenv("FREEROUTE_SERVER__STATE_DIR", str(home / "file"))
    found, code = examined("--offline")
    assert code == 1
    assert any(line.startswith("problem settings: ~/file") for line in found)
