"""Databases that earlier versions left, as they left them (`forms/`), and those that later ones did."""

import asyncio
import contextlib
import sqlite3
import sys
from pathlib import Path

import pytest
from sqlalchemy import Boolean, MetaData, insert, select, text

from freeroute.errors import ConfigError
from freeroute.stores.records import schema
from freeroute.stores.records.database import Database, connections_to
from freeroute.stores.records.rows import Batch
from freeroute.stores.records.tables import daily, hourly, metadata, receipts
from freeroute.stores.sqlite_file import inodes
from tests.support.clocks import EPOCH
from tests.support.elsewhere import held
from tests.support.receipts import row

FORMS = Path(__file__).parent / "forms"
OLDER = schema.REVISIONS[:-1]
OF_BEFORE = 23  # receipts in each


def left_by(revision: str, path: Path | str = ":memory:") -> sqlite3.Connection:
    """Return the SQLite database that a version with tables of *revision* left, at *path*."""
    connection = sqlite3.connect(path)
    connection.executescript((FORMS / f"{revision}.sql").read_text())
    return connection


async def leave_in_postgres(url: str, path: Path, revision: str) -> None:
    """Make tables of *revision* at *url*, and put the same into them."""

    def leave(connection):
        schema.upgrade(connection, revision)
        found = MetaData()
        found.reflect(connection)
        for table in found.sorted_tables:
            if table.name == "alembic_version":
                continue
            flags = [column.name for column in table.columns if isinstance(column.type, Boolean)]
            rows = [dict(one) for one in there.execute(f'SELECT * FROM "{table.name}"')]
            typed = [one | {name: bool(one[name]) for name in flags} for one in rows]
            connection.execute(insert(table), typed)
        connection.execute(text("SELECT setval('receipts_id_seq', (SELECT max(id) FROM receipts))"))

    connections = connections_to(url, path)
    with contextlib.closing(left_by(revision)) as there:
        there.row_factory = sqlite3.Row
        await connections.within(leave)
    await connections.close()


async def rows_of(database, table):
    asked = select(table).order_by(*table.primary_key)
    return [
        dict(one)
        for one in await database.within(lambda connection: connection.execute(asked).mappings().all())
    ]


def test_there_is_a_database_of_every_earlier_form():
    assert sorted(path.stem for path in FORMS.iterdir()) == [*OLDER]


@pytest.fixture(params=OLDER)
async def older(request, url, tmp_path):
    """Give a database of either kind that an earlier version left, and the form it has."""
    path = tmp_path / "records.db"
    if url is None:
        left_by(request.param, path).close()
    else:
        await leave_in_postgres(url, path, request.param)
    database = Database(url, path)
    yield database, request.param
    await database.close()


async def test_what_an_earlier_version_left_is_all_there_and_can_be_added_to(older):
    database, _ = older
    assert await database.write(Batch("another run", 1, (row(request_id="new"),)), EPOCH)
    assert not await database.write(Batch("run", 1, (row(),)), EPOCH)  # it was written by that version
    stored = await rows_of(database, receipts)
    assert len(stored) == OF_BEFORE + 1
    with contextlib.closing(left_by("0002")) as there:
        for table in (hourly, daily):
            before = {one[:4]: one[4] for one in there.execute(f"SELECT * FROM {table.name}")}
            now = {
                (one["start"], one["client"], one["provider"], one["model"]): one["requests"]
                for one in await rows_of(database, table)
            }
            assert sum(now.values()) == OF_BEFORE + 1
            [(grown, by)] = [(key, count - before[key]) for key, count in now.items() if count != before[key]]
            assert (grown[1:], by) == (("alice", "groq", "openai/gpt-oss-120b"), 1)


async def test_earlier_tables_get_the_form_of_those_made_anew(older):
    database, _ = older

    def difference(connection):
        from alembic.autogenerate import compare_metadata
        from alembic.migration import MigrationContext

        return compare_metadata(MigrationContext.configure(connection), metadata)

    assert await database.within(difference) == []


async def test_tables_made_at_once_are_those_that_the_migrations_make_one_after_the_other(tmp_path):
    made, migrated = tmp_path / "made.db", tmp_path / "migrated.db"
    anew = Database(None, made)
    await anew.opened()
    await anew.close()
    connections = connections_to(None, migrated)
    await connections.within(schema.upgrade)
    await connections.close()
    assert described(made) == described(migrated)


def described(path):
    """Return how everything in the SQLite file at *path* was made, and which form it says it has."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        made = connection.execute("SELECT type, name, sql FROM sqlite_master ORDER BY type, name").fetchall()
        [[revision]] = connection.execute("SELECT version_num FROM alembic_version")
    return [(kind, name, "".join((sql or "").split())) for kind, name, sql in made], revision


async def test_tables_that_another_gateway_made_meanwhile_are_taken_as_they_are(tmp_path):
    database = Database(None, tmp_path / "records.db")
    assert await database.within(schema.make) == [schema.REVISIONS[-1]]
    await database.close()


async def test_neither_migrations_nor_what_postgres_needs_is_loaded_to_make_the_tables(tmp_path):
    code = (
        "import asyncio, pathlib, sys\n"
        "from freeroute.stores.records.database import Database\n"
        "async def make():\n"
        f"    database = Database(None, pathlib.Path({str(tmp_path / 'records.db')!r}))\n"
        "    await database.opened()\n"
        "    await database.close()\n"
        "asyncio.run(make())\n"
        "unused = ('alembic', 'sqlalchemy.dialects.postgresql', 'sqlalchemy.orm', 'sqlalchemy.ext.asyncio')\n"
        "print([name for name in unused if name in sys.modules])"
    )
    done = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    assert (await done.communicate())[0] == b"[]\n"


@pytest.mark.parametrize("revision", OLDER)
async def test_who_only_reads_leaves_earlier_tables_as_they_are(tmp_path, revision):
    path = tmp_path / "records.db"
    left_by(revision, path).close()
    with pytest.raises(ConfigError, match=rf"has an older form \(schema {revision}, not "):
        await Database(None, path, migrates=False).opened()
    assert schema.revision_of(path) == revision
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("revision", OLDER)
async def test_a_file_is_copied_before_its_form_changes(tmp_path, revision):
    path = tmp_path / "records.db"
    left_by(revision, path).close()
    database = Database(None, path)
    await database.opened()
    await database.close()
    [copy] = tmp_path.glob("records.db.before-*")
    expected = f"records.db.before-{schema.REVISIONS[-1]}-was-{revision}"
    assert (copy.name, copy.stat().st_mode & 0o777) == (expected, 0o600)
    with contextlib.closing(sqlite3.connect(copy)) as there, contextlib.closing(left_by(revision)) as before:
        assert [*there.iterdump()] == [*before.iterdump()]
    assert schema.revision_of(path) == schema.REVISIONS[-1]


async def test_a_copy_that_cannot_be_made_leaves_the_file_as_it_is(tmp_path):
    path = tmp_path / "records.db"
    left_by(OLDER[-1], path).close()
    (tmp_path / f"records.db.before-{schema.REVISIONS[-1]}-was-{OLDER[-1]}").mkdir()
    database = Database(None, path)
    with pytest.raises(OSError, match="before-"):
        await database.opened()
    assert schema.revision_of(path) == OLDER[-1]


async def test_what_a_newer_freeroute_wrote_is_refused_and_left_as_it_is(database, url, tmp_path):
    await database.write(Batch("run", 1, (row(),)), EPOCH)
    newer = text("UPDATE alembic_version SET version_num = '9999'")
    await database.within(lambda connection: connection.execute(newer))
    await database.close()
    for migrates in (True, False):
        there = Database(url, tmp_path / "records.db", migrates=migrates)
        with pytest.raises(ConfigError, match=r"by a newer freeroute \(schema '9999', this one knows"):
            await there.opened()
        with pytest.raises(ConfigError):
            await there.write(Batch("run", 2, (row(),)), EPOCH)
    if (tmp_path / "records.db").exists():
        with pytest.raises(ConfigError, match="newer freeroute"):
            schema.revision_of(tmp_path / "records.db")
        assert not [*tmp_path.glob("*.before-*")]


@pytest.mark.e2e
@pytest.mark.parametrize("url", ["postgres"], indirect=True)
async def test_two_gateways_that_start_at_once_on_earlier_tables_change_them_once(older, url, tmp_path):
    database, _ = older
    another = Database(url, tmp_path / "unused")
    await asyncio.gather(database.opened(), another.opened())
    assert len(await rows_of(another, receipts)) == OF_BEFORE
    await another.close()


def test_a_file_that_is_missing_or_strange_has_no_form(tmp_path):
    assert schema.revision_of(tmp_path / "missing.db") is None
    (tmp_path / "strange.db").write_bytes(b"nonsense" * 1_000)
    assert schema.revision_of(tmp_path / "strange.db") is None


@pytest.mark.parametrize("killed", [False, True])
def test_a_form_is_found_in_the_log_of_another_process_and_the_log_stays(tmp_path, killed):
    path = tmp_path / "records.db"
    left_by(OLDER[-1], path).close()
    with contextlib.ExitStack() as other:
        other.enter_context(held(path, "UPDATE alembic_version SET version_num = '9999'"))
        if killed:
            other.close()
        opened = inodes(path)
        with pytest.raises(ConfigError, match="newer freeroute"):
            schema.revision_of(path)
        assert inodes(path) == opened


def test_every_migration_is_known():
    from alembic.script import ScriptDirectory

    directory = ScriptDirectory(str(Path(schema.__file__).parent / "migrations"))
    assert tuple(found.revision for found in directory.walk_revisions())[::-1] == schema.REVISIONS
