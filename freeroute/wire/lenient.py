"""Payloads that are not quite JSON, as Python servers write them, read so that no text is lost."""

import json
from typing import Any

import msgspec

_Place = tuple[str | int, ...]

LONGEST = 4 * 1024 * 1024
"""Bytes of a payload that is mended. Own design: as many as an event may have."""

WAITING = 64
"""Strings of one stream that may wait for the rest of a letter. Own design: each choice has few."""


class Lenient:
    """Writes the payloads of one stream, or one whole answer, as JSON.

    ``NaN`` and ``Infinity`` become null. A letter whose two UTF-16 halves came as escapes in two payloads is
    told with the second one; a half that stays alone, and bytes that are no UTF-8, become U+FFFD, as the
    standard of server-sent events has it.
    """

    def __init__(self) -> None:
        """Begin a stream."""
        self._waiting: dict[_Place, str] = {}

    @property
    def waits(self) -> bool:
        """Say whether half a letter waits for the other: the next payload has to pass here."""
        return bool(self._waiting)

    def mended(self, payload: bytes) -> bytes | None:
        """Return *payload* as JSON, None if it cannot be read even so."""
        if len(payload) > LONGEST:
            return None
        try:
            text = payload.decode("utf-8", "replace")
            value = json.loads(text, strict=False, parse_constant=_nothing)
            return msgspec.json.encode(self._whole(value, ()))
        except (ValueError, RecursionError, msgspec.MsgspecError):
            return None

    def _whole(self, value: Any, place: _Place) -> Any:
        """Return *value*, found at *place*, with whole letters only."""
        if isinstance(value, str):
            return self._letters(value, place)
        if isinstance(value, dict):
            return {name: self._whole(inner, (*place, name)) for name, inner in value.items()}
        if isinstance(value, list):
            return [self._whole(inner, (*place, _number(inner, at))) for at, inner in enumerate(value)]
        return value

    def _letters(self, text: str, place: _Place) -> str:
        text = self._waiting.pop(place, "") + text
        if "\ud800" <= text[-1:] <= "\udbff" and len(self._waiting) < WAITING:
            self._waiting[place], text = text[-1], text[:-1]
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _nothing(_: str) -> None:
    return None


def _number(item: Any, at: int) -> int:
    """Return the number of an *item*: a choice has its own wherever it stands."""
    index = item.get("index") if isinstance(item, dict) else None
    return index if isinstance(index, int) else at
