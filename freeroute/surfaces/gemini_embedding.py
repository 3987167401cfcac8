"""Vectors of texts, as Gemini's clients ask for them and are answered."""

from typing import Any

import msgspec
from msgspec import Struct

from freeroute.domain.tasks import Task
from freeroute.errors import InvalidRequest, UnsupportedCapability
from freeroute.surfaces.bodies import call_for, shaped
from freeroute.surfaces.conversing import Asked
from freeroute.surfaces.gemini_parts import Content
from freeroute.surfaces.gemini_request import camelled
from freeroute.surfaces.tasks import AsItIs
from freeroute.wire.vectors import as_wanted, vectors_of

_encode = msgspec.json.encode


class Embedding(Struct, rename="camel"):
    """The body of ``embedContent``."""

    content: Content
    output_dimensionality: int | None = None


class Batch(Struct, rename="camel"):
    """The body of ``batchEmbedContents``."""

    requests: list[Embedding]


def one_asked(body: bytes, model: str) -> Asked:
    """Return what *body* asks ``embedContent`` of *model*; raises InvalidRequest."""
    asked = shaped(camelled(body), Embedding)
    fields = _fields(model, [_text(asked, "content")], asked.output_dimensionality)
    names = {"input": "content", "dimensions": "outputDimensionality"}
    return Asked(call_for(Task.EMBEDDINGS, fields, names), _One())


def batch_asked(body: bytes, model: str) -> Asked:
    """Return what *body* asks ``batchEmbedContents`` of *model*; raises InvalidRequest."""
    requests = shaped(camelled(body), Batch).requests
    lengths = {asked.output_dimensionality for asked in requests}
    if len(lengths) > 1:
        param = "requests"
        raise InvalidRequest(f"{param}: outputDimensionality must be the same in all of them.", param=param)
    texts = [_text(asked, f"requests[{at}].content") for at, asked in enumerate(requests)]
    fields = _fields(model, texts, next(iter(lengths), None))
    names = {"input": "requests", "dimensions": "requests.outputDimensionality"}
    return Asked(call_for(Task.EMBEDDINGS, fields, names), _Several())


def _fields(model: str, texts: list[str], dimensions: int | None) -> dict[str, Any]:
    bound = {"dimensions": dimensions} if dimensions is not None else {}
    return {"model": model, "input": texts, **bound}


def _text(asked: Embedding, param: str) -> str:
    if any(part.text is None for part in asked.content.listed):
        raise UnsupportedCapability(f"{param}: vectors are made of text alone.", param=param)
    if not asked.content.text:
        raise InvalidRequest(f"{param}: the text is empty.", param=param)
    return asked.content.text


class _Several(AsItIs):
    """Tells the vectors of all texts."""

    def whole(self, body: bytes) -> bytes:
        """Return the answer *body* in Gemini's words."""
        return _encode({"embeddings": _values(body)})


class _One(AsItIs):
    """Tells the vector of one text."""

    def whole(self, body: bytes) -> bytes:
        """Return the answer *body* in Gemini's words."""
        return _encode({"embedding": _values(body)[0]})


def _values(body: bytes) -> list[dict[str, Any]]:
    answer = vectors_of(as_wanted(body, packed=False))
    return [{"values": one.embedding} for one in answer.in_order]
