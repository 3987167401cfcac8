"""Stacks as py-spy tells them, and which part of the gateway each belongs to."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping

Stack = tuple[str, ...]

# Threads that wait for work are sampled as if they worked: their wait is outside of what py-spy can see.
_IDLE = "_worker (concurrent/futures/thread.py)"
# What every stack begins with, and nobody looks for.
_BEGINNING = "Runner.run (asyncio/runners.py)"
_LINE = re.compile(r":\d+\)$")
# By the innermost frame of freeroute's: with what it calls of libraries.
_PARTS: Mapping[str, str] = {
    "freeroute/surfaces/protocol.py": "HTTP from callers: protocol.py, uvicorn",
    "freeroute/surfaces/connection.py": "HTTP from callers: protocol.py, uvicorn",
    "freeroute/surfaces/known.py": "HTTP from callers: protocol.py, uvicorn",
    "freeroute/surfaces/": "surfaces: reading the request, writing the answer, who asks",
    "freeroute/wire/": "wire: requests and answers, bytes to values and back",
    "freeroute/upstreams/http_": "HTTP to providers",
    "freeroute/upstreams/": "upstreams: what is asked, what an answer means",
    "freeroute/engine/": "engine: the attempt loop, leases, receipts",
    "freeroute/domain/": "domain: limits, choosing, standing",
    "freeroute/stores/": "stores: counters, receipts",
    "freeroute/observe/": "observe: metrics and the request log",
    "freeroute/": "what is left of freeroute",
}
_SERVER, _LOOP = _PARTS["freeroute/surfaces/protocol.py"], "event loop, sockets, the interpreter"


def folded(lines: Iterable[str]) -> Counter[Stack]:
    """Return how often each stack was seen, outermost frame first, of py-spy's raw format.

    Without line numbers, idle threads, and what leads to the event loop.
    """
    found: Counter[Stack] = Counter()
    for line in lines:
        told, _, count = line.rpartition(" ")
        stack = tuple(_LINE.sub(")", frame) for frame in told.split(";"))
        if stack[-1] != _IDLE:
            begins = stack.index(_BEGINNING) + 1 if _BEGINNING in stack else 0
            found[stack[begins:]] += int(count)
    return found


def shares(seen: Counter[Stack]) -> list[tuple[str, float]]:
    """Return the share of each part, the largest first."""
    parts: Counter[str] = Counter()
    for stack, count in seen.items():
        parts[part_of(stack)] += count
    return [(name, count / seen.total()) for name, count in parts.most_common()]


def part_of(stack: Stack) -> str:
    """Return the part that *stack* is spent in."""
    for frame in reversed(stack):
        path = frame.rpartition("(")[2]
        for prefix, name in _PARTS.items():
            if path.startswith(prefix):
                return name
    return _SERVER if any("(uvicorn/" in frame for frame in stack) else _LOOP
