"""``freeroute holds``, ``limits``, ``switch`` and ``maintenance``: what keeps a running gateway back."""

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

import click

from freeroute.commands import options
from freeroute.commands.running import Running, environment
from freeroute.commands.tables import ago, listed, plain, table


@click.command()
@click.option("--lift", metavar="HOLD", help="Lift this one.")
@click.option("--lift-all", is_flag=True, help="Lift all of them.")
@options.url
@options.config
@options.as_json
def holds(lift: str | None, lift_all: bool, url: str | None, config: str | None, as_json: bool) -> int:
    """List what a running gateway holds back, and why.

    It needs the admin key or a token: FREEROUTE_ADMIN_KEY, or for a gateway on this machine the key in its
    state directory. What is lifted may be asked at once; spent quota stays spent.

    \b
    freeroute holds
    freeroute holds --lift key/groq/key-1
    """
    running = Running(url, environment())
    admin = running.admin_key(config)
    _undo(running, admin, "/admin/holds", "lift", lift, lift_all)
    found = running.read("/admin/holds", admin)["data"]
    click.echo(listed(found, ["HOLD", "UNTIL (UTC)", "REASON"], _line, "nothing is held", as_json=as_json))
    return 0


def _undo(
    running: Running, admin: str | None, path: str, option: str, one: str | None, everything: bool
) -> None:
    """Have *one* of what is at *path* undone, or *everything*, as *option* was given; raises UsageError."""
    if one is not None and everything:
        raise click.UsageError(f"--{option} and --{option}-all do not go together")
    if one is not None:
        running.change("DELETE", f"{path}/{quote(one)}", admin)
    elif everything:
        running.change("DELETE", path, admin)


def _line(hold: Mapping[str, Any]) -> list[str]:
    return [hold["id"], _time(hold["until"]) if hold["until"] is not None else "it is lifted", hold["reason"]]


def _time(at: float) -> str:
    return dt.datetime.fromtimestamp(at, dt.UTC).strftime("%Y-%m-%d %H:%M:%S")


@click.command()
@click.option("--learned", is_flag=True, help="Only those of which answers taught something.")
@click.option("--forget", metavar="LIMIT", help="Forget what was learned of this limit, or of a model.")
@click.option("--forget-all", is_flag=True, help="Forget everything that was learned.")
@options.url
@options.config
@options.as_json
def limits(
    learned: bool, forget: str | None, forget_all: bool, url: str | None, config: str | None, as_json: bool
) -> int:
    """List the limits that a running gateway goes by.

    Each stands beside what was published. What is forgotten is as published again, until answers say
    otherwise; what is used stays used. It needs the admin key or a token, as `freeroute holds` does.

    \b
    freeroute limits --learned
    freeroute limits --forget groq/openai/gpt-oss-120b
    """
    running = Running(url, environment())
    admin = running.admin_key(config)
    _undo(running, admin, "/admin/limits/learned", "forget", forget, forget_all)
    found = running.read("/admin/limits", admin)
    shown = [limit for limit in found["data"] if limit["learned"] or not learned]
    if as_json:
        click.echo(json.dumps({"data": shown, "models": found["models"]}, indent=2))
        return 0
    head = ["LIMIT", "USED", "OF", "PUBLISHED", "SOURCE"]
    click.echo(table(head, [_limit(limit) for limit in shown]) if shown else "there are no such limits")
    for model in found["models"]:
        click.echo(_lesson(model))
    return 0


def _limit(limit: Mapping[str, Any]) -> list[str]:
    age = f", {ago(limit['age'])} ago" if limit["learned"] else ""
    numbers = (_number(limit[name]) for name in ("used", "limit", "published"))
    return [limit["id"], *numbers, f"{limit['source']}{age}"]


def _number(value: float | None) -> str:
    return "?" if value is None else f"{value:,.6g}"


def _lesson(model: Mapping[str, Any]) -> str:
    told = [] if model["context"] is None else [f"context {model['context']:,}"]
    told += [f"refuses {name}" for name in (*model["refuses"], *model["spared"])]
    told += [f"prompts like one of {one['tokens']:,} tokens are too long" for one in model["overlong"]]
    return plain(f"{model['id']}: {', '.join(told)}")


@click.command()
@click.argument("target", required=False)
@click.argument("to", required=False, metavar="[on|off]", type=click.Choice(["on", "off"]))
@options.url
@options.config
@options.as_json
def switch(target: str | None, to: str | None, url: str | None, config: str | None, as_json: bool) -> int:
    """Switch a provider or a model off or on.

    TARGET is a provider, or PROVIDER/MODEL. What is off gets no further call, also over restarts; answers
    under way go on. Without TARGET it lists what is off. It needs the admin key or a token, as `freeroute
    holds` does.

    \b
    freeroute switch groq off
    freeroute switch groq/openai/gpt-oss-120b on
    """
    if target is not None and to is None:
        raise click.UsageError("say `on` or `off`")
    running = Running(url, environment())
    admin = running.admin_key(config)
    if target is not None:
        kind = "models" if "/" in target else "providers"
        running.change("PATCH", f"/admin/{kind}/{quote(target)}", admin, {"enabled": to == "on"})
    off = sorted(_off(running.read("/admin/providers", admin)["data"]))
    lines = [json.dumps(off)] if as_json else [plain(f"{name} is off") for name in off]
    click.echo("\n".join(lines) or "nothing is off")
    return 0


def _off(providers: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Return what operators switched off."""
    for provider in providers:
        if not provider["enabled"]:
            yield provider["id"]
        yield from (f"{provider['id']}/{model}" for model in provider["models_off"])


@click.command()
@click.argument("switch", required=False, type=click.Choice(["on", "off"]))
@click.option("--message", "-m", metavar="TEXT", default="", help="For callers: why, and for how long.")
@options.url
@options.config
@options.as_json
def maintenance(switch: str | None, message: str, url: str | None, config: str | None, as_json: bool) -> int:
    """Let no requests into a running gateway, or let them in again.

    Answers under way finish; it lasts over restarts. Without ON or OFF it says how things are. It needs the
    admin key or a token, as `freeroute holds` does.

    \b
    freeroute maintenance on --message "new disks, back at noon"
    freeroute maintenance off
    """
    if message and switch != "on":
        raise click.UsageError("--message goes with `on`")
    if not message.isprintable():
        raise click.UsageError("--message holds a line break or another control character")
    running = Running(url, environment())
    admin = running.admin_key(config)
    if switch is None:
        found = running.read("/admin/maintenance", admin)
    else:
        wanted = {"on": switch == "on", "message": message}
        found = running.change("PUT", "/admin/maintenance", admin, wanted)
    click.echo(json.dumps(found, indent=2) if as_json else _told(found))
    return 0


def _told(found: Mapping[str, Any]) -> str:
    if not found["on"]:
        return "no maintenance: requests are let in"
    message = f": {plain(found['message'])}" if found["message"] else ""
    return f"maintenance since {_time(found['since'])} UTC{message}"
