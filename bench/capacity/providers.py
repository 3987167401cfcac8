"""Simulated providers on real sockets: what each enforces, how it fails, and everything it saw."""

import asyncio
import contextlib
import math
import random
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Literal

import msgspec
from msgspec import Struct

from bench.capacity import words
from bench.capacity.quotas import Entry, Limit, Quota
from bench.capacity.web import Connection, Request, Server, head

DELAY = (0.05, 0.3)
"""How long the network takes each way, in seconds, different for every call: near and far data centres."""

MODEL = "chat"
EVENTS = 4  # of a stream, besides its beginning and its end

Fault = Literal["", "error", "hang", "cut", "reset"]
KeyState = Literal["good", "invalid", "unpaid", "spent"]


class Phase(Struct, frozen=True):
    """How a provider is for some *seconds*; *first_token* is its own unless given."""

    seconds: float
    fault: Fault = ""
    first_token: float | None = None


class Key(Struct, frozen=True):
    """A key with an account of its own, and what has become of it."""

    secret: str
    state: KeyState = "good"


class Pool(Struct, frozen=True, kw_only=True):
    """A provider. *limits* hold for each account; *published* is what it says of them, if that differs.

    *gone* are models that answer 404 or 410. *retry_after* says whether a 429 tells when to come back,
    *headers* whether every answer tells the state of the minute. *phases* are gone through in turn.
    """

    name: str
    limits: tuple[Limit, ...]
    published: tuple[Limit, ...] | None = None
    keys: tuple[Key, ...] = (Key("key-1"),)
    gone: dict[str, int] = {}
    first_token: float = 0.4
    tokens_per_second: float = 200.0
    retry_after: bool = True
    headers: bool = False
    phases: tuple[Phase, ...] = (Phase(math.inf),)

    @property
    def told(self) -> tuple[Limit, ...]:
        """Return the limits as the provider publishes them."""
        return self.limits if self.published is None else self.published

    @property
    def accounts(self) -> int:
        """Return how many keys can be used."""
        return sum(key.state == "good" for key in self.keys)

    def phase(self, seconds: float) -> tuple[int, Phase]:
        """Return the phase after so many *seconds*, and its number."""
        number = 0
        while True:
            phase = self.phases[number % len(self.phases)]
            if seconds < phase.seconds:
                return number, phase
            seconds -= phase.seconds
            number += 1


class Seen(Struct, eq=False):
    """One call as a provider saw it, times by the loop's clock; *call* is -1 for a probe.

    It was *received* off the wire, *counted* a network delay later unless it was refused, and its answer's
    *head* was sent back. *status* is None where nothing was answered.
    """

    pool: str
    call: int
    key: str
    model: str
    received: float
    counted: float | None = None
    head: float | None = None
    status: int | None = None
    fault: Fault = ""
    phase: int = 0
    refused: bool = False

    @property
    def took(self) -> float:
        """Return the seconds until the answer began."""
        return 0.0 if self.head is None else self.head - self.received


class Provider:
    """One provider, with fresh counters."""

    def __init__(self, pool: Pool, zone: str, wall: Callable[[], float], seed: str) -> None:
        """Count days in *zone* by *wall*; delays follow *seed* and the call alone."""
        self.pool = pool
        self.seen: list[Seen] = []
        self.by_call: dict[int, Seen] = {}
        self.checks: list[tuple[str, str]] = []
        self.quotas = {key.secret: [Quota(limit, zone) for limit in pool.limits] for key in pool.keys}
        self.server = Server(self._answer)
        self.began = asyncio.get_running_loop().time()
        self._keys = {key.secret: key.state for key in pool.keys}
        self._wall = wall
        self._seed = seed

    @property
    def now(self) -> float:
        """Return the loop's time."""
        return asyncio.get_running_loop().time()

    def phase(self) -> tuple[int, Phase]:
        """Return how the provider is at the moment."""
        return self.pool.phase(self.now - self.began)

    def fits_in(
        self, key: str, prompt: int, *, coming: Sequence[int] = (), output: int = 0, delay: float = 0.0
    ) -> float:
        """Return in how many seconds a call with such a *prompt* fits if it arrives after *delay*.

        *coming* are the prompts of calls on their way here, *output* the tokens that those under way, and it
        itself, will still take.
        """
        return max(
            (self._fits_in(quota, prompt, coming, output, delay) for quota in self.quotas[key]), default=0.0
        )

    def _fits_in(self, quota: Quota, prompt: int, coming: Sequence[int], output: int, delay: float) -> float:
        amount = quota.charge(prompt) + sum(map(quota.charge, coming))
        amount += output if quota.limit.unit == "tokens" else 0
        return quota.fits_in(amount, self.now + delay, self._wall() + delay)

    async def _answer(self, request: Request, back: Connection) -> None:
        if request.method != "POST":
            self._check(request, back)
            return
        body = msgspec.json.decode(request.body)
        number, phase = self.phase()
        seen = Seen(
            self.pool.name, words.call_of(request.body), request.bearer, body["model"], self.now, phase=number
        )
        self.seen.append(seen)
        self.by_call[seen.call] = seen
        rng = random.Random(f"{self._seed} {self.pool.name} {seen.call}")
        await asyncio.sleep(rng.uniform(*DELAY))
        down = rng.uniform(*DELAY)
        prompt = sum(words.tokens_of(message["content"]) for message in body["messages"])
        if (refusal := self._refusal(seen, prompt)) is not None:
            await asyncio.sleep(down)
            self._told(seen, refusal[0])
            back.json(*refusal)
            return
        entries = self._taken(seen, prompt)
        try:
            await self._counted(seen, body, prompt, phase, down, back)
        finally:
            for quota, entry in entries:
                quota.end(entry)

    async def _counted(
        self, seen: Seen, body: dict[str, object], prompt: int, phase: Phase, down: float, back: Connection
    ) -> None:
        """Answer a call that was let in, as the *phase* has it."""
        output = int(str(body.get("max_tokens", 16)))
        seen.fault = phase.fault
        if phase.fault:
            await self._fail(seen, phase.fault, down, back)
            return
        first = self.pool.first_token if phase.first_token is None else phase.first_token
        rest = output / self.pool.tokens_per_second
        if body.get("stream"):
            await asyncio.sleep(first + down)
            self._told(seen, 200)
            self._begin(seen, back)
            for number in range(EVENTS):
                said = "word " * (output * (number + 1) // EVENTS - output * number // EVENTS)
                back.chunk(words.event(seen.model, {"content": said}))
                await asyncio.sleep(rest / EVENTS)
            self._produced(seen, output)
            back.chunk(words.event(seen.model, {}, "stop") + words.last_event(seen.model, prompt, output))
            back.chunk(b"")
        else:
            await asyncio.sleep(first + rest)
            self._produced(seen, output)
            await asyncio.sleep(down)
            self._told(seen, 200)
            back.json(200, words.answer(seen.model, prompt, output), self._headers(seen.key))

    async def _fail(self, seen: Seen, fault: Fault, down: float, back: Connection) -> None:
        if fault == "hang":
            await back.left()
            return
        await asyncio.sleep(self.pool.first_token + down)
        if fault == "error":
            self._told(seen, 500)
            back.json(500, _error("The server had an error", "server_error"))
        elif fault == "reset":
            back.reset()
        else:
            # The head and a beginning without a word of text, then nothing.
            self._told(seen, 200)
            self._begin(seen, back)
            back.close()

    def _begin(self, seen: Seen, back: Connection) -> None:
        fields = {"content-type": "text/event-stream", "transfer-encoding": "chunked"}
        back.write(head(200, fields | self._headers(seen.key)))
        back.chunk(words.event(seen.model, {"role": "assistant", "content": ""}))

    def _told(self, seen: Seen, status: int) -> None:
        seen.status, seen.head = status, self.now

    def _refusal(self, seen: Seen, prompt: int) -> tuple[int, object, dict[str, str]] | None:
        """Return the answer to a call that is not let in, as status, body and headers."""
        state = self._keys.get(seen.key, "invalid")
        if state == "invalid":
            return 401, _error("Incorrect API key provided", "invalid_api_key"), {}
        if state == "unpaid":
            return 402, _error("Insufficient balance", "payment_required"), {}
        if (status := self.pool.gone.get(seen.model)) is not None:
            return status, _error(f"The model {seen.model} does not exist", "model_not_found"), {}
        if state == "spent":
            return self._too_many(seen, "You exceeded your daily quota", 3600.0)
        wait = self.fits_in(seen.key, prompt)
        if wait <= 0:
            return None
        return self._too_many(seen, "Rate limit reached", wait)

    def _too_many(self, seen: Seen, said: str, wait: float) -> tuple[int, object, dict[str, str]]:
        seen.refused = True
        tells = self.pool.retry_after and math.isfinite(wait)
        headers = {"retry-after": str(math.ceil(wait))} if tells else {}
        return 429, _error(said, "rate_limit_exceeded"), headers | self._headers(seen.key)

    def _taken(self, seen: Seen, prompt: int) -> list[tuple[Quota, Entry]]:
        seen.counted = self.now
        quotas = self.quotas[seen.key]
        return [(quota, quota.take(quota.charge(prompt), self.now, self._wall())) for quota in quotas]

    def _produced(self, seen: Seen, output: int) -> None:
        for quota in self.quotas[seen.key]:
            if quota.limit.unit == "tokens":
                quota.take(output, self.now, self._wall())

    def _headers(self, key: str) -> dict[str, str]:
        told: dict[str, str] = {}
        for quota in self.quotas.get(key, ()) if self.pool.headers else ():
            if quota.limit.per == "minute":
                left = quota.limit.amount - quota.used(self.now, self._wall())
                told[f"x-ratelimit-limit-{quota.limit.unit}-minute"] = str(quota.limit.amount)
                told[f"x-ratelimit-remaining-{quota.limit.unit}-minute"] = str(max(0, int(left)))
        return told

    def _check(self, request: Request, back: Connection) -> None:
        """Answer a look at the models: free, and telling whether the key is good."""
        state = self._keys.get(request.bearer, "invalid")
        self.checks.append((request.bearer, request.path))
        if state == "invalid":
            back.json(401, _error("Incorrect API key provided", "invalid_api_key"))
        else:
            back.json(200, {"object": "list", "data": [{"id": MODEL, "object": "model"}]})


def _error(message: str, code: str) -> object:
    return {"error": {"message": message, "type": "error", "code": code}}


class Fleet(Struct, frozen=True):
    """Providers that run, by name, and what they count their days by."""

    providers: dict[str, Provider]
    zone: str

    @property
    def seen(self) -> list[Seen]:
        """Return every call that any of them saw, as they came."""
        return sorted(
            (seen for one in self.providers.values() for seen in one.seen), key=lambda seen: seen.received
        )


@contextlib.asynccontextmanager
async def running(
    pools: Sequence[Pool], zone: str, wall: Callable[[], float], seed: str
) -> AsyncIterator[Fleet]:
    """Run *pools*, each on a port of its own."""
    providers = {pool.name: Provider(pool, zone, wall, seed) for pool in pools}
    async with contextlib.AsyncExitStack() as stack:
        for provider in providers.values():
            await provider.server.start()
            stack.push_async_callback(provider.server.close)
        yield Fleet(providers, zone)
