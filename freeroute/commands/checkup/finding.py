"""What a look at an installation finds, and what becomes of its words before anybody reads them."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from msgspec import Struct, structs

from freeroute.commands.tables import plain

Severity = Literal["ok", "note", "warning", "problem"]


class Finding(Struct, frozen=True):
    """What was found in an *area*, how bad that is, and what helps, if anything needs to.

    ``problem``: something does not work; ``warning``: something soon may not; ``note``: good to know.
    """

    severity: Severity
    area: str
    what: str
    remedy: str = ""


def ok(area: str, what: str) -> Finding:
    """Return that something is as it should be."""
    return Finding("ok", area, what)


def note(area: str, what: str, remedy: str = "") -> Finding:
    """Return what is good to know."""
    return Finding("note", area, what, remedy)


def warning(area: str, what: str, remedy: str) -> Finding:
    """Return what may soon keep something from working."""
    return Finding("warning", area, what, remedy)


def problem(area: str, what: str, remedy: str) -> Finding:
    """Return what keeps something from working."""
    return Finding("problem", area, what, remedy)


def presentable(found: Iterable[Finding], home: Path) -> Iterator[Finding]:
    """Return what may be pasted where others read it: no key, no name of the user's directory, no control.

    *home* is written ``~``.
    """
    from freeroute.upstreams.complaints import redact

    def shown(text: str) -> str:
        where = str(home).rstrip("/")
        return redact(plain(text.replace(where, "~") if where else text))

    for one in found:
        yield structs.replace(one, what=shown(one.what), remedy=shown(one.remedy))
