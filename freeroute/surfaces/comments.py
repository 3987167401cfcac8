"""Something to hear now and then, for a caller that asked for it while it waits for its stream."""

import asyncio
from collections.abc import Mapping

from freeroute.surfaces.http import Request
from freeroute.wire.head import Head

# How long a caller that asked for comments is left without a byte, in seconds. Own design: proxies and
# clients close silent connections after 10 s and more, and most answers begin sooner than this.
_KEEPALIVE = 5.0
STREAM_HEADERS = Head(b"cache-control: no-cache\r\nx-accel-buffering: no\r\n")
"""Of every stream: a proxy that buffers would hold the first token back."""


class _Turn:
    """One at a time writes to the caller, and *last* is when somebody did."""

    def __init__(self) -> None:
        """Begin now."""
        self.last = asyncio.get_running_loop().time()
        self._lock = asyncio.Lock()

    async def __aenter__(self) -> None:
        """Wait for whoever writes."""
        await self._lock.acquire()

    async def __aexit__(self, *_: object) -> None:
        """Let others write."""
        self.last = asyncio.get_running_loop().time()
        self._lock.release()


class Comments:
    """Sends a comment whenever the caller has heard nothing for long: before the first event, which begins
    the reply, and between any two.

    A comment that comes first takes the head with it: what would have stood in it cannot be told any more.
    """

    def __init__(self, request: Request, stream_type: bytes, comment: bytes) -> None:
        """Send *comment* on behalf of *request*, whose events, of *stream_type*, take turns with it."""
        self._turn = _Turn()
        self._request = request
        self._type = stream_type
        self._comment = comment
        self._over = asyncio.Event()

    async def __aenter__(self) -> "Comments":
        """Begin to count the silence."""
        self._task = asyncio.create_task(self._send())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop between two comments: one that is being written is not cut."""
        self._over.set()
        await self._task

    async def begin(self, headers: Mapping[str, str]) -> None:
        """Begin the reply, unless a comment did."""
        async with self._turn:
            if not self._request.started:
                await self._request.begin(200, self._type, STREAM_HEADERS, headers)

    async def write(self, events: bytes) -> None:
        """Send *events* between the comments."""
        async with self._turn:
            await self._request.more(events)

    async def _send(self) -> None:
        while not await self._is_over((last := self._turn.last) + _KEEPALIVE):
            if self._turn.last == last:
                async with self._turn:
                    await self._say(last)

    async def _say(self, last: float) -> None:
        """Send a comment, unless somebody wrote while this waited for its turn."""
        if self._turn.last != last:
            return
        if not self._request.started:
            await self._request.begin(200, self._type, STREAM_HEADERS)
        await self._request.more(self._comment)

    async def _is_over(self, due: float) -> bool:
        try:
            async with asyncio.timeout_at(due):
                return await self._over.wait()
        except TimeoutError:
            return False
