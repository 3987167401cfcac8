"""What the engine needs from the rim. Adapters satisfy these without inheriting."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct, field

from freeroute.clock import Now
from freeroute.domain.audit import Entry, Wanted
from freeroute.domain.catalogue import Candidate, Key, Pool, Provider, Unit
from freeroute.domain.clients import Client
from freeroute.domain.keys import Verdict
from freeroute.domain.leases import Charges, Denied, Lease, Reading
from freeroute.domain.outcome import Outcome
from freeroute.domain.rates import RateFact
from freeroute.domain.receipt import Receipt
from freeroute.domain.usage import Usage
from freeroute.engine.served import Onward
from freeroute.wire.chat import CallContext, ChatCall
from freeroute.wire.transcript import Transcript

SOON = 1.0
"""Seconds that a call waits where we make no more at a time, before another candidate is looked for. Own
design: long enough for a passing crowd, and little beside what an answer takes."""


class Dispatch(Struct):
    """How the request of one attempt goes out: *unsent* while nothing of it can have.

    One that is to be *fresh* goes over no connection that was kept: such a one has just turned out dead.

    Whoever sends it notes it here, since a call that is cancelled returns nothing. Nobody has to: what is
    not known to be unsent may have been counted.
    """

    unsent: bool = False
    fresh: bool = False


class Terms(Struct, frozen=True):
    """How one attempt is to be made: seconds for each phase, parameters to leave out, the output bound.

    A *probe* passes on any well-formed 2xx, content or not. *hop* counts the gateways like this one that the
    call has passed, this one included. *client* is whose call it is, if clients are configured: nothing that
    is remembered of it may serve another's. *dispatch* is how it is sent, and where that is noted, *room* the
    seconds that it may wait for its turn where we make no more calls at a time: they come before all others.
    """

    connect: float
    first_event: float
    between_events: float
    total: float
    without: frozenset[str] = frozenset()
    max_output: int | None = None
    probe: bool = False
    traceparent: str | None = None
    hop: int = 1
    client: str = ""
    dispatch: Dispatch = field(default_factory=Dispatch)
    room: float = SOON


class EventStream(Protocol):
    """A stream whose first meaningful event has arrived. *skipped* counts events that could not be read.

    *held* says that its last words were held back until its end, since they may have begun a tool call.
    While ``next`` waits, *onward* may be given events that come one by one, in place of it.
    """

    onward: Onward | None
    skipped: int
    held: bool
    finish: str | None
    outcome: Outcome | None

    @property
    def usage(self) -> Usage | None:
        """Return the tokens so far."""
        ...

    @property
    def owes_usage(self) -> bool:
        """Say whether the caller asked for the usage and was not told."""
        ...

    @property
    def unread(self) -> float:
        """Return for how many seconds nobody asked for more."""
        ...

    @property
    def lost(self) -> tuple[str, ...]:
        """Return the caller's fields that it does not honour, as far as it has come."""
        ...

    async def next(self) -> Sequence[bytes]:
        """Return the payloads of all events that are ready, waiting for at least one; empty at the end.

        The first call returns at once with everything up to the first meaningful event. A failure after it
        is the end, never an exception; then *outcome* says how it ended. A usage chunk (empty ``choices``)
        is left out unless the caller asked for it.
        """
        ...

    def abort(self) -> None:
        """Close the connection; safe to call at any time, more than once."""
        ...


class Answer(Struct):
    """A whole answer: the body for the caller, and what accounting needs of it.

    It is JSON unless a *content_type* says otherwise.
    """

    body: bytes
    usage: Usage | None = None
    finish: str | None = None
    content_type: str | None = None


class Sent(Struct):
    """How an attempt went: SERVED brings an *answer* or a *stream*; *head_at* is when the head came.

    *read_at* is when the answer had been read, where nothing of it had to be waited for any more by then.
    *sent_at* is when the request went out, if there was an answer: connecting takes time, as does a busy
    loop. *dropped* names the caller's fields that did not go out, or that the answer does not honour; of one
    that went out with another value it says which: ``temperature=1.5``. *facts* are what the answer says of
    counters. With a *content_type* the stream is bytes of this type, which travel as they are, and not the
    payloads of chunks.
    """

    outcome: Outcome
    answer: Answer | None = None
    stream: EventStream | None = None
    sent_at: Now | None = None
    head_at: Now | None = None
    read_at: Now | None = None
    dropped: tuple[str, ...] = ()
    facts: tuple[RateFact, ...] = ()
    content_type: str | None = None


class Upstream(Protocol):
    """Talks to one provider once. Never chooses, retries or counts."""

    async def send(self, call: ChatCall, candidate: Candidate, terms: Terms) -> Sent:
        """Make the call; every failure is an outcome. Cancelling it closes the connection."""
        ...


class Counters(Protocol):
    """Counters of every pool, with atomic verbs."""

    def fits_at(self, charges: Charges, now: Now) -> float:
        """Return when (mono) all *charges* fit together: ``now.mono`` if now, ``inf`` if never."""
        ...

    def acquire(self, charges: Charges, now: Now) -> Awaitable[Lease | Denied]:
        """Take all of *charges* or none; say until when the one that fits last is taken.

        What is a lease already is granted: nobody need await it.
        """
        ...

    async def sent(self, lease: Lease, now: Now) -> None:
        """Note that the call of *lease* went out only at *now*, and is counted as much later."""
        ...

    def confirm(self, lease: Lease, now: Now) -> Awaitable[bool]:
        """Note that the provider's answer began: it counted the call at this moment at the latest.

        Say whether there is more room now: the first answers under an unknown limit let more calls go.
        `served.NO` says that there is not: nobody need await it.
        """
        ...

    def settle(self, lease: Lease, actual: Mapping[Unit, float], now: Now) -> Awaitable[None]:
        """End *lease* and free its slot; it took the *actual* amounts, of other units as charged.

        `served.DONE` says that this has happened: nobody need await it.
        """
        ...

    async def cancel(self, lease: Lease, now: Now) -> None:
        """End *lease* as if it had never been: nothing can have been counted."""
        ...

    async def learn(self, lease: Lease, facts: Sequence[RateFact], now: Now) -> bool:
        """Correct the counters of *lease* by what the answer to its call says; say whether any changed.

        Of a call that failed this comes after its lease has ended, so that it is known what it cost.
        """
        ...

    async def begin(self, pool: Pool, fact: RateFact, now: Now) -> None:
        """Count for *pool* from now on, beginning with what *fact*, which made it known, says is used."""
        ...

    async def refused(self, lease: Lease, outcome: Outcome, facts: Sequence[RateFact], now: Now) -> bool:
        """Measure a limit: the call of *lease*, which has ended, fitted, and was refused as out of quota.

        Pools that *facts* tell of are not meant. Say whether anything changed.
        """
        ...

    def ceiling(self, pool: Pool, now: Now) -> float:
        """Return the present limit of *pool*: learned, else given; ``inf`` if nobody knows it."""
        ...

    def left(self, pools: Sequence[Pool], now: Now) -> float:
        """Return the smallest share (0 to 1) of quota left over *pools*, concurrency apart; 1 without any."""
        ...

    def lead(self, pools: Sequence[Pool], now: Now) -> float:
        """Return how far the scarcest of *pools* is ahead of its clock, -1 to 1; concurrency apart.

        A calendar window's lead is its share left minus the share of its time left; any other window comes
        back by itself, so its lead is its share left. 1 without any pool.
        """
        ...

    def remaining(self, pools: tuple[Pool, ...], now: Now) -> tuple[list[float], list[float]]:
        """Return the limits of *pools*, and in turn what is left of each and in how many seconds it is whole.

        They are asked for by the same tuple each time, as charges are.
        """
        ...

    def readings(self, pools: Sequence[Pool], now: Now) -> list[Reading]:
        """Return where *pools* stand."""
        ...

    def adopt(self, pools: Iterable[Pool], now: Now) -> None:
        """Go on with *pools* after a reload: use is kept, limits become those of *pools*."""
        ...

    def unlearn(self, pools: Iterable[Pool], now: Now) -> list[Pool]:
        """Go by what *pools* were given with, not by what answers taught; return those that had learned."""
        ...


class KeyChecks(Protocol):
    """Asks providers about keys, by calls that cost no quota."""

    async def check(self, provider: Provider, key: Key) -> Verdict:
        """Ask about *key* once; whatever keeps the provider from telling is a verdict too: unknown."""
        ...


ClientChange = Callable[[tuple[Client, ...]], tuple[Client, ...]]


class ClientStore(Protocol):
    """Keeps the clients that were added at run time; others may change it at any time."""

    def read(self) -> tuple[Client, ...]:
        """Return the clients; raises ConfigError if they cannot be read."""
        ...

    def update(self, change: ClientChange) -> tuple[Client, ...]:
        """Replace them by what *change* makes of them, nobody coming between; what it raises changes nothing.

        Raises ConfigError if they cannot be read or written.
        """
        ...

    def mark(self) -> object:
        """Return what differs once they have been changed; None while nothing is kept."""
        ...


class AuditTrail(Protocol):
    """Keeps what was changed, by whom. Its verbs wait for a disk: they are for threads."""

    def append(self, entry: Entry) -> None:
        """Keep *entry*, for good once this returns; raises ConfigError if that cannot be."""
        ...

    def newest(self, wanted: Wanted) -> list[Entry]:
        """Return the entries that are *wanted*, the last first; raises ConfigError."""
        ...


class Contents(Protocol):
    """Keeps what requests ask and are told, where the operator wants that."""

    def begin(self, call: ChatCall, context: CallContext) -> Transcript | None:
        """Return what takes *call* down; None if it is not to be kept."""
        ...

    def keep(self, receipt: Receipt, transcript: Transcript) -> None:
        """Keep what was taken down of a finished request. Must not raise and must not wait."""
        ...


class Observer(Protocol):
    """Reads receipts. Must not raise and must not wait."""

    def saw(self, receipt: Receipt) -> None:
        """Take note of a finished request."""
        ...


class KeptResponse(Struct, frozen=True):
    """A response that its caller may come back to: *response* as it was told, in JSON.

    *holder* is whose it is, *at* when it was told (Unix time). *items* is the JSON list of what was said up
    to it, in this request and in those that it went on with.
    """

    id: str
    holder: str
    at: float
    response: bytes
    items: bytes

    @property
    def size(self) -> int:
        """Return the bytes of its texts."""
        return len(self.response) + len(self.items)


class ResponseStore(Protocol):
    """Keeps responses for those who got them, where the operator wants that. Nobody is told of another's."""

    def keeps(self, client: Client | None) -> bool:
        """Say whether responses to *client* are kept."""
        ...

    def keep(self, kept: KeptResponse) -> bool:
        """Keep *kept*, to be found at once; say whether there is room. Must not raise and must not wait."""
        ...

    async def find(self, response_id: str, holder: str) -> KeptResponse | None:
        """Return what *holder* was told as *response_id*, None if nothing; raises RecordsUnavailable."""
        ...

    async def forget(self, response_id: str, holder: str) -> bool:
        """Keep it no longer, and say whether it was there; raises RecordsUnavailable."""
        ...
