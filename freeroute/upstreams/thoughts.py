"""Thoughts that a model writes into its answer between tags, taken out of a text that comes in pieces."""

import re
from enum import Enum, auto

OPENING, CLOSING = "<think>", "</think>"


# A tag that stands alone, and is not spoken of.
_CLOSED = re.compile(r"(?:\A|\n)[ \t]*</think>|</think>[ \t]*(?:\n|\Z)")


class _Place(Enum):
    BEFORE = auto()  # nothing but blanks so far
    INSIDE = auto()
    BEHIND = auto()  # the tag is closed, the answer has not begun
    ANSWER = auto()


class Thoughts:
    """Splits one text: only thoughts at its very beginning count, and an open tag lasts to the end."""

    def __init__(self, *, opened: bool = False) -> None:
        """Begin a text, whose thoughts were *opened* before it if it does not do so itself."""
        self.opened = opened
        self._place = _Place.BEFORE
        self._held = ""
        self._begun = False  # something was thought: blanks before it are no part of it

    def feed(self, text: str) -> tuple[str, str]:
        """Return the thoughts and the answer that *text* brings; what may be part of a tag waits for more."""
        self._held += text
        if self._at(_Place.BEFORE):
            self._open()
        thoughts = self._thought() if self._at(_Place.INSIDE) else ""
        if self._at(_Place.BEHIND):
            self._begin_answer()
        return thoughts, self._let_go() if self._at(_Place.ANSWER) else ""

    def rest(self) -> tuple[str, str]:
        """Return what was held back, at the end of the text."""
        held = self._let_go()
        return (held, "") if self._at(_Place.INSIDE) else ("", held)

    @property
    def is_inside(self) -> bool:
        """Say whether the thoughts have begun and are not closed."""
        return self._at(_Place.INSIDE)

    def _at(self, place: _Place) -> bool:
        return self._place is place

    def _let_go(self) -> str:
        held, self._held = self._held, ""
        return held

    def _open(self) -> None:
        text = self._held.lstrip()
        if text.startswith(OPENING):
            self._place, self._held = _Place.INSIDE, text[len(OPENING) :]
            self.opened = False
        elif not OPENING.startswith(text):
            self._place = _Place.INSIDE if self.opened else _Place.ANSWER

    def _thought(self) -> str:
        thought, tag, behind = self._held.partition(CLOSING)
        if tag:
            self._place, self._held = _Place.BEHIND, behind
        else:
            kept = begun_at_end(thought, CLOSING)
            thought, self._held = thought[: len(thought) - kept], thought[len(thought) - kept :]
        if not self._begun:
            thought = thought.lstrip()
            self._begun = bool(thought)
        return thought

    def _begin_answer(self) -> None:
        self._held = self._held.lstrip()
        if self._held:
            self._place = _Place.ANSWER


def begun_at_end(text: str, tag: str) -> int:
    """Return how many characters at the end of *text* are the beginning of *tag*."""
    longest = min(len(tag) - 1, len(text))
    return next((size for size in range(longest, 0, -1) if text.endswith(tag[:size])), 0)


def closes_unopened(text: str) -> bool:
    """Say whether the whole *text* begins with thoughts that it closes and did not open."""
    closed = _CLOSED.search(text)
    if closed is None:
        return False
    return text.find(CLOSING) >= closed.start() and OPENING not in text[: closed.end()]
