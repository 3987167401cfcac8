"""The overview that ``freeroute top`` shows: the status of a gateway, drawn for a terminal of any width.

Words come from elsewhere: each passes `plain`, so that none steers the terminal.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from freeroute.commands.tables import ago, plain

# Each state of a provider, in the words of docs/status.md.
_COLOURS = {
    "healthy": "green",
    "suspect": "yellow",
    "resting": "cyan",
    "open": "bold red",
    "half-open": "magenta",
    "held": "red",
    "off": "dim",
    "no-key": "dim",
}
_SEVERITIES = {"problem": "bold red", "warning": "yellow"}
_BAR = 8
_NEEDED = frozenset({"version", "now", "demo", "maintenance", "totals", "providers", "requests"})
# In a snapshot; on a screen it is as many as fit.
_REQUESTS = 10
_ALERTS = 3
# Lines that providers leave to the last requests: a gap, a head, and three of them.
_LEFT_TO_REQUESTS = 5
# Where a quota's name and reset have room.
_WIDE_QUOTA = 64
_NEARLY, _SPENT = 0.8, 1.0


class Seen(Struct, frozen=True):
    """What is known of the gateway at *url* at *now* (its own clock, Unix time).

    *status* is the newest that it told, None before the first; *trouble* why nothing newer came, "" if all is
    well.
    """

    url: str
    status: Mapping[str, Any] | None
    trouble: str
    now: float


class Room(Struct, frozen=True):
    """How much there is to draw on; without *height* all is drawn, as far as it is of use."""

    width: int
    height: int | None = None
    ascii_only: bool = False


def looks_like_one(status: Mapping[str, Any]) -> bool:
    """Say whether *status* has what is drawn of it: something else may answer at that address."""
    return status.keys() >= _NEEDED


def overview(seen: Seen, room: Room) -> RenderableType:
    """Return all of it."""
    status = seen.status
    if status is None:
        return Text(plain(seen.trouble or f"asking {seen.url} ..."), style="yellow" if seen.trouble else "")
    head = [*_head(seen, status), *_alerts(status.get("alerts") or ()), Text("")]
    left = None if room.height is None else max(room.height - len(head), 0)
    providers = status["providers"]
    shown = len(providers) if left is None else min(len(providers), max(left - _LEFT_TO_REQUESTS - 2, 1))
    parts: list[RenderableType] = [*head, _providers(providers[:shown], seen.now, room)]
    if hidden := len(providers) - shown:
        parts.append(Text(f"and {hidden} more", style="dim"))
    rows = _REQUESTS if left is None else left - shown - bool(hidden) - 3
    if status["requests"] and rows > 0:
        parts += [Text(""), _requests(status["requests"][:rows], seen.now, room)]
    return Group(*parts)


# --- how it is as a whole ------------------------------------------------------------------------------


def _head(seen: Seen, status: Mapping[str, Any]) -> list[Text]:
    uptime = seen.now - status["started"] if "started" in status else status["uptime"]
    first = Text.assemble(
        (f"freeroute {plain(status['version'])}", "bold"),
        ("  interrupted", "bold yellow") if seen.trouble else ("  live", "green"),
        ("  demo", "magenta") if status["demo"] else "",
        f"  up {ago(uptime)}  {plain(seen.url)}",
    )
    lines = [first, Text("  ".join(_sums(status)))]
    if seen.trouble:
        lines.append(Text(plain(seen.trouble), "yellow"))
    if (rest := status["maintenance"]) is not None:
        lines.append(
            Text(plain(f"maintenance for {ago(seen.now - rest['since'])}: {rest['message']}"), "yellow")
        )
    for line in lines:
        line.no_wrap, line.overflow = True, "ellipsis"
    return lines


def _sums(status: Mapping[str, Any]) -> Iterable[str]:
    totals = status["totals"]
    yield f"requests {totals['requests']:,} ({totals['served']:,} served, {totals['failed']:,} failed)"
    yield f"tokens {totals['tokens']:,}"
    if (capacity := status.get("capacity")) is not None:
        more = f" and {capacity['unlimited']} models without limits" if capacity["unlimited"] else ""
        yield f"room for {capacity['now']:,.0f} calls now, {capacity['today']:,.0f} today{more}"
    if (running := status.get("in_flight")) is not None:
        yield f"in flight {running:,}"
    if (waiting := status.get("waiting")) is not None:
        yield f"waiting {waiting['for_capacity']:,} of {waiting['room']:,}"


def _alerts(alerts: Sequence[Mapping[str, Any]]) -> list[Text]:
    lines = []
    for alert in alerts[:_ALERTS]:
        told = f"{alert['severity']}: {alert['what']} {alert['do']}"
        style = _SEVERITIES.get(alert["severity"], "")
        lines.append(Text(plain(told).strip(), style, no_wrap=True, overflow="ellipsis"))
    return lines


# --- providers -----------------------------------------------------------------------------------------


def _providers(providers: Sequence[Mapping[str, Any]], now: float, room: Room) -> Table:
    columns = {"PROVIDER": 0, "STATE": 0, "FULLEST QUOTA": 0, "FIRST": 76, "TOTAL": 76}
    columns |= {"BREAKER": 92, "SERVED": 104, "FAILED": 104, "LAST ERROR": 120}
    table = _table([name for name, least in columns.items() if room.width >= least])
    for one in providers:
        cells = [
            Text(plain(one["id"])),
            Text(plain(one["state"]), _COLOURS.get(one["state"], "")),
            _quota(one["pools"], now, room),
            *(_seconds((one["latency"] or {}).get(name)) for name in ("first_event_p50", "total_p50")),
            _breaker(one["breaker"], now),
            *(_count(one[name]) for name in ("served", "failed")),
            _error(one["last_error"], now),
        ]
        table.add_row(*cells[: len(table.columns)])
    return table


def _table(heads: Sequence[str]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in heads:
        table.add_column(head, no_wrap=True, overflow="ellipsis")
    return table


def _quota(pools: Sequence[Mapping[str, Any]], now: float, room: Room) -> Text:
    """Return the quota of which the most is taken; of several that are equal the one that is back last."""
    known = [
        (min(pool["used"] / pool["limit"], 1.0), pool["resets_at"] or 0.0, pool)
        for pool in pools
        if pool["limit"]
    ]
    if not known:
        return Text("-", "dim")
    share, resets, pool = max(known, key=lambda entry: entry[:2])
    full, empty = ("#", ".") if room.ascii_only else ("█", "░")
    filled = min(int(share * _BAR + 0.5), _BAR)
    colour = "red" if share >= _SPENT else "yellow" if share >= _NEARLY else "green"
    label = f" {pool['label']}" if room.width >= _WIDE_QUOTA else ""
    back = f", back in {ago(resets - now)}" if label and resets > now and share > 0 else ""
    return Text.assemble(
        (full * filled, colour),
        (empty * (_BAR - filled), "dim"),
        plain(f" {share:4.0%}{label}{back}"),
    )


def _breaker(breaker: Mapping[str, Any], now: float) -> Text:
    until = breaker["until"]
    rest = f" {ago(until - now)}" if until is not None and until > now else ""
    return Text(plain(f"{breaker['state']}{rest}"), "" if breaker["state"] == "closed" else "red")


def _error(error: Mapping[str, Any] | None, now: float) -> Text:
    if error is None:
        return Text("")
    return Text(plain(f"{ago(now - error['at'])} ago: {error['model']}: {error['detail'] or error['kind']}"))


# --- requests ------------------------------------------------------------------------------------------


def _requests(requests: Sequence[Mapping[str, Any]], now: float, room: Room) -> Table:
    columns = {"AGO": 0, "STATUS": 0, "ASKED": 0, "ANSWERED BY": 46, "FIRST": 76, "TOTAL": 76, "TOKENS": 92}
    columns |= {"CLIENT": 104, "TRAIL": 120}
    table = _table([name for name, least in columns.items() if room.width >= least])
    for one in requests:
        first, total = one["first_event_ms"], one["total_ms"]
        tokens = one["tokens"]
        cells = [
            Text(ago(now - one["at"])),
            _status(one),
            Text(plain(one["model"])),
            Text(plain("-" if one["provider"] is None else f"{one['provider']}/{one['served_model']}")),
            _seconds(None if first is None else first / 1000),
            _seconds(total / 1000),
            Text("-" if tokens is None else f"{tokens['prompt']:,} + {tokens['completion']:,}"),
            Text(plain(one["client"])),
            Text(plain(_trail(one["attempts"]))),
        ]
        table.add_row(*cells[: len(table.columns)])
    return table


def _status(request: Mapping[str, Any]) -> Text:
    failed = request["status"] >= 400 or request["code"] is not None
    told = str(request["status"]) if request["code"] is None else f"{request['status']} {request['code']}"
    return Text(plain(told), "red" if failed else "green")


def _trail(attempts: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(f"{one['provider']}={one['kind']}" for one in attempts if one["kind"] != "served")


def _seconds(value: float | None) -> Text:
    return Text("-" if value is None else f"{value:.2f} s")


def _count(value: int | None) -> Text:
    return Text("-" if value is None else f"{value:,}")
