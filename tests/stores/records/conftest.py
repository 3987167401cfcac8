"""One suite for both databases: SQLite always, PostgreSQL where end-to-end tests run."""

import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest

from freeroute.stores.records.database import Database
from tests.support.postgres import postgres


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """Give the URL of a PostgreSQL server."""
    with postgres() as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.e2e)])
def url(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """Give the URL of an empty database; None for SQLite."""
    if request.param == "sqlite":
        yield None
        return
    server, name = request.getfixturevalue("server"), f"records_{secrets.token_hex(4)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
        yield server.replace("/postgres?", f"/{name}?")
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture
async def database(url: str | None, tmp_path: Path) -> AsyncIterator[Database]:
    """Give an empty database of either kind."""
    database = Database(url, tmp_path / "records.db")
    yield database
    await database.close()
