"""Tools of the Responses API as chat completions have them, and calls of them back in its own words."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct

from freeroute.errors import InvalidRequest, UnsupportedCapability
from freeroute.wire.decode import read

LONGEST_NAME = 64
"""Characters of a function's name, as OpenAI documents it."""

# Tools that are run by whoever serves a model, and that a model can do without while it has others: it is
# free not to use them.
_SPARED = frozenset({"web_search", "web_search_preview"})
_INPUT = "input"  # the one parameter of a function that stands for a tool of free text
_HASHED = 8  # characters of a hash at the end of a name that was too long


_NULL = Raw(b"null")


class Grammar(Struct, tag_field="type", tag="grammar"):
    """What the input of a tool has to follow."""

    definition: str
    syntax: str = ""


class Plain(Struct, tag_field="type", tag="text"):
    """Input of any kind."""


class Function(Struct, tag_field="type", tag="function"):
    """A function with parameters."""

    name: str
    description: str | None = None
    parameters: Raw = _NULL
    strict: bool | None = None


class Custom(Struct, tag_field="type", tag="custom"):
    """A tool that takes free text."""

    name: str
    description: str | None = None
    format: Grammar | Plain | None = None


class Namespace(Struct, tag_field="type", tag="namespace"):
    """Tools that belong together; their names are told apart from others by its own."""

    name: str
    tools: list[Function | Custom]


class Source(Struct, frozen=True):
    """What a called function is in the words of the caller: a *custom* tool, one in a *namespace*."""

    name: str
    namespace: str | None = None
    custom: bool = False


class Offer(Struct, frozen=True):
    """The tools of a request.

    *chat* are the fields of a chat completion, *sources* what each name in them stands for, *echo* the tools
    as the answer tells them, *dropped* what was left out.
    """

    chat: Mapping[str, Any] = {}
    sources: Mapping[str, Source] = {}
    echo: tuple[Raw, ...] = ()
    dropped: tuple[str, ...] = ()


class _Kind(Struct):
    type: str = ""
    name: str | None = None
    mode: Literal["auto", "required"] = "auto"
    tools: list[Raw] = []


_KIND = msgspec.json.Decoder(_Kind)
_TOOL = msgspec.json.Decoder(Function | Custom | Namespace)
_CHOICE = msgspec.json.Decoder(Literal["none", "auto", "required"] | dict[str, Raw])
_TAKEN = frozenset({"function", "custom", "namespace"})


def offered(tools: Sequence[Raw], choice: Raw | None) -> Offer:
    """Return what *tools* and the *choice* among them come to; raises InvalidRequest."""
    chosen = read(choice, _CHOICE, "tool_choice") if choice is not None else "auto"
    kinds = [read(tool, _KIND, f"tools[{at}]").type for at, tool in enumerate(tools)]
    taken = [kind in _TAKEN for kind in kinds]
    for at, kind in enumerate(kinds):
        if not taken[at] and chosen != "none" and not (kind in _SPARED and any(taken)):
            raise _not_run_here(f"tools[{at}].type", kind)
    found = _found([(at, tool) for at, tool in enumerate(tools) if taken[at]])
    sources = {name: source for name, (source, _) in found.items()}
    listed, wish = _chosen(chosen, choice, sources)
    functions = [function for name, (_, function) in found.items() if name in listed]
    chat: dict[str, Any] = {"tools": functions} if functions else {}
    if functions and wish != "auto":
        chat["tool_choice"] = wish
    return Offer(
        chat=chat,
        sources=sources,
        echo=tuple(tool for at, tool in enumerate(tools) if taken[at]),
        dropped=tuple(kind for at, kind in enumerate(kinds) if not taken[at] and chosen != "none"),
    )


def wire_name(name: str, namespace: str | None) -> str:
    """Return the name that a function goes by in chat completions, which know no namespaces."""
    if namespace is None:
        return name
    whole = f"{namespace}__{name}"
    if len(whole) <= LONGEST_NAME:
        return whole
    digest = hashlib.sha256(whole.encode()).hexdigest()[:_HASHED]
    return f"{whole[: LONGEST_NAME - _HASHED - 1]}_{digest}"


def free_text(text: str) -> str:
    """Return the arguments of a function that stands for a tool of free text."""
    return msgspec.json.encode({_INPUT: text}).decode()


def _not_run_here(param: str, kind: str) -> UnsupportedCapability:
    return UnsupportedCapability(
        f"{param}: {kind[:40]!r} is a tool that OpenAI runs itself, and nothing here does: leave it out, "
        "offer a function in its place, or choose none of the tools.",
        param=param,
    )


def _found(tools: Sequence[tuple[int, Raw]]) -> dict[str, tuple[Source, dict[str, Any]]]:
    """Return by their names in chat completions what *tools* stand for, and the functions for it."""
    found: dict[str, tuple[Source, dict[str, Any]]] = {}
    for at, raw in tools:
        tool = read(raw, _TOOL, f"tools[{at}]")
        space = tool.name if isinstance(tool, Namespace) else None
        for one in tool.tools if isinstance(tool, Namespace) else (tool,):
            name = wire_name(one.name, space)
            if name in found:
                param = f"tools[{at}].name"
                raise InvalidRequest(f"{param}: two tools have this name.", param=param)
            found[name] = (Source(one.name, space, isinstance(one, Custom)), _function(one, name))
    return found


def _function(tool: Function | Custom, name: str) -> dict[str, Any]:
    if isinstance(tool, Custom):
        return {"type": "function", "function": {"name": name, **_of_text(tool)}}
    function: dict[str, Any] = {"name": name}
    if tool.description:
        function["description"] = tool.description
    if tool.parameters != _NULL:
        function["parameters"] = tool.parameters
    if tool.strict:  # a chat completion is not by itself, and few providers know the field
        function["strict"] = True
    return {"type": "function", "function": function}


def _of_text(tool: Custom) -> dict[str, Any]:
    described = [tool.description or ""]
    if isinstance(tool.format, Grammar):
        described.append(f"The input follows this {tool.format.syntax} grammar:\n{tool.format.definition}")
    parameters = {
        "type": "object",
        "properties": {_INPUT: {"type": "string", "description": "The whole input of the tool, as it is."}},
        "required": [_INPUT],
        "additionalProperties": False,
    }
    return {"description": "\n\n".join(filter(None, described)), "parameters": parameters}


def _chosen(chosen: Any, raw: Raw | None, sources: Mapping[str, Source]) -> tuple[frozenset[str], Any]:
    """Return the names that may be called, and the choice among them as chat completions say it."""
    every = frozenset(sources)
    if isinstance(chosen, str) or raw is None:
        return every, chosen
    kind = read(raw, _KIND, "tool_choice")
    match kind.type:
        case "function" | "custom":
            name = _named(kind, sources, "tool_choice")
            return every, {"type": "function", "function": {"name": name}}
        case "allowed_tools":
            allowed = [read(tool, _KIND, f"tool_choice.tools[{at}]") for at, tool in enumerate(kind.tools)]
            places = [f"tool_choice.tools[{at}]" for at in range(len(allowed))]
            return frozenset(map(_named, allowed, [sources] * len(allowed), places)), kind.mode
        case _:
            raise _not_run_here("tool_choice.type", kind.type)


def _named(kind: _Kind, sources: Mapping[str, Source], where: str) -> str:
    for name, source in sources.items():
        if kind.name in (name, source.name) and source.custom == (kind.type == "custom"):
            return name
    raise InvalidRequest(f"{where}: no such tool is offered.", param=where)


_BEGINS = re.compile(rf'\s*\{{\s*"{_INPUT}"\s*:\s*"')
# Characters of a string in JSON, as far as they are all there: of a pair of surrogates both.
_WHOLE = re.compile(
    r'(?:[^"\\]+|\\u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}'
    r"|\\u(?![dD][89a-fA-F])[\da-fA-F]{4}|\\[^u])*+"
)
_STRING = msgspec.json.Decoder(str)


class FreeText:
    """The free text in the arguments of a function, as they come; *text* is what is known of it."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.text = ""
        self._held = ""
        self._begun = False
        self._arguments: list[str] = []

    def feed(self, piece: str) -> str:
        """Take the next *piece* of the arguments; return what it adds to the text."""
        self._arguments.append(piece)
        self._held += piece
        if not self._begun:
            begins = _BEGINS.match(self._held)
            if begins is None:
                return ""
            self._begun, self._held = True, self._held[begins.end() :]
        there = _WHOLE.match(self._held)
        ready = there.group() if there is not None else ""
        self._held = self._held[len(ready) :]
        return self._told(_decoded(f'"{ready}"'))

    def end(self) -> str:
        """Return what was still missing: everything, if the arguments are not what they should be."""
        return "" if self.text or self._begun else self._told("".join(self._arguments))

    def _told(self, text: str) -> str:
        self.text += text
        return text


def _decoded(string: str) -> str:
    try:
        return _STRING.decode(re.sub(r"[\x00-\x1f]", lambda found: f"\\u{ord(found[0]):04x}", string))
    except (msgspec.DecodeError, ValueError):
        return ""
