"""Text that an answer tells in another form than OpenAI's, where it is plain what it says."""

import json
from typing import Any

import msgspec

from freeroute.wire.answers import Choice, Piece, said_size


class Unclear(ValueError):
    """Something stands where the text goes, and it is not plain which."""


class _Number(str):
    """A number as it was written: ``1.50`` is other text than ``1.5``."""

    __slots__ = ()


def plain(payload: bytes, piece: Piece) -> bytes:
    """Return the answer *payload*, which was read as *piece*, with its text as the content of each choice.

    Read are numbers, as they were written, objects that have a ``text``, and lists of such; a choice's own
    ``text`` too, as older APIs have it, where nothing else is said. Raises Unclear at anything else.
    """
    if not any(map(_is_odd, piece.choices or ())):
        return payload
    value = msgspec.json.decode(payload)
    try:
        written = json.loads(payload, parse_int=_Number, parse_float=_Number)
    except (ValueError, RecursionError):
        raise Unclear from None
    for choice, raw, told in zip(piece.choices or (), value["choices"], written["choices"], strict=True):
        if _is_odd(choice):
            where = "message" if choice.delta is None and choice.message is not None else "delta"
            said = told.get(where) or {}
            content = _content(told["text"] if _tells_beside(choice) else said["content"])
            raw[where] = {**(raw.get(where) or {}), "content": content}
    return msgspec.json.encode(value)


def _is_odd(choice: Choice) -> bool:
    content = choice.said.content if choice.said is not None else None
    return not (content is None or isinstance(content, str)) or _tells_beside(choice)


def _tells_beside(choice: Choice) -> bool:
    """Say whether the text of *choice* stands beside what it says, which is nothing."""
    return bool(choice.text) and (choice.said is None or not (choice.said.content or said_size(choice.said)))


def _content(written: Any) -> str | list[Any]:
    return [_part(part) for part in written] if isinstance(written, list) else _text(written)


def _text(written: Any) -> str:
    if isinstance(written, dict) and "text" in written:
        return _text(written["text"])
    if written is None or written == {}:
        return ""
    if isinstance(written, str):
        return str(written)
    raise Unclear


def _part(part: Any) -> Any:
    """Return the *part* of a list: as its text, or what it was if that is thoughts or no text at all."""
    if isinstance(part, dict) and "text" not in part and not part.get("content"):
        return {"thinking": part["thinking"]} if "thinking" in part else {}
    return _text(part)
