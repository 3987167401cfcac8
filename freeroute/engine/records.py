"""What can be asked of the receipts that are stored, and who answers it."""

from collections.abc import AsyncIterator
from typing import Any, Literal, Protocol

from msgspec import Struct

Outcome = Literal["served", "failed", "left"]
"""How a request ended for its caller: with a whole answer, without one, or it left before the end."""


class UsageWanted(Struct, frozen=True):
    """Usage since *since* (Unix time), told apart *by* client, provider or model, and by *step* seconds.

    *client* names the only one to look at.
    """

    since: float
    by: tuple[str, ...] = ()
    step: int | None = None
    client: str | None = None


class ReceiptsWanted(Struct, frozen=True):
    """At most *most* receipts (None: all) from *since* to before *until*, the *newest* first or last.

    *client*, *outcome* and *request_id* name the only ones to look at; *after* is the mark of one they come
    after.
    """

    since: float
    until: float
    most: int | None = None
    newest: bool = True
    client: str | None = None
    outcome: Outcome | None = None
    after: str | None = None
    request_id: str | None = None


class Records(Protocol):
    """Reads what is stored. All raise RecordsUnavailable, in bounded time, and InvalidRequest."""

    async def usage(self, wanted: UsageWanted) -> dict[str, Any]:
        """Return ``since``, ``until`` and ``lines`` of usage."""
        ...

    async def usage_csv(self, wanted: UsageWanted) -> bytes:
        """Return the lines of usage as CSV."""
        ...

    async def receipts(self, wanted: ReceiptsWanted) -> dict[str, Any]:
        """Return ``receipts``, and the mark ``next`` after which there are more, or None."""
        ...

    def export(self, wanted: ReceiptsWanted, form: Literal["csv", "jsonl"]) -> AsyncIterator[bytes]:
        """Give receipts in pieces of whole lines; few are in memory at once."""
        ...
