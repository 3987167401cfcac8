"""What a model writes into its text although it belongs beside it, as far as the catalogue knows of it."""

from msgspec import Struct, field

from freeroute.domain.catalogue import Candidate
from freeroute.domain.patterns import by_pattern
from freeroute.upstreams.text_tools import Call, TextTools
from freeroute.upstreams.thoughts import Thoughts
from freeroute.wire.chat import ChatCall


class Habits(Struct, frozen=True):
    """Whether a model writes its thoughts in tags, and in which *form* it writes calls of *tools*, if any."""

    think_tags: bool = False
    form: str | None = None
    tools: frozenset[str] = frozenset()

    @property
    def is_any(self) -> bool:
        """Say whether there is any habit."""
        return self.think_tags or self.form is not None


def habits_of(candidate: Candidate, call: ChatCall) -> Habits:
    """Return what is known of the model of *candidate* that concerns *call*."""
    quirks, model = candidate.provider.quirks, candidate.model.id
    form = by_pattern(model, quirks.text_tools)
    tools = _tools(call) if form is not None else frozenset()
    thinks = by_pattern(model, dict.fromkeys(quirks.think_tags, True)) or False
    return Habits(think_tags=thinks, form=form if tools else None, tools=tools)


def _tools(call: ChatCall) -> frozenset[str]:
    """Return the names of the tools that an answer to *call* may use."""
    without = "tools" not in call.fields or bytes(call.fields.get("tool_choice", b"")) == b'"none"'
    return frozenset() if without else frozenset(call.tools)


class Heard(Struct):
    """What a piece of text turned out to be."""

    text: str = ""
    thoughts: str = ""
    calls: list[Call] = field(default_factory=list)

    def __add__(self, later: "Heard") -> "Heard":
        """Return both, one after the other."""
        return Heard(self.text + later.text, self.thoughts + later.thoughts, self.calls + later.calls)


class Writing:
    """The text of one choice, piece by piece."""

    def __init__(self, habits: Habits) -> None:
        """Begin a text by a model of these *habits*."""
        self._thoughts = Thoughts() if habits.think_tags else None
        self._tools = TextTools(habits.form, habits.tools) if habits.form is not None else None

    @property
    def begun(self) -> int:
        """Return how many characters are held back that may become a tool call."""
        return self._tools.begun if self._tools is not None else 0

    def feed(self, text: str) -> Heard:
        """Return what *text* completes."""
        thoughts, answer = self._thoughts.feed(text) if self._thoughts is not None else ("", text)
        return self._heard(thoughts, answer, ends=False)

    def rest(self) -> Heard:
        """Return what was held back, at the end of the text."""
        thoughts, answer = self._thoughts.rest() if self._thoughts is not None else ("", "")
        return self._heard(thoughts, answer, ends=True)

    def _heard(self, thoughts: str, answer: str, *, ends: bool) -> Heard:
        told, calls = self._tools.feed(answer, ends=ends) if self._tools is not None else (answer, [])
        return Heard(told, thoughts, calls)
