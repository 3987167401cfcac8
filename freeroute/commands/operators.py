"""``freeroute operators``: who may look after the gateway, and how far."""

import json
from typing import TYPE_CHECKING, Any

import click

from freeroute.clock import SystemClock
from freeroute.commands import state
from freeroute.commands.tables import listed

if TYPE_CHECKING:
    from freeroute.administration.operators import OperatorBook
    from freeroute.config.load import Settings


@click.group()
def operators() -> None:
    """Say who may look after the gateway, and how far.

    Whoever holds the admin key may do everything; these are all others.

    Tokens are kept in the state directory, by their hashes; a running gateway goes by a change within a
    second.
    """


@operators.command("add")
@click.argument("name")
@click.option(
    "--scope",
    type=click.Choice(["read", "operate", "admin"]),
    required=True,
    help="See all; keep it going; do everything.",
)
@click.option("--expires", metavar="DATE", help="The last moment, such as 2027-01-31.")
@click.option("--note", help="What to remember about it.")
@state.where
def add(name: str, config: str | None, state_dir: str | None, as_json: bool, **terms: Any) -> int:
    """Give the operator NAME a token, and show it this once.

    \b
    freeroute operators add ann --scope operate
    """
    settings = state.settings(config, state_dir)
    with state.making(settings, "operator.add", name) as note:
        token, _ = _book(settings).add(name, terms, note)
    if as_json:
        click.echo(json.dumps({"name": name, "token": token}, indent=2))
    else:
        click.echo(f"The token of {name}, shown this once:\n\n{token}")
    return 0


@operators.command("list")
@state.where
def list_(config: str | None, state_dir: str | None, as_json: bool) -> int:
    """List all operators, those that were revoked too."""
    told = _book(state.settings(config, state_dir)).list()
    head = ["NAME", "SCOPE", "STATE", "CREATED", "EXPIRES", "NOTE"]
    none = "No operator: the admin key alone opens what is theirs."
    click.echo(listed(told, head, _line, none, as_json=as_json))
    return 0


@operators.command("revoke")
@click.argument("name")
@state.where
def revoke(name: str, config: str | None, state_dir: str | None, as_json: bool) -> int:
    """Have the token of the operator NAME open nothing any more."""
    settings = state.settings(config, state_dir)
    with state.making(settings, "operator.revoke", name) as note:
        told = _book(settings).revoke(name, note)
    click.echo(json.dumps(told, indent=2) if as_json else f"The token of {name} opens nothing any more.")
    return 0


def _book(settings: "Settings") -> "OperatorBook":
    from freeroute.administration.operators import OperatorBook
    from freeroute.stores.operators_file import OperatorsFile

    return OperatorBook(OperatorsFile(settings.state_dir), SystemClock())


def _line(told: dict[str, Any]) -> list[str]:
    times = [state.moment(told[name]) for name in ("created", "expires")]
    return [told["name"], told["scope"], told["state"], *times, told["note"]]
