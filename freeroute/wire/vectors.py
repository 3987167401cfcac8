"""Answers that hold vectors: read without decoding any, told as numbers or as base64, joined."""

import base64
import struct
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Raw, Struct

LARGEST = struct.unpack("<f", b"\xff\xff\x7f\x7f")[0]
"""The largest number of a float32, of which base64 is made."""


class Vector(Struct):
    """One vector as it was told, and which of the texts it is of."""

    embedding: Raw
    index: int | None = None

    @property
    def is_packed(self) -> bool:
        """Say whether it is base64 and not a list of numbers."""
        return bytes(self.embedding).startswith(b'"')

    @property
    def numbers(self) -> list[float]:
        """Return its numbers; raises ValueError or struct.error where there are none."""
        if not self.is_packed:
            return _NUMBERS.decode(self.embedding)
        raw = base64.b64decode(_TEXT.decode(self.embedding), validate=True)
        return list(struct.unpack(f"<{len(raw) // 4}f", raw))


class Vectors(Struct):
    """The vectors of an answer, of which *model*, and the raw *usage*."""

    data: list[Vector]
    model: Raw = Raw(b'""')
    usage: Raw = Raw(b"null")

    @property
    def in_order(self) -> list[Vector]:
        """Return the vectors in the order of their texts; those that do not say stand where they are."""
        places = [place if one.index is None else one.index for place, one in enumerate(self.data)]
        return [one for _, one in sorted(zip(places, self.data, strict=True), key=lambda pair: pair[0])]


_NUMBERS = msgspec.json.Decoder(list[float])
_TEXT = msgspec.json.Decoder(str)
_VECTORS = msgspec.json.Decoder(Vectors)


def vectors_of(body: bytes) -> Vectors:
    """Return what an answer for embeddings holds, which was found to be one."""
    return _VECTORS.decode(body)


def as_wanted(body: bytes, *, packed: bool) -> bytes:
    """Return the answer *body* with its vectors in order, and all base64 if they are to be *packed*.

    Base64 is of float32, the lowest byte first, as OpenAI has it. What is so already stays untouched.
    """
    answer = vectors_of(body)
    is_ordered = all(one.index == place for place, one in enumerate(answer.data))
    if is_ordered and all(one.is_packed is packed for one in answer.data):
        return body
    return joined([answer], packed=packed)


def joined(answers: Sequence[Vectors], *, packed: bool | None = None) -> bytes:
    """Return one answer with the vectors of all *answers*, behind each other, and the sum of what they took.

    All are *packed* or all are not; None leaves them as they are.
    """
    vectors = [one for answer in answers for one in answer.in_order]
    data = [
        {"object": "embedding", "index": place, "embedding": _told(one, packed)}
        for place, one in enumerate(vectors)
    ]
    usage = _summed([msgspec.json.decode(answer.usage) for answer in answers])
    return msgspec.json.encode({"object": "list", "data": data, "model": answers[-1].model, "usage": usage})


def _told(vector: Vector, packed: bool | None) -> Raw:
    if packed is None or vector.is_packed is packed:
        return vector.embedding
    numbers = vector.numbers
    if not packed:
        return Raw(msgspec.json.encode(numbers))
    raw = struct.pack(f"<{len(numbers)}f", *numbers)
    return Raw(b'"' + base64.b64encode(raw) + b'"')


def _summed(usages: Sequence[Any]) -> dict[str, Any]:
    """Return the sum of *usages*; what only some tell of is left as they tell it."""
    total: dict[str, Any] = {"prompt_tokens": 0, "total_tokens": 0}
    for usage in usages:
        for name, value in usage.items() if isinstance(usage, dict) else ():
            counts = isinstance(value, int) and not isinstance(value, bool)
            total[name] = total.get(name, 0) + value if counts else value
    return total
