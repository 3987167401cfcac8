"""Tool calls for APIs that tell them whole: put together from their pieces, and known again by their ids."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from freeroute.wire.growing import GrowingObject
from freeroute.wire.hearing import CallPiece
from freeroute.wire.lenient import Lenient


class WholeCall(Struct, frozen=True):
    """A tool call with all of its arguments."""

    id: str
    name: str
    arguments: dict[str, Any]


class _Growing:
    """A call as far as it was told."""

    def __init__(self) -> None:
        self.id = ""
        self.name = ""
        self._written: list[str] = []
        self._object = GrowingObject()

    def take(self, piece: CallPiece) -> None:
        self.id = self.id or piece.id
        self.name += piece.name
        self._written.append(piece.arguments)
        self._object.feed(piece.arguments)

    @property
    def is_whole(self) -> bool:
        return self._object.ended and bool(self.name)

    def whole(self) -> WholeCall:
        """Return the call; arguments that are no object are told as they were written, as one of theirs."""
        written = ("".join(self._written).strip() or "{}").encode("utf-8", "replace")
        arguments = _object_in(written)
        if arguments is None:
            arguments = {"arguments": written.decode()}
        return WholeCall(self.id, self.name, arguments)


def _object_in(written: bytes) -> dict[str, Any] | None:
    for text in (written, Lenient().mended(written)):
        try:
            value = msgspec.json.decode(text) if text is not None else None
        except (msgspec.MsgspecError, ValueError, RecursionError):
            continue
        return value if isinstance(value, dict) else None
    return None


class Calls:
    """The tool calls of one answer, each given once: as soon as its arguments are complete."""

    def __init__(self) -> None:
        """Know of none."""
        self._growing: dict[int, _Growing] = {}
        self._given: set[int] = set()

    def take(self, pieces: Sequence[CallPiece]) -> list[WholeCall]:
        """Return the calls that *pieces* complete."""
        for piece in pieces:
            if piece.index not in self._given:
                self._growing.setdefault(piece.index, _Growing()).take(piece)
        return self._complete([index for index, call in self._growing.items() if call.is_whole])

    def rest(self, finish: str | None) -> list[WholeCall]:
        """Return those that were begun, now that the answer is over, with why it ended.

        Without arguments a call has none. A call that was cut off for its length is left out.
        """
        if finish == "length":
            self._growing = {index: call for index, call in self._growing.items() if call.is_whole}
        return self._complete(list(self._growing))

    def _complete(self, indices: list[int]) -> list[WholeCall]:
        self._given.update(indices)
        return [self._growing.pop(index).whole() for index in indices]


class CallIds:
    """The ids of a conversation's calls, where results may be told apart by the names of functions alone."""

    def __init__(self) -> None:
        """Know of no call."""
        self._open: list[tuple[str, str]] = []
        self._made = 0

    def called(self, name: str, given: str | None) -> str:
        """Return the id of a call of *name*: the one that is *given*, or a new one."""
        self._made += 1
        call_id = given or f"call_{self._made}"
        self._open.append((name, call_id))
        return call_id

    def answered(self, name: str | None, given: str | None) -> str | None:
        """Return the id of the call that a result is of; None if no call waits for one.

        Without an id it is the first call of *name*, without a name the first there is.
        """
        found = next((call for call in self._open if _is_meant(call, name, given)), None)
        if found is None:
            return given
        self._open.remove(found)
        return found[1]


def _is_meant(call: tuple[str, str], name: str | None, given: str | None) -> bool:
    return call[1] == given if given else not name or call[0] == name
