"""One answer told by several models: what the caller has of it, and where the next one's text goes on."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import takewhile
from typing import Any

import msgspec

from freeroute.domain.catalogue import Prefill
from freeroute.domain.outcome import PREFILL
from freeroute.domain.tasks import Task
from freeroute.domain.usage import Usage
from freeroute.wire.answers import Piece, Said, identity, inspect, usage_object, usage_of
from freeroute.wire.chat import ChatCall

LONGEST = 256 * 1024
"""Characters of an answer that are kept, so that another model can go on with it. Own design: hardly any is
as long."""

REFRAIN = 64
"""Characters from which on a text is hardly said once more on purpose, behind a blank. Own design: lines of
songs are shorter."""

ALIKE = 24
"""Characters that nobody goes on with by chance, where they are the first of the text already. Own design."""

ALIKE_WORDS = 3
"""Words that nobody goes on with by chance, where they are the first of the text already. Own design."""

RHYTHM = 4096
"""Characters at the end of a text that are looked at for a rhythm. Own design: "ha ha ha", or lines."""

# Letters of scripts that have them, and blanks between words: neither Thai and its like nor CJK nor Hangul.
_LETTERLESS = (
    r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\ud7ff\uf900-\ufaff\uff66-\uffdc\U00020000-\U0003ffff"
)
_LETTER = rf"[^\W\d_{_LETTERLESS}]"


@cache  # the compiling of all those letters takes some milliseconds, and hardly any process needs it
def _word() -> re.Pattern[str]:
    return re.compile(_LETTER + "+")


@cache
def _saying() -> re.Pattern[str]:
    return re.compile(_LETTER + "{3}")


_THOUGHTS = ("reasoning_content", "reasoning", "reasoning_details")
_NO_TEXT = ("tool_calls", "function_call", "refusal", "audio", "images")
# What an answer in several voices could not keep, or must not be pieced together.
_UNSPLICEABLE = frozenset({"n", "logprobs", PREFILL})

_encode = msgspec.json.encode


class Diverged(Exception):
    """The second answer begins otherwise than what was told."""


def spliceable(call: ChatCall) -> bool:
    """Say whether another model may go on with the answer to *call*: a stream of text in one choice, whose
    beginning the caller has not written itself.
    """
    structured = call.needs & {"json_object", "json_schema"}
    if call.task is not Task.CHAT:
        return False
    return call.stream and not structured and not call.features & _UNSPLICEABLE


class Told:
    """What the caller has of a stream: its text so far, and who it said it was."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.first: Piece | None = None
        self.is_plain = True
        self._texts: list[str] = []
        self._size = 0

    @property
    def text(self) -> str:
        """Return all of the text."""
        return "".join(self._texts)

    @property
    def index(self) -> int:
        """Return the number of the one choice."""
        choices = self.first.choices if self.first is not None else None
        index = choices[0].index if choices else 0
        return index if isinstance(index, int) else 0

    def note(self, payload: bytes) -> None:
        """Take in a chunk that goes to the caller."""
        piece = inspect(payload) if self.is_plain else None
        if piece is None or not piece.choices:
            return
        if self.first is None:
            self.first = piece
        for choice in piece.choices:
            self.is_plain = self.is_plain and choice.index == self.index
            if choice.delta is not None:
                self._hear(choice.delta)

    def _hear(self, said: Said) -> None:
        if any(getattr(said, name) for name in _NO_TEXT) or not isinstance(said.content, str | None):
            self.is_plain = False
        elif said.content:
            self._texts.append(said.content)
            self._size += len(said.content)
            self.is_plain = self.is_plain and self._size <= LONGEST
        if not self.is_plain:
            self._texts.clear()


class Seam:
    """Finds where the text of a second answer goes beyond what was *told*.

    A model that was given the beginning is trusted to go on from it. Some begin anew all the same, as if
    they had not been given it, and then all that was told is taken off. What tells the two apart is how
    they begin. One that goes on writes the blank first that comes next, for those at the end of what was
    told are not given to it, since some refuse them; or it goes on in the middle of a word. So what
    repeats all that was told at once, from word to word, is begun anew, unless what was told has a rhythm
    that this keeps. Behind a blank a repeat is on purpose, unless it is long, or breaks into a sentence,
    or what was told begins with that blank. Where too little was told to say, as a sign, a number or a
    few letters, nothing is taken off. With the provider's flag a model always begins anew.

    A model that begins anew and soon words it otherwise has told another answer.

    A model that was not given the beginning must say exactly what was told, blanks before it apart, before
    anything of it counts.
    """

    def __init__(self, told: str, how: Prefill) -> None:
        """*how* the model was given what was told: ``none`` for one that begins anew."""
        self._must = how == "none" and bool(told.strip())
        self._want = told.lstrip() if self._must else told.strip()
        self._gap = "" if self._must else told[len(told.rstrip()) :]
        self._lead = told[: len(told) - len(told.lstrip())]
        self._surely = self._must or how == "prefix_flag"
        self._blanks = ""
        self._at = 0
        self._matching = bool(self._want)

    def feed(self, text: str) -> str:
        """Return what of *text* is new; raises Diverged."""
        if self._matching:
            text = self._match(text)
        return self._beyond_gap(text) if text and not self._matching else ""

    def end(self) -> str:
        """Return what is left at the end of the text; raises Diverged if too little came."""
        if not self._matching:
            return ""
        if self._must:
            self._matching = False
            if self._want[self._at :].strip():
                raise Diverged
            return ""
        return self._beyond_gap(self._decide(""))

    def _match(self, text: str) -> str:
        if not self._at:
            kept = text.lstrip()
            self._blanks += text[: len(text) - len(kept)]
            text = kept
            if not text:
                return ""
            if self._is_led and not self._breaks_in:
                return self._not_repeated(text)
        rest = len(self._want) - self._at
        if not self._want.startswith(text[:rest], self._at):
            return self._decide(text)
        self._at += min(len(text), rest)
        is_known = text[rest:] or self._surely  # else the next letter tells whether the last word ended
        return self._decide(text[rest:]) if self._at == len(self._want) and is_known else ""

    def _decide(self, text: str) -> str:
        """Return what is new once *text* comes, or the end, behind all that is like what was told."""
        self._matching = False
        if self._at == len(self._want):
            return text if self._surely or self._begins_anew(text) else self._not_repeated(text)
        if self._must or (not self._is_led and self._is_other(text)):
            raise Diverged
        return self._not_repeated(text)

    @property
    def _is_led(self) -> bool:
        """Say whether a blank comes first that is none of a text begun anew."""
        is_gap = bool(self._gap) and self._blanks.startswith(self._gap)
        return not self._surely and bool(self._blanks) and (self._blanks != self._lead or is_gap)

    @property
    def _breaks_in(self) -> bool:
        """Say whether a repeat behind a blank would be none on purpose."""
        is_open = self._is_of_words and self._want[-1].isalpha()
        return not self._gap and (is_open or len(self._want) >= REFRAIN)

    @property
    def _is_of_words(self) -> bool:
        return _saying().search(self._want) is not None and len(_word().findall(self._want)) > 1

    def _begins_anew(self, after: str) -> bool:
        """Say whether all that was told was repeated since the model began anew, and goes on with *after*."""
        if _keeps_rhythm(self._want, self._blanks):
            return False
        is_word = _saying().search(self._want) is not None and not _is_inside(self._want, after)
        return is_word or self._is_of_words or len(self._want) >= REFRAIN

    def _is_other(self, text: str) -> bool:
        """Say whether the model began anew, and words it otherwise with *text*."""
        pairs = zip(self._want[self._at : self._at + len(text)], text, strict=False)
        size = self._at + sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        alike, said = self._want[:size], text[size - self._at :]
        words = len(_word().findall(alike))
        if _is_inside(alike, self._want[size:]) or _is_inside(alike, said):
            words -= 1
        return (size >= ALIKE or words >= ALIKE_WORDS) and not _period(alike[-RHYTHM:])

    def _not_repeated(self, text: str) -> str:
        self._matching = False
        return self._held() + text

    def _held(self) -> str:
        """Return what looked like a repeat and is none."""
        return self._blanks + self._want[: self._at]

    def _beyond_gap(self, text: str) -> str:
        """Return *text* without the blanks that the caller has already."""
        shorter = min(len(text), len(self._gap))
        common = next(size for size in range(shorter, -1, -1) if self._gap.startswith(text[:size]))
        self._gap = self._gap[common:] if common == len(text) else ""
        return text[common:]


def _is_inside(before: str, after: str) -> bool:
    """Say whether *after* goes on in the last word of *before*."""
    return before[-1:].isalnum() and after[:1].isalnum()


def _period(text: str) -> int:
    """Return after how many characters *text* comes again, 0 if it does not."""
    return next((size for size in range(1, len(text) // 2 + 1) if text.startswith(text[size:])), 0)


def _keeps_rhythm(told: str, blanks: str) -> bool:
    """Say whether *told* is one thing over and over, with a word in it, and goes on so with *blanks* and then
    *told* again. A rule, a fence or the stars before a title are none.
    """
    end = told[-RHYTHM:]
    period = _period(end)
    if not period or not told.startswith(told[period:]):
        return False
    beat = told[-period:]
    return any(map(str.isalnum, beat)) and (blanks + told).startswith(beat)


class Splice:
    """Makes the chunks of another model's stream part of the one that was *told*.

    *how* the model was given what was told, *used* is what the calls before took, *by* who went on so far,
    as it is told in the last chunk.
    """

    def __init__(
        self, told: Told, how: Prefill, *, used: Usage | None, by: Sequence[Mapping[str, Any]]
    ) -> None:
        """Begin where *told* ends."""
        text = told.text
        self._seam = Seam(text, how)
        self._thinks = not text.strip()
        self._identity = identity(told.first)
        self._index = told.index
        self._used = used
        self._mark = {"continued": list(by)}
        self._finished = False

    def chunk(self, payload: bytes) -> bytes | None:
        """Return the chunk *payload* as the caller is to get it, None if it holds nothing new.

        Raises Diverged.
        """
        body = msgspec.json.decode(payload)
        body |= self._identity
        body.pop("system_fingerprint", None)
        usage = usage_of(body.get("usage"))
        if usage is not None:
            body["usage"] = usage_object(usage + self._used if self._used else usage)
        before = self._finished
        says = [self._fit(choice) for choice in body.get("choices") or ()]
        if self._finished and not before:
            body["freeroute"] = self._mark
        return _encode(body) if any(says) or usage is not None else None

    def close(self) -> bytes | None:
        """Return the chunk that a stream without a finish still lacks, if it does. Raises Diverged."""
        if self._finished:
            return None
        self._finished = True
        choice = {"index": self._index, "delta": {"content": self._seam.end()}, "finish_reason": None}
        return _encode({**self._identity, "choices": [choice], "freeroute": self._mark})

    def _fit(self, choice: dict[str, Any]) -> bool:
        """Cut *choice* to what is new; say whether there is anything."""
        delta = choice.get("delta") or {}
        choice["index"], choice["delta"] = self._index, delta
        delta.pop("role", None)
        for name in () if self._thinks else _THOUGHTS:
            delta.pop(name, None)
        content = delta.pop("content", None)
        text = self._seam.feed(content) if isinstance(content, str) else ""
        if choice.get("finish_reason"):
            self._finished = True
        if self._finished or any(delta.get(name) for name in _NO_TEXT):
            text += self._seam.end()
        if text:
            delta["content"] = text
        return any(delta.values()) or bool(choice.get("finish_reason"))
