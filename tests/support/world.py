"""A gateway over scripted providers: the smallest world in which a request can be followed."""

import random
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import msgspec
import pytest
from msgspec import structs

from freeroute.domain.catalogue import (
    Catalogue,
    Key,
    Limit,
    MetaModel,
    Model,
    Provider,
    Unit,
    catalogue_of,
)
from freeroute.domain.outcome import Kind, Outcome
from freeroute.domain.receipt import Receipt
from freeroute.domain.usage import Demand, Usage
from freeroute.engine.attempts import Routing
from freeroute.engine.gateway import Gateway
from freeroute.engine.ports import Answer, Sent, Terms
from freeroute.engine.served import Onward, Served
from freeroute.errors import ApiError
from freeroute.stores.memory import MemoryCounters
from freeroute.wire.chat import CallContext, ChatCall
from tests.support.clocks import ManualClock

E = TypeVar("E", bound=ApiError)

USAGE = Usage(10, 20)
PER_MINUTE = Limit(Unit.REQUESTS, 30, 60.0, span="minute")


def model(model_id="m", **facts) -> Model:
    given = {"family": model_id, "context": 100_000, **facts}
    given["capabilities"] = frozenset(given.get("capabilities", ()))
    return Model(id=model_id, **given)


def provider(provider_id, *models, keys=("k1",), **facts) -> Provider:
    return Provider(
        id=provider_id,
        name=provider_id.title(),
        base_url=f"https://{provider_id}.test/v1",
        keys=tuple(k if isinstance(k, Key) else Key(f"secret-{k}", k) for k in keys),
        models=models or (model(),),
        **facts,
    )


def catalogue(*providers, metas: Sequence[MetaModel] = ()) -> Catalogue:
    return catalogue_of(list(providers), list(metas))


class ScriptedStream:
    """A stream that says its batches, then ends as told."""

    def __init__(self, batches: Iterable[Sequence[bytes]], outcome: Outcome, usage: Usage | None) -> None:
        self._batches = list(batches)
        self._ending = outcome
        self.usage = usage
        self.skipped = 0
        self.held = False
        self.onward: Onward | None = None
        self.owes_usage = False
        self.unread = 0.0
        self.lost: tuple[str, ...] = ()
        self.finish: str | None = None
        self.outcome: Outcome | None = None
        self.aborted = False

    async def next(self) -> Sequence[bytes]:
        if self._batches:
            return self._batches.pop(0)
        self.outcome = self._ending
        self.finish = "stop" if self._ending.kind is Kind.SERVED else None
        return ()

    def abort(self) -> None:
        self.aborted = True


class Scripted:
    """An upstream whose endings are written beforehand, by provider id; ``served`` once a script is used up.

    An ending is an Outcome, a Kind, a Sent, or an exception to raise. *connecting* takes so many seconds.
    """

    def __init__(self, clock: Any, seconds: float = 0.0, **scripts) -> None:
        self.scripts = {name: list(script) for name, script in scripts.items()}
        self.asked: list[str] = []
        self.terms: list[Terms] = []
        self.calls: list[ChatCall] = []
        self.connecting = 0.0
        self._clock = clock
        self._seconds = seconds

    async def send(self, call, candidate, terms) -> Sent:
        self.asked.append(candidate.id)
        self.terms.append(terms)
        self.calls.append(call)
        if self.connecting:
            terms.dispatch.unsent = True
            await self._clock.spend(self.connecting)
            terms.dispatch.unsent = False
        await self._clock.spend(self._seconds)
        script = self.scripts.get(candidate.provider.id)
        ending = script.pop(0) if script else Kind.SERVED
        if isinstance(ending, BaseException):
            raise ending
        dropped = tuple(sorted(terms.without - {"stream_options"}))
        if isinstance(ending, Sent):
            return ending
        outcome = ending if isinstance(ending, Outcome) else Outcome(ending)
        if outcome.kind is not Kind.SERVED:
            return Sent(outcome)
        if call.stream:
            return structs.replace(streamed(), dropped=dropped)
        answer = Answer(b'{"choices":[]}', Usage(10, 20), "stop")
        return Sent(outcome, answer=answer, head_at=self._clock.now(), dropped=dropped)

    @property
    def providers_asked(self) -> list[str]:
        return [name.split("/", 1)[0] for name in self.asked]


def streamed(*batches: Sequence[bytes], ending: Outcome | Kind = Kind.SERVED, usage=USAGE) -> Sent:
    outcome = ending if isinstance(ending, Outcome) else Outcome(ending)
    stream = ScriptedStream(batches or ([b"one"], [b"two", b"three"]), outcome, usage)
    return Sent(Outcome(Kind.SERVED), stream=stream)


class Receipts:
    """An observer that keeps what it saw."""

    def __init__(self) -> None:
        self.seen: list[Receipt] = []

    def saw(self, receipt: Receipt) -> None:
        self.seen.append(receipt)

    @property
    def last(self) -> Receipt:
        return self.seen[-1]


async def read(served: Served) -> list[bytes]:
    """Return everything a stream says."""
    payloads: list[bytes] = []
    while batch := await served.next():
        payloads.extend(batch)
    return payloads


class World:
    """A gateway, its clock, its upstream and its receipts."""

    def __init__(
        self,
        *providers,
        seconds=0.0,
        routing=None,
        max_wait=0.0,
        metas=(),
        no_train=False,
        counters=None,
        clock=None,
        **scripts,
    ) -> None:
        self.clock = clock or ManualClock()
        self.upstream = Scripted(self.clock, seconds, **scripts)
        self.counters: Any = counters or MemoryCounters()
        self.receipts = Receipts()
        self.gateway = Gateway(
            catalogue=catalogue(*providers, metas=metas),
            counters=self.counters,
            upstreams={"openai": self.upstream},
            clock=self.clock,
            observers=[self.receipts],
            routing=msgspec.structs.replace(routing or Routing(), max_wait=max_wait),
            no_train=no_train,
            rng=random.Random(7),
        )
        self._count = 0
        self._dice = random.Random(3)

    def context(self, **given) -> CallContext:
        self._count += 1
        given = {"dice": self._dice.random(), **given}
        return CallContext(request_id=f"r{self._count}", received=self.clock.now(), **given)

    async def ask(self, name="free", *, context=None, **given) -> Served:
        """Ask once and read the answer to its end; returns what was served."""
        served = await self.gateway.chat(call(name, **given), context or self.context())
        await read(served)
        await served.finish()
        return served

    async def fails(self, kind: type[E], name="free", *, context=None, match=None, **given) -> E:
        """Ask once; returns the error of *kind* that the gateway raised."""
        with pytest.raises(kind, match=match) as caught:
            await self.ask(name, context=context, **given)
        return caught.value

    def used(self, provider_id: str) -> list[float]:
        """Return what is used of each quota of *provider_id*'s first candidate."""
        pools = next(c.pools for c in self.gateway.catalogue.candidates if c.provider.id == provider_id)
        return [reading.used for reading in self.counters.readings(pools, self.clock.now())]

    @property
    def trail(self) -> list[tuple[str, Kind]]:
        """Whom the last request asked, and how each attempt ended."""
        return [(note.provider, note.kind) for note in self.receipts.last.attempts]

    def is_suspect(self, candidate_id) -> bool:
        return self.gateway.standing.suspect(self.candidate(candidate_id), self.clock.now())

    def candidate(self, candidate_id):
        return next(c for c in self.gateway.catalogue.candidates if c.id == candidate_id)


def two(**scripts) -> World:
    """Return a world of a provider "a" and a worse one "b", each with one model and a limit of requests."""
    better = model(quality=90)
    return World(provider("a", better, limits=(PER_MINUTE,)), provider("b", limits=(PER_MINUTE,)), **scripts)


def call(name="free", *, prompt=10, max_output=None, stream=False, needs=(), fields=(), **given) -> ChatCall:
    names = {"messages": b"[]", **dict.fromkeys(fields, b"1")}
    return ChatCall(
        fields={field: msgspec.Raw(raw) for field, raw in names.items()},
        model=name,
        demand=Demand(prompt, max_output),
        stream=stream,
        needs=frozenset(needs),
        **given,
    )
