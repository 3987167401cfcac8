"""What is stored of receipts: plain values, without prompts, answers or keys."""

from msgspec import Struct


class Row(Struct, frozen=True, array_like=True):
    """One receipt as it is stored. The fields are the columns of the table, in their order.

    *at* is the Unix time at which the request arrived; *queued*, *overhead*, *first_event* and *total* are in
    seconds. *trail* is JSON, a list of the attempts that did not serve; empty if there were none.
    """

    at: float
    request_id: str
    surface: str
    client: str
    asked: str
    stream: bool
    status: int
    code: str
    provider: str
    model: str
    key: str
    attempts: int
    trail: str
    prompt: int
    completion: int
    reasoning: int
    cached: int
    estimated: bool
    finish: str
    queued: float
    overhead: float
    first_event: float | None
    total: float
    caller_left: bool
    continued: int


OWN = (
    "at",
    "request_id",
    "prompt",
    "completion",
    "reasoning",
    "cached",
    "queued",
    "overhead",
    "first_event",
    "total",
)
"""The columns that each receipt has of its own."""

SHARED = (
    "surface",
    "client",
    "asked",
    "stream",
    "status",
    "code",
    "provider",
    "model",
    "key",
    "attempts",
    "trail",
    "estimated",
    "finish",
    "caller_left",
    "continued",
)
"""The columns that are the same for many: few clients ask for few models, and most requests end alike."""

COLUMNS = (*SHARED, *OWN)
"""All of them, in this order."""

Own = tuple[float, str, int, int, int, int, float, float, float | None, float]
Shared = tuple[str, str, str, bool, int, str, str, str, str, int, str, bool, str, bool, int]
Alike = tuple[tuple[Shared, list[Own]], ...]
"""Receipts by what they have in common, which is told once for all of them."""


class Body(Struct, frozen=True, array_like=True):
    """What was asked and answered in one request, as it is stored; the fields are the columns of the table.

    *at*, *request_id* and *client* are those of its receipt. *question* are its messages, *calls* the tools
    that were to be called, in JSON; *cut* says that a text is not whole, *size* is the bytes of all.
    """

    at: float
    request_id: str
    client: str
    question: str
    answer: str
    calls: str
    cut: bool
    size: int


class Batch(Struct, frozen=True, array_like=True):
    """What is written together, once: *origin* is a run of a gateway, *number* counts its batches.

    What is in the spool outlives its version: *rows* are receipts as earlier ones left them there. A field
    that is new comes last and has a default.
    """

    origin: str
    number: int
    rows: tuple[Row, ...] = ()
    bodies: tuple[Body, ...] = ()
    alike: Alike = ()

    @property
    def count(self) -> int:
        """Return how many receipts it holds."""
        return len(self.rows) + sum([len(own) for _, own in self.alike])
