"""What surfaces for tasks in OpenAI's words share, and two that need no more: pictures and moderations."""

from collections.abc import Sequence

import msgspec
from msgspec import Raw

from freeroute.domain.tasks import Task
from freeroute.errors import ApiError, InvalidRequest
from freeroute.surfaces.access import Access
from freeroute.surfaces.conversing import EVENT_STREAM, Ask, Asked, Conversations, Understand
from freeroute.surfaces.http import BODY_LIMIT, Request
from freeroute.surfaces.routes import Route
from freeroute.wire.answers import Piece
from freeroute.wire.asking import asked_for, call_of
from freeroute.wire.decode import read

_TEXT = msgspec.json.Decoder(str)
_COUNT = msgspec.json.Decoder(int)
_TEXTS = msgspec.json.Decoder(str | list[str | dict[str, Raw]])


class AsItIs:
    """Tells whole answers as the provider gave them. What streams travels as bytes, untold."""

    stream_type = EVENT_STREAM
    comment = b""

    def whole(self, body: bytes) -> bytes:
        """Return *body*."""
        return body

    def events(self, payloads: Sequence[bytes]) -> bytes:
        """Return *payloads* behind each other."""
        return b"".join(payloads)

    def end(self) -> bytes:
        """Return nothing: such streams have no last event."""
        return b""

    def fault(self, error: ApiError, like: Piece | None) -> bytes:
        """Return *error*; a stream that has begun is cut instead."""
        return msgspec.json.encode(error.body())


AS_IT_IS = AsItIs()


def task_route(
    conversations: Conversations,
    path: str,
    surface: str,
    understand: Understand,
    *,
    longest: int = BODY_LIMIT,
    ask: Ask | None = None,
) -> Route:
    """Return the route of a task at *path*, whose requests *understand* reads; *ask* as for `answering`."""
    return Route(
        path,
        {"POST": conversations.answering(surface, understand, longest=longest, ask=ask)},
        Access.CLIENT,
        mirrored=True,
        refused=conversations.refused(surface),
    )


def routes(conversations: Conversations) -> list[Route]:
    """Return what is served for pictures and moderations."""
    return [
        task_route(conversations, "/v1/images/generations", "images", understand_image),
        task_route(conversations, "/v1/moderations", "moderations", understand_moderation),
    ]


def understand_image(request: Request, body: bytes) -> Asked:
    """Return what *body* asks to be painted; raises InvalidRequest."""
    given = asked_for(Task.IMAGE, body, wanted="model and prompt")
    if "n" in given and read(given["n"], _COUNT, "n") < 1:
        raise InvalidRequest("n: at least one picture has to be asked for.", param="n")
    return Asked(call_of(Task.IMAGE, given, [text_in(given, "prompt")]), AS_IT_IS)


def understand_moderation(request: Request, body: bytes) -> Asked:
    """Return what *body* asks to be looked at; raises InvalidRequest."""
    given = asked_for(Task.MODERATION, body, wanted="input")
    if "input" not in given:
        raise InvalidRequest("input is missing: send a text, or a list of texts.", param="input")
    if not read(given["input"], _TEXTS, "input"):
        raise InvalidRequest("input is empty: send a text, or a list of texts.", param="input")
    return Asked(call_of(Task.MODERATION, given, [bytes(given["input"])]), AS_IT_IS)


def text_in(given: dict[str, Raw], name: str) -> bytes:
    """Return the text *name* of what is *given*; raises InvalidRequest if there is none."""
    text = read(given[name], _TEXT, name) if name in given else ""
    if not text:
        raise InvalidRequest(f"{name} is missing: send a text.", param=name)
    return text.encode()
