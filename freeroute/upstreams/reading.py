"""What stands between the pieces of a stream: signs of life, and what may have held text."""

import re
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec

from freeroute.wire.answers import Choice, Piece, error_in, is_meaningful, says_something
from freeroute.wire.lenient import Lenient
from freeroute.wire.plain import Unclear, plain
from freeroute.wire.strict import inspect_chunk, inspect_whole

# Words that servers and proxies send to keep a connection alive, where a comment would do:
# - ping, heartbeat, keep-alive, waiting: proxies and frameworks, whose pings are meant as comments;
# - processing: OpenRouter's comment, without its colon;
# - queued, loading: servers that start a model, or have more callers than places.
_SIGN = rb"(?:openrouter\s+)?(?:ping|heart[-_ ]?beat|keep[-_ ]?alive|waiting|processing|queued|loading)"
_ALONE = re.compile(_SIGN, re.IGNORECASE)
# A date, a place in a queue or the name of a model may follow on the line. Not in quotes, which may be text,
# nor with quotes or brackets of its own, which may be a piece of an answer.
_ON_A_LINE = re.compile(rb"[\s:.]*" + _SIGN + rb"(?![a-z])[^\r\n\"{}\[\]<>\\]{0,200}\s*", re.IGNORECASE)
_AROUND = b" \t\r\n\"'[]<>():."
_TIME = re.compile(rb"\s*\d{4}-\d\d-\d\d(?:[T ][\d:.,+Z-]*)?\s*")  # what pings bring
# The names under which APIs for chat send text: OpenAI's three, Cloudflare's, Google's, Hugging Face's own.
_TEXT = frozenset(
    {"choices", "delta", "content", "text", "response", "parts", "token", "generated_text", "output"}
)
# Words beside the text, in objects that would hold it: what kind it is, whose, and how far.
_LABELS = frozenset({"type", "object", "id", "role", "model", "status", "finish_reason"})


class Events(Protocol):
    """Cuts a body into the payloads of OpenAI's chunks."""

    @property
    def stray(self) -> bytes | None:
        """Return bare JSON, outside of every event, that may be an error."""
        ...

    def feed(self, data: bytes) -> list[bytes]:
        """Return the payloads that *data* completes; raises EventTooLarge."""
        ...

    @property
    def is_between(self) -> bool:
        """Say whether all that came so far is read, and what comes next may be an event by itself."""
        ...

    def alone(self, data: bytes) -> bytes | None:
        """Return the payload if *data* is one event, which begins where it does."""
        ...

    def finish(self) -> list[bytes]:
        """Return what the end of the body completes."""
        ...


def read_chunk(payload: bytes, lenient: Lenient) -> tuple[bytes, Piece | None]:
    """Return the chunk *payload* with its text where OpenAI has it, and what it says; None if it is unclear.

    What is not quite JSON, *lenient* reads.
    """
    return _read(payload, lenient, inspect_chunk)


def read_whole(body: bytes) -> tuple[bytes, Piece | None]:
    """Return the same of the whole answer *body*."""
    return _read(body, Lenient(), inspect_whole)


def _read(
    payload: bytes, lenient: Lenient, inspect: Callable[[bytes], Piece | None]
) -> tuple[bytes, Piece | None]:
    piece = None if lenient.waits else inspect(payload)
    if piece is None and (mended := lenient.mended(payload)) is not None:
        piece, payload = inspect(mended), mended
    if piece is None or error_in(piece):
        return payload, piece
    try:
        told = plain(payload, piece)
    except Unclear:
        return payload, None
    return told, piece if told is payload else inspect(told)


def is_idle(payload: bytes) -> bool:
    """Say whether *payload*, which is no piece of an answer, cannot have held any text of one.

    By its form: words that keep connections alive, a time, a number, true, false, null, or an object in which
    nothing goes by a name that text has, but what is empty and the labels beside it.
    """
    bare = payload.strip(_AROUND)
    if not bare or _TIME.fullmatch(bare) or _ALONE.fullmatch(bare) or _ON_A_LINE.fullmatch(payload):
        return True
    try:
        value = msgspec.json.decode(payload)
        return not value or (not isinstance(value, str | list) and not _holds_text(value))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return False


def _holds_text(value: Any, name: str = "", *, below: bool = False) -> bool:
    """Say whether *value*, which goes by *name*, may hold text; it may be *below* a name of text."""
    if isinstance(value, dict):
        below = below or name in _TEXT
        return any(_holds_text(inner, key, below=below) for key, inner in value.items())
    if isinstance(value, list):
        return any(_holds_text(inner, name, below=below) for inner in value)
    if value is None or value == "":
        return False
    if name in _TEXT or not below:
        return name in _TEXT
    return name not in _LABELS if isinstance(value, str) else name == "id"  # a number may be a token's


class Choices:
    """Which choices of a stream have begun, and which have finished."""

    def __init__(self) -> None:
        """Begin with none."""
        # The keys alone count: a set takes 216 bytes of each stream before there is anything in it.
        self._unfinished: dict[int, None] = {}
        self._finished: dict[int, None] = {}
        self._closed: dict[int, None] = {}  # by a finish that stood alone: some tell one beside every word

    @property
    def are_finished(self) -> bool:
        """Say whether every choice that began has finished."""
        return bool(self._finished) and not self._unfinished

    def is_open(self, index: int) -> bool:
        """Say whether the choice *index* has begun and not finished."""
        return index in self._unfinished

    def are_over(self, piece: Piece) -> bool:
        """Say whether *piece* says or finishes something, and only of choices that were closed before."""
        if not self._closed or not piece.choices:
            return False
        if not all(_index(choice) in self._closed for choice in piece.choices):
            return False
        return piece.finish is not None or is_meaningful(piece)

    def note(self, choices: Sequence[Choice]) -> None:
        """Take in the *choices* of a chunk.

        After another's finish only words begin a choice: an empty one may tell the usage.
        """
        began = not self._finished
        for choice in choices:
            index = _index(choice)
            if choice.finish_reason:
                self._unfinished.pop(index, None)
                self._finished[index] = None
                if not _speaks(choice):
                    self._closed[index] = None
            elif index not in self._finished and (began or _speaks(choice)):
                self._unfinished[index] = None


def _index(choice: Choice) -> int:
    return choice.index if isinstance(choice.index, int) else 0


def _speaks(choice: Choice) -> bool:
    return choice.said is not None and says_something(choice.said)
