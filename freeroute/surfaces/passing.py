"""Streams of bytes, such as sound, that are passed on as they come."""

import msgspec

from freeroute.engine.served import Served
from freeroute.errors import ApiError, UpstreamFailed
from freeroute.surfaces.http import Request
from freeroute.wire.sse import frame
from freeroute.wire.text import printable


async def passed(request: Request, served: Served, content_type: str) -> None:
    """Pass a stream of bytes on as it comes."""
    kind = printable(content_type).encode("ascii")
    await request.begin(200, kind, served.headers, {"cache-control": "no-cache"})
    while pieces := await served.next():
        await request.more(b"".join(pieces))


async def end_passed(request: Request, served: Served, wrong: ApiError | None) -> None:
    """End a stream of bytes; one that was cut, or went *wrong* here, ends with an error if it can say so, and
    else not at all.

    The server closes the connection then, so nobody takes half of a sound for the whole.
    """
    if not (served.cut or wrong):
        await request.end()
    elif (served.content_type or "").startswith("text/event-stream"):
        error = wrong or UpstreamFailed("the provider stopped in the middle of its answer")
        await request.end(b"\n\nevent: error\n" + frame(msgspec.json.encode(error.body())))
