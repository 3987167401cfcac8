"""Anthropic's API: messages, whole and streamed, their count of tokens, and the list of models."""

from typing import Any

from freeroute.errors import InvalidRequest
from freeroute.surfaces.access import Access
from freeroute.surfaces.anthropic_answer import Message, in_anthropics_shape
from freeroute.surfaces.anthropic_request import read_request
from freeroute.surfaces.conversing import Asked, Conversations, Known
from freeroute.surfaces.entries import chats
from freeroute.surfaces.http import Handler, Request
from freeroute.surfaces.routes import Route

_SURFACE = "anthropic"
_VERSION = b"anthropic-version"
# Models on a page: Anthropic's own numbers.
_PAGE, _LARGEST_PAGE = 20, 1000


class AnthropicSurface:
    """The routes of Anthropic's API over a gateway."""

    def __init__(self, conversations: Conversations) -> None:
        """Serve calls by *conversations*."""
        self._conversations = conversations
        self._gateway = conversations.gateway

    def routes(self) -> list[Route]:
        """Return what is served; what OpenAI's API has too is told apart by the header of the version."""
        answering, refused = self._conversations.answering, self._conversations.refused(_SURFACE)
        answer, counted = answering(_SURFACE, understand), answering(_SURFACE, count)
        return [
            _route("/v1/messages", "POST", answer, Access.CLIENT, refused=refused),
            _route("/v1/messages/count_tokens", "POST", counted, Access.MODELS, refused=refused),
            _route("/v1/models", "GET", self.list_models, Access.MODELS, spoken=_VERSION),
            _route("/v1/models/{model:path}", "GET", self.show_model, Access.MODELS, spoken=_VERSION),
        ]

    async def list_models(self, request: Request) -> None:
        """List the models that chat, a page at a time."""
        listed = self._gateway.models(request.caller.client)
        models = [_model(one) for one in listed if chats(one)]
        await request.reply_json(_page(models, request))

    async def show_model(self, request: Request) -> None:
        """Show one model; its id may hold slashes."""
        found = self._gateway.model(request.params["model"], request.caller.client)
        await request.reply_json(_model(found))


def understand(request: Request, body: bytes) -> Asked:
    """Return what *body* asks for; raises InvalidRequest."""
    read = read_request(body)
    call = read.call
    return Asked(call, Message(request.id, call.model, call.demand.prompt, read.stop))


def count(request: Request, body: bytes) -> Known:
    """Estimate what the prompt in *body* takes, without asking a provider; raises InvalidRequest."""
    call = read_request(body).call
    return Known(b'{"input_tokens":%d}' % call.demand.prompt, call.model)


def _route(path: str, method: str, handler: Handler, access: Access, **more: Any) -> Route:
    return Route(
        path,
        {method: handler},
        access,
        mirrored=True,
        refusal=in_anthropics_shape,
        id_header=b"request-id",
        **more,
    )


def _model(entry: dict[str, Any]) -> dict[str, Any]:
    """Return the *entry* of OpenAI's list in Anthropic's shape; when a model was made nobody knows here."""
    top = entry.get("top_provider") or {}
    return {
        "type": "model",
        "id": entry["id"],
        "display_name": entry["id"],
        "created_at": "1970-01-01T00:00:00Z",
        "lifecycle": "active",
        "max_input_tokens": entry.get("context_length"),
        "max_tokens": top.get("max_completion_tokens"),
    }


def _page(models: list[dict[str, Any]], request: Request) -> dict[str, Any]:
    """Return the page of *models* that *request* asks for; an id that is gone begins anew."""
    size, ids = _size(request), [model["id"] for model in models]
    after, before = request.query("after_id"), request.query("before_id")
    if before in ids:
        rest = models[: ids.index(before)]
        page = rest[-size:]
    else:
        rest = models[ids.index(after) + 1 :] if after in ids else models
        page = rest[:size]
    return {
        "data": page,
        "has_more": len(rest) > len(page),
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
    }


def _size(request: Request) -> int:
    text = request.query("limit")
    if text is None:
        return _PAGE
    if not (text.isascii() and text.isdigit() and len(text) < 5 and 1 <= int(text) <= _LARGEST_PAGE):
        raise InvalidRequest(f"limit: must be between 1 and {_LARGEST_PAGE}.", param="limit")
    return int(text)
