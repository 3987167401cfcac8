"""OpenAI's API: chat completions, JSON and streamed, and the list of models."""

from collections.abc import Sequence

from freeroute.errors import ApiError
from freeroute.surfaces.access import Access
from freeroute.surfaces.conversing import EVENT_STREAM, Asked, Conversations
from freeroute.surfaces.http import Request
from freeroute.surfaces.routes import Route
from freeroute.surfaces.tasks import task_route
from freeroute.wire.answers import Piece, error_events
from freeroute.wire.decode import decode_chat
from freeroute.wire.sse import DONE, frame

_SURFACE = "openai"
_LAST_EVENT = frame(DONE)


class OpenAiSurface:
    """The routes of OpenAI's API over a gateway."""

    def __init__(self, conversations: Conversations) -> None:
        """Serve calls by *conversations*."""
        self._conversations = conversations
        self._gateway = conversations.gateway

    def routes(self) -> list[Route]:
        """Return what is served."""
        return [
            task_route(self._conversations, "/v1/chat/completions", _SURFACE, understand),
            Route("/v1/models", {"GET": self.list_models}, Access.MODELS, mirrored=True),
            Route("/v1/models/{model:path}", {"GET": self.show_model}, Access.MODELS, mirrored=True),
            Route("/v1/key", {"GET": self.show_key}, Access.MODELS, mirrored=True),
        ]

    async def list_models(self, request: Request) -> None:
        """List every enabled model."""
        models = self._gateway.models(request.caller.client)
        await request.reply_json({"object": "list", "data": models})

    async def show_model(self, request: Request) -> None:
        """Show one model; its id may hold slashes."""
        model_id = request.params["model"]
        await request.reply_json(self._gateway.model(model_id, request.caller.client))

    async def show_key(self, request: Request) -> None:
        """Show a client its own limits and use."""
        await request.reply_json(self._gateway.key(request.caller.client))


def understand(request: Request, body: bytes) -> Asked:
    """Return what *body* asks for; raises InvalidRequest."""
    return Asked(decode_chat(body), _AS_IT_IS, verbatim=True)


class _AsItIs:
    """Tells answers as the gateway gives them: in OpenAI's words."""

    stream_type = EVENT_STREAM
    comment = b": waiting\n\n"

    def whole(self, body: bytes) -> bytes:
        """Return *body*."""
        return body

    def events(self, payloads: Sequence[bytes]) -> bytes:
        """Return *payloads*, each as an event."""
        return b"".join(map(frame, payloads))

    def end(self) -> bytes:
        """Return the event that OpenAI's streams end with."""
        return _LAST_EVENT

    def fault(self, error: ApiError, like: Piece | None) -> bytes:
        """Return the events that tell *error*."""
        told = error_events(
            error.message, code=error.code, kind=error.kind, metadata=error.metadata, like=like
        )
        return self.events(told)


_AS_IT_IS = _AsItIs()
