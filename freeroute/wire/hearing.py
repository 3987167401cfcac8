"""What an answer says, whole or a chunk of it, read once for every API it may be told in."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from freeroute.domain.usage import Usage
from freeroute.wire.answers import Choice, Piece, Said, error_in, inspect, split_parts, usage_in, usage_of

_NOTHING = Said()


class CallPiece(Struct, frozen=True):
    """A tool call, or a piece of one: *index* tells calls apart, *id* and *name* come first."""

    index: int
    id: str
    name: str
    arguments: str


class Heard(Struct, frozen=True):
    """What the first choice of an answer says, or adds to what was said before.

    *finish* is in OpenAI's words, *stopped_at* the sequence that it stopped at, where that is told. *images*
    are URLs, mostly of data. *error* is what broke the answer off; it may be told more than once. *id* and
    *model* are the answer's own.
    """

    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    calls: tuple[CallPiece, ...] = ()
    images: tuple[str, ...] = ()
    finish: str | None = None
    stopped_at: str | None = None
    usage: Usage | None = None
    error: Mapping[str, Any] | None = None
    id: str | None = None
    model: str | None = None


def hear(body: bytes) -> Heard:
    """Return what *body*, a whole answer or a chunk in OpenAI's form, says."""
    piece = inspect(body) or Piece()
    choice = piece.choices[0] if piece.choices else Choice()
    said = choice.said or _NOTHING
    error = error_in(piece)
    text, thinking = _content(said)
    return Heard(
        text=text,
        reasoning=_text(said.reasoning_content) or _text(said.reasoning) or thinking,
        refusal=_text(said.refusal),
        calls=_calls(said.tool_calls),
        images=_images(said.images),
        finish=None if error else piece.finish,
        stopped_at=_text(choice.stop_reason) or None,
        usage=usage_of(usage_in(piece)),
        error=error if isinstance(error, dict) else {"message": str(error)} if error else None,
        id=_text(piece.id) or None,
        model=_text(piece.model) or None,
    )


def _content(said: Said) -> tuple[str, str]:
    return (said.content, "") if isinstance(said.content, str) else split_parts(said.content)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _calls(told: Any) -> tuple[CallPiece, ...]:
    calls = enumerate(told) if isinstance(told, list) else ()
    return tuple(_call(call, at) for at, call in calls if isinstance(call, dict))


def _call(call: dict[str, Any], at: int) -> CallPiece:
    function = call.get("function")
    function = function if isinstance(function, dict) else {}
    index = call.get("index")
    return CallPiece(
        index=index if isinstance(index, int) else at,
        id=_text(call.get("id")),
        name=_text(function.get("name")),
        arguments=_text(function.get("arguments")),
    )


def _images(told: Any) -> tuple[str, ...]:
    images = told if isinstance(told, list) else ()
    urls = (image.get("image_url") for image in images if isinstance(image, dict))
    return tuple(_text(url.get("url") if isinstance(url, dict) else url) for url in urls if url)
