"""Forms with files (multipart/form-data), cut into parts and put together again; values are not copied."""

import re
from collections.abc import Collection, Mapping

from msgspec import Struct

from freeroute.errors import InvalidRequest

MOST_PARTS = 64
"""Parts of one form. Own design: the longest form that OpenAI knows has a dozen fields."""

LONGEST_HEAD = 4096
"""Bytes of what stands before a part's value. Own design: a name, a file's name and a type."""

LONGEST_TEXT = 64 * 1024
"""Bytes of a field that is no file. Own design: a prompt of 10,000 words."""

_BOUNDARY = re.compile(r"""(?i)boundary=(?:"([^"\r\n]{1,70})"|([!#$%&'*+.^_`|~0-9A-Za-z/:=?,()-]{1,70}))""")
_DISPOSITION = re.compile(rb"(?im)^content-disposition[ \t]*:[ \t]*form-data[ \t]*(;[^\r\n]*)\r?$")
_NAME = re.compile(rb';[ \t]*name[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))', re.IGNORECASE)
_FILENAME = re.compile(rb";[ \t]*filename\*?[ \t]*=", re.IGNORECASE)


class Part(Struct, frozen=True):
    """One field: its *name*, its *head* as it came, its *value*, and whether that is a file."""

    name: str
    head: bytes
    value: memoryview
    is_file: bool = False


class Form(Struct, frozen=True):
    """The *parts* of a form in their order; *boundary* stands in none of them."""

    boundary: bytes
    parts: tuple[Part, ...]

    @property
    def texts(self) -> dict[str, str]:
        """Return the fields that are no files, the first of each name; raises InvalidRequest."""
        found: dict[str, str] = {}
        for part in self.parts:
            if not part.is_file:
                found.setdefault(part.name, _text(part))
        return found

    @property
    def content_type(self) -> bytes:
        """Return what says how it is written."""
        return b'multipart/form-data; boundary="%s"' % self.boundary

    def written(self, instead: Mapping[str, bytes], without: Collection[str] = ()) -> bytes:
        """Return the form with other values *instead* of its own, and *without* some fields."""
        pieces: list[bytes | memoryview] = []
        for part in self.parts:
            if part.name not in without:
                pieces += (b"--", self.boundary, b"\r\n", part.head, b"\r\n\r\n")
                pieces += (instead.get(part.name, part.value), b"\r\n")
        return b"".join((*pieces, b"--", self.boundary, b"--\r\n"))


def form_of(content_type: str | None, body: bytes) -> Form:
    """Return the form *body*; raises InvalidRequest that says what is wrong with it."""
    kind, _, parameters = (content_type or "").partition(";")
    if kind.strip().lower() != "multipart/form-data":
        told = "Send a form with the file: Content-Type multipart/form-data."
        raise InvalidRequest(told, param="content-type")
    found = _BOUNDARY.search(parameters)
    if found is None:
        raise InvalidRequest("The Content-Type names no boundary.", param="content-type")
    boundary = (found[1] or found[2]).encode("latin-1")
    parts: list[Part] = []
    at = _first(body, boundary)
    while at is not None:
        if len(parts) == MOST_PARTS:
            raise InvalidRequest(f"The form has more than {MOST_PARTS} parts.", param="body")
        part, at = _part(body, boundary, at)
        parts.append(part)
    return Form(boundary, tuple(parts))


def _first(body: bytes, boundary: bytes) -> int | None:
    """Return where the first part begins."""
    if body.startswith(b"--" + boundary):
        return _after(body, 2 + len(boundary))
    found = body.find(b"\r\n--" + boundary)
    if found < 0:
        raise _broken("its boundary is not in it")
    return _after(body, found + 4 + len(boundary))


def _after(body: bytes, at: int) -> int | None:
    """Return where the part behind a boundary that ends *at* begins; None if it was the last boundary."""
    if body.startswith(b"--", at):
        return None
    end = body.find(b"\r\n", at, at + 256)
    if end < 0 or body[at:end].strip(b" \t"):
        raise _broken("a boundary is not alone on its line")
    return end + 2


def _part(body: bytes, boundary: bytes, at: int) -> tuple[Part, int | None]:
    """Return the part that begins *at*, and where the next one does."""
    head_ends = body.find(b"\r\n\r\n", at, at + LONGEST_HEAD)
    if head_ends < 0:
        raise _broken("the head of a part does not end")
    head = body[at:head_ends]
    ends = body.find(b"\r\n--" + boundary, head_ends + 2)
    if ends < 0:
        raise _broken("its last boundary is missing")
    told = _DISPOSITION.search(head)
    named = _NAME.search(told[1]) if told is not None else None
    if told is None or named is None:
        raise _broken("a part has no name")
    name = (named[1] if named[1] is not None else named[2]).decode("utf-8", "replace")
    value = memoryview(body)[min(head_ends + 4, ends) : ends]
    part = Part(name, head, value, is_file=_FILENAME.search(told[1]) is not None)
    return part, _after(body, ends + 4 + len(boundary))


def _text(part: Part) -> str:
    if len(part.value) > LONGEST_TEXT:
        raise InvalidRequest(f"{part.name}: longer than {LONGEST_TEXT} bytes.", param=part.name)
    try:
        return bytes(part.value).decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidRequest(f"{part.name}: not valid UTF-8.", param=part.name) from None


def _broken(why: str) -> InvalidRequest:
    return InvalidRequest(f"The form cannot be read: {why}.", param="body")
