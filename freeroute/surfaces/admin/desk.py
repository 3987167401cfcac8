"""What every topic of administration does alike: read what is asked, write down a change, make it."""

import asyncio
import contextlib
import datetime as dt
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from freeroute.clock import Clock
from freeroute.domain.quantities import duration
from freeroute.engine.changes import Changes, Note
from freeroute.errors import ConfigError, InvalidRequest, Unavailable
from freeroute.surfaces.http import BodyBounds, Request

T = TypeVar("T")
Refresh = Callable[[], Awaitable[None]]

_UNIX = re.compile(r"\d{1,12}(\.\d{1,9})?", re.ASCII)
_AT = re.compile(r"^(.*?)(?: - at `\$\.?(.*)`)?$", re.DOTALL)
_NAMED = re.compile(r"Object (?:contains unknown|missing required) field `(.*)`", re.DOTALL)


class Desk(Struct, frozen=True):
    """Where operators are served; *changes* writes down what they do.

    *refresh* has what was changed in files count now instead of within a second.
    """

    changes: Changes
    clock: Clock
    refresh: Refresh
    bounds: BodyBounds = BodyBounds(limit=256 * 1024)

    async def body(self, request: Request, kind: type[T]) -> T:
        """Return the body as a *kind*; no body is an empty object. Raises InvalidRequest naming the field."""
        content = await request.body(self.bounds)
        try:
            return msgspec.json.decode(content or b"{}", type=kind)
        except msgspec.ValidationError as exc:
            raise _refusal(exc) from exc
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
            raise InvalidRequest("The body must be a JSON object.", param="body") from exc

    @contextlib.asynccontextmanager
    async def making(
        self, request: Request, what: str, target: str, before: Any, after: Any
    ) -> AsyncIterator[None]:
        """Write down a change that the block makes on the event loop; if it fails, that is noted as well.

        Raises Unavailable before the block if it cannot be written down.
        """
        with self.changes.making(_who(request), what, target) as note:
            await asyncio.to_thread(note, before, after)
            yield

    async def change(self, request: Request, what: str, target: str, work: Callable[[Note], T]) -> T:
        """Do *work* on a thread, and return what it does; it makes a change, and notes it before.

        Raises Unavailable if the change cannot be noted or kept, InvalidRequest, and what else *work* raises.
        """

        def made() -> T:
            with self.changes.making(_who(request), what, target) as note:
                return work(note)

        done = await on_thread(made)
        await self.refresh()
        return done

    def moment(self, request: Request, name: str) -> float | None:
        """Return the query parameter *name* as Unix time: given so, as a date or as how long ago (``7d``)."""
        text = request.query(name)
        if text is None:
            return None
        try:
            return float(text) if _UNIX.fullmatch(text) else _moment(text, self.clock)
        except (ValueError, OverflowError) as exc:
            told = "a date such as 2027-01-31, a Unix time, or how long ago, such as 7d"
            raise InvalidRequest(f"{name} must be {told}.", param=name) from exc


async def on_thread(work: Callable[[], T]) -> T:
    """Return what *work* does, on a thread since a disk is in it.

    Raises InvalidRequest if it finds a field wrong, Unavailable if the disk fails, and what else it raises.
    """
    try:
        return await asyncio.to_thread(work)
    except ConfigError as exc:
        if exc.field is not None:
            raise InvalidRequest(str(exc), param=exc.field or "body") from exc
        raise Unavailable(f"The state directory does not work: {exc}") from exc


def count(request: Request, name: str, default: int, most: int) -> int:
    """Return the query parameter *name*, a number from 1 to *most*; raises InvalidRequest."""
    text = request.query(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and 1 <= int(text) <= most):
        raise InvalidRequest(f"{name} must be a number from 1 to {most}.", param=name)
    return int(text)


def _who(request: Request) -> str:
    operator = request.caller.operator
    assert operator is not None, "a route that changes something asks for a token"
    return operator.name


def _moment(text: str, clock: Clock) -> float:
    if re.match(r"\d{4}-", text):
        found = dt.datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=dt.UTC)).timestamp()
    return clock.now().wall - duration(text)


def _refusal(exc: msgspec.ValidationError) -> InvalidRequest:
    """Return what is wrong with a body, and where; msgspec names fields and types, never values."""
    found = _AT.match(str(exc))
    text, place = (found[1], found[2] or "") if found else (str(exc), "")
    if named := _NAMED.fullmatch(text):
        place = f"{place}.{named[1]}".lstrip(".")
    return InvalidRequest(f"{place or 'The body'}: {text[:1].lower()}{text[1:]}.", param=place or "body")
