"""Whether a text that comes in pieces is, where it has come to, inside code as Markdown writes it."""

import re

LINE_LIMIT = 4096
"""Characters of a line that are looked at. Own design: no sentence is as long."""

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
        self._line = self._line[-LINE_LIMIT:]

    @property
    def is_fenced(self) -> bool:
        """Say whether what comes next stands in a fence."""
        return bool(self._fence or _FENCE.match(self._line))

    def is_quoted(self, after: str, *, ends: bool) -> bool | None:
        """Say whether what comes next, and *after* behind it, stands between backticks. Those that nothing
        closes in the line of *after* are none. None if that is not known yet, unless *after* *ends* the text.
        """
        opened = ""
        for ticks in _TICKS.findall(self._line):
            opened = "" if ticks == opened else opened or ticks
        if not opened:
            return False
        line, newline, _ = after[:LINE_LIMIT].partition("\n")
        is_whole = ends or bool(newline) or len(line) == LINE_LIMIT
        closing = _TICKS.findall(line if is_whole else line.rstrip("`"))
        return opened in closing or (False if is_whole else None)

    def _end(self, line: str) -> None:
        mark = _FENCE.match(line)
        if mark is None:
            return
        if not self._fence:
            self._fence = mark[1]
        elif mark[1].startswith(self._fence) and not mark[2].strip():
            self._fence = ""
