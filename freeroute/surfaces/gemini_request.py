"""What Gemini's requests ask for, in OpenAI's words."""

from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from freeroute.domain.tasks import Task
from freeroute.errors import InvalidRequest, UnsupportedCapability
from freeroute.surfaces.bodies import call_for, parsed, shaped
from freeroute.surfaces.gemini_parts import Content, messages_of
from freeroute.surfaces.gemini_schema import camel, json_schema
from freeroute.wire.chat import ChatCall

T = TypeVar("T")


class FunctionDeclaration(Struct, rename="camel"):
    """A function the model may call, with its parameters in Google's dialect or as JSON Schema."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    parameters_json_schema: dict[str, Any] | None = None


class FunctionCallingConfig(Struct, rename="camel"):
    """Whether functions are to be called, and which."""

    mode: str | None = None
    allowed_function_names: list[str] | None = None


class ToolConfig(Struct, rename="camel"):
    """How tools are to be used."""

    function_calling_config: FunctionCallingConfig | None = None


class ThinkingConfig(Struct, rename="camel"):
    """How much is to be thought, and whether to tell."""

    include_thoughts: bool | None = None
    thinking_budget: int | None = None
    thinking_level: str | None = None


class GenerationConfig(Struct, rename="camel"):
    """How to answer."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: float | None = None
    max_output_tokens: int | None = None
    stop_sequences: list[str] | None = None
    candidate_count: int | None = None
    response_mime_type: str | None = None
    response_schema: dict[str, Any] | None = None
    response_json_schema: Any = None
    response_modalities: list[str] | None = None
    response_logprobs: bool | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    thinking_config: ThinkingConfig | None = None


class Asking(Struct, rename="camel"):
    """The body of ``generateContent``."""

    contents: list[Content] | Content
    system_instruction: Content | str | None = None
    tools: list[dict[str, Any]] | dict[str, Any] | None = None
    tool_config: ToolConfig | None = None
    generation_config: GenerationConfig | None = None
    cached_content: str | None = None

    @property
    def wants_thoughts(self) -> bool:
        """Say whether thoughts are to be told."""
        thinking = self.generation_config and self.generation_config.thinking_config
        return bool(thinking and thinking.include_thoughts)


class Counting(Struct, rename="camel"):
    """The body of ``countTokens``: contents alone, or all that would be sent."""

    contents: list[Content] | Content = []
    generate_content_request: Asking | None = None


# What holds the caller's own names, and no fields of this API.
_OPAQUE = frozenset(
    {"args", "response", "parameters", "parametersJsonSchema", "responseSchema", "responseJsonSchema"}
)
# OpenAI's names for fields, and what callers of this API call them.
_NAMES = {
    "messages": "contents",
    "tools": "tools.functionDeclarations",
    "tool_choice": "toolConfig.functionCallingConfig",
    "max_tokens": "generationConfig.maxOutputTokens",
    "temperature": "generationConfig.temperature",
    "top_p": "generationConfig.topP",
    "stop": "generationConfig.stopSequences",
    "seed": "generationConfig.seed",
    "presence_penalty": "generationConfig.presencePenalty",
    "frequency_penalty": "generationConfig.frequencyPenalty",
    "response_format": "generationConfig.responseSchema",
    "reasoning_effort": "generationConfig.thinkingConfig",
}
_SAME = {
    "temperature": "temperature",
    "top_p": "top_p",
    "max_output_tokens": "max_tokens",
    "stop_sequences": "stop",
    "seed": "seed",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
}
_LEVELS = {"MINIMAL": "minimal", "LOW": "low", "MEDIUM": "medium", "HIGH": "high"}
# The tokens for thoughts up to which an effort is meant. Own design: after the budgets that Google gives
# the efforts of its endpoint in OpenAI's form.
_BUDGETS = ((0, "none"), (1024, "low"), (8192, "medium"))


def asking_of(body: bytes) -> Asking:
    """Return what *body* asks ``generateContent``; raises InvalidRequest."""
    return _read(body, Asking)


def counting_of(body: bytes) -> Asking:
    """Return what *body* wants the tokens counted of; raises InvalidRequest."""
    asked = _read(body, Counting)
    return asked.generate_content_request or Asking(asked.contents)


def _read(body: bytes, shape: type[T]) -> T:
    return shaped(camelled(body), shape)


def camelled(body: bytes) -> Any:
    """Return the value of *body* with its fields in one of the spellings that Google's JSON may have.

    Raises InvalidRequest.
    """
    try:
        return _camelled(parsed(body))
    except RecursionError:
        raise InvalidRequest("The body is nested too deeply.") from None


def _camelled(value: Any) -> Any:
    if isinstance(value, list):
        return [_camelled(one) for one in value]
    if not isinstance(value, dict):
        return value
    named = {camel(name): inner for name, inner in value.items()}
    return {name: inner if name in _OPAQUE else _camelled(inner) for name, inner in named.items()}


def as_openai(asked: Asking, model: str, *, stream: bool) -> ChatCall:
    """Return the call for *asked* of *model*; raises InvalidRequest."""
    if asked.cached_content:
        raise UnsupportedCapability("cachedContent: nothing is cached here.", param="cachedContent")
    body: dict[str, Any] = {"model": model}
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    contents = asked.contents if isinstance(asked.contents, list) else [asked.contents]
    body["messages"] = [*_system(asked.system_instruction), *messages_of(contents)]
    try:
        body |= _tools(asked)
        body |= _generation(asked.generation_config or GenerationConfig())
        return call_for(Task.CHAT, body, _NAMES)
    except RecursionError:
        raise InvalidRequest("The body is nested too deeply.") from None


def _system(told: Content | str | None) -> list[dict[str, Any]]:
    text = told if isinstance(told, str) else told.text if told is not None else ""
    return [{"role": "system", "content": text}] if text else []


# --- tools -----------------------------------------------------------------------------------------------


def _tools(asked: Asking) -> dict[str, Any]:
    listed = asked.tools if isinstance(asked.tools, list) else [asked.tools] if asked.tools else []
    declared = [one for at, tool in enumerate(listed) for one in _declared(tool, f"tools[{at}]")]
    config = (asked.tool_config or ToolConfig()).function_calling_config or FunctionCallingConfig()
    allowed = config.allowed_function_names
    mode = (config.mode or "AUTO").upper()
    if mode == "ANY" and allowed:
        declared = [one for one in declared if one.name in allowed]
    body: dict[str, Any] = {"tools": [_tool(one) for one in declared]} if declared else {}
    match mode:
        case "ANY":
            body["tool_choice"] = "required"
        case "NONE":
            body["tool_choice"] = "none"
        case "AUTO" | "VALIDATED" | "MODE_UNSPECIFIED":
            pass
        case _:
            param = "toolConfig.functionCallingConfig.mode"
            raise InvalidRequest(f"{param}: must be AUTO, ANY or NONE.", param=param)
    return body


def _declared(tool: dict[str, Any], where: str) -> list[FunctionDeclaration]:
    """Return the functions of *tool*; raises UnsupportedCapability for what Google itself would run."""
    for name, given in tool.items():
        if name != "functionDeclarations" and given is not None:
            told = f"{where}.{name}: no tool runs at a provider; only functionDeclarations are served."
            raise UnsupportedCapability(told, param=f"{where}.{name}")
    listed = tool.get("functionDeclarations") or []
    try:
        return msgspec.convert(listed, list[FunctionDeclaration])
    except msgspec.ValidationError:
        param = f"{where}.functionDeclarations"
        raise InvalidRequest(f"{param}: must be a list of functions with names.", param=param) from None


def _tool(declared: FunctionDeclaration) -> dict[str, Any]:
    schema = declared.parameters_json_schema
    if schema is None:
        schema = json_schema(declared.parameters or {"type": "object", "properties": {}})
    told = {"description": declared.description} if declared.description else {}
    return {"type": "function", "function": {"name": declared.name, **told, "parameters": schema}}


# --- how to answer ---------------------------------------------------------------------------------------


def _generation(config: GenerationConfig) -> dict[str, Any]:
    _check(config)
    body = {
        theirs: value for ours, theirs in _SAME.items() if (value := getattr(config, ours)) not in (None, [])
    }
    if config.top_k is not None:
        body["top_k"] = int(config.top_k)
    return body | _form(config) | _effort(config.thinking_config or ThinkingConfig())


def _check(config: GenerationConfig) -> None:
    """Raise UnsupportedCapability for what an answer would silently lack."""
    lacking = {
        "candidateCount": (config.candidate_count or 1) > 1,
        "responseLogprobs": bool(config.response_logprobs),
        "responseModalities": any(one.upper() != "TEXT" for one in config.response_modalities or ()),
    }
    for name, asked in lacking.items():
        if asked:
            param = f"generationConfig.{name}"
            told = f"{param}: one candidate is answered, in text, without probabilities."
            raise UnsupportedCapability(told, param=param)


def _form(config: GenerationConfig) -> dict[str, Any]:
    kind = config.response_mime_type or "text/plain"
    schema = config.response_json_schema
    if schema is None and config.response_schema is not None:
        schema = json_schema(config.response_schema)
    if kind == "application/json":
        if schema is None:
            return {"response_format": {"type": "json_object"}}
        named = {"name": "answer", "schema": schema}
        return {"response_format": {"type": "json_schema", "json_schema": named}}
    if kind != "text/plain" or schema is not None:
        param = "generationConfig.responseMimeType"
        told = f"{param}: must be application/json, or text/plain without a schema."
        raise UnsupportedCapability(told, param=param)
    return {}


def _effort(thinking: ThinkingConfig) -> dict[str, Any]:
    level, budget = thinking.thinking_level, thinking.thinking_budget
    if level is not None and (effort := _LEVELS.get(level.upper())):
        return {"reasoning_effort": effort}
    if budget is None or budget < 0:  # -1: as much as the model wants
        return {}
    return {"reasoning_effort": next((word for most, word in _BUDGETS if budget <= most), "high")}
