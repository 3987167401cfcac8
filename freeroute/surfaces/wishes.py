"""What the headers of a call ask of the gateway itself, whichever API its body speaks."""

import math

from freeroute.errors import InvalidRequest
from freeroute.surfaces.http import Request
from freeroute.wire.chat import CallContext

_LONGEST_SESSION = 256
_SWITCH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


_WISHES = frozenset(
    {
        *(b"x-freeroute-max-wait", b"x-freeroute-strict", b"x-freeroute-continue", b"x-freeroute-store"),
        *(b"x-freeroute-keepalive", b"x-session-id"),
    }
)


def read_wishes(request: Request, context: CallContext) -> bool:
    """Take over what the caller's headers ask of the gateway; raises InvalidRequest.

    Returns whether its stream may say in comments that it still lives.
    """
    if _WISHES.isdisjoint(request.headers):
        return False
    context.max_wait = _max_wait(request.header(b"x-freeroute-max-wait"))
    context.strict = switch(request, "x-freeroute-strict")
    if request.header(b"x-freeroute-continue") is not None:
        context.continues = switch(request, "x-freeroute-continue")
    if request.header(b"x-freeroute-store") is not None:
        context.store = switch(request, "x-freeroute-store")
    session = request.header(b"x-session-id") or None
    if session is not None and len(session) > _LONGEST_SESSION:
        raise InvalidRequest(
            f"x-session-id is longer than {_LONGEST_SESSION} characters.", param="x-session-id"
        )
    context.session = session
    return switch(request, "x-freeroute-keepalive")


def _max_wait(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds >= 0):
        raise InvalidRequest(
            "x-freeroute-max-wait must be a number of seconds, 0 or more.", param="x-freeroute-max-wait"
        )
    return seconds


def switch(request: Request, name: str) -> bool:
    """Return whether the header *name* says so, False if it is not there; raises InvalidRequest."""
    text = request.header(name.encode("ascii"))
    if text is None:
        return False
    wanted = _SWITCH.get(text.strip().lower())
    if wanted is None:
        raise InvalidRequest(f"{name} must be true or false.", param=name)
    return wanted
