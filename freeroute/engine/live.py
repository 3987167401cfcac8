"""The status as dashboards follow it: the whole once in few words, then only what changed."""

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct

from freeroute.domain.capacity import Capacity
from freeroute.domain.clients import Client
from freeroute.domain.receipt import Receipt
from freeroute.engine import alerts, shares, status
from freeroute.engine.survey import Survey
from freeroute.engine.view import View

MOST = status.Most(pools=6, candidates=8)
"""What is told of a provider: the fullest pools, and the candidates that stand worst. Own design: as many as
a card has room for."""

USES = 8
"""Models of a client that are told, the most used. Own design, as `MOST`."""

LISTS = ("providers", "clients")
"""The fields that hold entries with an ``id``; of these only the entries that changed are told."""

Document = dict[str, Any]
Line = Callable[[Receipt], Document]


class Card(Struct, frozen=True):
    """One provider as it is told: to operators, and as it is *offered* to clients."""

    told: Document
    offered: Document
    state: str
    capacity: Capacity
    alerts: list[alerts.Alert]


def card(seen: Survey) -> Card:
    """Return what is told of the provider of *seen*."""
    return Card(
        told=status.provider(seen, MOST),
        offered=status.offered(seen, MOST),
        state=seen.state,
        capacity=seen.capacity,
        alerts=alerts.of_provider(seen),
    )


def document(view: View, client: Client | None, cards: Sequence[Card], line: Line) -> Document:
    """Return everything a watcher is told: a *client* what is its own, and how models stand.

    *line* tells of one request; the same dict for the same receipt says that it is no news.
    """
    found = (alert for one in cards for alert in one.alerts)
    clients = sorted(shares.clients(view, client), key=lambda entry: str(entry["id"]))
    return {
        **status.head(view, client),
        **status.summed(view, client, (one.capacity for one in cards), (one.state for one in cards), found),
        "providers": [one.told if client is None else one.offered for one in cards],
        "clients": [{**entry, "use": entry["use"][:USES]} for entry in clients],
        "requests": [
            line(receipt)
            for receipt in reversed(view.tally.recent)
            if client is None or receipt.like.holder == client.holder
        ],
    }


def change(before: Document, after: Document) -> Document:
    """Return what a reader of *before* has to be told so that it knows *after*; empty if nothing changed.

    A field that changed is told whole. Of `LISTS` only entries that are new or changed are told, and if there
    are others than before, or in another order, all their ids in ``ids``. Of requests the new ones are told.
    """
    told = {
        name: value
        for name, value in after.items()
        if name not in (*LISTS, "requests", "now") and before.get(name) != value
    }
    for name in LISTS:
        old = {entry["id"]: entry for entry in before[name]}
        changed = [entry for entry in after[name] if old.get(entry["id"]) != entry]
        if changed:
            told[name] = changed
        if list(old) != (ids := [entry["id"] for entry in after[name]]):
            told.setdefault("ids", {})[name] = ids
    known = {id(request) for request in before["requests"]}
    if news := [request for request in after["requests"] if id(request) not in known]:
        told["requests"] = news
    return told


def merged(before: Document, told: Document, most: int) -> Document:
    """Return what a reader of *before* knows once it was *told* of a change; at *most* so many requests."""
    after = {**before, **{name: told[name] for name in told if name not in (*LISTS, "requests", "ids")}}
    for name in LISTS:
        entries = {entry["id"]: entry for entry in (*before[name], *told.get(name, ()))}
        ids = told.get("ids", {}).get(name, list(entries))
        after[name] = [entries[one] for one in ids]
    after["requests"] = [*told.get("requests", ()), *before["requests"]][:most]
    return after
