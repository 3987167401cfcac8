"""The record of a finished request: the only thing metrics, logs, ledger and dashboard read."""

from msgspec import Struct

from freeroute.clock import Now
from freeroute.domain.clients import holder_of
from freeroute.domain.outcome import Kind
from freeroute.domain.tasks import Task
from freeroute.domain.traces import Trace
from freeroute.domain.usage import Usage

NOBODY = "-"
"""Stands for the client where none is configured, or none was told by its key."""

OTHERS = "other"
"""Who is meant where more clients are counted than have a place of their own: no client is called so."""

MOST_ALIKE = 1024
"""Likenesses that anybody remembers, whatever names callers give. Own design: 1 MB or so for each."""


class AttemptNote(Struct, frozen=True):
    """One upstream call: who was asked, how it ended, how long it took in seconds.

    *first_event* is how long the first event of its stream took; None where there was none. *usage* is what
    its answer took, if it brought one.
    *clamped* is the output bound that was sent, if the caller had named a larger one. It *began* so many
    seconds after the request arrived, was *sent* so many later (None: nobody answered), and goes by *span* in
    the request's trace. It was *expected* to take so many seconds to an answer of up to 300 tokens.
    """

    provider: str
    model: str
    key: str
    kind: Kind
    seconds: float
    status: int | None = None
    detail: str = ""
    first_event: float | None = None
    usage: Usage | None = None
    clamped: int | None = None
    began: float = 0.0
    span: str | None = None
    sent: float | None = None
    expected: float | None = None


class Grounds(Struct, frozen=True):
    """What a request's candidates were chosen by: the *strategy* that put them in order.

    Of those that the names asked for stand for, *named*, so many were *able* to serve calls of its kind,
    whatever their length and the state of things; of several names, whoever goes by two counts twice. Its
    conversation *had* this one last (an id).
    """

    strategy: str
    able: int
    named: int
    had: str | None = None


class Wait(Struct, frozen=True):
    """A time of waiting: so many seconds after the arrival it *began*, and so many *seconds* it took."""

    began: float
    seconds: float


class Likeness(Struct, frozen=True, eq=False):
    """What like requests have in common: who asked for what, in which API, and how it went.

    *asked* is the model's name as the caller wrote it, *created* when the client was added, if it was.
    *code* is that of the error its caller got, the kind in which its stream broke off, or how its caller
    left. Who answered is None where nobody did.

    Like receipts share one, by which whoever reads them finds again what it found for those before. Two that
    say the same may be there for a while, since only some are remembered.
    """

    surface: str
    task: Task
    client: str
    created: float | None
    asked: str
    asked_known: bool
    stream: bool
    status: int
    code: str | None
    provider: str | None
    model: str | None
    key: str | None
    caller_left: bool

    @property
    def holder(self) -> str:
        """Return its client, told apart from others that had the name before."""
        return holder_of(self.client, self.created)


class Receipt(Struct, frozen=True):
    """Everything about a finished request except its content. Times are in seconds.

    What it has in common with others is in what it is *like*. *skipped* counts the events of its stream that
    could not be read, *continued* how often another candidate went on with it. Of a request that was turned
    away at the door, *unrecorded* is how many were before it that have no receipt. *headers* are the lines of
    those of its answer that tell how it came to be; *grounds* None says that it came to no choice.
    """

    like: Likeness
    request_id: str
    at: Now
    attempts: tuple[AttemptNote, ...]
    usage: Usage | None
    finish: str | None
    queued: float
    overhead: float
    first_event: float | None
    total: float
    dropped: tuple[str, ...] = ()
    skipped: int = 0
    continued: int = 0
    trace: Trace | None = None
    waits: tuple[Wait, ...] = ()
    unrecorded: int = 0
    headers: bytes = b""
    grounds: Grounds | None = None
