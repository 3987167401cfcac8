"""One request that meets a fault at ``alpha`` and, where that is right, moves on to ``beta``."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec
import pytest

from tests.support.live import PATIENT, Live, Reply, Shown, question, until
from tests.support.provider import ANSWERED, PlayedProvider
from tests.support.servers import Server
from tests.support.serving import RawCaller, post

# What no line of the log may hold: the caller's words and the keys.
PROMPT_TEXT = "Hello!"
KEYS = ("alpha-secret-key-1", "alpha-secret-key-2", "beta-secret-key-1")
# The question in tokens as the gateway estimates it, and what a whole answer to it takes.
PROMPT, ANSWER = 6, 5
# The caller's own order, which comes before every strategy.
ALPHA_FIRST: dict[str, Any] = {"provider": {"order": ["alpha", "beta"]}}
LIMITS = [
    {"unit": "requests", "amount": 100, "per": "minute"},
    {"unit": "tokens", "amount": 50_000, "per": "minute"},
    {"unit": "concurrency", "amount": 100},
]

# A question that no buffer on the way takes whole.
VAST: list[Any] = [{"role": "user", "content": "x" * 12_000_000}]
ROOMY: dict[str, Any] = {
    "limits": [
        {"unit": "requests", "amount": 100, "per": "minute"},
        {"unit": "tokens", "amount": 100_000_000, "per": "minute"},
    ]
}


class Stand(NamedTuple):
    """How a provider stands: requests and tokens taken, and who is blamed by what."""

    used: tuple[float, float]
    state: str = "healthy"
    why: str | None = None
    back_in: float | None = None
    breaker: str = "closed"


UNTOUCHED = Stand((0, 0))
SERVED = Stand((1, ANSWER))


def suspect(requests: float, tokens: float) -> Stand:
    """Return how a provider stands after one failure of its own."""
    return Stand((requests, tokens), "suspect")


def spent(back_in: float) -> Stand:
    """Return how a provider stands after a 429 for our quota, which takes nothing and is nobody's fault."""
    return Stand((0, 0), "resting", "out of quota, says the provider", back_in)


def stand_of(shown: Shown) -> Stand:
    """Return how the first candidate of a provider stands."""
    line = shown.told["candidates"][0]
    why, back_in = shown.held[0] if shown.held else (None, None)
    if shown.breaker != "closed":
        back_in = None  # chance adds to it
    return Stand(shown.used, line["state"], why, back_in, shown.breaker)


class Scene:
    """A gateway between a caller and two providers that are played."""

    def __init__(
        self, gateway: Live, providers: dict[str, PlayedProvider], servers: dict[str, Server]
    ) -> None:
        self.gateway = gateway
        self.clock = gateway.clock
        self.providers = providers
        self.servers = servers
        self.alpha = providers["alpha"]
        self.beta = providers["beta"]

    async def ask(self, stream: bool = False, **fields: Any) -> Reply:
        """Ask, and read the answer to its end."""
        return await self.gateway.ask(PROMPT_TEXT, stream=stream, **{**ALPHA_FIRST, **fields})

    async def stands(self, name: str = "alpha") -> Stand:
        """Return how a provider stands by what ``/v1/status`` says."""
        return stand_of(await self.gateway.provider(name))

    async def moves_on(self, stream: bool, ending: str, **fields: Any) -> Stand:
        """Ask once: alpha ends like that and beta answers, byte by byte. Returns how alpha stands."""
        reply = await self.ask(stream, **fields)
        assert (reply.status, reply.by) == (200, "beta")
        assert reply.raw == ANSWERED[stream]
        assert reply.trail == f"alpha/large={ending}"
        assert reply.headers["x-freeroute-attempts"] == "2"
        kind = "text/event-stream; charset=utf-8" if stream else "application/json"
        assert reply.headers["content-type"] == kind
        assert await self.stands("beta") == SERVED
        assert len(self.beta.calls) == 1
        return await self.stands()

    async def serves(self, stream: bool, expected: bytes | None = None, **fields: Any) -> Reply:
        """Ask once: alpha answers, whatever it does to the form, and beta is not asked."""
        reply = await self.ask(stream, **fields)
        assert (reply.status, reply.by, reply.trail) == (200, "alpha", "")
        assert reply.raw == (ANSWERED[stream] if expected is None else expected)
        assert await self.stands("beta") == UNTOUCHED
        assert not self.beta.calls
        return reply

    async def breaks_off(self, kind: str, before: bytes, **fields: Any) -> Stand:
        """Ask for a stream that dies after *before*: the caller is told so. Returns how alpha stands."""
        reply = await self.ask(True, **fields)
        assert (reply.status, reply.by, reply.ended) == (200, "alpha", True)
        assert reply.raw.startswith(before)
        *_, last, alone = reply.events
        assert (
            reply.raw.count(b"data: ") == before.count(b"data: ") + 3
        )  # the error in both ways, and the end
        assert last["choices"] == [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}]
        told = f"the provider stopped in the middle of its answer: {kind}"
        error = {"message": told, "type": "upstream_error", "param": None, "code": "upstream_failed"}
        assert last["error"] == alone["error"] == error
        assert (await self.gateway.last_request())["code"] == kind
        assert await self.stands("beta") == UNTOUCHED
        assert not self.beta.calls
        return await self.stands()


Play = Callable[..., Awaitable[Scene]]


def played(
    url: str, keys: Sequence[str], quality: int, model: dict[str, Any] | None = None, **given: Any
) -> dict[str, Any]:
    """Return the settings of a provider at *url* of which the catalogue knows nothing."""
    facts = {"id": "large", "quality": quality, "speed": {"tokens_per_second": 2000}, **(model or {})}
    plain = {"keys": list(keys), "models": [facts], "limits": LIMITS, "timeouts": PATIENT}
    return {"base_url": url, **plain, **given}


async def nothing_is_left(
    gateway: Live, providers: Iterable[PlayedProvider] = (), servers: Iterable[Server] = ()
) -> None:
    """Check that no call, connection, lease, waiter or task outlived its request."""
    ours = asyncio.current_task()
    await until(lambda: gateway.app.gateway.in_flight == 0)
    await until(lambda: len(gateway.app.gateway.loop.room) == 0)
    await until(lambda: not any(provider.busy for provider in providers))
    await until(lambda: not any(one.open for one in gateway.world.providers.values()))
    await until(lambda: asyncio.all_tasks() - _played(servers) - {ours} <= gateway.tasks)
    for provider in (await gateway.status())["providers"]:
        slots = [pool["used"] for pool in provider["pools"] if pool["label"] == "concurrency"]
        assert not any(slots), f"leases of {provider['id']} are still held"


def _played(servers: Iterable[Server]) -> set[Any]:
    return {task for server in servers for task in server.running}


def nothing_is_told(log: str) -> None:
    """Check that no line of the *log* holds a key or a word of the caller's."""
    for secret in (PROMPT_TEXT, *KEYS):
        assert secret not in log, f"the log tells {secret}"
    if "internal_error" in log or "Traceback" in log:
        pytest.fail(f"the gateway itself failed:\n{log}")


@contextlib.asynccontextmanager
async def calling(scene: Scene, stream: bool, **fields: Any) -> AsyncIterator[RawCaller]:
    """Ask on a connection of its own, and read nothing yet."""
    async with RawCaller.to(scene.gateway.url) as caller:
        asked = question(PROMPT_TEXT, stream=stream, **{**ALPHA_FIRST, **fields})
        await caller.send(post(msgspec.json.encode(asked), more="content-type: application/json\r\n"))
        yield caller
