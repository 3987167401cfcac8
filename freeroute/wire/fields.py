"""The fields of a chat request that routing reads: their types, their bounds, and what they ask for."""

from typing import Annotated, Any, Literal, NoReturn, TypedDict

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from freeroute.errors import InvalidRequest

# No model writes more; a larger figure is a mistake, and would overflow a counter somewhere.
MAX_TOKENS = 10_000_000
# Fields that are part of the prompt a provider counts.
COUNTED = ("tools", "functions", "response_format")


class Text(Struct, tag_field="type", tag="text"):
    """A text part."""

    text: str


class Refusal(Struct, tag_field="type", tag="refusal"):
    """What an assistant refused with."""

    refusal: str


class ImageUrl(Struct):
    """Where an image is: a data URL or an address."""

    url: str


class Image(Struct, tag_field="type", tag="image_url"):
    """An image part."""

    image_url: ImageUrl


class Sound(Struct):
    """Base64 audio and its format."""

    data: str
    format: str


class Audio(Struct, tag_field="type", tag="input_audio"):
    """An audio part."""

    input_audio: Sound


class File(Struct, tag_field="type", tag="file"):
    """A file part."""

    file: dict[str, Raw]


class VideoUrl(Struct):
    """Where a video is."""

    url: str


class Video(Struct, tag_field="type", tag="video_url"):
    """A video part."""

    video_url: VideoUrl


Part = Text | Refusal | Image | Audio | File | Video


class CalledFunction(Struct):
    """A function and its arguments as the assistant wrote them."""

    name: str = ""
    arguments: str = ""


class ToolCall(Struct):
    """A tool call an assistant made earlier in the conversation."""

    function: CalledFunction | None = None
    id: str | None = None


class Message(Struct, gc=False):
    """One message, as far as routing reads it. The collector need not look at hundreds: none is in a ring."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[Part] | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None
    name: str | None = None
    function_call: CalledFunction | None = None
    refusal: str | None = None
    audio: dict[str, Raw] | None = None


class Function(Struct):
    """A function the model may call."""

    name: str
    parameters: dict[str, Raw] | None = None


class Tool(Struct):
    """A tool. No provider here runs one of another type."""

    type: Literal["function"]
    function: Function | None = None


class Named(Struct):
    """A function by its name."""

    name: str


class NamedTool(Struct):
    """The one tool that must be called."""

    function: Named
    type: Literal["function"] = "function"


class ResponseFormat(Struct):
    """The form the answer must have."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: dict[str, Raw] | None = None


class StreamOptions(Struct):
    """What the caller wants from the stream."""

    include_usage: bool | None = None


def _decoder(type_: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(type_)


_NUMBER = _decoder(float)
_WHOLE = _decoder(int)
_FLAG = _decoder(bool)
_WORD = _decoder(str)

DECODERS: dict[str, msgspec.json.Decoder[Any]] = {
    "model": _WORD,
    "models": _decoder(list[str]),
    "messages": _decoder(list[Message]),
    "stream": _FLAG,
    "stream_options": _decoder(StreamOptions),
    "max_tokens": _WHOLE,
    "max_completion_tokens": _WHOLE,
    "temperature": _NUMBER,
    "top_p": _NUMBER,
    "presence_penalty": _NUMBER,
    "frequency_penalty": _NUMBER,
    "n": _WHOLE,
    "seed": _WHOLE,
    "stop": _decoder(str | list[str]),
    "logprobs": _FLAG,
    "top_logprobs": _WHOLE,
    "logit_bias": _decoder(dict[str, float]),
    "tools": _decoder(list[Tool]),
    "tool_choice": _decoder(Literal["auto", "none", "required"] | NamedTool),
    "parallel_tool_calls": _FLAG,
    "functions": _decoder(list[Function]),
    "function_call": _decoder(Literal["auto", "none"] | Named),
    "response_format": _decoder(ResponseFormat),
    "reasoning_effort": _decoder(Literal["none", "minimal", "low", "medium", "high", "xhigh"]),
    "modalities": _decoder(list[str]),
    "user": _WORD,
    "metadata": _decoder(dict[str, Raw]),
}

BOUNDS: dict[str, tuple[float, float]] = {
    "max_tokens": (1, MAX_TOKENS),
    "max_completion_tokens": (1, MAX_TOKENS),
    "temperature": (0, 2),
    "top_p": (0, 1),
    "presence_penalty": (-2, 2),
    "frequency_penalty": (-2, 2),
    "n": (1, 128),
    "seed": (-(2**63), 2**63 - 1),
    "top_logprobs": (0, 20),
}


def _within(name: str) -> msgspec.Meta:
    low, high = BOUNDS[name]
    return msgspec.Meta(ge=low, le=high)


def _bounded(name: str, decoder: msgspec.json.Decoder[Any]) -> Any:
    return Annotated[decoder.type, _within(name)] if name in BOUNDS else decoder.type


_Values: Any = TypedDict(  # type: ignore[misc]
    "_Values", {name: _bounded(name, decoder) for name, decoder in DECODERS.items()}, total=False
)
VALUES = _decoder(_Values)
"""Reads all of these from a whole body, their bounds included; fields that it does not know are left out."""


class Plain(Struct):
    """What most requests have and no more: fields that ask for nothing special, and travel as they came."""

    model: str | UnsetType = UNSET
    messages: list[Message] | UnsetType = UNSET
    stream: bool = False
    stream_options: StreamOptions | UnsetType = UNSET
    max_tokens: Annotated[int, _within("max_tokens")] = 0
    max_completion_tokens: Annotated[int, _within("max_completion_tokens")] = 0
    temperature: Annotated[float, _within("temperature")] = 1.0
    top_p: Annotated[float, _within("top_p")] = 1.0
    presence_penalty: Annotated[float, _within("presence_penalty")] = 0.0
    frequency_penalty: Annotated[float, _within("frequency_penalty")] = 0.0
    seed: Annotated[int, _within("seed")] = 0
    user: str = ""


PLAIN = msgspec.json.Decoder(Plain)
"""Reads them from a whole body that has no others."""


def check_bounds(name: str, value: Any) -> None:
    """Raise InvalidRequest if *value* is out of the bounds of the field *name*."""
    if name in BOUNDS:
        low, high = BOUNDS[name]
        if not low <= value <= high:  # false for NaN too
            raise InvalidRequest(f"{name}: must be between {low:g} and {high:g}.", param=name)


def check(values: dict[str, Any]) -> None:
    """Raise InvalidRequest if one of the fields lacks what it speaks of, in itself or in another field."""
    for index, tool in enumerate(values.get("tools", ())):
        if tool.function is None:
            missing(f"tools[{index}].function")
    form = values.get("response_format")
    if form is not None and form.type == "json_schema" and form.json_schema is None:
        missing("response_format.json_schema")
    for name, listed in (("tool_choice", "tools"), ("function_call", "functions")):
        choice = values.get(name)
        if choice not in (None, "auto", "none") and not values.get(listed):
            raise InvalidRequest(f"{name}: asks for a call, but {listed} is empty.", param=name)


def missing(param: str) -> NoReturn:
    """Raise InvalidRequest for *param*, which has to be there."""
    raise InvalidRequest(f"{param} is missing.", param=param)


def tools_of(values: dict[str, Any]) -> tuple[str, ...]:
    """Return the names of the tools that are offered, in either form."""
    if tools := values.get("tools"):
        return tuple([tool.function.name for tool in tools])
    if functions := values.get("functions"):
        return tuple([function.name for function in functions])
    return ()


def needs_of(values: dict[str, Any], *, has_tools: bool) -> frozenset[str]:
    """Return the capabilities the fields ask for, messages aside."""
    if not has_tools and "response_format" not in values and "modalities" not in values:
        return _NOTHING
    needs: set[str] = set()
    if has_tools:
        needs.add("tools")
    form = values.get("response_format")
    if form is not None and form.type != "text":
        needs.add(form.type)
    if "audio" in (values.get("modalities") or ()):
        needs.add("audio_output")
    return frozenset(needs)


_NOTHING: frozenset[str] = frozenset()


# Values with which a field asks for what is so anyway: leaving it out changes nothing.
_DEFAULTS: dict[str, tuple[Any, ...]] = {
    "n": (1,),
    "temperature": (1,),
    "top_p": (1,),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "response_format": ({"type": "text"},),
    "tool_choice": ("auto",),
    "function_call": ("auto",),
    "modalities": (["text"],),
}
_ANY = _decoder(Any)


def asks(name: str, raw: Raw) -> bool:
    """Say whether the field *name*, given as *raw*, asks for more than every answer has."""
    return name not in _DEFAULTS or _ANY.decode(raw) not in _DEFAULTS[name]
