"""What a model writes into its text although it belongs beside it, as far as the catalogue knows of it."""

from msgspec import Struct, field

from freeroute.domain.catalogue import Candidate
from freeroute.domain.patterns import by_pattern
from freeroute.upstreams.templates import Template, Templates
from freeroute.upstreams.text_tools import Call, TextTools
from freeroute.upstreams.thoughts import Thoughts, closes_unopened
from freeroute.wire.chat import ChatCall
from freeroute.wire.finishes import finish_of

LEARNED_FROM = 256 * 1024
"""Characters of a text that are kept to learn from it. Own design: few answers are as long."""


class Habits(Struct, frozen=True):
    """The *template* of a model that writes its thoughts in tags, and in which *form* it writes calls of
    *tools*, if any.
    """

    template: Template | None = None
    form: str | None = None
    tools: frozenset[str] = frozenset()

    @property
    def is_any(self) -> bool:
        """Say whether there is any habit."""
        return self.template is not None or self.form is not None


def habits_of(candidate: Candidate, call: ChatCall, templates: Templates) -> Habits:
    """Return what is known of the model of *candidate* that concerns *call*."""
    quirks, model = candidate.provider.quirks, candidate.model.id
    if not quirks.text_tools and not quirks.think_tags:
        return _NONE
    form = by_pattern(model, quirks.text_tools)
    tools = _tools(call) if form is not None else frozenset()
    thinks = by_pattern(model, dict.fromkeys(quirks.think_tags, True))
    return Habits(
        templates.of(candidate, call) if thinks else None, form=form if tools else None, tools=tools
    )


_NONE = Habits()


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

    def __init__(self, habits: Habits, whole: str | None = None) -> None:
        """Begin a text by a model of these *habits*; the *whole* of it tells itself how it begins."""
        template = habits.template
        self._lesson = Lesson(template) if template is not None else None
        self._thoughts: Thoughts | None = None
        if template is not None:
            self._thoughts = Thoughts(opened=template.opens if whole is None else closes_unopened(whole))
        self._tools = TextTools(habits.form, habits.tools) if habits.form is not None else None

    @property
    def begun(self) -> int:
        """Return how many characters are held back that may become a tool call."""
        return self._tools.begun if self._tools is not None else 0

    def feed(self, text: str, *, beside: bool = False) -> Heard:
        """Return what *text* completes; *beside* it the server told thoughts, which are not in it then."""
        if self._thoughts is None or self._lesson is None:
            return self._heard("", text, ends=False)
        self._thoughts.opened = self._thoughts.opened and not beside
        self._lesson.hear(text)
        return self._heard(*self._thoughts.feed(text), ends=False)

    def rest(self, finish: str | None) -> Heard:
        """Return what was held back, at the end of the text, by what *finish* says of it."""
        if self._thoughts is None or self._lesson is None:
            return self._heard("", "", ends=True)
        is_thought = self._thoughts.opened and self._thoughts.is_inside
        thoughts, answer = self._thoughts.rest()
        return self._heard(thoughts, self._lesson.end(finish, is_thought=is_thought) or answer, ends=True)

    def _heard(self, thoughts: str, answer: str, *, ends: bool) -> Heard:
        told, calls = self._tools.feed(answer, ends=ends) if self._tools is not None else (answer, [])
        return Heard(told, thoughts, calls)


class Lesson:
    """What one text teaches of its model's *template*."""

    def __init__(self, template: Template) -> None:
        """Know nothing of the text."""
        self._template = template
        self._texts: list[str] = []
        self._size = 0

    def hear(self, text: str) -> None:
        """Take in the next piece."""
        self._size += len(text)
        if self._size <= LEARNED_FROM:
            self._texts.append(text)

    def end(self, finish: str | None, *, is_thought: bool) -> str:
        """Learn from the text; return it if all of it was taken for a thought that it cannot have been.

        A text that was cut, or that stopped for a tool call, may have been all thoughts.
        """
        text = "".join(self._texts) if self._size <= LEARNED_FROM else ""
        self._texts.clear()  # some finish twice
        if closes_unopened(text):
            self._template.note(opens=True)
        elif text.strip() and finish is not None and finish_of(finish) == "stop":
            self._template.note(opens=False)
            return text.strip() if is_thought else ""
        return ""
