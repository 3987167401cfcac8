"""Connections made before anybody asks, so that the first request to a provider waits for no handshake."""

import asyncio
import contextlib
from collections.abc import Collection, Iterable
from typing import Protocol, runtime_checkable

from freeroute.domain.catalogue import Provider

# Own design: whoever asks at once is answered first, and an idle connection costs a provider nothing.
PAUSE = 0.5
AT_ONCE = 4


@runtime_checkable
class Warmable(Protocol):
    """A transport that can have a connection wait for its first request."""

    async def warm(self, url: str) -> None:
        """Have one to where *url* leads, if there is none; raises nothing."""
        ...


class Warming:
    """Opens a connection to each provider, in the background and a few at a time; nothing is sent on it."""

    def __init__(self, transport: object) -> None:
        """Open them by *transport*, if that can."""
        self._transport = transport if isinstance(transport, Warmable) else None
        self._task: asyncio.Task[None] | None = None

    def begin(self, providers: Iterable[Provider], off: Collection[str]) -> None:
        """Open connections to *providers* that are not *off*, in a moment, and no others any more."""
        if self._transport is None:
            return
        if self._task is not None:
            self._task.cancel()
        urls = dict.fromkeys(one.base_url for one in providers if one.id not in off)
        self._task = asyncio.create_task(self._run(self._transport, list(urls)))

    async def stop(self) -> None:
        """Open no more."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self, transport: Warmable, urls: list[str]) -> None:
        await asyncio.sleep(PAUSE)
        left = iter(urls)

        async def some() -> None:
            for url in left:
                await transport.warm(url)

        await asyncio.gather(*(some() for _ in range(AT_ONCE)))
