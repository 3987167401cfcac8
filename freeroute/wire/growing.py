"""A JSON object that comes in pieces: where it ends, and as soon as it shows, that it is none."""

import re
from enum import Enum, auto

DEEPEST = 200
"""Levels of an object. Own design: what is nested deeper is refused wherever it is decoded."""

_BLANKS = re.compile(r"[ \t\n\r]+")
_IN_STRING = re.compile(r'[^"\\\x00-\x1f]*')
_WORD = re.compile(r"[-+.\w]+")
_LITERAL = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|true|false|null")
_LONGEST_WORD = 1024  # characters: a number in full


class _Want(Enum):
    OBJECT = auto()
    KEY = auto()
    KEY_OR_END = auto()
    COLON = auto()
    VALUE = auto()
    VALUE_OR_END = auto()
    COMMA_OR_END = auto()


_KEYS = (_Want.KEY, _Want.KEY_OR_END)
_VALUES = (_Want.VALUE, _Want.VALUE_OR_END)


class GrowingObject:
    """Takes the pieces; *ended* and *broken* say what is known so far."""

    def __init__(self) -> None:
        """Wait for the brace."""
        self.ended = False
        self.broken = False
        self._want = _Want.OBJECT
        self._open: list[str] = []
        self._word = ""
        self._quoted = False
        self._escaped = False

    def feed(self, text: str) -> int:
        """Take the next piece; return how many characters of it belong to the object, if it is one."""
        at = 0
        while at < len(text) and not (self.ended or self.broken):
            at = self._step(text, at)
        return at

    def _step(self, text: str, at: int) -> int:
        if self._quoted:
            return self._string(text, at)
        if word := _WORD.match(text, at):
            self._word += word.group()
            self.broken = self._want not in _VALUES or len(self._word) > _LONGEST_WORD
            return word.end()
        if self._word:
            self.broken = _LITERAL.fullmatch(self._word) is None
            self._word, self._want = "", _Want.COMMA_OR_END
            return at
        if blanks := _BLANKS.match(text, at):
            return blanks.end()
        self.broken = not self._took(text[at])
        return at + 1

    def _string(self, text: str, at: int) -> int:
        if self._escaped:
            self._escaped = False
            return at + 1
        at = _IN_STRING.match(text, at).end()  # type: ignore[union-attr]
        if at == len(text):
            return at
        self._quoted, self._escaped = text[at] != '"', text[at] == "\\"
        self.broken = self._quoted and not self._escaped
        return at + 1

    def _took(self, mark: str) -> bool:
        """Say whether *mark* can stand here, and go on behind it."""
        match mark:
            case '"' if self._want in _KEYS:
                self._quoted, self._want = True, _Want.COLON
            case '"' if self._want in _VALUES:
                self._quoted, self._want = True, _Want.COMMA_OR_END
            case ":" if self._want is _Want.COLON:
                self._want = _Want.VALUE
            case "," if self._want is _Want.COMMA_OR_END:
                self._want = _Want.KEY if self._open[-1] == "}" else _Want.VALUE
            case "{" if self._want in (*_VALUES, _Want.OBJECT):
                return self._opened("}", _Want.KEY_OR_END)
            case "[" if self._want in _VALUES:
                return self._opened("]", _Want.VALUE_OR_END)
            case "}" | "]":
                return self._closed(mark)
            case _:
                return False
        return True

    def _opened(self, closing: str, want: _Want) -> bool:
        self._open.append(closing)
        self._want = want
        return len(self._open) <= DEEPEST

    def _closed(self, mark: str) -> bool:
        ends = (_Want.COMMA_OR_END, _Want.KEY_OR_END if mark == "}" else _Want.VALUE_OR_END)
        if self._want not in ends or self._open[-1] != mark:
            return False
        self._open.pop()
        self.ended = not self._open
        self._want = _Want.COMMA_OR_END
        return True
