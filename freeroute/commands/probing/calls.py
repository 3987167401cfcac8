"""The calls of ``freeroute probe``: what they are, how they are made, and all that came of them."""

from collections.abc import Sequence

from msgspec import Raw, Struct, structs

from freeroute.clock import Clock, Now
from freeroute.domain.catalogue import Candidate, Key, Model, Provider, candidates_of
from freeroute.domain.outcome import Kind
from freeroute.domain.usage import Demand
from freeroute.engine.ports import Dispatch, Sent, Terms
from freeroute.upstreams.kinds import Upstreams
from freeroute.upstreams.transport import Deadlines, Exchange, Passing, Transport
from freeroute.wire.chat import ChatCall

NO_SUCH_MODEL = "freeroute-no-such-model"
NO_SUCH_KEY = "freeroute-not-a-key"
# No provider takes one so high; those that do not look at it answer.
TEMPERATURE = b"99"
# Bytes of an answer that are kept. Own design: a refusal is shorter, and the rest of an answer says no more.
KEPT = 64 * 1024
_QUESTION = b'[{"role":"user","content":"Say ok."}]'


class Planned(Struct, frozen=True):
    """One call: *what* it is in words, who is asked how, and which endings are *expected*."""

    what: str
    candidate: Candidate
    call: ChatCall
    expected: tuple[Kind, ...]


class Made(Struct, frozen=True):
    """A call that was made: the bytes that came, and what freeroute took them for.

    *status* is None if no head came; *whole* says that the body is not cut.
    """

    planned: Planned
    sent: Sent
    at: Now
    seconds: float
    status: int | None
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes
    whole: bool


def plan(provider: Provider, model: Model, key: Key) -> list[Planned]:
    """Return the calls that show how *provider* answers and refuses, the harmless ones first."""
    candidate = _candidate(provider, model, key)
    nobodys = structs.replace(key, secret=NO_SUCH_KEY)
    absent = structs.replace(model, id=NO_SUCH_MODEL)
    # As it is: quirks would keep the value from getting there.
    quirks = provider.quirks
    clamps = {name: bounds for name, bounds in quirks.clamps.items() if name != "temperature"}
    drops = tuple(name for name in quirks.drops if name != "temperature")
    plain = structs.replace(provider, quirks=structs.replace(quirks, drops=drops, clamps=clamps))
    hot = _candidate(plain, model, key)
    return [
        Planned("a completion of one token", candidate, _call(model), (Kind.SERVED,)),
        Planned(
            "a model that does not exist",
            _candidate(provider, absent, key),
            _call(absent),
            (Kind.MODEL_GONE,),
        ),
        Planned(
            "a parameter out of its range (temperature 99)",
            hot,
            _call(model, temperature=Raw(TEMPERATURE)),
            (Kind.BAD_PARAMETER, Kind.REJECTED, Kind.SERVED),
        ),
        Planned("a wrong key", _candidate(provider, model, nobodys), _call(model), (Kind.KEY_INVALID,)),
    ]


def _candidate(provider: Provider, model: Model, key: Key) -> Candidate:
    (candidate,) = candidates_of(structs.replace(provider, models=(model,), keys=(key,)))
    return candidate


def _call(model: Model, **more: Raw) -> ChatCall:
    fields = {"messages": Raw(_QUESTION), "max_tokens": Raw(b"1"), **more}
    return ChatCall(fields=fields, model=model.id, demand=Demand(prompt=8, max_output=1))


async def make(planned: Planned, transport: Transport, clock: Clock) -> Made:
    """Make the call as the gateway would, and keep what came."""
    heard = Listening(transport)
    timeouts = planned.candidate.provider.timeouts
    terms = Terms(
        connect=timeouts.connect,
        first_event=timeouts.first_event,
        between_events=timeouts.between_events,
        total=timeouts.total,
        max_output=1,
        probe=True,
    )
    began = clock.now()
    upstream = Upstreams(heard, clock)[planned.candidate.provider.kind]
    sent = await upstream.send(planned.call, planned.candidate, terms)
    seconds = clock.now().mono - began.mono
    return Made(planned, sent, began, seconds, heard.status, heard.headers, bytes(heard.body), heard.whole)


class Listening:
    """A transport that notes the answer that comes by it."""

    def __init__(self, transport: Transport) -> None:
        """Send through *transport*."""
        self._transport = transport
        self.status: int | None = None
        self.headers: Sequence[tuple[bytes, bytes]] = ()
        self.body = bytearray()
        self.whole = True

    async def open(
        self,
        method: str,
        url: str,
        headers: Sequence[tuple[bytes, bytes]],
        body: bytes,
        deadlines: Deadlines,
        *,
        verify_tls: bool = True,
        proxy: str | None = None,
        dispatch: Dispatch | None = None,
    ) -> Exchange:
        """Open an exchange as the transport does, and listen to it."""
        exchange = await self._transport.open(
            method, url, headers, body, deadlines, verify_tls=verify_tls, proxy=proxy, dispatch=dispatch
        )
        self.status, self.headers = exchange.status, tuple(exchange.headers)
        return _Overheard(exchange, self)

    async def close(self) -> None:
        """Close the transport."""
        await self._transport.close()


class _Overheard:
    def __init__(self, exchange: Exchange, listening: Listening) -> None:
        self._exchange = exchange
        self._listening = listening
        self.sent_in, self.status = exchange.sent_in, exchange.status
        self.headers, self.telling = exchange.headers, exchange.telling
        self.onward: Passing | None = None  # all of it is to be heard

    @property
    def answer_by(self) -> float:
        return self._exchange.answer_by

    @answer_by.setter
    def answer_by(self, at: float) -> None:
        self._exchange.answer_by = at

    def rest(self) -> None:
        return None  # what is heard goes through `next`

    async def next(self) -> bytes:
        data = await self._exchange.next()
        room = KEPT - len(self._listening.body)
        self._listening.body += data[:room]
        self._listening.whole &= len(data) <= room
        return data

    def abort(self) -> None:
        self._exchange.abort()
