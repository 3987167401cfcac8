"""``freeroute models`` and ``freeroute explain``: what can be asked for, and who would answer."""

import json
from collections.abc import Iterable
from typing import Any

import click

from freeroute.clock import SystemClock
from freeroute.commands import options
from freeroute.commands.running import Running, environment
from freeroute.commands.tables import ago, table, tokens

# Efforts differ from model to model: the JSON has them.
EFFORT = "reasoning_effort"
TIERS = ("small", "medium", "large", "frontier")


@click.command()
@options.url
@options.offline
@options.config
@options.as_json
def models(url: str | None, offline: bool, config: str | None, as_json: bool) -> int:
    """List every model that can be asked for.

    \b
    freeroute models
    freeroute models --offline --json
    """
    if offline:
        from freeroute.commands.offline import gateway

        found: dict[str, Any] = {"object": "list", "data": gateway(config).models(None)}
    else:
        found = Running(url, environment()).get("/v1/models")
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return 0
    head = ["MODEL", "CONTEXT", "QUALITY", "PRIVACY", "STATE"]
    click.echo(table(head, [_model(entry) for entry in found["data"]]))
    return 0


def _model(entry: dict[str, Any]) -> list[str]:
    told = entry.get("freeroute") or {}
    quality = told.get("quality")
    return [
        entry["id"],
        tokens(entry.get("context_length")),
        "-" if quality is None else f"{quality:.0f}",
        told.get("privacy") or "-",
        "available" if told.get("available") else _back(told.get("back_at")),
    ]


def _back(moment: float | None) -> str:
    if moment is None:
        return "not available"
    return f"back in {ago(moment - SystemClock().now().wall)}"


@click.command()
@click.argument("model")
@options.url
@options.offline
@options.config
@options.as_json
def explain(model: str, url: str | None, offline: bool, config: str | None, as_json: bool) -> int:
    """Tell who would answer for MODEL now, and why not the others.

    \b
    freeroute explain free-smart
    freeroute explain groq/openai/gpt-oss-120b --json
    """
    if offline:
        from freeroute.commands.offline import gateway

        found = gateway(config).plan(model, None)
    else:
        found = Running(url, environment()).get("/v1/plan", operator=True, model=model)
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return 0
    candidates = found["candidates"]
    usable = sum(1 for candidate in candidates if candidate["usable"])
    asked, meant = found["model"], found["stands_for"]
    named = asked if asked == meant else f"{asked} is {meant}"
    click.echo(f"{named} ({found['strategy']}): {len(candidates)} candidates, {usable} usable now\n")
    head = ["", "MODEL", "KEY", "TIER", "EXPECTED", "QUOTA LEFT", ""]
    click.echo(table(head, [_candidate(candidate) for candidate in candidates]))
    if otherwise := _otherwise(candidates):
        click.echo(otherwise)
    return 0


def _candidate(entry: dict[str, Any]) -> list[str]:
    remark = "failed last time" if entry["suspect"] else ""
    if entry["reason"]:
        back_at = entry["back_at"]
        remark = entry["reason"] if back_at is None else f"{entry['reason']}, {_back(back_at)}"
    if dropped := entry["dropped"]:
        remark = f"{remark}; without {', '.join(dropped)}".removeprefix("; ")
    return [
        str(entry["place"] or "-"),
        f"{entry['provider']}/{entry['model']}",
        entry["key"] or "-",  # a client is not told
        TIERS[entry["tier"]],
        f"{entry['expected_seconds']:.1f} s",
        f"{entry['quota_left']:.0%}",
        remark,
    ]


def _otherwise(candidates: Iterable[dict[str, Any]]) -> str:
    """Say of each provider of *candidates* what of a request it would not get as it is, if of any."""
    lines: dict[str, str] = {}
    for entry in candidates:
        ranges = [(name, known) for name, known in sorted(entry["changed"].items()) if name != EFFORT]
        told = [f"{name} from {low:g} to {high:g}" for name, (low, high) in ranges]
        told += [f"without {', '.join(entry['left_out'])}"] if entry["left_out"] else []
        if told:
            lines[entry["provider"]] = "; ".join(told)
    if not lines:
        return ""
    return "\n" + table(["PROVIDER", "CHANGES REQUESTS"], sorted(lines.items()))
