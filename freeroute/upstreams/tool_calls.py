"""Which call of a tool each piece of an answer belongs to, whatever ids and indexes its provider gives.

In OpenAI's form every call has an id of its own and an index from 0, and only its first piece has the id and
the name. Some give the same id or the same index to all calls, an index as a text or none, no id or a new one
in each piece, or the name over and over. Clients put the pieces together by index and join what comes twice.
"""

import re
import uuid
from typing import Any

from msgspec import Struct, field

# Beyond this no index is believed. Own design: far more calls than an answer has.
_MOST_INDEX = 1024
_MARKS = re.compile(r'\\.?|["{}\[\]]', re.DOTALL)


def new_id() -> str:
    """Return an id for a call that has none of its own."""
    return f"call_{uuid.uuid4().hex[:24]}"


class _Arguments(Struct):
    """How far the JSON object of a call's arguments has come; the text itself is not kept."""

    opened: bool = False
    depth: int = 0
    quoted: bool = False
    escaped: bool = False

    def feed(self, text: str) -> None:
        if self.escaped:
            text, self.escaped = text[1:], not text
        for mark in _MARKS.findall(text):
            if mark[0] == "\\":
                self.escaped = len(mark) == 1
            elif mark == '"':
                self.quoted = not self.quoted
            elif not self.quoted:
                self.depth += 1 if mark in "{[" else -1
                self.opened = True

    @property
    def are_whole(self) -> bool:
        return self.opened and self.depth <= 0 and not self.quoted


class _Call(Struct):
    """A call that has begun: its *id* here, and the *index* and id (*given*) that its provider began it with.

    *renamed* says that its name came again when its arguments were whole: maybe the next one like it begins.
    """

    place: int
    id: str
    index: int | None = None
    given: str = ""
    name: str = ""
    arguments: _Arguments = field(default_factory=_Arguments)
    renamed: bool = False


class _Piece(Struct, frozen=True):
    """What one piece says of a call, "" for what it does not say."""

    index: int | None = None
    given: str = ""
    name: str = ""
    arguments: str = ""

    @property
    def says(self) -> bool:
        return bool(self.arguments.strip())


class ToolCalls:
    """The calls that one choice has begun, in order."""

    def __init__(self, *, trusts_index: bool = True) -> None:
        """Begin without any; the provider's index is a hint only unless it is to be trusted."""
        self._trusts_index = trusts_index
        self._calls: list[_Call] = []
        self._ids: set[str] = set()
        # The last call by what its provider began it with: its index, its id, or both.
        self._at: dict[int | None, _Call] = {}
        self._given: dict[str, _Call] = {}
        self._both: dict[tuple[str, int | None], _Call] = {}

    def __len__(self) -> int:
        """Return how many calls have begun."""
        return len(self._calls)

    def begin(self, given: Any = None) -> tuple[int, str]:
        """Begin a call, under the id *given* if it is one and no other call has it; return place and id."""
        call = self._new(_Piece(given=given if isinstance(given, str) else ""))
        return call.place, call.id

    def id_at(self, index: Any) -> str | None:
        """Return the id of the call that has *index* here, if there is one."""
        known = isinstance(index, int) and 0 <= index < len(self._calls)
        return self._calls[index].id if known else None

    def repaired(self, raw: Any) -> Any:
        """Return the piece *raw* of a stream in OpenAI's form."""
        if not isinstance(raw, dict):
            return raw
        piece = _read(raw)
        meant = self._meant(piece)
        if meant is None or _begins(piece, meant):
            return self._first(raw, piece, meant)
        return _later(raw, piece, meant)

    def _first(self, raw: dict[str, Any], piece: _Piece, before: _Call | None) -> dict[str, Any]:
        """Return *raw* as the first piece of a call; its name may have come with the one *before* it."""
        call = self._new(piece)
        told = {**raw, "index": call.place, "id": call.id}
        if not piece.name and before is not None and before.renamed:
            call.name = before.name
            told["function"] = {**raw["function"], "name": before.name}
        return told

    def _new(self, piece: _Piece) -> _Call:
        own = piece.given if piece.given and piece.given not in self._ids else new_id()
        call = _Call(len(self._calls), own, piece.index, piece.given, piece.name)
        call.arguments.feed(piece.arguments)
        self._calls.append(call)
        self._ids.add(own)
        self._at[piece.index] = self._given[piece.given] = self._both[piece.given, piece.index] = call
        return call

    def _meant(self, piece: _Piece) -> _Call | None:
        """Return the last call that goes by the marks of *piece*, or None if none does."""
        found = self._by_id(piece) if piece.given else None
        if found is not None or not self._calls:
            return found
        last = self._calls[-1]
        if piece.index is None:
            return last
        is_bare = not (piece.given or piece.name)
        is_adrift = is_bare and (last.index is None or not self._trusts_index)
        return self._at.get(piece.index, last if is_adrift else None)

    def _by_id(self, piece: _Piece) -> _Call | None:
        """Return the last call with the id of *piece*, and with its index where both have one."""
        if piece.index is None:
            return self._given.get(piece.given)
        return self._both.get((piece.given, piece.index)) or self._both.get((piece.given, None))


def _begins(piece: _Piece, call: _Call) -> bool:
    """Say whether *piece* begins another call, although it goes by the marks of *call*."""
    if piece.given and call.given and piece.given != call.given:
        # With a name it is another call; without one an id that is made up anew for each piece.
        return bool(piece.name) or not call.name or (call.arguments.are_whole and piece.says)
    if not piece.name:
        return call.renamed and call.arguments.are_whole and piece.says
    if call.arguments.are_whole:
        return piece.name != call.name or piece.says
    # A name in two pieces belongs to a call with an id; without ids each name is a call.
    return piece.name != call.name and not call.given


def _later(raw: dict[str, Any], piece: _Piece, call: _Call) -> dict[str, Any]:
    """Return *raw* as a later piece of *call*: clients would add its id and its name to those they have."""
    told = {**raw, "index": call.place}
    if piece.given:
        del told["id"]
    if piece.name and piece.name == call.name:
        told["function"] = {key: value for key, value in raw["function"].items() if key != "name"}
        call.renamed = call.arguments.are_whole
    else:
        call.name += piece.name
    call.arguments.feed(piece.arguments)
    return told


def _read(raw: dict[str, Any]) -> _Piece:
    function = raw.get("function")
    function = function if isinstance(function, dict) else {}
    given, name, arguments = raw.get("id"), function.get("name"), function.get("arguments")
    if not isinstance(arguments, str):
        arguments = "" if arguments is None else "{}"  # a whole object, made a text later
    return _Piece(
        index=_index(raw.get("index")),
        given=given if isinstance(given, str) else "",
        name=name if isinstance(name, str) else "",
        arguments=arguments,
    )


def _index(told: Any) -> int | None:
    if isinstance(told, str) and told.isdecimal() and len(told) < 5:
        told = int(told)
    return told if isinstance(told, int) and 0 <= told < _MOST_INDEX else None


def with_ids(calls: Any) -> list[Any] | None:
    """Return the tool *calls* of a whole answer with an id each, None if they have them or are none."""
    if not isinstance(calls, list):
        return None
    begun = ToolCalls()
    repaired = [
        {**call, "id": begun.begin(call.get("id"))[1]} if isinstance(call, dict) else call for call in calls
    ]
    return repaired if repaired != calls else None
