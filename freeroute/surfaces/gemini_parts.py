"""The contents of Gemini's requests as the messages of OpenAI's."""

import binascii
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from freeroute.errors import InvalidRequest, UnsupportedCapability
from freeroute.wire.called import CallIds

_STANDARD = str.maketrans("-_", "+/")
# What a function gave stands under one of these names, where it is no object itself.
_RESULTS = ("output", "result")


class Blob(Struct, rename="camel"):
    """Bytes in base64, of either alphabet."""

    mime_type: str
    data: str


class FileData(Struct, rename="camel"):
    """Where bytes are."""

    file_uri: str
    mime_type: str | None = None


class FunctionCall(Struct, rename="camel"):
    """A call that the model made earlier."""

    name: str
    args: dict[str, Any] | None = None
    id: str | None = None


class FunctionResponse(Struct, rename="camel"):
    """What a function gave."""

    name: str
    response: Any = None
    id: str | None = None


class Part(Struct, rename="camel"):
    """One part of what was said. Signatures of calls are kept by the gateway itself, by their ids."""

    text: str | None = None
    thought: bool | None = None
    inline_data: Blob | None = None
    file_data: FileData | None = None
    function_call: FunctionCall | None = None
    function_response: FunctionResponse | None = None
    executable_code: Any = None
    code_execution_result: Any = None


class Content(Struct, rename="camel"):
    """What one side said at once."""

    parts: list[Part] | Part = []
    role: str | None = None

    @property
    def listed(self) -> list[Part]:
        """Return the parts."""
        return self.parts if isinstance(self.parts, list) else [self.parts]

    @property
    def text(self) -> str:
        """Return all that is text and no thought."""
        return "".join(part.text for part in self.listed if part.text and not part.thought)


def messages_of(contents: Sequence[Content]) -> list[dict[str, Any]]:
    """Return the messages that *contents* are; raises InvalidRequest."""
    ids = CallIds()
    messages: list[dict[str, Any]] = []
    for at, content in enumerate(contents):
        match content.role:
            case "model":
                said = _answer(content, ids)
                # What came in pieces is kept in pieces by Google's SDKs, and is one answer all the same.
                if said and messages and messages[-1]["role"] == "assistant":
                    said = [_joined(messages.pop(), said[0])]
                messages += said
            case "user" | "function" | None:
                messages += _question(content, ids, f"contents[{at}]")
            case _:
                param = f"contents[{at}].role"
                raise InvalidRequest(f"{param}: must be user or model.", param=param)
    return messages


def _answer(content: Content, ids: CallIds) -> list[dict[str, Any]]:
    """Return what the model said as a message, without its thoughts; none if there was nothing else."""
    calls = [_call(part.function_call, ids) for part in content.listed if part.function_call]
    if not content.text and not calls:
        return []
    said: dict[str, Any] = {"role": "assistant", "content": content.text or None}
    return [said | ({"tool_calls": calls} if calls else {})]


def _joined(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    text = (before["content"] or "") + (after["content"] or "")
    calls = [*before.get("tool_calls", ()), *after.get("tool_calls", ())]
    return {"role": "assistant", "content": text or None, **({"tool_calls": calls} if calls else {})}


def _call(call: FunctionCall, ids: CallIds) -> dict[str, Any]:
    written = msgspec.json.encode(call.args or {}).decode()
    function = {"name": call.name, "arguments": written}
    return {"id": ids.called(call.name, call.id), "type": "function", "function": function}


def _question(content: Content, ids: CallIds, where: str) -> list[dict[str, Any]]:
    """Return the results of functions, each a message of its own, and one message of all the rest."""
    results, parts = [], []
    for at, part in enumerate(content.listed):
        place = f"{where}.parts[{at}]"
        if part.function_response is not None:
            results.append(_result(part.function_response, ids, f"{place}.functionResponse"))
        else:
            parts += _part(part, place)
    if not parts:
        return results
    texts = [part["text"] for part in parts if part["type"] == "text"]
    content_: Any = "\n".join(texts) if len(texts) == len(parts) == 1 else parts
    return [*results, {"role": "user", "content": content_}]


def _result(given: FunctionResponse, ids: CallIds, param: str) -> dict[str, Any]:
    call_id = ids.answered(given.name, given.id)
    if call_id is None:
        raise InvalidRequest(f"{param}: no functionCall before it that this answers.", param=param)
    return {"role": "tool", "tool_call_id": call_id, "content": _written(given.response)}


def _written(response: Any) -> str:
    """Return what a function gave as text: what is wrapped up for this API alone is told without it."""
    if isinstance(response, dict) and len(response) == 1:
        response = next((response[name] for name in _RESULTS if name in response), response)
    return response if isinstance(response, str) else msgspec.json.encode(response).decode()


# --- parts -----------------------------------------------------------------------------------------------


def _part(part: Part, where: str) -> list[dict[str, Any]]:
    if part.inline_data is not None:
        return [_inline(part.inline_data, f"{where}.inlineData")]
    if part.file_data is not None:
        return [_remote(part.file_data, f"{where}.fileData")]
    if part.executable_code is not None or part.code_execution_result is not None:
        raise UnsupportedCapability(f"{where}: code is not run at a provider here.", param=where)
    return [{"type": "text", "text": part.text}] if part.text and not part.thought else []


def _inline(blob: Blob, param: str) -> dict[str, Any]:
    data = blob.data.translate(_STANDARD)
    major, _, minor = blob.mime_type.lower().partition(";")[0].partition("/")
    url = f"data:{major}/{minor};base64,{data}"
    match major:
        case "image":
            return {"type": "image_url", "image_url": {"url": url}}
        case "audio":
            return {"type": "input_audio", "input_audio": {"data": data, "format": _format(minor)}}
        case "video":
            return {"type": "video_url", "video_url": {"url": url}}
        case "text":
            return {"type": "text", "text": _decoded(data, param)}
        case "application" if minor == "pdf":
            return {"type": "file", "file": {"filename": "document.pdf", "file_data": url}}
        case _:
            raise _unknown(param)


def _format(minor: str) -> str:
    """Return what OpenAI calls the kind of sound."""
    return {"mpeg": "mp3", "x-wav": "wav", "wave": "wav"}.get(minor, minor)


def _decoded(data: str, param: str) -> str:
    try:
        return binascii.a2b_base64(data).decode("utf-8")
    except ValueError:
        raise InvalidRequest(
            f"{param}.data: must be text of UTF-8 in base64.", param=f"{param}.data"
        ) from None


def _remote(file: FileData, param: str) -> dict[str, Any]:
    """Return an image that a provider is to fetch; the gateway has no files, and fetches none."""
    kind = (file.mime_type or "image/").lower()
    if kind.startswith("image/") and file.file_uri.startswith(("https://", "http://")):
        return {"type": "image_url", "image_url": {"url": file.file_uri}}
    told = f"{param}: only addresses of images are served; send other files as inlineData."
    raise UnsupportedCapability(told, param=param)


def _unknown(param: str) -> UnsupportedCapability:
    told = f"{param}.mimeType: images, audio, video, text and PDF are served."
    return UnsupportedCapability(told, param=f"{param}.mimeType")
