"""Bodies of answers, read whole and bounded."""

import asyncio
import contextlib

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


async def error_body(exchange: Exchange) -> bytes:
    """Return the beginning of an error's body, as far as it comes soon."""
    parts, size = [], 0
    exchange.answer_by = min(exchange.answer_by, asyncio.get_running_loop().time() + ERROR_BODY)
    with contextlib.suppress(TransportError):  # a body that never ends must not hide what the status says
        while size < BODY_LIMIT and (data := await exchange.next()):
            parts.append(data)
            size += len(data)
    return b"".join(parts)[:BODY_LIMIT]


async def drain(exchange: Exchange) -> None:
    """Give a finished body a moment to end, so that its connection goes back to the pool."""
    exchange.answer_by = asyncio.get_running_loop().time() + DRAIN
    with contextlib.suppress(TransportError):
        while await exchange.next():
            pass
