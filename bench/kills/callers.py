"""Callers that remember when each of their requests was answered, to the last byte."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator

import msgspec

from bench.processes import LOOPBACK

clock = time.perf_counter

_RETRY = 0.01  # seconds before a caller that was cut off tries to connect again


class Callers:
    """So many callers at once, each asking again as soon as it is answered; every other answer is a stream.

    *answered* holds by request id when the answer was whole, by `clock`; *refused* counts those that were no
    200.
    """

    def __init__(self, port: int, model: str, count: int, numbers: Iterator[int]) -> None:
        """Ask the gateway at *port* for *model*; *numbers* are those of the requests."""
        self.answered: dict[str, float] = {}
        self.refused = 0
        self._port = port
        self._model = model
        self._count = count
        self._numbers = numbers

    @contextlib.asynccontextmanager
    async def asking(self) -> AsyncIterator[None]:
        """Ask meanwhile."""
        callers = [asyncio.create_task(self._ask_on()) for _ in range(self._count)]
        try:
            yield
        finally:
            for caller in callers:
                caller.cancel()
            await asyncio.gather(*callers, return_exceptions=True)

    async def _ask_on(self) -> None:
        while True:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                reader, writer = await asyncio.open_connection(LOOPBACK, self._port)
                try:
                    while True:
                        await self._ask(reader, writer)
                finally:
                    writer.close()
            await asyncio.sleep(_RETRY)

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = next(self._numbers)
        name = f"kills-{number}"
        writer.write(_request(self._port, self._model, name, stream=number % 2 == 0))
        status, body = await answer(reader)
        if status == 200 and body:
            self.answered[name] = clock()
        else:
            self.refused += 1


def _request(port: int, model: str, name: str, *, stream: bool) -> bytes:
    asked = {"model": model, "messages": [{"role": "user", "content": "Why?"}], "stream": stream}
    body = msgspec.json.encode(asked)
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: {LOOPBACK}:{port}\r\nx-request-id: {name}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Return status and body of an answer; raises IncompleteReadError if it is cut."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    status = int(head[9:12])
    _, found, length = head.partition(b"content-length: ")
    if found:
        return status, await reader.readexactly(int(length.partition(b"\r\n")[0]))
    body = b""
    while size := int(await reader.readline(), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readexactly(2)
    return status, body
