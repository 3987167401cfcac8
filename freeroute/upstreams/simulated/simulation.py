"""Simulated providers: the transport seam without a network, for the demo, the tests and the benches.

What leaves here are a provider's own bytes - status, headers, body - so that the adapters and the mapping
of endings run unchanged. Limits are counted by ``limits`` alone, never by the gateway's limiter.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from freeroute.clock import Clock, Now
from freeroute.engine.ports import Dispatch
from freeroute.upstreams.simulated import vectors
from freeroute.upstreams.simulated.catalogue import offers
from freeroute.upstreams.simulated.course import Course, Scene, course, other
from freeroute.upstreams.simulated.faults import Fault, Shorthand, Speed, parse_fault
from freeroute.upstreams.simulated.limits import Ledger, Rule
from freeroute.upstreams.simulated.pace import PacedExchange, Timer
from freeroute.upstreams.simulated.shapes import Dialect, Model, Request
from freeroute.upstreams.transport import Deadlines, Exchange, NameNotFound, TimedOut

_REMEMBERED = 10_000


class Call(Struct, eq=False):
    """What a provider saw of one chat request; *status* 0 means that no head was sent."""

    at: Now
    model: str = ""
    key: str | None = None
    stream: bool = False
    status: int = 0
    tokens: int = 0
    generated: int = 0
    aborted: bool = False
    fault: str | None = None


class SimulatedProvider:
    """One provider: its dialect, its models, its counts and its script of faults."""

    def __init__(
        self,
        dialect: Dialect,
        models: Sequence[Model],
        *,
        account_rules: Sequence[Rule] = (),
        speed: Speed | None = None,
        valid_keys: Iterable[str] = (),
        accounts: Mapping[str, str] | None = None,
        answer_tokens: tuple[int, int] = (30, 120),
    ) -> None:
        """Take *speed* for every model, or leave each its own; *accounts* names the account of a key."""
        self.id = dialect.id
        self.dialect = dialect
        self.models = {model.id: model for model in models}
        self.account_rules = tuple(account_rules)
        self.speed = speed
        self.valid_keys = set(valid_keys)
        self.accounts = dict(accounts or {})
        self.answer_tokens = answer_tokens
        self.calls: deque[Call] = deque(maxlen=_REMEMBERED)
        self.open: set[Call] = set()
        self._asked = 0
        self._ledgers: dict[str, Ledger] = {}
        self._script: deque[Fault | None] = deque()
        self._always: Fault | None = None
        self._slots = asyncio.Semaphore(dialect.parallel) if dialect.parallel else None

    def script(self, faults: Iterable[Shorthand]) -> None:
        """Let the coming chat requests end like this, one after the other; then normally again."""
        self._script.extend([parse_fault(fault) for fault in faults])

    def always(self, fault: Shorthand) -> None:
        """Let every request without a scripted fault end like this; None ends it."""
        self._always = parse_fault(fault)

    def accepts(self, key: str | None) -> bool:
        """Say whether *key* opens this provider: any demo key does, and the keys given."""
        return self.dialect.keyless or self._knows(key or "")

    def ledger(self, key: str | None = None) -> Ledger:
        """Return the counts of the account that *key* belongs to."""
        return self._ledgers.setdefault(self.accounts.get(key or "", "default"), Ledger())

    async def answer(self, request: Request, deadlines: Deadlines, seed: int, clock: Clock) -> Exchange:
        """Serve one request up to its head."""
        timer = Timer(deadlines)
        spoken = self.dialect.at(request.path) if request.method == "POST" else None
        if spoken is not None:
            return await self._chat(request, spoken, timer, seed, clock)
        scene = self._scene(request, self.dialect, seed, clock.now())
        script = vectors.served(scene, request) or other(scene, request)
        await timer.head(0.0)
        return PacedExchange(script, timer, lambda generated, aborted: None)

    def _scene(self, request: Request, spoken: Dialect, seed: int, now: Now) -> Scene:
        slots, queue = self.dialect.parallel, self.dialect.queue
        return Scene(
            dialect=spoken,
            models=self.models,
            account_rules=self.account_rules,
            ledger=self.ledger(request.key),
            accepted=self.accepts(request.key),
            # The request at hand is already among the open ones.
            crowded=bool(slots) and len(self.open) > slots + queue,
            speed=self.speed,
            answer_tokens=self.answer_tokens,
            seed=seed,
            ordinal=self._asked,
            now=now,
        )

    async def _chat(
        self, request: Request, spoken: Dialect, timer: Timer, seed: int, clock: Clock
    ) -> Exchange:
        self._asked += 1
        fault = self._script.popleft() if self._script else self._always
        call = Call(clock.now(), key=self._shown(request.key), fault=fault.kind if fault else None)
        self.calls.append(call)
        self.open.add(call)
        run = _Run(self, call, clock)
        try:
            made = run.made = course(self._scene(request, spoken, seed, call.at), request, fault)
            call.model, call.stream = made.model, made.stream
            if made.charge is not None and self._slots is not None:
                await timer.slot(self._slots)
                run.slot = self._slots
            run.working = True
            await timer.head(made.script.head_after)
            if made.broken is not None:
                raise made.broken
        except BaseException as reason:
            run.broken(timer.now() - timer.begun, reason)
            raise
        call.status = made.script.status
        return PacedExchange(made.script, timer, run.close)

    def _shown(self, key: str | None) -> str | None:
        # A key that is not one of ours may be a real one that lost its way.
        return key if key is None or self._knows(key) else "(unknown)"

    def _knows(self, key: str) -> bool:
        return key.startswith("demo") or key in self.valid_keys


class _Run:
    """A call under way: what must be given back when it ends."""

    def __init__(self, provider: SimulatedProvider, call: Call, clock: Clock) -> None:
        self._provider = provider
        self._call = call
        self._clock = clock
        self.made: Course | None = None
        self.slot: asyncio.Semaphore | None = None
        self.working = False

    def broken(self, elapsed: float, reason: BaseException) -> None:
        """End a call that got no head: the reader left, or the connection broke on our side."""
        generated = self.made.generated(elapsed) if self.made and self.working else 0
        self.close(generated, isinstance(reason, asyncio.CancelledError | TimedOut))

    def close(self, generated: int, aborted: bool) -> None:
        """End the call: free its slot, settle its cost, write its record."""
        if self.slot is not None:
            self.slot.release()
        self._provider.open.discard(self._call)
        self._call.generated, self._call.aborted = generated, aborted
        if self.made is not None:
            self._call.tokens = self.made.settle(generated, self._clock.now())


class Simulation:
    """A world of simulated providers behind the transport seam; hosts it does not know do not exist."""

    def __init__(self, seed: int, clock: Clock, providers: Sequence[SimulatedProvider]) -> None:
        """Put *providers* at their real addresses; *clock* turns their windows."""
        self.seed = seed
        self.clock = clock
        self.providers = {provider.id: provider for provider in providers}
        self._at = {origin: provider for provider in providers for origin in provider.dialect.origins}

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
        """Send a request to the provider whose address *url* is; it goes out at once."""
        parts = urlsplit(url)
        provider = self._at.get(f"{parts.scheme}://{parts.netloc}".lower())
        if provider is None:
            raise NameNotFound(f"{parts.hostname or url} is not part of the simulation")
        request = Request(method.upper(), unquote(parts.path), _bearer(headers), body)
        return await provider.answer(request, deadlines, self.seed, self.clock)

    async def close(self) -> None:
        """Nothing is pooled."""


def demo_providers() -> list[SimulatedProvider]:
    """Return all six providers with their real limits and usual speed."""
    return [SimulatedProvider(one.dialect, one.models, account_rules=one.account_rules) for one in offers()]


def _bearer(headers: Sequence[tuple[bytes, bytes]]) -> str | None:
    for name, value in headers:
        if name.lower() == b"authorization":
            scheme, _, key = value.decode("latin-1").partition(" ")
            return key.strip() or None if scheme.lower() == "bearer" else None
    return None
