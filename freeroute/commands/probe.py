"""``freeroute probe``: how a provider answers and refuses, to attach to a correction of the catalogue."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from freeroute.commands import options
from freeroute.commands.running import Failed
from freeroute.commands.tables import table

if TYPE_CHECKING:
    from freeroute.commands.offline import Offline
    from freeroute.commands.probing.calls import Made, Planned
    from freeroute.domain.catalogue import Key, Model, Provider

_LOOK = "Look through it before you attach it: names that nobody can tell from words may be left."


@click.command()
@click.argument("provider")
@click.option("--model", "-m", metavar="ID", help="Which of its models is asked; a small one by itself.")
@click.option("--key", metavar="LABEL", help="Which of its keys is used; the first by itself.")
@click.option("--output", "-o", metavar="FILE", type=click.Path(dir_okay=False), help="Write it there.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask before the calls are made.")
@options.config
@options.as_json
def probe(
    provider: str,
    model: str | None,
    key: str | None,
    output: str | None,
    yes: bool,
    config: str | None,
    as_json: bool,
) -> int:
    """Show how PROVIDER answers and refuses.

    It makes four small calls, and asks before: a completion of one token, a model that does not exist, a
    parameter out of its range and a wrong key. Of each it prints, as YAML, the headers about limits, the
    shape of the answer and what freeroute makes of it, without keys, ids, names and addresses: to be
    attached to a correction of the catalogue. Exits with 1 if nothing answered.

    \b
    freeroute probe groq --output groq.yaml
    """
    from freeroute.commands.offline import offline

    read = offline(config)
    asked = _provider(read, provider)
    chosen, used = _model(asked, model), _key(asked, key)
    from freeroute.commands.probing.calls import plan

    planned = plan(asked, chosen, used)
    click.echo(_announced(asked, chosen, used, planned), err=True)
    if not yes and not click.confirm("Make these calls?", err=True):
        raise Failed("nothing was sent")
    made = _make(planned)
    told = _written(_report(read, asked, made), as_json=as_json)
    click.echo(_summary(made), err=True)
    if output is None:
        click.echo(told, nl=False)
    else:
        _write(Path(output), told)
    click.echo(_LOOK, err=True)
    return 1 if all(one.status is None for one in made) else 0


def _provider(read: "Offline", name: str) -> "Provider":
    known = {**read.assembly.catalogue.providers, **{server.id: server for server in read.assembly.local}}
    found = known.get(name)
    if found is None:
        on = ", ".join(sorted(known)) or "none"
        raise click.BadParameter(f"{name!r} is not switched on; there is: {on}", param_hint="PROVIDER")
    return found if found.models else _local(found)


def _local(server: "Provider") -> "Provider":
    """Return a local server with the models that it has now."""
    import asyncio

    from freeroute.upstreams import local

    async def look() -> "list[Provider]":
        async with local.new_client([server]) as client:
            return await local.find([server], client)

    found = asyncio.run(look())
    if not found:
        raise Failed(f"{server.id}: no model server answers at {server.base_url}")
    return found[0]


def _model(provider: "Provider", wanted: str | None) -> "Model":
    """Return the model that is asked: the *wanted* one, else the one that is the least loss."""
    chats = [model for model in provider.models if model.talks]
    if wanted is not None:
        chats = [model for model in chats if wanted in (model.id, model.family)]
    if not chats:
        there = ", ".join(model.id for model in provider.models)
        raise click.BadParameter(f"there is no such model; there is: {there}", param_hint="--model")
    return min(chats, key=lambda model: (not model.enabled, not model.auto, model.quality))


def _key(provider: "Provider", wanted: str | None) -> "Key":
    keys = [key for key in provider.keys if key.enabled and wanted in (None, key.label)]
    if not keys:
        there = ", ".join(key.label for key in provider.keys) or "none"
        raise click.BadParameter(f"there is no such key in use; there is: {there}", param_hint="--key")
    return keys[0]


def _announced(provider: "Provider", model: "Model", key: "Key", planned: "Sequence[Planned]") -> str:
    host = urlsplit(provider.base_url).hostname
    lines = [f"{len(planned)} calls to {host}, with the key {key.label} and {model.id}:"]
    lines += [f"  {number}. {one.what}" for number, one in enumerate(planned, 1)]
    counted = "all of them count" if provider.failed_calls_count else "those that are refused may count"
    lines.append(
        f"They cost at most {len(planned)} requests ({counted}) and some 50 tokens of its quota; a gateway"
        " that runs learns of them from the next answer."
    )
    return "\n".join(lines)


def _make(planned: "Sequence[Planned]") -> "list[Made]":
    import asyncio

    from freeroute.clock import SystemClock
    from freeroute.commands.probing.calls import make
    from freeroute.upstreams.http_proxies import Proxies
    from freeroute.upstreams.http_transport import HttpTransport

    async def every() -> "list[Made]":
        transport = HttpTransport(proxies=Proxies(os.environ))
        try:
            # One after the other: what the second is told of counters is to show the first.
            return [await make(one, transport, SystemClock()) for one in planned]
        finally:
            await transport.close()

    return asyncio.run(every())


def _report(read: "Offline", provider: "Provider", made: "Sequence[Made]") -> dict[str, Any]:
    from freeroute.commands.probing.report import redactor, report
    from freeroute.config.entries import or_else

    settings = read.plan.settings
    providers = (*read.assembly.catalogue.providers.values(), *read.assembly.local, provider)
    secrets = [text for one in providers for key in one.keys for text in (key.secret, _own(key.account))]
    secrets += [
        settings.environ.get(name, "")
        for spec in (*read.plan.entries.values(), *settings.providers.values())
        for name in or_else(spec.variables, ())
    ]
    return report(provider, made, redactor(provider, secrets))


def _own(account: str) -> str:
    return "" if account == "default" else account


def _written(found: dict[str, Any], *, as_json: bool) -> str:
    if as_json:
        return json.dumps(found, indent=2, ensure_ascii=False) + "\n"
    import yaml

    return yaml.safe_dump(found, sort_keys=False, allow_unicode=True, width=110)


def _summary(made: "Sequence[Made]") -> str:
    rows = [
        [
            one.planned.what,
            "-" if one.status is None else str(one.status),
            one.sent.outcome.kind.value,
            "" if one.sent.outcome.kind in one.planned.expected else "not as expected",
        ]
        for one in made
    ]
    return "\n" + table(["CALL", "STATUS", "UNDERSTOOD AS", ""], rows) + "\n"


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as exc:
        raise Failed(f"{path}: cannot be written: {exc.strerror}") from exc
    click.echo(f"Written to {path}.", err=True)
