"""Fields that operators send, read as the settings file is read."""

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from typing import Any

from freeroute.config.schema import Where
from freeroute.config.values import LONGEST
from freeroute.domain.quantities import duration
from freeroute.domain.receipt import OTHERS
from freeroute.domain.resolve import nearest
from freeroute.wire.text import printable

# As in the settings file.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def check_name(name: object) -> None:
    """Raise ConfigError if *name* is no name of a client or an operator."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise Where("").error(
            "a name has up to 64 letters, digits, `.`, `_` and `-`, and begins with a letter or digit", "name"
        )


def check_client_name(name: object) -> None:
    """Raise ConfigError if *name* is no name of a client."""
    check_name(name)
    if name == OTHERS:
        raise Where("").error(
            f"`{OTHERS}` stands for all clients beyond those that are counted apart", "name"
        )


def check_known(given: Mapping[str, Any], known: Sequence[str], where: Where) -> None:
    """Raise ConfigError if there is a field among *given* that is not *known*."""
    for field in given:
        if field not in known:
            close = nearest(field, known)
            hint = f"; did you mean `{close[0]}`?" if close else ""
            raise where.error(f"unknown field{hint}", printable(field))


def check_note(given: Mapping[str, Any], where: Where) -> None:
    """Raise ConfigError if the note among *given* would spoil a line."""
    note = given.get("note")
    if isinstance(note, str) and not note.isprintable():
        raise where.error("holds a line break or another control character", "note")


def duration_of(value: object, where: Where) -> float:
    """Return the seconds that *value* stands for, ``24h`` or a number of them; raises ConfigError."""
    try:
        seconds = duration(value)  # type: ignore[arg-type]
        if seconds <= LONGEST:
            return seconds
    except (ValueError, OverflowError):
        pass
    raise where.error("expected a duration such as 30m or 24h, of 400 days at most")


def written_moment(value: object, where: Where) -> object:
    """Return *value* as the settings file has it: Unix time becomes a date, the rest stays for its reader."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    try:
        return dt.datetime.fromtimestamp(value, dt.UTC).isoformat()
    except (ValueError, OverflowError, OSError) as exc:
        raise where.error("expected a date such as 2027-01-31, or Unix time") from exc
