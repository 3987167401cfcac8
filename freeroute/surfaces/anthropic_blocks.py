"""What Anthropic's messages are made of, and what each piece is in OpenAI's."""

import base64
import binascii
from typing import Any

from msgspec import Raw, Struct

from freeroute.errors import InvalidRequest

Part = dict[str, Any]


class TextBlock(Struct, tag_field="type", tag="text"):
    """A text."""

    text: str


class Inline(Struct, tag_field="type", tag="base64"):
    """What is sent along, in base64."""

    data: str
    media_type: str


class Linked(Struct, tag_field="type", tag="url"):
    """What is to be fetched from an address."""

    url: str


class Stored(Struct, tag_field="type", tag="file"):
    """What was sent to Anthropic's servers before."""

    file_id: str


class Plain(Struct, tag_field="type", tag="text"):
    """A text as a document."""

    data: str


class Image(Struct, tag_field="type", tag="image"):
    """An image."""

    source: Inline | Linked | Stored


class Composed(Struct, tag_field="type", tag="content"):
    """A document of blocks."""

    content: str | list[TextBlock | Image]


class Document(Struct, tag_field="type", tag="document"):
    """A document: text, or PDF."""

    source: Inline | Linked | Stored | Plain | Composed
    title: str | None = None
    context: str | None = None


class SearchResult(Struct, tag_field="type", tag="search_result"):
    """Something that was found."""

    source: str
    title: str
    content: list[TextBlock]


class Thinking(Struct, tag_field="type", tag="thinking"):
    """What a model thought."""

    thinking: str


class RedactedThinking(Struct, tag_field="type", tag="redacted_thinking"):
    """What a model thought and nobody may read."""


class ToolUse(Struct, tag_field="type", tag="tool_use"):
    """A call of a tool."""

    id: str
    name: str
    input: dict[str, Raw]


class ToolResult(Struct, tag_field="type", tag="tool_result"):
    """What a tool gave."""

    tool_use_id: str
    content: str | list[TextBlock | Image | Document | SearchResult] | None = None
    is_error: bool | None = None


Block = TextBlock | Image | Document | SearchResult | Thinking | RedactedThinking | ToolUse | ToolResult


def text_of(block: Block, where: str) -> str:
    """Return the text of *block*; raises InvalidRequest if it is none. *where* is its place."""
    if not isinstance(block, TextBlock):
        raise InvalidRequest(f"{where}: only text can stand here.", param=where)
    return block.text


def part_of(block: Block, where: str) -> Part:
    """Return *block* as a part of one of OpenAI's messages; raises InvalidRequest. *where* is its place."""
    match block:
        case TextBlock():
            return _text(block.text)
        case Image():
            return _image(block.source, f"{where}.source")
        case Document():
            return _document(block, f"{where}.source")
        case SearchResult():
            found = "\n\n".join(text.text for text in block.content)
            return _text(f"{block.title} ({block.source})\n\n{found}")
        case _:
            raise InvalidRequest(f"{where}: such a block cannot stand here.", param=where)


def _text(text: str) -> Part:
    return {"type": "text", "text": text}


def _image(source: Inline | Linked | Stored, where: str) -> Part:
    if isinstance(source, Stored):
        raise _stored(where)
    url = source.url if isinstance(source, Linked) else f"data:{source.media_type};base64,{source.data}"
    return {"type": "image_url", "image_url": {"url": url}}


def _document(document: Document, where: str) -> Part:
    """Return *document*: text is told as such, PDF travels as a file, which some models can read."""
    match document.source:
        case Plain(data=text) | Composed(content=str() as text):
            return _titled(document, text)
        case Composed(content=list() as blocks):
            texts = [text_of(block, f"{where}.content[{at}]") for at, block in enumerate(blocks)]
            return _titled(document, "\n\n".join(texts))
        case Inline(media_type="application/pdf") as pdf:
            name = document.title or "document.pdf"
            data = f"data:application/pdf;base64,{pdf.data}"
            return {"type": "file", "file": {"filename": name, "file_data": data}}
        case Inline() as inline if inline.media_type.startswith("text/"):
            return _titled(document, _decoded(inline.data, f"{where}.data"))
        case Inline():
            told = f"{where}.media_type: a document is text or application/pdf."
            raise InvalidRequest(told, param=f"{where}.media_type")
        case Linked():
            told = f"{where}.url: this gateway fetches nothing; send the document as base64 or as text."
            raise InvalidRequest(told, param=f"{where}.url")
        case _:
            raise _stored(where)


def _titled(document: Document, text: str) -> Part:
    return _text("\n\n".join(filter(None, (document.title, document.context, text))))


def _decoded(data: str, where: str) -> str:
    try:
        return base64.b64decode(data, validate=True).decode()
    except (binascii.Error, ValueError):
        raise InvalidRequest(f"{where}: is not text in base64.", param=where) from None


def _stored(where: str) -> InvalidRequest:
    told = f"{where}.file_id: the file is on Anthropic's servers; send it as base64 or as text."
    return InvalidRequest(told, param=f"{where}.file_id")
