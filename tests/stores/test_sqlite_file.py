"""SQLite's files are made once, privately, and read without a trace; it is noticed when they are gone."""

import contextlib
import sqlite3
import stat

import pytest

from freeroute.stores.sqlite_file import inodes, make, reading, was_replaced
from tests.support.elsewhere import asked, held, take_log


@pytest.fixture
def path(tmp_path):
    return tmp_path / "some.db"


@pytest.fixture
def connection(path):
    make(path)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE numbers (number)")
        yield connection


def test_a_file_that_is_made_is_empty_and_its_owners_alone(path):
    make(path)
    assert path.stat().st_size == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_somebody_else_made_for_all_to_read_is_the_owners_alone(path):
    path.touch()
    path.chmod(0o644)
    make(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_where_it_cannot_be_made_that_is_an_error(path):
    with pytest.raises(OSError, match="No such file"):
        make(path / "below")


def test_what_is_there_is_left_alone_and_stays_locked(path, connection):
    make(path)
    connection.execute("INSERT INTO numbers VALUES (1)")
    # One that believes to be the only one removes the log as it closes the file.
    assert asked(path, "SELECT count(*) FROM numbers") == "1"
    assert path.with_name("some.db-wal").exists()


def test_a_log_that_is_gone_or_another_is_noticed(path, connection):
    opened = inodes(path)
    assert not was_replaced(path, opened)
    take_log(path)
    assert was_replaced(path, opened)
    asked(path, "SELECT count(*) FROM sqlite_master")
    path.with_name("some.db-wal").touch()
    path.with_name("some.db-shm").touch()
    assert was_replaced(path, opened)


def test_a_file_that_is_another_is_noticed(path, connection):
    opened = inodes(path)
    path.with_name("other").touch()
    path.with_name("other").replace(path)
    assert was_replaced(path, opened)


def test_a_log_that_appears_later_is_no_replacement(path):
    make(path)
    opened = inodes(path)
    path.with_name("some.db-wal").touch()
    assert not was_replaced(path, opened)


def read(path):
    with contextlib.closing(reading(path)) as connection:
        return connection.execute("SELECT number FROM numbers").fetchall()


ONE = "CREATE TABLE numbers (number); INSERT INTO numbers VALUES (1)"


@pytest.mark.parametrize("name", ["some.db", "50% off? #1 ü.db"])
def test_reading_a_file_that_nobody_has_open_leaves_it_and_nothing_beside_it(tmp_path, name):
    with contextlib.closing(sqlite3.connect(tmp_path / name)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(ONE)
    before = (tmp_path / name).read_bytes()
    assert read(tmp_path / name) == [(1,)]
    assert (tmp_path / name).read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == [name]


def test_what_another_process_has_in_its_log_is_read_and_the_log_is_left_to_it(path):
    with held(path, ONE):
        opened = inodes(path)
        assert read(path) == [(1,)]
        assert asked(path, "SELECT count(*) FROM numbers") == "1"
        assert inodes(path) == opened


def test_what_a_killed_process_left_in_its_log_is_read_and_stays_there(path):
    with held(path, ONE):
        pass
    log = path.with_name("some.db-wal").read_bytes()
    assert read(path) == [(1,)]
    assert path.with_name("some.db-wal").read_bytes() == log != b""


def test_a_reader_cannot_write(path, connection):
    with (
        contextlib.closing(reading(path)) as there,
        pytest.raises(sqlite3.OperationalError, match="readonly"),
    ):
        there.execute("INSERT INTO numbers VALUES (1)")
