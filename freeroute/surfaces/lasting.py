"""Work that must be done to its end, whoever stops waiting for it."""

import asyncio
from collections.abc import Awaitable

from freeroute.engine.served import DONE


async def to_the_end(work: Awaitable[None]) -> None:
    """Do *work* to its end even if this task is cancelled meanwhile; then let the cancel go on."""
    if work is DONE:
        return
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
