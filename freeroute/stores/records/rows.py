"""What is stored of a receipt: plain values, without prompts, answers or keys."""

from collections.abc import Callable

import msgspec
from msgspec import Struct

from freeroute.domain.outcome import Kind
from freeroute.domain.receipt import AttemptNote, Receipt
from freeroute.domain.usage import Usage
from freeroute.wire.text import printable

MOST_TOKENS = 2**40
"""The largest number of tokens that is believed: more than any context, and no sum overflows. Own design."""

_NOTHING = Usage()
_SERVED = Kind.SERVED  # looking up a member costs ten times what comparing it does


class Row(Struct, frozen=True, array_like=True):
    """One receipt as it is stored. The fields are the columns of the table, in their order.

    A new one comes last and has a default: an older version may have left its rows in the spool.

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

    @property
    def failed(self) -> bool:
        """Say whether the caller got no whole answer, though it stayed."""
        return not self.caller_left and (self.status >= 400 or self.code != "")


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
    """What is written together, once: *origin* is a run of a gateway, *number* counts its batches."""

    origin: str
    number: int
    rows: tuple[Row, ...]
    bodies: tuple[Body, ...] = ()


class Cleaned(dict[str, str]):
    """Texts and what is `printable` of them, which is found out once: receipts of a batch say the same."""

    def __missing__(self, text: str) -> str:
        """Find it out."""
        clean = self[text] = printable(text)
        return clean


def row_of(receipt: Receipt, clean: Callable[[str], str] = printable) -> Row:
    """Return what is stored of *receipt*; *clean* makes texts from outside `printable`."""
    usage, notes = receipt.usage or _NOTHING, receipt.attempts
    prompt, completion, reasoning, cached = usage.prompt, usage.completion, usage.reasoning, usage.cached
    if not 0 <= prompt | completion | reasoning | cached < MOST_TOKENS:  # as hardly ever: one of them is not
        prompt, completion = _believed(prompt), _believed(completion)
        reasoning, cached = _believed(reasoning), _believed(cached)
    # By position, in the order of `Row`: so many names would cost several times as much.
    return Row(
        receipt.at.wall,
        receipt.request_id,
        receipt.surface,
        receipt.client,
        clean(receipt.asked),
        receipt.stream,
        receipt.status,
        clean(receipt.code) if receipt.code else "",
        receipt.provider or "",
        receipt.model or "",
        clean(receipt.key) if receipt.key else "",
        len(notes),
        "" if len(notes) == 1 and notes[0].kind is _SERVED else _trail(notes),
        prompt,
        completion,
        reasoning,
        cached,
        usage.estimated,
        clean(receipt.finish) if receipt.finish else "",
        receipt.queued,
        receipt.overhead,
        receipt.first_event,
        receipt.total,
        receipt.caller_left,
        receipt.continued,
    )


def _believed(tokens: int) -> int:
    return min(max(tokens, 0), MOST_TOKENS)


class _Hop(Struct, frozen=True, omit_defaults=True):
    """One attempt of a trail, in JSON."""

    provider: str
    model: str
    key: str
    kind: Kind
    began: float
    seconds: float
    first_event: float | None = None
    status: int | None = None
    detail: str = ""


def _trail(notes: tuple[AttemptNote, ...]) -> str:
    failed = [_hop(note) for note in notes if note.kind is not _SERVED]
    return msgspec.json.encode(failed).decode() if failed else ""


def _hop(note: AttemptNote) -> _Hop:
    first = note.first_event
    return _Hop(
        note.provider,
        note.model,
        printable(note.key),
        note.kind,
        round(note.began, 4),
        round(note.seconds, 4),
        round(first, 4) if first is not None else None,
        note.status,
        printable(note.detail),
    )
