"""Callers: each asks once, waits up to a minute for capacity, never retries, and writes down what it got."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterable, Callable, Mapping, Sequence

import msgspec
from msgspec import Struct

from bench.capacity import words
from bench.capacity.web import Exchange, asked

WAIT = 60.0
"""Seconds that a caller waits for capacity."""

PATIENCE = WAIT + 40.0
"""Seconds after which it hangs up: capacity that comes at the last moment still has to be answered."""


class Arrival(Struct, frozen=True):
    """A call that comes *at* so many seconds, with a prompt and an answer of so many tokens."""

    at: float
    prompt: int = 60
    output: int = 20
    client: str = ""
    stream: bool = True

    @property
    def tokens(self) -> int:
        """Return all the tokens of the call."""
        return self.prompt + self.output


class Heard(Struct, eq=False):
    """What a caller got: *first* is when the first of the answer's text came, times by the loop's clock.

    *ending* is ``ok``, or what went wrong: a status and its code, ``cut``, ``no answer``, ``refused
    connection``. *interrupted* says that the contender was stopped meanwhile.
    """

    call: int
    arrival: Arrival
    sent: float
    first: float | None = None
    ended: float | None = None
    ending: str = "no answer"
    interrupted: bool = False

    @property
    def delivered(self) -> bool:
        """Say whether it is a whole answer."""
        return self.ending == "ok"

    @property
    def waited(self) -> float | None:
        """Return the seconds to the first of the text."""
        return None if self.first is None else self.first - self.sent


class Callers:
    """All callers of a run."""

    def __init__(self, port: Callable[[], int], model: str, keys: Mapping[str, str], seed: str) -> None:
        """Ask *model* on *port*; clients with *keys* show them."""
        self.heard: list[Heard] = []
        self.open = asyncio.Event()
        self.open.set()
        self._port = port
        self._model = model
        self._keys = keys
        self._rng = random.Random(seed)

    async def come(self, arrivals: Sequence[Arrival]) -> None:
        """Let all come at their times, or when the door opens after them; return when the last is done."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with asyncio.TaskGroup() as group:
            for number, arrival in enumerate(arrivals):
                await asyncio.sleep(began + arrival.at - loop.time())
                await self.open.wait()
                heard = Heard(number, arrival, loop.time())
                self.heard.append(heard)
                group.create_task(self._ask(heard))

    async def _ask(self, heard: Heard) -> None:
        arrival = heard.arrival
        text = words.prompt(heard.call, arrival.prompt, self._rng)
        body = words.question(self._model, text, arrival.output, stream=arrival.stream)
        headers = {"x-freeroute-max-wait": f"{WAIT:g}"}
        if key := self._keys.get(arrival.client):
            headers["authorization"] = f"Bearer {key}"
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                try:
                    async with asked(self._port(), body, headers) as exchange:
                        await _read(exchange, heard)
                except ConnectionRefusedError:
                    heard.ending = "refused connection"
                except (OSError, asyncio.IncompleteReadError, ValueError):
                    heard.ending = "cut" if heard.first is None else "cut after text"
        heard.ended = asyncio.get_running_loop().time()


async def _read(exchange: Exchange, heard: Heard) -> None:
    if exchange.status != 200:
        told = b"".join([piece async for piece in exchange.pieces()])
        heard.ending = f"{exchange.status} {_code(told)}".strip()
    elif exchange.headers.get("content-type", "").startswith("text/event-stream"):
        heard.ending = await _read_stream(exchange.pieces(), heard)
    else:
        value = msgspec.json.decode(b"".join([piece async for piece in exchange.pieces()]))
        heard.first = asyncio.get_running_loop().time()
        heard.ending = "ok" if value["choices"][0]["message"]["content"] else "empty"


async def _read_stream(pieces: AsyncIterable[bytes], heard: Heard) -> str:
    left, finished = b"", False
    async for piece in pieces:
        *events, left = (left + piece).split(b"\n\n")
        for event in events:
            if not event.startswith(b"data: "):
                continue
            if event == b"data: [DONE]":
                return "ok" if finished and heard.first is not None else "cut"
            value = msgspec.json.decode(event[6:])
            if "error" in value:
                return f"in the stream: {value['error'].get('code')}"
            for choice in value["choices"]:
                if choice["delta"].get("content") and heard.first is None:
                    heard.first = asyncio.get_running_loop().time()
                finished |= choice["finish_reason"] is not None
    return "cut" if heard.first is None else "cut after text"


def _code(body: bytes) -> str:
    try:
        return str(msgspec.json.decode(body)["error"]["code"])
    except (msgspec.DecodeError, KeyError, TypeError):
        return ""


def steady(
    rate: float, seconds: float, *, since: float = 0.0, client: str = "", **each: int
) -> list[Arrival]:
    """Return calls that come evenly, *rate* a minute; every other one wants a stream."""
    count = int(rate * seconds / 60)
    return [
        Arrival(since + number * 60 / rate, client=client, stream=number % 2 == 0, **each)
        for number in range(count)
    ]


def burst(size: int, at: float) -> list[Arrival]:
    """Return *size* calls that come at once."""
    return [Arrival(at, stream=number % 2 == 0) for number in range(size)]


def in_order(*several: Sequence[Arrival]) -> list[Arrival]:
    """Return all of *several* in the order in which they come."""
    return sorted((arrival for each in several for arrival in each), key=lambda arrival: arrival.at)
