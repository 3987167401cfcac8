"""What Ollama's requests ask for, in OpenAI's words."""

from typing import Any, Literal

import msgspec
from msgspec import Struct

from freeroute.domain.tasks import Task
from freeroute.errors import InvalidRequest, UnsupportedCapability
from freeroute.surfaces.bodies import call_for, parsed, shaped
from freeroute.wire.called import CallIds
from freeroute.wire.chat import ChatCall


class Function(Struct):
    """A function that was called."""

    name: str
    arguments: dict[str, Any] | None = None


class Called(Struct):
    """A call that the model made earlier."""

    function: Function
    id: str | None = None


class Message(Struct):
    """One message; *images* are base64."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str | None = None
    images: list[str] | None = None
    tool_calls: list[Called] | None = None
    tool_name: str | None = None
    tool_call_id: str | None = None


class Options(Struct):
    """How to answer. What is about a model in memory (``num_ctx``, ``num_gpu``...) is left to its server."""

    num_predict: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    typical_p: float | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    repeat_penalty: float | None = None
    repeat_last_n: int | None = None


class Asking(Struct, kw_only=True):
    """What ``/api/chat`` and ``/api/generate`` have in common."""

    model: str
    stream: bool | None = None
    format: str | dict[str, Any] | None = None
    options: Options | None = None
    think: bool | Literal["low", "medium", "high", ""] | None = None
    keep_alive: int | float | str | None = None


class Chat(Asking, kw_only=True):
    """The body of ``/api/chat``."""

    messages: list[Message] | None = None
    tools: list[dict[str, Any]] | None = None


class Generate(Asking, kw_only=True):
    """The body of ``/api/generate``."""

    prompt: str | None = None
    suffix: str | None = None
    system: str | None = None
    images: list[str] | None = None
    template: str | None = None
    context: list[int] | None = None
    raw: bool | None = None

    @property
    def is_plain(self) -> bool:
        """Say whether the model is to go on with the prompt as it is, without a template for chat."""
        return bool(self.raw or self.suffix)

    @property
    def is_empty(self) -> bool:
        """Say whether there is nothing to answer: the model is only to be loaded, or unloaded."""
        return not (self.prompt or self.suffix or self.images)


class Named(Struct):
    """A body that names a model; older clients call it *name*."""

    model: str | None = None
    name: str | None = None
    stream: bool | None = None

    @property
    def told(self) -> str:
        """Return the name; raises InvalidRequest if there is none."""
        if found := self.model or self.name:
            return found
        raise InvalidRequest("model is missing: name one.", param="model")


# OpenAI's names for fields, and what callers of this API call them.
_NAMES = {
    "max_tokens": "options.num_predict",
    "reasoning_effort": "think",
    "response_format": "format",
    **{
        name: f"options.{name}"
        for name in ("temperature", "top_p", "seed", "stop", "presence_penalty", "frequency_penalty")
    },
}
# Options that have the same name in OpenAI's requests, or in those of other local servers.
_SAME = (
    *("temperature", "top_p", "top_k", "min_p", "typical_p", "seed", "stop"),
    *("presence_penalty", "frequency_penalty", "repeat_penalty", "repeat_last_n"),
)
_UNLOADING = frozenset({"0", "0s", "0m", "0h", "0ms"})


def chat_of(body: bytes) -> Chat:
    """Return what *body* asks ``/api/chat``; raises InvalidRequest."""
    return shaped(parsed(body), Chat)


def generate_of(body: bytes) -> Generate:
    """Return what *body* asks ``/api/generate``; raises InvalidRequest.

    No provider lets the caller write a template for the model, or go on with the tokens of another server.
    """
    asked = shaped(parsed(body), Generate)
    for name, given in (("template", asked.template), ("context", asked.context)):
        if given:
            told = f"{name} is not served: prompts go through each model's own template, by /api/chat too."
            raise UnsupportedCapability(told, param=name)
    if asked.is_plain:
        for name in ("system", "images", "format"):
            if getattr(asked, name):
                told = f"{name} is not served with raw or suffix: the prompt goes to the model as it is."
                raise UnsupportedCapability(told, param=name)
    return asked


def named_of(body: bytes) -> Named:
    """Return the model that *body* names; raises InvalidRequest."""
    return shaped(parsed(body), Named)


def unloads(asked: Asking) -> bool:
    """Say whether a request without a prompt is to unload its model, rather than to load it."""
    return str(asked.keep_alive) in _UNLOADING


def chat_as_openai(asked: Chat) -> ChatCall:
    """Return the call for *asked*; raises InvalidRequest."""
    body = _fields(asked)
    ids = CallIds()
    body["messages"] = [
        _message(message, ids, f"messages[{at}]") for at, message in enumerate(asked.messages or ())
    ]
    if asked.tools:
        body["tools"] = asked.tools
    return call_for(Task.CHAT, body, _NAMES)


def generate_as_openai(asked: Generate) -> ChatCall:
    """Return the call for *asked*; raises InvalidRequest."""
    if asked.is_plain:
        return _as_completion(asked)
    system = [{"role": "system", "content": asked.system}] if asked.system else []
    prompt = {"role": "user", "content": _content(asked.prompt, asked.images, "")}
    body = _fields(asked)
    body["messages"] = [*system, prompt]
    return call_for(Task.CHAT, body, _NAMES)


def _as_completion(asked: Generate) -> ChatCall:
    """Return the call of *asked* that only models with the capability `completions` take."""
    suffix = {"suffix": asked.suffix} if asked.suffix else {}
    body = _fields(asked) | {"prompt": asked.prompt or "", **suffix}
    body.pop("reasoning_effort", None)  # nothing thinks before it goes on with a text
    return call_for(Task.COMPLETIONS, body, _NAMES)


def _fields(asked: Asking) -> dict[str, Any]:
    stream = asked.stream is not False
    told = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    return {
        "model": asked.model,
        **told,
        **_options(asked.options or Options()),
        **_form(asked),
        **_effort(asked),
    }


def _options(options: Options) -> dict[str, Any]:
    said = {name: value for name in _SAME if (value := getattr(options, name)) is not None}
    # -1 and -2 are Ollama's words for no bound.
    bound = options.num_predict
    return said | ({"max_tokens": bound} if bound is not None and bound > 0 else {})


def _form(asked: Asking) -> dict[str, Any]:
    match asked.format:
        case None | "":
            return {}
        case "json":
            return {"response_format": {"type": "json_object"}}
        case dict() as schema:
            named = {"name": "answer", "schema": schema}
            return {"response_format": {"type": "json_schema", "json_schema": named}}
        case _:
            raise InvalidRequest('format: must be "json" or a JSON Schema.', param="format")


def _effort(asked: Asking) -> dict[str, Any]:
    match asked.think:
        case None | "" | True:  # models that think do so unasked
            return {}
        case False:
            return {"reasoning_effort": "none"}
        case level:
            return {"reasoning_effort": level}


def _message(message: Message, ids: CallIds, where: str) -> dict[str, Any]:
    content = _content(message.content, message.images, f"{where}.")
    said: dict[str, Any] = {"role": message.role, "content": content}
    if message.role == "assistant" and message.tool_calls:
        said["tool_calls"] = [_call(call, ids) for call in message.tool_calls]
    elif message.role == "tool":
        call_id = ids.answered(message.tool_name, message.tool_call_id)
        if call_id is None:
            raise InvalidRequest(
                f"{where}: no call before it that this is the result of.", param=f"{where}.tool_name"
            )
        said["tool_call_id"] = call_id
    return said


def _call(call: Called, ids: CallIds) -> dict[str, Any]:
    function = call.function
    written = msgspec.json.encode(function.arguments or {}).decode()
    return {
        "id": ids.called(function.name, call.id),
        "type": "function",
        "function": {"name": function.name, "arguments": written},
    }


def _content(text: str | None, images: list[str] | None, where: str) -> str | list[dict[str, Any]]:
    if not images:
        return text or ""
    parts = [_image(image, f"{where}images[{at}]") for at, image in enumerate(images)]
    return [*([{"type": "text", "text": text}] if text else []), *parts]


# The first characters of base64, which tell what kind of image it is.
_KINDS = {"/9j/": "jpeg", "iVBORw0KGgo": "png", "R0lGOD": "gif", "UklGR": "webp"}


def _image(data: str, param: str) -> dict[str, Any]:
    kind = next((kind for start, kind in _KINDS.items() if data.startswith(start)), None)
    if kind is None:
        raise InvalidRequest(f"{param}: must be a JPEG, PNG, GIF or WebP image in base64.", param=param)
    return {"type": "image_url", "image_url": {"url": f"data:image/{kind};base64,{data}"}}
