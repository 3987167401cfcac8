"""What is written down of a change that somebody made."""

from typing import Any

from msgspec import Struct


class Entry(Struct, frozen=True, omit_defaults=True):
    """One change: *at* (Unix time) *who* did *what* to *target*, and what was there *before* and *after*.

    *what* is a noun and a verb, ``client.rotate``; *before* and *after* are plain values that hold no secret,
    None where there is nothing. Of a change that was written down and then failed a second entry says, by
    *made*, that it was not made.
    """

    at: float
    who: str
    what: str
    target: str
    before: Any = None
    after: Any = None
    made: bool = True


class Wanted(Struct, frozen=True):
    """Which entries are asked for: from *since* to before *until* (Unix time), of *who*, *limit* at most."""

    since: float | None = None
    until: float | None = None
    who: str | None = None
    limit: int = 100

    def fits(self, entry: Entry) -> bool:
        """Say whether *entry* is among those asked for, whatever their number."""
        return (
            (self.since is None or entry.at >= self.since)
            and (self.until is None or entry.at < self.until)
            and self.who in {None, entry.who}
        )
