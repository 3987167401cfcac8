"""What ``/admin`` works on, in memory, for the surfaces."""

from freeroute.domain.audit import Entry, Wanted
from freeroute.surfaces.admin.topics import Administration


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


def administration(trail: FakeTrail | None = None) -> Administration:
    return Administration(trail=trail or FakeTrail())
