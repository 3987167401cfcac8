"""Gateways on real sockets, on the event loop they run on in production where there is one."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.live import Live, live, pair
from tests.support.patience import OURS, LoopFactory

Run = Callable[..., Awaitable[Live]]


def pytest_asyncio_loop_factories(config, item) -> dict[str, LoopFactory]:
    return {"loop": OURS}


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
