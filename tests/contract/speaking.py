"""What the tests say and hear, whichever API it is said in."""

from collections.abc import Mapping
from typing import Any, Protocol

from msgspec import Struct


class Function(Struct, frozen=True):
    """A function that the model may call."""

    name: str
    parameters: dict[str, Any] = {}


class Called(Struct, frozen=True):
    """A call of a function, and what it gave if it was made."""

    name: str
    arguments: dict[str, Any]
    id: str = "call_1"
    result: str | None = None


class Turn(Struct, frozen=True):
    """What somebody said before: *user*, or *assistant*, who may have *called* a function."""

    role: str
    text: str = ""
    called: Called | None = None


class Question(Struct, frozen=True, kw_only=True):
    """What is asked for.

    *image* is PNG data in base64 beside the text. *answer_schema* asks for JSON of this form. *more* are
    fields of the API itself, on top of everything.
    """

    text: str = "Hello!"
    model: str = "free"
    stream: bool = False
    limit: int = 8
    system: str | None = None
    before: tuple[Turn, ...] = ()
    tools: tuple[Function, ...] = ()
    must_call: bool = False
    image: str | None = None
    stop: tuple[str, ...] = ()
    temperature: float | None = None
    answer_schema: dict[str, Any] | None = None
    more: dict[str, Any] = {}


class Posted(Struct, frozen=True):
    """A question as it is sent."""

    path: str
    body: bytes
    headers: dict[str, str] = {}


class Heard(Struct, kw_only=True):
    """An answer as it was understood.

    *pieces* are the texts of a stream's events, or the one text of a whole answer. *finish* is in OpenAI's
    words. *error* is what the API's clients show of it; *kind* what it calls such an error. *ended* says that
    the stream came to the end that its clients wait for.
    """

    pieces: list[str] = []
    calls: list[Called] = []
    reasoning: str = ""
    finish: str | None = None
    prompt: int | None = None
    completion: int | None = None
    error: str | None = None
    kind: str | None = None
    ended: bool = True

    @property
    def text(self) -> str:
        """All that was said."""
        return "".join(self.pieces)


class Speaker(Protocol):
    """A caller that speaks one API.

    *name* is the surface in receipts. *cannot* names what the API has no words for, of: system, turns, tools,
    insisting (that one is called), images, schema, stop, temperature, reasoning, streams, in-band errors.
    """

    name: str
    cannot: frozenset[str]

    def post(self, question: Question) -> Posted:
        """Return *question* in this API."""
        ...

    def key(self, key: str) -> dict[str, str]:
        """Return the headers by which its clients send their key."""
        ...

    def hear(self, status: int, headers: Mapping[str, str], body: bytes, *, stream: bool) -> Heard:
        """Return what was answered; fails if its clients could not understand it."""
        ...


def server_sent(body: bytes) -> list[tuple[str | None, str]]:
    """Return the events of a stream: the name of each, if it has one, and its data."""
    events: list[tuple[str | None, str]] = []
    for block in body.decode().split("\n\n"):
        lines = [line for line in block.split("\n") if line and not line.startswith(":")]
        names = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
        data = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
        if data:
            events.append((names[0] if names else None, "\n".join(data)))
    return events
