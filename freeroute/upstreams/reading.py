"""What stands between the pieces of a stream: signs of life, and what may have held text."""

import re
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from freeroute.wire.answers import Choice, Piece, error_in, says_something
from freeroute.wire.lenient import Lenient
from freeroute.wire.plain import Unclear, plain
from freeroute.wire.strict import inspect_chunk, inspect_whole

# What servers and proxies send to keep a connection alive, where a comment would do.
_SIGNS_OF_LIFE = frozenset({b"", b"heartbeat", b"keepalive", b"ping", b"processing", b"waiting"})
_AROUND = b" \t\r\n\"'[]<>():."
# The names under which APIs for chat send text: OpenAI's three, Cloudflare's, Google's, Hugging Face's own.
_TEXT = re.compile(rb'"(?:choices|delta|content|text|response|parts|token|generated_text|output)"')


class Events(Protocol):
    """Cuts a body into the payloads of OpenAI's chunks."""

    @property
    def stray(self) -> bytes | None:
        """Return bare JSON, outside of every event, that may be an error."""
        ...

    def feed(self, data: bytes) -> list[bytes]:
        """Return the payloads that *data* completes; raises EventTooLarge."""
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

    By its form: a word that keeps connections alive, a number, true, false, null, or an object of which no
    name is one that text goes by.
    """
    if payload.strip(_AROUND).lower().translate(None, b"-_ ") in _SIGNS_OF_LIFE:
        return True
    try:
        value = msgspec.json.decode(payload)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return False
    return not value or (not isinstance(value, str | list) and _TEXT.search(payload) is None)


class Choices:
    """Which choices of a stream have begun, and which have finished."""

    def __init__(self) -> None:
        """Begin with none."""
        self._unfinished: set[int] = set()
        self._finished: set[int] = set()

    @property
    def are_finished(self) -> bool:
        """Say whether every choice that began has finished."""
        return bool(self._finished) and not self._unfinished

    def note(self, choices: Sequence[Choice]) -> None:
        """Take in the *choices* of a chunk.

        After another's finish only words begin a choice: an empty one may tell the usage.
        """
        began = not self._finished
        for choice in choices:
            index = choice.index if isinstance(choice.index, int) else 0
            if choice.finish_reason:
                self._unfinished.discard(index)
                self._finished.add(index)
            elif index not in self._finished and (began or _speaks(choice)):
                self._unfinished.add(index)


def _speaks(choice: Choice) -> bool:
    return choice.said is not None and says_something(choice.said)
