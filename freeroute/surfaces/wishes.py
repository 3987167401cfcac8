"""What the headers of a call ask of the gateway itself, whichever API its body speaks."""

import math

from msgspec import Struct

from freeroute.errors import InvalidRequest
from freeroute.surfaces.sent import Headers
from freeroute.wire.chat import CallContext

_LONGEST_SESSION = 256
_SWITCH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_NAMES = frozenset(
    {
        *(b"x-freeroute-max-wait", b"x-freeroute-strict", b"x-freeroute-continue", b"x-freeroute-store"),
        *(b"x-freeroute-keepalive", b"x-session-id"),
    }
)


class Wishes(Struct, frozen=True):
    """What a head asks of the gateway; *keepalive* lets a stream say in comments that it still lives."""

    max_wait: float | None = None
    strict: bool = False
    continues: bool | None = None
    store: bool = True
    session: str | None = None
    keepalive: bool = False

    def tell(self, context: CallContext) -> None:
        """Say in the *context* of a call what is asked of it."""
        context.max_wait, context.strict, context.continues = self.max_wait, self.strict, self.continues
        context.store, context.session = self.store, self.session


NO_WISHES = Wishes()


def wishes_in(headers: Headers) -> Wishes:
    """Return what *headers* ask of the gateway; raises InvalidRequest."""
    if _NAMES.isdisjoint(headers):
        return NO_WISHES
    return Wishes(
        _max_wait(_text(headers, b"x-freeroute-max-wait")),
        switch(headers, "x-freeroute-strict") is True,
        switch(headers, "x-freeroute-continue"),
        switch(headers, "x-freeroute-store") is not False,
        _session(_text(headers, b"x-session-id")),
        switch(headers, "x-freeroute-keepalive") is True,
    )


def _text(headers: Headers, name: bytes) -> str | None:
    value = headers.get(name)
    return None if value is None else value.decode("latin-1")


def _session(name: str | None) -> str | None:
    if name is not None and len(name) > _LONGEST_SESSION:
        raise InvalidRequest(
            f"x-session-id is longer than {_LONGEST_SESSION} characters.", param="x-session-id"
        )
    return name or None


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


def switch(headers: Headers, name: str) -> bool | None:
    """Return whether the header *name* says so, None if it is not there; raises InvalidRequest."""
    text = _text(headers, name.encode("ascii"))
    if text is None:
        return None
    wanted = _SWITCH.get(text.strip().lower())
    if wanted is None:
        raise InvalidRequest(f"{name} must be true or false.", param=name)
    return wanted
