"""What an answer says, whole or a chunk of it, read once for every API it may be told in."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, structs

from freeroute.domain.usage import Usage
from freeroute.wire.answers import Choice, Piece, Said, error_in, inspect, split_parts, usage_in, usage_of
from freeroute.wire.strict import Words, words_in

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
    *model* are the answer's own. It is *plain* if *text* is all it says, as of nearly every chunk.
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
    plain: bool = False


def hear(body: bytes) -> Heard:
    """Return what *body*, a whole answer or a chunk in OpenAI's form, says; completions of old included."""
    words = words_in(body)
    if words is not None:
        return _of_words(words)
    piece = inspect(body) or Piece()
    choice = piece.choices[0] if piece.choices else Choice()
    said = choice.said or _NOTHING
    error = error_in(piece)
    text, thinking = _content(said) if choice.text is None else (_text(choice.text), "")
    return Heard(
        text,
        _text(said.reasoning_content) or _text(said.reasoning) or thinking,
        _text(said.refusal),
        _calls(said.tool_calls),
        _images(said.images),
        None if error else piece.finish,
        _text(choice.stop_reason) or None,
        usage_of(usage_in(piece)),
        error if isinstance(error, dict) else {"message": str(error)} if error else None,
        _text(piece.id) or None,
        _text(piece.model) or None,
    )


def _of_words(words: Words) -> Heard:
    """Return what *words* say, which are read as they are told: with nothing in them to look for."""
    said = words.choices[0].delta
    text, thought = said.content or "", said.reasoning_content or ""
    plain = bool(text) and not thought
    return Heard(
        text, thought, "", (), (), None, None, None, None, words.id or None, words.model or None, plain
    )


class Hearing:
    """Hears a stream, chunk by chunk, in the order in which its whole is told: thoughts before text.

    Line ends that some models write ahead of their thoughts wait for the text that they belong to.
    """

    def __init__(self) -> None:
        """Begin a stream."""
        self._blanks = ""
        self._speaks = False

    def hear(self, chunk: bytes) -> Heard:
        """Return what *chunk* says, with blanks from before it if it is their turn."""
        heard = hear(chunk)
        if self._speaks or not (heard.text or self._blanks):
            return heard
        text = self._blanks + heard.text
        follows = heard.refusal or heard.calls or heard.images or heard.finish
        self._speaks = bool(follows) or not text.isspace()
        self._blanks = "" if self._speaks else text
        if not self._speaks:
            return structs.replace(heard, text="", plain=False)
        return structs.replace(heard, text=text) if heard.text != text else heard


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
