"""Gateways on real sockets, on the event loop they run on in production where there is one."""

import asyncio
import contextlib
import importlib.util
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.live import Live, live, pair

Run = Callable[..., Awaitable[Live]]


def pytest_asyncio_loop_factories(config, item) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    loops = importlib.util.find_spec("uvloop")
    return {"loop": importlib.import_module("uvloop").new_event_loop if loops else asyncio.new_event_loop}


@pytest.fixture
async def run(tmp_path: Path) -> AsyncIterator[Run]:
    """Start a gateway: with ``alpha``, which is asked first, and ``beta`` unless told otherwise."""
    async with contextlib.AsyncExitStack() as stack:

        async def run(providers: dict[str, Any] | None = None, **sections: Any) -> Live:
            return await stack.enter_async_context(live(tmp_path, providers or pair(), **sections))

        yield run


@pytest.fixture(params=[False, True], ids=["json", "sse"])
def stream(request) -> bool:
    return request.param
