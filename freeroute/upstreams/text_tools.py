"""Tool calls that a model writes into its text, made into real ones.

Three forms are known, as the chat templates of their models have them:

- hermes: ``<tool_call>{"name": .., "arguments": {..}}</tool_call>``, one after the other (Hermes, Qwen);
- llama: ``{"name": .., "parameters": {..}}`` and nothing else, several with ``;`` between them, the first
  perhaps behind ``<|python_tag|>`` (Llama 3 and 4);
- mistral: ``[TOOL_CALLS]`` before ``[{"name": .., "arguments": {..}}, ..]`` or before ``name{..}``, with or
  without ``[ARGS]`` in between, as often as there are calls (Mistral).

What is no call of a tool that the caller offered stays text, and so does what stands in code: an example.
"""

import re
from collections.abc import Callable
from typing import Any, cast

import msgspec
from msgspec import Struct

from freeroute.upstreams.code_marks import CodeMarks
from freeroute.upstreams.thoughts import begun_at_end
from freeroute.wire.growing import GrowingObject

HELD_LIMIT = 256 * 1024
"""Characters of one call. Own design: longer than any answer of a usual bound; it is text then, and flows."""

_LONGEST_HEAD = 128  # characters between a mark and its object, as an id and [ARGS] take


class Call(Struct, frozen=True):
    """A function's *name*, and its *arguments* as JSON."""

    name: str
    arguments: str


class TextTools:
    """Reads one text. It flows on, but from where a call may begin it is held until that is known."""

    def __init__(self, form: str, tools: frozenset[str]) -> None:
        """Look for calls in *form*, one of ``FORMS``, of *tools*, by name."""
        self._form = FORMS[form]
        self._tools = tools
        self._code = CodeMarks()
        self._held = ""  # not looked through yet
        self._begun: _Begun | None = None
        self._untold = True  # nothing but blanks came so far, and they are held
        self._called = False  # nothing but separators came since the last call

    @property
    def begun(self) -> int:
        """Return how many characters there are of what may become a call."""
        return 0 if self._begun is None else len(self._begun.text)

    def feed(self, text: str, *, ends: bool = False) -> tuple[str, list[Call]]:
        """Return what flows on, and the calls that are complete; nothing is held if it *ends*."""
        told: list[str] = []
        calls: list[Call] = []
        self._held += text
        while self._look(told, ends=ends) if self._begun is None else self._go_on(told, calls, ends=ends):
            pass
        return "".join(told), calls

    def _look(self, told: list[str], *, ends: bool) -> bool:
        """Let the text flow up to where a call may begin; say whether one may."""
        form = self._form
        if self._called:
            self._held = self._held.lstrip(form.separators)
        blanks = len(self._held) - len(self._held.lstrip())
        if self._held.startswith("{", blanks) and (
            form.chains if self._called else form.bare and self._untold
        ):
            before, mark = self._held[:blanks], ""
        else:
            before, mark, _ = self._held.partition(form.mark)
            if not mark:
                size = len(before) - (0 if ends else begun_at_end(before, form.mark))
                self._flow(told, 0 if self._untold and blanks >= size and not ends else size)
                return False
        if self._untold and blanks >= len(before):
            mark = before + mark  # blanks before the first call go with it
        else:
            self._flow(told, len(before))
        if self._code.is_fenced:
            self._flow(told, len(mark))
            return True
        self._begun = _Begun(form, self._tools, mark)
        self._held = self._held[len(mark) :]
        return True

    def _go_on(self, told: list[str], calls: list[Call], *, ends: bool) -> bool:
        """Read the call that may have begun; say whether it is known what it is."""
        begun = cast("_Begun", self._begun)
        begun.feed(self._held)
        self._held = ""
        try:
            call = begun.read(ends=ends)
            is_quoted = call and self._code.is_quoted(begun.text[begun.seen :], ends=ends)
            if is_quoted:
                raise ValueError("an example")
        except (msgspec.MsgspecError, ValueError):
            self._begun, self._held = None, begun.text
            self._flow(told, max(begun.opening, 1))
            return True
        if call is None or is_quoted is None:
            return False
        self._begun, self._held = None, begun.text[begun.seen :]
        self._untold, self._called = False, True
        calls.append(call)
        return True

    def _flow(self, told: list[str], size: int) -> None:
        if size:
            text, self._held = self._held[:size], self._held[size:]
            self._untold = self._called = False
            self._code.feed(text)
            told.append(text)


class _Begun:
    """A text that may be a call: what opens it, an object, and what closes it."""

    def __init__(self, form: "_Form", tools: frozenset[str], opening: str) -> None:
        self.text = opening
        self.opening = self.seen = len(opening)
        self._form = form
        self._tools = tools
        self._name: str | None = None  # before the object; "" if it is in it
        self._start = 0
        self._object = GrowingObject()
        self._call: Call | None = None
        self._closed = False

    def feed(self, text: str) -> None:
        self.text += text

    def read(self, *, ends: bool) -> Call | None:
        """Return the call once it is there, with *seen* behind it; raises ValueError if there is none."""
        if self._closed:
            return self._call
        if len(self.text) > HELD_LIMIT:
            raise ValueError("too long")
        if self._call is None:
            self._call = self._read_object()
        size = None if self._call is None else self._form.close(self.text[self.seen :], ends)
        if size is None:
            if ends:
                raise ValueError("not closed")
            return None
        self.seen += size
        self._closed = True
        return self._call

    def _read_object(self) -> Call | None:
        if self._name is None:
            found = self._form.head(self.text[self.opening :], self._tools)
            if found is None:
                return None
            self._name, self._start = found[0], self.opening + found[1]
            self.seen = self._start
        self.seen += self._object.feed(self.text[self.seen :])
        if self._object.broken or not (self._name or _may_call(self.text, self._start, self._tools)):
            raise ValueError("no call")
        if not self._object.ended:
            return None
        written = msgspec.json.decode(self.text[self._start : self.seen])
        call = _call({"name": self._name, "arguments": written} if self._name else written)
        if call.name not in self._tools:
            raise ValueError("no tool of the request")
        return call


def _call(written: dict[str, Any]) -> Call:
    """Return the call that *written* is; raises ValueError if it is none."""
    if not isinstance(written.get("name"), str):
        raise ValueError("no name")
    arguments = written.get("arguments", written.get("parameters", {}))
    if isinstance(arguments, str):
        arguments = msgspec.json.decode(arguments)
    if not isinstance(arguments, dict):
        raise ValueError("no arguments")
    return Call(written["name"], msgspec.json.encode(arguments).decode())


_MEMBER = re.compile(r'\{\s*"([^"]*)("?)(?:\s*:\s*"([^"\\]*)("?))?')


def _may_call(text: str, start: int, tools: frozenset[str]) -> bool:
    """Say whether the object in *text* from *start* may become a call, by its first member as far as it is
    there.
    """
    member = _MEMBER.match(text, start)
    if member is None:
        return True
    name, is_named, value, is_told = member.groups()
    values = {"name": tools, "type": ("function",), "arguments": None, "parameters": None}
    if not is_named:
        return any(known.startswith(name) for known in values)
    allowed = values.get(name, ())
    if allowed is None or value is None:
        return name in values
    return value in allowed if is_told else any(known.startswith(value) for known in allowed)


# A head is what is between the mark and the object: the name, if it stands there, and where it begins.
# A close is how many characters behind the object belong to it. Both are None while more must come, and raise
# ValueError where there is no call.


def _head(text: str, _: frozenset[str]) -> tuple[str, int] | None:
    object_ = text.lstrip()
    if object_ and not object_.startswith("{"):
        raise ValueError("no object")
    return ("", len(text) - len(object_)) if object_ else None


def _mistral_head(text: str, tools: frozenset[str]) -> tuple[str, int] | None:
    array = text.lstrip()
    if array.startswith("["):
        found = _head(array[1:], tools)
        return None if found is None else ("", len(text) - len(array) + 1 + found[1])
    before, brace, _ = array.partition("{")
    name = before.split("[")[0].strip()  # [CALL_ID]..[ARGS] may follow
    if brace and (not name or name in tools):
        return name, len(text) - len(array) + len(before)
    if brace or len(before) > _LONGEST_HEAD or not any(tool.startswith(name) for tool in tools):
        raise ValueError("no tool of the request")
    return None


def _hermes_close(text: str, ends: bool) -> int | None:
    rest = text.lstrip()
    blanks = len(text) - len(rest)
    if rest.startswith(_CLOSING) or (ends and not rest):
        return blanks + min(len(rest), len(_CLOSING))
    if not _CLOSING.startswith(rest):
        raise ValueError("more than a call")
    return None


def _llama_close(text: str, ends: bool) -> int | None:
    rest = text.lstrip(_LLAMA_SEPARATORS)
    if rest.startswith(("{", _PYTHON_TAG)) or (ends and not rest):
        return len(text) - len(rest)
    if not _PYTHON_TAG.startswith(rest):
        raise ValueError("more than calls")
    return None


def _mistral_close(_text: str, _ends: bool) -> int:
    return 0


class _Form(Struct, frozen=True):
    """How a call begins: by its *mark*, or *bare* where the text does. Behind *separators* another may
    follow, which needs no mark where it *chains*.
    """

    mark: str
    head: Callable[[str, frozenset[str]], tuple[str, int] | None]
    close: Callable[[str, bool], int | None]
    separators: str = " \t\r\n"
    bare: bool = False
    chains: bool = False


_CLOSING = "</tool_call>"
_PYTHON_TAG = "<|python_tag|>"
_LLAMA_SEPARATORS = " \t\r\n;,"
FORMS = {
    "hermes": _Form("<tool_call>", _head, _hermes_close),
    "llama": _Form(_PYTHON_TAG, _head, _llama_close, separators=_LLAMA_SEPARATORS, bare=True, chains=True),
    "mistral": _Form("[TOOL_CALLS]", _mistral_head, _mistral_close, separators=" \t\r\n,]", chains=True),
}
"""The forms by name."""
