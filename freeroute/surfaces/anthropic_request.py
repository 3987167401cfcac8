"""What a request in Anthropic's words asks for, in OpenAI's: the messages, the tools, what shapes the answer.

What only Anthropic's own models and servers understand is passed over where the answer is the same without,
and refused where it is not.
"""

import hashlib
import re
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct, field

from freeroute.errors import InvalidRequest
from freeroute.surfaces.anthropic_blocks import (
    Block,
    RedactedThinking,
    TextBlock,
    Thinking,
    ToolResult,
    ToolUse,
    part_of,
    text_of,
)
from freeroute.surfaces.bodies import fields_in
from freeroute.wire.chat import ChatCall
from freeroute.wire.decode import decode_chat

Fields = dict[str, Any]

# What Claude Code tells Anthropic's billing ahead of every prompt: nothing for a model to read.
_BILLING = "x-anthropic-billing-header:"
# Tools that only look for other tools: all of these are sent anyway.
_NEEDLESS_TOOLS = "tool_search_tool_"
# Budgets of thoughts, in tokens, from which on an effort is meant. Own design: half of models' usual answers,
# and what Anthropic's own guide gives for hard problems.
_EFFORTS = ((16_384, "high"), (4096, "medium"), (0, "low"))
# Some providers refuse a longer name of a user. Own design: OpenAI's own bound.
_LONGEST_USER = 64
# Fields that mean the same in both APIs, and those that speak to the gateway.
_SAME = ("model", "models", "provider", "stream", "temperature", "top_p", "top_k", "max_tokens")
# What OpenAI's fields are called here, for errors.
_CALLED = {
    "stop": "stop_sequences",
    "user": "metadata.user_id",
    "response_format": "output_config.format",
    "reasoning_effort": "output_config.effort",
}


class Message(Struct):
    """A turn, or what the system says between two."""

    role: Literal["user", "assistant", "system"]
    content: str | list[Block]


class Tool(Struct):
    """A tool of the caller's; one with another *type* than custom is Anthropic's own."""

    name: str = ""
    type: str | None = None
    description: str | None = None
    input_schema: dict[str, Raw] | None = None


class ToolChoice(Struct):
    """Whether tools are to be used, and which one."""

    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class ThinkingConfig(Struct):
    """Whether the model is to think, and for how many tokens."""

    type: str
    budget_tokens: int | None = None


class OutputFormat(Struct):
    """The form of the answer."""

    type: Literal["json_schema"]
    schema: dict[str, Raw]


class OutputConfig(Struct):
    """How much effort an answer is worth, and its form."""

    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    format: OutputFormat | None = None


class Metadata(Struct):
    """Who it is for."""

    user_id: str | None = None


_DECODERS: dict[str, msgspec.json.Decoder[Any]] = {
    name: msgspec.json.Decoder(kind)
    for name, kind in {
        "stream": bool,
        "messages": list[Message],
        "system": str | list[TextBlock],
        "tools": list[Tool],
        "tool_choice": ToolChoice,
        "stop_sequences": list[str],
        "thinking": ThinkingConfig,
        "output_config": OutputConfig,
        "output_format": OutputFormat,
        "metadata": Metadata,
        "mcp_servers": list[Any],
        "container": Any,
    }.items()
}


class Read(Struct, frozen=True):
    """A request as it was read: the *call*, and the sequences that its answer is to *stop* at."""

    call: ChatCall
    stop: frozenset[str] = frozenset()


class _Turns(Struct):
    """OpenAI's *messages*, and where each comes from in the request."""

    messages: list[Fields] = field(default_factory=list)
    places: list[str] = field(default_factory=list)

    def add(self, place: str, role: str, **said: Any) -> None:
        """Add one of *role*, which stands at *place* in the request."""
        self.messages.append({"role": role, **said})
        self.places.append(place)


def read_request(body: bytes) -> Read:
    """Return what *body* asks for; raises InvalidRequest that names the field in Anthropic's words."""
    given, values = fields_in(body, _DECODERS)
    for name in ("mcp_servers", "container"):
        if values.get(name):
            raise InvalidRequest(f"{name}: only Anthropic's servers have that.", param=name)
    turns = _turns(values)
    asked: Fields = {name: given[name] for name in _SAME if name in given}
    if "messages" in given:
        asked["messages"] = turns.messages
    asked |= _tools(values) | _shape(values)
    if values.get("stream"):
        asked["stream_options"] = {"include_usage": True}
    try:
        call = decode_chat(msgspec.json.encode(asked))
    except InvalidRequest as error:
        raise _reworded(error, turns.places) from None
    return Read(call, frozenset(values.get("stop_sequences") or ()))


# --- messages ------------------------------------------------------------------------------------------


def _turns(values: Fields) -> _Turns:
    turns = _Turns()
    if system := _system(values.get("system") or ()):
        turns.add("system", "system", content=system)
    for index, message in enumerate(values.get("messages", ())):
        place = f"messages[{index}].content"
        content = message.content
        blocks: list[Block] = [TextBlock(content)] if isinstance(content, str) else content
        match message.role:
            case "assistant":
                _answered(turns, blocks, place)
            case "user":
                _asked(turns, blocks, place)
            case _:
                _reminded(turns, blocks, place)
    return turns


def _system(given: str | Sequence[TextBlock]) -> str:
    texts = [given] if isinstance(given, str) else [block.text for block in given]
    return "\n\n".join(text for text in texts if not text.startswith(_BILLING))


def _reminded(turns: _Turns, blocks: Sequence[Block], place: str) -> None:
    """Add what the system says between two turns.

    Later than at the beginning the templates of several models take no system message: what is said there is
    marked, and comes from the user.
    """
    text = "\n\n".join(text_of(block, place) for block in blocks)
    if not any(message["role"] != "system" for message in turns.messages):
        turns.add(place, "system", content=text)
    else:
        turns.add(place, "user", content=f"<system>\n{text}\n</system>")


def _asked(turns: _Turns, blocks: Sequence[Block], place: str) -> None:
    """Add what a user says: what tools gave first, as OpenAI has it, and their images with the rest."""
    parts: list[Fields] = []
    for index, block in enumerate(blocks):
        where = f"{place}[{index}]"
        if isinstance(block, ToolResult):
            parts += _gave(turns, block, where)
        else:
            parts.append(part_of(block, where))
    if parts or not blocks:
        turns.add(place, "user", content=_content(parts))


def _gave(turns: _Turns, result: ToolResult, where: str) -> list[Fields]:
    """Add what a tool gave; return what of it OpenAI's tools cannot give, which are images and files."""
    content = result.content or ()
    blocks: Sequence[Block] = [TextBlock(content)] if isinstance(content, str) else content
    parts = [part_of(block, f"{where}.content[{index}]") for index, block in enumerate(blocks)]
    texts = [part["text"] for part in parts if part["type"] == "text"]
    others = [part for part in parts if part["type"] != "text"]
    if others:
        texts.append("What else it gave follows below.")
    text = "\n\n".join(texts)
    told = f"Error: {text}" if result.is_error else text
    turns.add(where, "tool", tool_call_id=result.tool_use_id, content=told)
    return others


def _answered(turns: _Turns, blocks: Sequence[Block], place: str) -> None:
    """Add an earlier answer, without its thoughts: they are signed by another model than will read them."""
    texts: list[str] = []
    calls: list[Fields] = []
    for index, block in enumerate(blocks):
        if isinstance(block, ToolUse):
            function = {"name": block.name, "arguments": msgspec.json.encode(block.input).decode()}
            calls.append({"id": block.id, "type": "function", "function": function})
        elif not isinstance(block, (Thinking, RedactedThinking)):
            texts.append(text_of(block, f"{place}[{index}]"))
    said: Fields = {"content": "".join(texts) or None}
    if calls:
        said["tool_calls"] = calls
    if texts or calls:
        turns.add(place, "assistant", **said)


def _content(parts: list[Fields]) -> str | list[Fields]:
    """Return *parts* as the content of a message: a text if that is all there is."""
    if not parts:
        return ""
    return parts[0]["text"] if len(parts) == 1 and parts[0]["type"] == "text" else parts


# --- tools, and what shapes the answer -----------------------------------------------------------------


def _tools(values: Fields) -> Fields:
    tools = [
        _tool(tool, f"tools[{index}]")
        for index, tool in enumerate(values.get("tools") or ())
        if not (tool.type or "").startswith(_NEEDLESS_TOOLS)
    ]
    asked: Fields = {"tools": tools} if tools else {}
    choice: ToolChoice | None = values.get("tool_choice")
    if choice is None:
        return asked
    if choice.type == "tool":
        if not choice.name:
            raise InvalidRequest("tool_choice.name: is missing.", param="tool_choice.name")
        asked["tool_choice"] = {"type": "function", "function": {"name": choice.name}}
    elif choice.type != "auto":
        asked["tool_choice"] = {"any": "required", "none": "none"}[choice.type]
    if choice.disable_parallel_tool_use and tools:
        asked["parallel_tool_calls"] = False
    return asked


def _tool(tool: Tool, where: str) -> Fields:
    if tool.type not in (None, "custom"):
        told = f"{where}.type: {tool.type[:64]!r} is a tool of Anthropic's own, which no model here knows."
        raise InvalidRequest(told, param=f"{where}.type")
    if not tool.name:
        raise InvalidRequest(f"{where}.name: is missing.", param=f"{where}.name")
    if tool.input_schema is None:
        raise InvalidRequest(f"{where}.input_schema: is missing.", param=f"{where}.input_schema")
    described = {"description": tool.description} if tool.description else {}
    function = {"name": tool.name, **described, "parameters": tool.input_schema}
    return {"type": "function", "function": function}


def _shape(values: Fields) -> Fields:
    asked: Fields = {}
    if stop := values.get("stop_sequences"):
        asked["stop"] = stop
    config: OutputConfig = values.get("output_config") or OutputConfig()
    if (form := config.format or values.get("output_format")) is not None:
        named = {"name": "answer", "schema": form.schema}
        asked["response_format"] = {"type": "json_schema", "json_schema": named}
    if effort := _effort(values.get("thinking"), config.effort):
        asked["reasoning_effort"] = effort
    if user := (values.get("metadata") or Metadata()).user_id:
        asked["user"] = user if len(user) <= _LONGEST_USER else hashlib.sha256(user.encode()).hexdigest()
    return asked


def _effort(thinking: ThinkingConfig | None, effort: str | None) -> str | None:
    """Return the effort in OpenAI's words; None leaves it to the model, as it does not to think at all."""
    if thinking is not None and thinking.type == "disabled":
        return None
    if effort is not None:
        return "xhigh" if effort == "max" else effort
    budget = thinking.budget_tokens if thinking is not None else None
    return None if budget is None else next(word for least, word in _EFFORTS if budget >= least or not least)


# --- errors --------------------------------------------------------------------------------------------

_MESSAGE = re.compile(r"messages\[(\d+)\].*", re.DOTALL)


def _reworded(error: InvalidRequest, places: Sequence[str]) -> InvalidRequest:
    """Return *error*, which names a field of OpenAI's, with the place in the request that it comes from."""
    param = error.param or ""
    first, *rest = re.split(r"(?=[.\[])", param, maxsplit=1)
    if match := _MESSAGE.fullmatch(param):
        called = places[int(match[1])]
    elif first in _CALLED:
        called = _CALLED[first] + "".join(rest).removeprefix(".json_schema")
    else:
        return error
    text = error.message
    return InvalidRequest(called + text.removeprefix(param) if text.startswith(param) else text, param=called)
