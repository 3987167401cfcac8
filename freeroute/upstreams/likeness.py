"""Events that are alike: most of a stream differs from one event to the next in nothing but a few words."""

import re

from freeroute.wire.sse import payload_of
from freeroute.wire.strict import Words, words_in

# What JSON writes as two bytes and means as one.
_ESCAPE = re.compile(r'\\["\\/bfnrt]')


class Likeness:
    """What the events of one stream have around their words.

    An event that is like the one before need not be read, which is half of what there is to do about it.
    """

    __slots__ = ("_after", "_around", "_before", "_is_known")

    def __init__(self) -> None:
        """Know nothing."""
        self._before = self._after = b""
        self._around = 0
        self._is_known = False

    def note(self, event: bytes, words: Words) -> None:
        """Take in an *event* on one line, which brings *words*.

        That those are one string, where any others might stand as well, shows by adding a letter to it.
        """
        text = words.text.encode()
        at = event.rfind(text)
        if at <= 0 or _size(text) != len(text):
            return
        before, after = event[:at], event[at + len(text) :]
        if (before, after) != (self._before, self._after):
            self._before, self._after, self._around = before, after, len(before) + len(after)
            self._is_known = False
            return
        another = words_in(payload_of(before + text + b"-" + after))
        self._is_known = another is not None and another.text == words.text + "-"

    def size(self, event: bytes) -> int:
        """Return how many bytes of words *event* brings, and nothing else; 0 if it is unlike those before."""
        if not self._is_known:
            return 0
        words = event.removeprefix(self._before).removesuffix(self._after)
        return _size(words) if len(event) - len(words) == self._around else 0


def _size(words: bytes) -> int:
    """Return how many bytes of text *words* are in a JSON string; 0 if they are none, or of rare letters."""
    try:
        text, escapes = words.decode(), 0
    except UnicodeDecodeError:
        return 0
    if "\\" in text:
        text, escapes = _ESCAPE.subn("", text)
        if "\\" in text:
            return 0
    return len(words) - escapes if text.isprintable() and '"' not in text else 0
