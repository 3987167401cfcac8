"""What ``/admin`` works on, in memory, for the surfaces."""

import math
from collections.abc import AsyncIterator, Mapping
from typing import Any

from freeroute.domain.audit import Entry, Wanted
from freeroute.engine.changes import Note
from freeroute.engine.gateway import Gateway
from freeroute.engine.maintenance import MaintenanceSwitch
from freeroute.engine.operations import Operations
from freeroute.engine.records import ReceiptsWanted, UsageWanted
from freeroute.surfaces.admin.topics import Administration
from tests.support.providers import FakeChecks, FakeProviders, at_once
from tests.support.world import World, provider


class FakeTrail:
    """Keeps what is noted, unless it is told to be *broken*."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.broken: Exception | None = None

    def append(self, entry: Entry) -> None:
        if self.broken is not None:
            raise self.broken
        self.entries.append(entry)

    def newest(self, wanted: Wanted) -> list[Entry]:
        if self.broken is not None:
            raise self.broken
        return [entry for entry in reversed(self.entries) if wanted.fits(entry)][: wanted.limit]


class Refused(Operations):
    """Operations of a gateway whose key is refused again whenever somebody looks for that hold."""

    def hold(self, name: str) -> dict[str, Any]:
        self._gateway.standing.hold(("key", "groq", "k1"), math.inf, "key was refused as invalid")
        return super().hold(name)


class FakeRecords:
    """Records of nobody; *asked* is what was asked for. It raises what it is *broken* by."""

    def __init__(self) -> None:
        self.asked: list[UsageWanted | ReceiptsWanted] = []
        self.broken: Exception | None = None
        self.pieces: list[bytes | Exception] = [b"one\n", b"two\n"]

    async def usage(self, wanted: UsageWanted) -> dict[str, Any]:
        self._ask(wanted)
        return {"since": 0, "until": 3600, "lines": [{"client": "alice", "requests": 1}]}

    async def usage_csv(self, wanted: UsageWanted) -> bytes:
        self._ask(wanted)
        return b"client,requests\nalice,1\n"

    async def receipts(self, wanted: ReceiptsWanted) -> dict[str, Any]:
        self._ask(wanted)
        return {"receipts": [{"request_id": "r1"}], "next": "1-1"}

    async def export(self, wanted: ReceiptsWanted, form: str) -> AsyncIterator[bytes]:
        self._ask(wanted)
        for piece in self.pieces:
            if isinstance(piece, Exception):
                raise piece
            yield piece

    def _ask(self, wanted: UsageWanted | ReceiptsWanted) -> None:
        if self.broken is not None:
            raise self.broken
        self.asked.append(wanted)


class FakeBook:
    """Clients or operators of whom nothing is kept; *asked* is what was asked of it."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.broken: Exception | None = None

    def list(self) -> list[dict[str, Any]]:
        return [{"name": "alice"}]

    def show(self, name: str) -> dict[str, Any]:
        return self._do("show", name)

    def add(self, name: Any, terms: Mapping[str, Any], note: Note) -> tuple[str, dict[str, Any]]:
        return "the-secret", self._do("add", name, dict(terms), note=note)

    def amend(self, name: str, terms: Mapping[str, Any], note: Note) -> dict[str, Any]:
        return self._do("amend", name, dict(terms), note=note)

    def rotate(self, name: str, overlap: Any, note: Note) -> tuple[str, dict[str, Any]]:
        return "the-secret", self._do("rotate", name, overlap, note=note)

    def revoke(self, name: str, note: Note) -> dict[str, Any]:
        return self._do("revoke", name, note=note)

    def remove(self, name: str, note: Note) -> None:
        self._do("remove", name, note=note)

    def _do(self, verb: str, name: Any, *more: Any, note: Note | None = None) -> dict[str, Any]:
        if self.broken is not None:
            raise self.broken
        if note is not None:
            note({"name": name}, {"name": name})
        self.asked.append((verb, name, *more))
        return {"name": name}


async def _nothing() -> None:
    return


def administration(
    trail: FakeTrail | None = None,
    gateway: Gateway | None = None,
    records: FakeRecords | None = None,
    *,
    clients: FakeBook | None = None,
    operators: FakeBook | None = None,
    providers: FakeProviders | None = None,
) -> Administration:
    given, gateway = gateway is not None, gateway or World(provider("groq")).gateway
    return Administration(
        refresh=_nothing,
        trail=trail or FakeTrail(),
        clients=clients or FakeBook(),
        operators=operators or FakeBook(),
        operations=Operations(gateway) if given else Refused(gateway),
        maintenance=MaintenanceSwitch(gateway),
        records=records or FakeRecords(),
        providers=providers or FakeProviders(),
        in_step=at_once,
        checks=FakeChecks(),
    )
