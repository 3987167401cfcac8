"""PostgreSQL on a bad day, behind a gateway that runs: requests are served, and all is there afterwards."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest

from freeroute.stores.records.recorder import PATIENCE as OF_A_BATCH
from tests.support.live import Live, live, pair
from tests.support.postgres import Postgres, server

PATIENCE = 90.0  # seconds for what was away to be found again: it is looked for every 30 s at the latest
ROOMY = [{"unit": "requests", "amount": 10_000, "per": "minute"}]


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with server() as running:
        yield running


@pytest.fixture
def database(postgres: Postgres) -> Iterator[str]:
    """Give the URL of an empty database."""
    name = f"records_{secrets.token_hex(4)}"
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    yield postgres.url.replace("/postgres?", f"/{name}?")
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@contextlib.asynccontextmanager
async def gateway(tmp_path: Path, url: str) -> AsyncIterator[Live]:
    state = tmp_path / "state"
    state.mkdir(exist_ok=True)
    async with live(tmp_path, pair(limits=ROOMY), state=state, storage={"url": url}) as running:
        for kind in ("groq", "cerebras"):
            running[kind].account_rules = ()
        yield running


async def asked(running: Live, count: int) -> None:
    """Ask so often, and be served each time."""
    for _ in range(count):
        assert (await running.ask()).status == 200
        running.clock.advance(10.0)  # the providers' minutes are none of this


async def is_told(running: Live, *, failing: bool) -> None:
    """Wait until ``/readyz`` and the metrics say how storing goes."""
    async with asyncio.timeout(PATIENCE):
        while (await ready(running)) != ("not written" if failing else None):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    lines = (await running.metrics()).splitlines()
    assert f"freeroute_records_failing {float(failing)}" in lines
    spooled = next(line for line in lines if line.startswith("freeroute_records_spooled_bytes "))
    assert (float(spooled.split()[1]) > 0) == failing


async def ready(running: Live) -> str | None:
    answer = await running.http.get("/readyz")
    assert answer.status_code == 200
    found: str | None = answer.json().get("records")
    return found


async def is_all_there(running: Live, url: str, count: int) -> None:
    """Wait until so many receipts are stored, each once, and see that the sums say so too."""
    recorder = running.app.recorder
    assert recorder is not None
    async with asyncio.timeout(PATIENCE):
        while recorder.state.failing or stored(url)[0] < count:  # noqa: ASYNC110 - another process has it
            await asyncio.sleep(0.2)
    assert (stored(url), recorder.state.lost) == ((count, count, count), 0)


def stored(url: str) -> tuple[int, int, int]:
    """Return how many receipts are stored, of how many requests, and how many the sums tell of."""
    with psycopg.connect(url) as connection:
        if connection.execute(b"SELECT to_regclass('usage_hourly')").fetchone() == (None,):
            return 0, 0, 0
        (receipts, requests), summed = (
            connection.execute(statement).fetchone() or (0, 0)
            for statement in (
                b"SELECT count(*), count(DISTINCT request_id) FROM receipts",
                b"SELECT coalesce(sum(requests), 0) FROM usage_hourly",
            )
        )
    return receipts, requests, int(summed[0])


@contextlib.contextmanager
def paused(postgres: Postgres, url: str) -> Iterator[None]:
    """Let no process of the server run: connections stay, nobody answers."""
    try:
        postgres.pause()
        yield
    finally:
        postgres.resume()


@contextlib.contextmanager
def killed(postgres: Postgres, url: str) -> Iterator[None]:
    """End the server as a crash does; meanwhile connections are refused."""
    postgres.stop()
    try:
        yield
    finally:
        postgres.start()


@contextlib.contextmanager
def locked(postgres: Postgres, url: str) -> Iterator[None]:
    """Hold the table, as somebody at a console does who forgot to end a transaction."""
    with psycopg.connect(url) as other:
        other.execute(b"LOCK TABLE receipts IN ACCESS EXCLUSIVE MODE")
        yield
        other.rollback()


@pytest.mark.parametrize("trouble", [paused, killed, locked])
async def test_a_database_that_goes_away_in_the_middle_costs_no_request_and_no_receipt(
    tmp_path, postgres, database, trouble
):
    async with gateway(tmp_path, database) as running:
        await asked(running, 20)
        await is_all_there(running, database, 20)
        with trouble(postgres, database):
            async with asyncio.timeout(3 * OF_A_BATCH):  # if they waited for it, each would take so long
                await asked(running, 40)
            await is_told(running, failing=True)
            await asked(running, 20)
        await asked(running, 20)
        await is_all_there(running, database, 100)
        await is_told(running, failing=False)


async def test_a_database_that_is_not_there_at_the_start_is_found_later(tmp_path, postgres, database):
    with killed(postgres, database):
        async with gateway(tmp_path, database) as running:
            await asked(running, 5)
            await is_told(running, failing=True)
    async with gateway(tmp_path, database) as running:
        await is_all_there(running, database, 5)
        await asked(running, 5)
        await is_all_there(running, database, 10)


async def test_a_server_that_takes_connections_and_says_nothing_holds_up_nobody(tmp_path):
    taken: list[asyncio.StreamWriter] = []

    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken.append(writer)

    listener = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    async with gateway(tmp_path, f"postgresql://me@127.0.0.1:{port}/records") as running:
        async with asyncio.timeout(3 * OF_A_BATCH):  # if they waited for it, each would take so long
            await asked(running, 20)
        await is_told(running, failing=True)
    listener.close()
    for writer in taken:
        writer.close()
    await asyncio.gather(*(writer.wait_closed() for writer in taken), return_exceptions=True)
    assert (tmp_path / "state" / "records.spool").stat().st_size > 0
