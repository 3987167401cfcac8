"""Every fault a provider, the way to it, a caller or a clock can have, each in a test of its own.

The gateway runs as it does in production: on a real socket, over real sockets to its providers. What stands
there is played byte by byte (`tests.support.provider`) or simulated with a provider's own words. Windows,
holds and breakers follow a clock that is moved by hand; time-outs are real and short.

Each test says three things: what the caller got (status, headers, and the body or the events, to the byte),
what was charged, and who was blamed. The fourth is asked after each of them by the fixtures: nothing is left
(no call in flight, open connection, held lease, waiter or task), and the log holds no key and no word of the
caller's.

| File | Faults |
|---|---|
| ``test_ways`` | of the way there: refused, no name, TLS, resets, HTTP that is none, pooled connections |
| ``test_silence`` | of time: nothing comes, or late; a clock that is set |
| ``test_answers`` | answers of 2xx that are none |
| ``test_streams`` | streams that break, and streams in every legal spelling |
| ``test_refusals`` | refusals by a provider: faults of its own, quota, keys, models |
| ``test_requests`` | refusals of the request: parameters, sizes, content; and when nobody is left |
| ``test_callers`` | callers that leave, read slowly, or come all at once |
| ``test_dialects`` | quota and refusals in the words, headers and windows of real providers |
"""

import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from freeroute.observe.logs import set_up
from tests.faults.scene import KEYS, Play, Scene, nothing_is_left, nothing_is_told, played
from tests.support.live import Live, live, pair
from tests.support.patience import OURS, LoopFactory
from tests.support.provider import ANSWERS, PlayedProvider, Reply
from tests.support.servers import nobody_listens, serve

Run = Callable[..., Awaitable[Live]]


def pytest_asyncio_loop_factories(config, item) -> dict[str, LoopFactory]:
    return {"loop": OURS}


@pytest.fixture(params=[False, True], ids=["json", "sse"])
def stream(request) -> bool:
    return request.param


@pytest.fixture
def closed_port() -> Iterator[int]:
    with nobody_listens() as port:
        yield port


@pytest.fixture
def log(capsys) -> Iterator[Callable[[], str]]:
    """Log all there is, without the net that takes keys out; gives what was written so far."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    written: list[str] = []

    def read() -> str:
        written.append(capsys.readouterr().err)
        return "".join(written)

    set_up("json", "debug")
    yield read
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
async def run(tmp_path: Path, log) -> AsyncIterator[Run]:
    """Start a gateway over simulated providers: ``alpha``, which is asked first, and ``beta``."""
    async with contextlib.AsyncExitStack() as stack:
        begun: list[Live] = []

        async def run(providers: dict[str, Any] | None = None, **sections: Any) -> Live:
            gateway = await stack.enter_async_context(live(tmp_path, providers or pair(), **sections))
            begun.append(gateway)
            return gateway

        yield run
        for gateway in begun:
            await nothing_is_left(gateway)
    nothing_is_told(log())


@pytest.fixture
async def play(tmp_path: Path, log) -> AsyncIterator[Play]:
    """Start a gateway over two providers that are played; alpha gives the replies of the test in turn.

    *beta* is the one reply of beta, *others* further providers with theirs, asked after both. *every* are
    settings that all of them have, *alpha* those that it has alone; PORT in its ``base_url`` is its port,
    *keys* is how many keys it has.
    """
    async with contextlib.AsyncExitStack() as stack:
        scenes: list[Scene] = []

        async def play(
            *replies: Reply,
            beta: Reply = ANSWERS,
            alpha: dict[str, Any] | None = None,
            every: dict[str, Any] | None = None,
            keys: int = 1,
            others: dict[str, Reply] | None = None,
            tls: Any = None,
            **sections: Any,
        ) -> Scene:
            named = {"alpha": PlayedProvider(*(replies or (ANSWERS,))), "beta": PlayedProvider(beta)}
            named |= {name: PlayedProvider(reply) for name, reply in (others or {}).items()}
            servers = {
                name: await stack.enter_async_context(serve(one, tls if name == "alpha" else None))
                for name, one in named.items()
            }
            secrets = {"alpha": KEYS[:keys], "beta": KEYS[2:]}
            settings = {
                name: played(server.url("/v1"), secrets.get(name, [f"{name}-key"]), 90 - 10 * at)
                | (every or {})
                for at, (name, server) in enumerate(servers.items())
            }
            settings["alpha"] |= alpha or {}
            of_alpha = settings["alpha"]
            of_alpha["base_url"] = of_alpha["base_url"].replace("PORT", str(servers["alpha"].port))
            gateway = await stack.enter_async_context(live(tmp_path, settings, **sections))
            scenes.append(Scene(gateway, named, servers))
            return scenes[-1]

        yield play
        for scene in scenes:
            await nothing_is_left(scene.gateway, scene.providers.values(), scene.servers.values())
    nothing_is_told(log())
