"""Prompts and answers on their way to the database, for operators who want them kept."""

from collections import deque
from collections.abc import Iterator

from msgspec import Struct

from freeroute.domain.clients import Client
from freeroute.domain.receipt import Receipt
from freeroute.engine.view import Recording
from freeroute.stores.records.rows import Body
from freeroute.wire.chat import CallContext, ChatCall
from freeroute.wire.transcript import Transcript

WAITING = 16 * 2**20
"""Bytes of texts that wait in memory to be written. Own design: half a second of a busy gateway."""

AT_ONCE = 2**19
"""Bytes of texts that are written at once. Own design: encoded in a millisecond, for which streams wait."""


class Keeping(Struct, frozen=True):
    """What is kept: for *keep* seconds, *most* bytes in all and *longest* of each text.

    *clients* names those whose requests are meant; None means all.
    """

    keep: float
    most: int
    longest: int
    clients: frozenset[str] | None = None

    def means(self, client: Client | None) -> bool:
        """Say whether what *client* asks is meant."""
        return self.clients is None or (client is not None and client.name in self.clients)


class Bodies:
    """Takes down what requests ask and are told, unless they say no, until the recorder writes it."""

    def __init__(self, keeping: Keeping, state: Recording) -> None:
        """Keep what *keeping* says; what is lost is counted in *state*."""
        self.keeping = keeping
        self._state = state
        self._queue: deque[Body] = deque()
        self._waiting = 0

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._queue)

    def begin(self, call: ChatCall, context: CallContext) -> Transcript | None:
        """Return what takes *call* down, None if it is not to be kept."""
        meant = self.keeping.means(context.client)
        if not meant or not context.store or bytes(call.fields.get("store", b"")) == b"false":
            return None
        return Transcript(call, self.keeping.longest)

    def keep(self, receipt: Receipt, transcript: Transcript) -> None:
        """Keep what was taken down of a finished request."""
        size = transcript.size
        if self._waiting + size > WAITING:
            self._state.bodies_lost += 1
            return
        self._waiting += size
        self._queue.append(
            Body(
                at=receipt.at.wall,
                request_id=receipt.request_id,
                client=receipt.like.client,
                question=transcript.prompt,
                answer=transcript.answer,
                calls=transcript.calls,
                cut=transcript.cut,
                size=size,
            )
        )

    def taken(self) -> Iterator[Body]:
        """Give those that are written next; they wait no more."""
        room = AT_ONCE
        while self._queue and room > 0:
            body = self._queue.popleft()
            self._waiting -= body.size
            room -= body.size
            yield body

    def drop(self) -> None:
        """Lose what waits: there is no room for it."""
        self._state.bodies_lost += len(self._queue)
        self._queue.clear()
        self._waiting = 0
