"""Whether a text that comes in pieces is, where it has come to, inside code as Markdown writes it."""

import re

_LINE_LIMIT = 4096  # characters of a line that are looked at. Own design: the latest ones
_FENCE = re.compile(r"[\s>]*(`{3,}|~{3,})([^`]*)$")
_TICKS = re.compile(r"`+")


class CodeMarks:
    """Follows fences, and code between backticks, which ends with its line at the latest."""

    def __init__(self) -> None:
        """Begin outside."""
        self._fence = ""
        self._line = ""

    def feed(self, text: str) -> None:
        """Take in the next piece."""
        *ended, self._line = (self._line + text).split("\n")
        for line in ended:
            self._end(line)
        self._line = self._line[-_LINE_LIMIT:]

    @property
    def is_open(self) -> bool:
        """Say whether what comes next is code."""
        if self._fence or _FENCE.match(self._line):
            return True
        opened = ""
        for ticks in _TICKS.findall(self._line):
            opened = "" if ticks == opened else opened or ticks
        return bool(opened)

    def _end(self, line: str) -> None:
        mark = _FENCE.match(line)
        if mark is None:
            return
        if not self._fence:
            self._fence = mark[1]
        elif mark[1].startswith(self._fence) and not mark[2].strip():
            self._fence = ""
