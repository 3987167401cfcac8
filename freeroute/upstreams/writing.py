"""What a model writes into its text although it belongs beside it, as far as the catalogue knows of it."""

from collections.abc import Iterable
from fnmatch import fnmatchcase

from msgspec import Struct

from freeroute.domain.catalogue import Candidate
from freeroute.upstreams.thoughts import Thoughts


class Habits(Struct, frozen=True):
    """Whether a model writes its thoughts in tags."""

    think_tags: bool = False

    def __bool__(self) -> bool:
        """Say whether there is any habit."""
        return self.think_tags


def habits_of(candidate: Candidate) -> Habits:
    """Return what is known of the model of *candidate*."""
    return Habits(think_tags=_named(candidate.model.id, candidate.provider.quirks.think_tags))


def _named(model: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(model.lower(), pattern.lower()) for pattern in patterns)


class Heard(Struct):
    """What a piece of text turned out to be."""

    text: str = ""
    thoughts: str = ""

    def __add__(self, later: "Heard") -> "Heard":
        """Return both, one after the other."""
        return Heard(self.text + later.text, self.thoughts + later.thoughts)


class Writing:
    """The text of one choice, piece by piece."""

    def __init__(self, habits: Habits) -> None:
        """Begin a text by a model of these *habits*."""
        self._thoughts = Thoughts() if habits.think_tags else None

    def feed(self, text: str) -> Heard:
        """Return what *text* completes."""
        if self._thoughts is None:
            return Heard(text)
        thoughts, answer = self._thoughts.feed(text)
        return Heard(answer, thoughts)

    def rest(self) -> Heard:
        """Return what was held back, at the end of the text."""
        if self._thoughts is None:
            return Heard()
        thoughts, answer = self._thoughts.rest()
        return Heard(answer, thoughts)
