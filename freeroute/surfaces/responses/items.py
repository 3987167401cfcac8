"""Items of the Responses API to the messages of a chat completion."""

import re
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct

from freeroute.errors import InvalidRequest
from freeroute.surfaces.responses.tools import free_text, wire_name
from freeroute.wire.decode import read


class InputText(Struct, tag_field="type", tag="input_text"):
    """A text part."""

    text: str


class OutputText(Struct, tag_field="type", tag="output_text"):
    """A text part of an answer."""

    text: str


class Text(Struct, tag_field="type", tag="text"):
    """A text part in chat completions' words, which some clients use here as well."""

    text: str


class Refusal(Struct, tag_field="type", tag="refusal"):
    """What an assistant refused with."""

    refusal: str


class Image(Struct, tag_field="type", tag="input_image"):
    """An image part."""

    image_url: str | None = None
    detail: str | None = None


class File(Struct, tag_field="type", tag="input_file"):
    """A file part."""

    file_data: str | None = None
    filename: str | None = None


class Audio(Struct, tag_field="type", tag="input_audio"):
    """An audio part, as in chat completions."""

    input_audio: Raw


Part = InputText | OutputText | Text | Refusal | Image | File | Audio


class Message(Struct):
    """What somebody said."""

    role: Literal["user", "assistant", "system", "developer"]
    content: str | list[Part]


class FunctionCall(Struct):
    """A call that an assistant made."""

    call_id: str
    name: str
    arguments: str
    namespace: str | None = None


class CustomCall(Struct):
    """A call of a tool that takes free text."""

    call_id: str
    name: str
    input: str
    namespace: str | None = None


class CallOutput(Struct):
    """What a call gave."""

    call_id: str
    output: str | list[Part]


class Reference(Struct):
    """Stands for an item of an earlier response."""

    id: str


class Skipped(Struct):
    """What no provider here can make use of: thoughts of an earlier turn, sealed or not, and its images."""


Item = Message | FunctionCall | CustomCall | CallOutput | Reference | Skipped

_DECODERS: dict[str, msgspec.json.Decoder[Any]] = {
    "message": msgspec.json.Decoder(Message),
    "function_call": msgspec.json.Decoder(FunctionCall),
    "custom_tool_call": msgspec.json.Decoder(CustomCall),
    "function_call_output": msgspec.json.Decoder(CallOutput),
    "custom_tool_call_output": msgspec.json.Decoder(CallOutput),
    "item_reference": msgspec.json.Decoder(Reference),
    "reasoning": msgspec.json.Decoder(Skipped),
    "image_generation_call": msgspec.json.Decoder(Skipped),
}


class _Kind(Struct):
    type: str | None = None
    id: str | None = None


_KIND = msgspec.json.Decoder(_Kind)


def item_of(raw: Raw, where: str) -> Item:
    """Return the item *raw*, which stands at *where*; raises InvalidRequest."""
    kind = read(raw, _KIND, where)
    # A message needs no type; a reference may be without it as well.
    name = kind.type or "message"
    if kind.type is None and kind.id is not None and b'"role"' not in bytes(raw):
        name = "item_reference"
    decoder = _DECODERS.get(name)
    if decoder is None:
        raise InvalidRequest(
            f"{where}.type: items of the type {name[:40]!r} are not taken here.", param=f"{where}.type"
        )
    found: Item = read(raw, decoder, where)
    return found


def id_of(raw: Raw) -> str | None:
    """Return the id of the item *raw*, None if it has none."""
    return _KIND.decode(raw).id


def with_id(raw: Raw, given: str) -> Raw:
    """Return the item *raw* under the id that it has, or else *given*, and with its type."""
    item = msgspec.json.decode(raw, type=dict[str, Raw])
    kind = _KIND.decode(raw)
    if kind.id is not None and kind.type is not None:
        return raw
    item["type"] = Raw(msgspec.json.encode(kind.type or "message"))
    item["id"] = Raw(msgspec.json.encode(kind.id or given))
    return Raw(msgspec.json.encode(item))


class Conversation:
    """Messages of a chat completion, as items bring them.

    *places* says of each message where the item stands that began it, for errors.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self.messages: list[dict[str, Any]] = []
        self.places: list[str] = []
        # Images that calls gave: chat completions take them of users alone, and not between two results.
        self._images: list[dict[str, Any]] = []
        self._where = ""

    def add(self, item: Item, where: str) -> None:
        """Add *item*, which stands at *where*; raises InvalidRequest."""
        self._where = where
        if not isinstance(item, CallOutput | Skipped):
            self._show_images()
        match item:
            case Message():
                self._say(item)
            case FunctionCall():
                self._call(item.call_id, wire_name(item.name, item.namespace), item.arguments)
            case CustomCall():
                self._call(item.call_id, wire_name(item.name, item.namespace), free_text(item.input))
            case CallOutput():
                self._result(item)

    def end(self) -> None:
        """Add what is still held back."""
        self._show_images()

    def system(self, text: str) -> None:
        """Say *text* as the system, before anything else."""
        self._where = "instructions"
        self._add({"role": "system", "content": text})

    def _add(self, message: dict[str, Any]) -> None:
        self.messages.append(message)
        self.places.append(self._where)

    def _say(self, message: Message) -> None:
        content = message.content
        if message.role == "assistant":
            self._answer(content if isinstance(content, str) else _text_of(content))
        elif isinstance(content, str):
            self._add({"role": message.role, "content": content})
        else:
            self._add({"role": message.role, "content": _content(content, self._where)})

    def _answer(self, text: str) -> None:
        last = self._last_answer()
        if last is not None and "tool_calls" in last:  # its results have to follow at once
            last["content"] = "\n\n".join(filter(None, (last["content"], text)))
        else:
            self._add({"role": "assistant", "content": text})

    def _last_answer(self) -> dict[str, Any] | None:
        last = self.messages[-1] if self.messages else None
        return last if last is not None and last["role"] == "assistant" else None

    def _call(self, call_id: str, name: str, arguments: str) -> None:
        last = self._last_answer()
        if last is None:
            self._add(last := {"role": "assistant", "content": None})
        function = {"name": name, "arguments": arguments}
        last.setdefault("tool_calls", []).append({"id": call_id, "type": "function", "function": function})

    def _result(self, item: CallOutput) -> None:
        if isinstance(item.output, str):
            text = item.output
        else:
            parts = _parts(item.output, f"{self._where}.output")
            images = [part for part in parts if part["type"] != "text"]
            text = "\n".join(part["text"] for part in parts if part["type"] == "text")
            if images:
                self._images += [{"type": "text", "text": f"What {item.call_id} gave:"}, *images]
                text = text or "It follows."
        self._add({"role": "tool", "tool_call_id": item.call_id, "content": text})

    def _show_images(self) -> None:
        if self._images:
            self._add({"role": "user", "content": self._images})
            self._images = []


def _text_of(parts: Sequence[Part]) -> str:
    texts = (part.refusal if isinstance(part, Refusal) else getattr(part, "text", "") for part in parts)
    return "".join(texts)


def _content(parts: Sequence[Part], where: str) -> str | list[dict[str, Any]]:
    found = _parts(parts, f"{where}.content")
    if len(found) == 1 and found[0]["type"] == "text":
        text: str = found[0]["text"]
        return text
    return found


def _parts(parts: Sequence[Part], where: str) -> list[dict[str, Any]]:
    return [_part(part, f"{where}[{at}]") for at, part in enumerate(parts)]


def _part(part: Part, where: str) -> dict[str, Any]:
    match part:
        case Image():
            if part.image_url is None:
                raise _not_there(f"{where}.image_url", "an image is sent as a data: URL or an address")
            # Chat completions know these alone.
            detail = {"detail": part.detail} if part.detail in ("low", "high") else {}
            return {"type": "image_url", "image_url": {"url": part.image_url, **detail}}
        case File():
            if part.file_data is None:
                raise _not_there(f"{where}.file_data", "a file is sent as data, none are kept or fetched")
            file = {"filename": part.filename or "file", "file_data": part.file_data}
            return {"type": "file", "file": file}
        case Audio():
            return {"type": "input_audio", "input_audio": part.input_audio}
        case Refusal():
            return {"type": "text", "text": part.refusal}
        case _:
            return {"type": "text", "text": part.text}


def _not_there(param: str, told: str) -> InvalidRequest:
    return InvalidRequest(f"{param} is missing: {told}.", param=param)


_OURS = re.compile(r"[a-z]+_([0-9a-f]{32})_i?[0-9]+")


def response_of(item_id: str) -> str | None:
    """Return the id of the response that the item *item_id* came with, None if that cannot be told."""
    match = _OURS.fullmatch(item_id)
    return f"resp_{match[1]}" if match is not None else None
