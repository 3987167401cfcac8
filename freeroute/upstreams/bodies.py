"""Bodies of answers, read whole and bounded."""

import asyncio

from freeroute.upstreams.complaints import BODY_LIMIT
from freeroute.upstreams.transport import Exchange, TransportError

ANSWER_LIMIT = 32 * 1024 * 1024
# How long the rest of an error body is waited for: its status has said the most important.
ERROR_BODY = 5.0
# How long a provider may take to close a finished body, so that its connection can be used again.
DRAIN = 0.05


async def whole_body(exchange: Exchange) -> bytes | None:
    """Return the body, or None if it is longer than an answer may be."""
    parts, size = [], 0
    while data := await exchange.next():
        parts.append(data)
        size += len(data)
        if size > ANSWER_LIMIT:
            return None
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def error_body(exchange: Exchange, until: float | None) -> bytes:
    """Return the beginning of an error's body, as far as it comes *until* then (loop time)."""
    parts, size = [], 0
    soon = asyncio.get_running_loop().time() + ERROR_BODY
    try:
        async with asyncio.timeout_at(soon if until is None else min(until, soon)):
            while size < BODY_LIMIT and (data := await exchange.next()):
                parts.append(data)
                size += len(data)
    except (TransportError, TimeoutError):
        pass
    return b"".join(parts)[:BODY_LIMIT]


async def drain(exchange: Exchange) -> None:
    """Give a finished body a moment to end, so that its connection goes back to the pool."""
    try:
        async with asyncio.timeout(DRAIN):
            while await exchange.next():
                pass
    except (TransportError, TimeoutError):
        pass
