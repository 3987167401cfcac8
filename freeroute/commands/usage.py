"""``freeroute usage`` and ``freeroute receipts``: what was asked of whom, from the records."""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from freeroute.clock import SystemClock
from freeroute.commands import options
from freeroute.commands.running import Failed
from freeroute.commands.tables import table, tokens

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from freeroute.stores.records.database import Database

_BY = ("client", "provider", "model")
_STEPS = {"minute": 60, "hour": 3600, "day": 86400}


def _seconds(ctx: click.Context, param: click.Parameter, value: str) -> float:
    from freeroute.domain import quantities

    try:
        return quantities.duration(value)
    except ValueError as exc:
        raise click.BadParameter(str(exc)) from exc


_since = click.option(
    "--since",
    default="7d",
    metavar="TIME",
    callback=_seconds,
    help="How far back: 24h, 52w; 7d by itself.",
)
_client = click.option("--client", metavar="NAME", help="Only what this client asked for.")
_as_csv = click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
_state_dir = click.option("--state-dir", metavar="DIR", help="Where the gateway keeps its files.")


@click.command()
@click.option("--by", multiple=True, type=click.Choice(_BY), help="What to tell apart; may be given again.")
@click.option("--per", type=click.Choice([*_STEPS]), help="A line for each of them (UTC).")
@_since
@_client
@options.config
@_state_dir
@options.as_json
@_as_csv
def usage(
    by: tuple[str, ...],
    per: str | None,
    since: float,
    client: str | None,
    config: str | None,
    state_dir: str | None,
    as_json: bool,
    as_csv: bool,
) -> int:
    """Show who used what, from the records of the gateway.

    Whole hours are summed up, and beyond two months whole days (UTC); minutes are there for 24 hours.
    It reads the database of the settings, whether the gateway runs or not.

    \b
    freeroute usage --by client --since 30d
    freeroute usage --per minute --since 1h
    freeroute usage --by provider --by model --per day --csv
    """
    import asyncio

    now = SystemClock().now().wall
    wanted = by or (() if per else ("provider",))

    async def read() -> Any:
        from freeroute.stores.records import queries

        step = None if per is None else _STEPS[per]
        async with _records(config, state_dir) as records:
            return await records.within(
                lambda connection: queries.usage(
                    connection, wanted, now - since, now, client=client, step=step
                )
            )

    try:
        found = asyncio.run(read())
    except ValueError as exc:
        raise click.UsageError(str(exc)) from exc
    if as_json:
        import msgspec

        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2))
    elif as_csv:
        from freeroute.stores.records.writing import csv_text

        click.echo(csv_text(found.lines), nl=False)
    else:
        click.echo(_shown(found.lines, (*(("start",) if per else ()), *wanted)))
    return 0


def _shown(lines: list[dict[str, Any]], names: tuple[str, ...]) -> str:
    if not lines:
        return "nothing was asked for in this time"
    head = ["TIME (UTC)" if name == "start" else name.upper() for name in names]
    head += ["REQUESTS", "FAILED", "PROMPT", "COMPLETION", "FIRST EVENT", "TOTAL"]
    return table(head, [[*(_name(line[name]) for name in names), *_figures(line)] for line in lines])


def _name(value: str | int) -> str:
    if isinstance(value, str):
        return value or "(none)"
    import datetime as dt

    return dt.datetime.fromtimestamp(value, dt.UTC).strftime("%Y-%m-%d %H:%M")


def _figures(line: dict[str, Any]) -> list[str]:
    firsts = line["first_events"]
    return [
        str(line["requests"]),
        str(line["failed"]),
        tokens(line["prompt"]),
        tokens(line["completion"]),
        f"{line['first_event'] / firsts:.2f} s" if firsts else "-",
        f"{line['total'] / line['requests']:.2f} s",
    ]


@click.command()
@_since
@_client
@options.config
@_state_dir
@_as_csv
@click.option("--bodies", is_flag=True, help="With prompts and answers, where storage.bodies keeps them.")
def receipts(
    since: float, client: str | None, config: str | None, state_dir: str | None, as_csv: bool, bodies: bool
) -> int:
    """Print the receipts of finished requests.

    JSON, one a line, or CSV, the oldest first. They hold no prompts and no answers, unless `storage.bodies`
    keeps them and --bodies asks for them. It reads the database of the settings, whether the gateway runs or
    not.

    \b
    freeroute receipts --since 24h
    freeroute receipts --since 30d --client alice --csv
    """
    import asyncio

    now = SystemClock().now().wall

    async def print_all() -> None:
        from freeroute.stores.records import queries, writing

        write = writing.csv_writer() if as_csv else writing.json_line

        def print_those(connection: "Connection") -> None:
            for receipt in queries.stored(connection, now - since, now, client, texts=bodies):
                sys.stdout.write(write(receipt))

        async with _records(config, state_dir) as records:
            await records.within(print_those)

    asyncio.run(print_all())
    return 0


@asynccontextmanager
async def _records(config: str | None, state_dir: str | None) -> "AsyncIterator[Database]":
    """Give the records of the settings to read; raises ConfigError or Failed."""
    from sqlalchemy.exc import SQLAlchemyError

    from freeroute.config.load import Overrides, load
    from freeroute.recording import records_in
    from freeroute.stores.records.database import Database

    settings = load(Overrides(config=config, state_dir=state_dir), os.environ, Path.cwd(), Path.home())
    path = records_in(settings.state_dir)
    if settings.storage.url is None and not path.exists():
        raise Failed(f"there are no records at {path} yet; `freeroute serve` makes them")
    database = Database(settings.storage.url, path, migrates=False)
    try:
        await database.opened()
        yield database
    except SQLAlchemyError as exc:
        raise Failed(f"{database.shown}: {' '.join(str(getattr(exc, 'orig', exc)).split())}") from exc
    finally:
        await database.close()
