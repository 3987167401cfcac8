"""A chat request in Ollama's own form, made of the fields of OpenAI's."""

import binascii
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw

from freeroute.upstreams.quirks import NotTaken

# Sampling parameters of OpenAI's form, and those that callers of local servers know, under `options`.
_OPTIONS = (
    "temperature",
    "top_p",
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "top_k",
    "min_p",
    "typical_p",
    "repeat_penalty",
    "repeat_last_n",
)
# What has the same name and meaning there.
_SAME = ("model", "tools", "logprobs", "top_logprobs", "keep_alive", "think")
# What is read here, or asks for nothing; all else the caller sent is left out, and named if that is a loss.
_READ = frozenset(
    {*_OPTIONS, *_SAME, "messages", "stream", "stop", "max_tokens", "max_completion_tokens", "n"}
    | {"response_format", "tool_choice", "reasoning_effort", "options", "functions", "function_call"}
)
# Ollama knows three levels.
_THINKING = {
    "none": False,
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "high",
}
_STANDARD = bytes.maketrans(b"-_", b"+/")

_decode = msgspec.json.decode


def native(
    fields: Mapping[str, Raw], *, stream: bool, thinks: bool, num_ctx: int | None
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the request for ``/api/chat``, and which of the caller's *fields* are not in it.

    A model that *thinks* is told how much. Without *num_ctx* the server loads what it has as default.
    Raises NotTaken for what Ollama cannot do and the caller relies on.
    """
    body: dict[str, Any] = {name: fields[name] for name in _SAME if name in fields}
    dropped = [name for name in fields if name not in _READ]
    body["messages"] = _messages(_decode(fields["messages"]))
    # Too long a prompt shall be refused, and not lose its beginning; nor shall a long answer push it out.
    body |= {"stream": stream, "truncate": False, "shift": False}
    _choose_tools(body, fields)
    _set_format(body, fields)
    if _value(fields, "n", 1) != 1:
        raise NotTaken("n")
    effort = _value(fields, "reasoning_effort", None)
    if effort is not None and thinks:
        body.setdefault("think", _THINKING[effort])
        if _THINKING[effort] not in (effort, False):
            dropped.append(f"reasoning_effort={_THINKING[effort]}")
    elif effort not in (None, "none"):
        dropped.append("reasoning_effort")
    body["options"] = _options(fields, num_ctx)
    return body, tuple(dropped)


def _value(fields: Mapping[str, Raw], name: str, default: Any) -> Any:
    return _decode(fields[name]) if name in fields else default


def _options(fields: Mapping[str, Raw], num_ctx: int | None) -> dict[str, Any]:
    given = _value(fields, "options", {})
    options: dict[str, Any] = dict(given) if isinstance(given, dict) else {}
    options |= {name: fields[name] for name in _OPTIONS if name in fields}
    stop = _value(fields, "stop", None)
    if stop is not None:
        options["stop"] = [stop] if isinstance(stop, str) else stop
    bounds = [_value(fields, name, None) for name in ("max_tokens", "max_completion_tokens")]
    told = [bound for bound in bounds if bound is not None]
    if told:
        options["num_predict"] = min(told)
    if num_ctx is not None:
        options["num_ctx"] = num_ctx
    return options


def _choose_tools(body: dict[str, Any], fields: Mapping[str, Raw]) -> None:
    for name in ("functions", "function_call"):
        if name in fields:
            raise NotTaken(name)
    choice = _value(fields, "tool_choice", "auto")
    if choice == "none":
        body.pop("tools", None)
    elif choice != "auto":
        raise NotTaken("tool_choice")


def _set_format(body: dict[str, Any], fields: Mapping[str, Raw]) -> None:
    form = _value(fields, "response_format", {"type": "text"})
    if form["type"] == "json_object":
        body["format"] = "json"
    elif form["type"] == "json_schema":
        body["format"] = form["json_schema"].get("schema") or "json"


# --- messages ------------------------------------------------------------------------------------------


def _messages(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    called: dict[str, str] = {}  # by the id of each call, whose function it was
    return [_message(message, called) for message in messages]


def _message(message: dict[str, Any], called: dict[str, str]) -> dict[str, Any]:
    role = message["role"]
    text, images = _content(message.get("content"))
    said: dict[str, Any] = {"role": "tool" if role == "function" else role, "content": text}
    if images:
        said["images"] = images
    if role == "assistant":
        thinking = message.get("reasoning_content") or message.get("reasoning")
        if isinstance(thinking, str):
            said["thinking"] = thinking
        if message.get("tool_calls"):
            said["tool_calls"] = [_call(call, called) for call in message["tool_calls"]]
    elif said["role"] == "tool":
        answered = message.get("tool_call_id")
        name = message.get("name") or called.get(answered or "")
        said |= {"tool_name": name} if name else {}
        said |= {"tool_call_id": answered} if answered else {}
    return said


def _content(content: Any) -> tuple[str, list[str]]:
    if not isinstance(content, list):
        return content or "", []
    texts, images = [], []
    for part in content:
        match part["type"]:
            case "text":
                texts.append(part["text"])
            case "refusal":
                texts.append(part["refusal"])
            case "image_url":
                images.append(_image(part["image_url"]["url"]))
            case _:
                raise NotTaken("messages")
    return "\n".join(texts), images


def _image(url: str) -> str:
    """Return the image as bare base64 of the standard alphabet, the only form Ollama reads."""
    head, _, data = url.partition(",")
    if not head.lower().startswith("data:"):
        raise NotTaken("messages")
    plain = "".join(data.split()).rstrip("=").encode().translate(_STANDARD)
    try:
        padded = plain + b"=" * (-len(plain) % 4)
        binascii.a2b_base64(padded, strict_mode=True)
    except binascii.Error:
        raise NotTaken("messages") from None
    return padded.decode("ascii")


def _call(call: dict[str, Any], called: dict[str, str]) -> dict[str, Any]:
    function = call.get("function") or {}
    name, written = function.get("name", ""), function.get("arguments") or "{}"
    try:
        arguments = _decode(written)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        arguments = None
    # An earlier model's malformed arguments cannot be told to Ollama, which takes an object.
    if not isinstance(arguments, dict):
        raise NotTaken("messages")
    made: dict[str, Any] = {"function": {"name": name, "arguments": arguments}}
    if call.get("id"):
        made["id"] = call["id"]
        called[call["id"]] = name
    return made
