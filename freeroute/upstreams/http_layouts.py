"""The heads of answers that are like those before them: one peer's have the same names in the same order.

The parser judges every head. What is wanted of its values is found by a pattern of those names, which takes
half as long as to look for them in lines that may be any.
"""

import functools
import re

from freeroute.upstreams.heads import Telling
from freeroute.upstreams.http_fields import telling

_LARGEST = 4096  # bytes of a head that is learned; own design, real ones have up to 2,000
_SELDOM = 64  # of so many unlike heads one is a lesson, once there were many; own design

# What the first says is part of a layout; a body with the second is dealt with otherwise.
_KIND, _CODING = b"content-type", b"content-encoding"

Outline = tuple[bytes, ...]
"""The lines of a head, all but the first and the type of the body without their values."""


class Layout:
    """How some heads are laid out: all their names, and the type of the body, are the same."""

    __slots__ = ("_match", "_names", "_telling")

    def __init__(self, outline: Outline) -> None:
        """Know heads of this *outline*."""
        start, *lines = outline
        self._telling = telling(b"\r\n".join(outline))
        self._names = self._telling.names
        pattern = b"\r\n".join([re.escape(start), *map(_pattern, lines)])
        self._match = re.compile(pattern + b"\r\n\r\n").match

    def found(self, came: bytes, begins: int) -> tuple[int, Telling] | None:
        """Return where the lines of a head end that *begins* there and that the parser took, and what they
        tell; None if it has another layout.
        """
        found = self._match(came, begins)
        if found is None:
            return None
        told, names = self._telling, self._names
        return found.end() - 4, Telling(told.kind, names, found.groups()) if names else told


class Layouts:
    """What was learned of the heads of answers to requests that go the same way."""

    __slots__ = ("_outline", "_unlike", "layout")

    def __init__(self) -> None:
        """Know nothing."""
        self.layout: Layout | None = None
        self._outline: Outline | None = None
        self._unlike = 0

    def learn(self, head: bytes) -> None:
        """Learn from the lines of a *head* that has not the layout known: two that are alike make the next.

        Each lesson costs what a few heads do, and there are fewer the more were in vain: the first such head
        brings one, the second, the fourth and so on, lest those that are never alike become dearer.
        """
        self._unlike = unlike = self._unlike + 1
        if (unlike & (unlike - 1) and unlike % _SELDOM) or len(head) > _LARGEST:
            return
        outline = _outline(head)
        if outline is not None and outline == self._outline:
            self.layout = _layout(outline)
        self._outline = outline


@functools.lru_cache(maxsize=256)
def _layout(outline: Outline) -> Layout:
    """Return the layout of such heads, whoever asks: to make one takes as long as some requests do."""
    return Layout(outline)


def _outline(head: bytes) -> Outline | None:
    """Return what the layout of a *head* is made of; None if its body is compressed."""
    start, *lines = head.split(b"\r\n")
    outline = [start]
    for line in lines:
        name, colon, _ = line.partition(b":")
        like = name.lower()
        if like == _CODING:
            return None
        outline.append(line if like == _KIND else name + colon)
    return tuple(outline)


def _pattern(line: bytes) -> bytes:
    """Return the pattern of a *line* of an outline, with a group for its value if that is wanted."""
    if line.partition(b":")[0].lower() == _KIND:
        return re.escape(line)
    tells = telling(b"\n" + line).names
    return re.escape(line) + (rb"[ \t]*+([^\r]*+)" if tells else rb"[^\r]*+")
