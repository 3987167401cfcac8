"""What ``/admin`` works on, in memory, for the surfaces."""

import math
from collections.abc import AsyncIterator
from typing import Any

from freeroute.domain.audit import Entry, Wanted
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
        self.pieces = [b"one\n", b"two\n"]

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
            yield piece

    def _ask(self, wanted: UsageWanted | ReceiptsWanted) -> None:
        if self.broken is not None:
            raise self.broken
        self.asked.append(wanted)


def administration(
    trail: FakeTrail | None = None,
    gateway: Gateway | None = None,
    records: FakeRecords | None = None,
    providers: FakeProviders | None = None,
) -> Administration:
    given, gateway = gateway is not None, gateway or World(provider("groq")).gateway
    return Administration(
        trail=trail or FakeTrail(),
        operations=Operations(gateway) if given else Refused(gateway),
        maintenance=MaintenanceSwitch(gateway),
        records=records or FakeRecords(),
        providers=providers or FakeProviders(),
        in_step=at_once,
        checks=FakeChecks(),
    )
