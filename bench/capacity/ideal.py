"""The ideal scheduler: it sees the providers' own counters, health and keys, and not the future."""

import asyncio
import contextlib
import math
from collections.abc import Iterator

import msgspec
from msgspec import Struct

from bench.capacity import words
from bench.capacity.callers import WAIT
from bench.capacity.naive import named
from bench.capacity.providers import DELAY, MODEL, Fleet, Provider
from bench.capacity.web import Connection, Request, Server, asked

SLOW = 2.0  # seconds to the first token that it does not put up with


class Waiter(Struct, eq=False):
    """A call that waits, with its tokens, until it is its turn at a provider, with a key."""

    call: int
    client: str
    prompt: int
    output: int
    turn: "asyncio.Future[tuple[Provider, str]]"


class Offer(Struct, frozen=True):
    """Where a call fits in *wait* seconds."""

    wait: float
    provider: Provider
    key: str


class Ideal:
    """The scheduler, on a port of its own: fair between clients, first come first served within one."""

    def __init__(self, fleet: Fleet) -> None:
        """Fill the tightest and the fastest of *fleet* first: the roomy ones stay free for large calls."""
        self.server = Server(self._answer)
        self._providers = sorted(fleet.providers.values(), key=lambda one: (_room(one), one.pool.first_token))
        self._waiting: list[Waiter] = []
        self._served: dict[str, float] = {}
        self._under_way: dict[str, dict[int, Waiter]] = {name: {} for name in fleet.providers}
        self._timer: asyncio.TimerHandle | None = None

    async def close(self) -> None:
        """Stop."""
        if self._timer is not None:
            self._timer.cancel()
        await self.server.close()

    async def _answer(self, request: Request, back: Connection) -> None:
        waiter = _waiter(request)
        self._join(waiter)
        try:
            async with asyncio.timeout(WAIT):
                provider, key = await waiter.turn
        except TimeoutError:
            self._waiting.remove(waiter)
            back.json(429, {"error": {"message": "No capacity in time", "code": "capacity_exhausted"}})
            return
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            body, headers = named(request.body, MODEL), {"authorization": f"Bearer {key}"}
            async with asked(provider.server.port, body, headers) as exchange:
                back.write(exchange.raw)
                async for piece in exchange.rest():
                    back.write(piece)
        back.close()
        del self._under_way[provider.pool.name][waiter.call]
        self._grant()

    def _join(self, waiter: Waiter) -> None:
        clients = {one.client for one in self._waiting}
        if waiter.client not in clients:
            # Having been away saves nothing up.
            least = min((self._served[client] for client in clients), default=0.0)
            self._served[waiter.client] = max(self._served.get(waiter.client, 0.0), least)
        self._waiting.append(waiter)
        self._grant()

    def _grant(self) -> None:
        """Give everybody what there is, and come back when there is more."""
        if self._timer is not None:
            self._timer.cancel()
        soonest, refused = math.inf, math.inf
        kept: Provider | None = None  # for the first large call that waits
        for waiter in list(self._in_turn()):
            if waiter.turn.done() or waiter.prompt >= refused:
                continue
            offer = self._best(waiter, kept)
            if offer is None:
                continue
            if offer.wait <= 0:
                self._give(waiter, offer)
                continue
            soonest, refused = min(soonest, offer.wait), waiter.prompt
            kept = kept or offer.provider
        if soonest < math.inf:
            # Never by less than a timer can tell apart.
            self._timer = asyncio.get_running_loop().call_later(max(soonest, 0.001), self._grant)

    def _give(self, waiter: Waiter, offer: Offer) -> None:
        self._waiting.remove(waiter)
        self._served[waiter.client] += 1
        self._under_way[offer.provider.pool.name][waiter.call] = waiter
        waiter.turn.set_result((offer.provider, offer.key))

    def _in_turn(self) -> Iterator[Waiter]:
        served = dict(self._served)
        queues: dict[str, list[Waiter]] = {}
        for waiter in self._waiting:
            queues.setdefault(waiter.client, []).append(waiter)
        while queues:
            client = min(queues, key=served.__getitem__)
            yield queues[client].pop(0)
            served[client] += 1
            if not queues[client]:
                del queues[client]

    def _best(self, waiter: Waiter, kept: Provider | None) -> Offer | None:
        """Return the first provider with room now, else the one that has it first; None if none ever has."""
        best: Offer | None = None
        for provider in self._providers:
            phase = provider.phase()[1]
            if provider is kept or phase.fault or (phase.first_token or 0.0) > SLOW:
                continue
            for key in provider.pool.keys:
                if key.state != "good":
                    continue
                wait = self._fits_in(provider, key.secret, waiter)
                if wait < (best.wait if best else math.inf):
                    best = Offer(wait, provider, key.secret)
                if wait <= 0:
                    return best
        return best

    def _fits_in(self, provider: Provider, key: str, waiter: Waiter) -> float:
        """Return the seconds until *waiter* may be sent, so as to arrive no earlier than its slot is free."""
        coming, output = [], waiter.output
        for call, other in self._under_way[provider.pool.name].items():
            seen = provider.by_call.get(call)
            if seen is not None and seen.key != key:
                continue
            output += other.output
            if seen is None or seen.counted is None:
                coming.append(other.prompt)
        return provider.fits_in(key, waiter.prompt, coming=coming, output=output, delay=DELAY[0])


def _room(provider: Provider) -> float:
    tokens = [limit.amount for limit in provider.pool.limits if limit.unit == "tokens"]
    return min(tokens, default=math.inf)


def _waiter(request: Request) -> Waiter:
    body = msgspec.json.decode(request.body)
    prompt = sum(words.tokens_of(message["content"]) for message in body["messages"])
    turn = asyncio.get_running_loop().create_future()
    return Waiter(words.call_of(request.body), request.bearer, prompt, body["max_tokens"], turn)
