"""Gemini's API: answers, whole and streamed, tokens counted beforehand, and the list of models."""

from typing import Any

from freeroute.errors import InvalidRequest
from freeroute.surfaces.conversing import Asked, Conversations, understood
from freeroute.surfaces.gemini_answer import GeminiItems, GeminiTelling, in_geminis_shape
from freeroute.surfaces.gemini_request import as_openai, asking_of, counting_of
from freeroute.surfaces.guard import Access
from freeroute.surfaces.http import Handler, Request
from freeroute.surfaces.routes import Route
from freeroute.wire.chat import ChatCall

_SURFACE = "gemini"
_MODELS = "/v1beta/models"
_MODEL = _MODELS + "/{model:path}"
# The most models of one page, and those of a page whose size nobody asks for: as Google has it.
_LONGEST_PAGE = 1000


class GeminiSurface:
    """The routes of Gemini's API over a gateway."""

    def __init__(self, conversations: Conversations) -> None:
        """Serve calls by *conversations*."""
        self._conversations = conversations
        self._gateway = conversations.gateway

    def routes(self) -> list[Route]:
        """Return what is served; what is done with a model comes before the model itself."""
        answering = self._conversations.answering
        return [
            self._route(f"{_MODEL}:generateContent", answering(_SURFACE, _whole), method="POST"),
            self._route(f"{_MODEL}:streamGenerateContent", answering(_SURFACE, _streamed), method="POST"),
            self._route(f"{_MODEL}:countTokens", self.count_tokens, Access.MODELS, method="POST"),
            self._route(_MODELS, self.list_models, Access.MODELS),
            self._route(_MODEL, self.show_model, Access.MODELS),
        ]

    def _route(
        self, path: str, handler: Handler, access: Access = Access.CLIENT, *, method: str = "GET"
    ) -> Route:
        refused = self._conversations.refused(_SURFACE) if access is Access.CLIENT else None
        return Route(
            path, {method: handler}, access, refused=refused, refusal=in_geminis_shape, key_in_query="key"
        )

    async def count_tokens(self, request: Request) -> None:
        """Estimate how many tokens a prompt has: no provider is asked."""
        self._gateway.model(request.params["model"], request.caller.client)
        body = await request.body(self._conversations.bounds)
        call = await understood(_counted, request, body)
        await request.reply_json({"totalTokens": call.demand.prompt})

    async def list_models(self, request: Request) -> None:
        """List every enabled model, page by page."""
        first = _number(request, "pageToken", 0)
        end = first + max(1, min(_number(request, "pageSize", _LONGEST_PAGE), _LONGEST_PAGE))
        models = self._gateway.models(request.caller.client)
        more = {"nextPageToken": str(end)} if end < len(models) else {}
        await request.reply_json({"models": [_listed(entry) for entry in models[first:end]], **more})

    async def show_model(self, request: Request) -> None:
        """Show one model."""
        await request.reply_json(_listed(self._gateway.model(request.params["model"], request.caller.client)))


def _whole(request: Request, body: bytes) -> Asked:
    asked = asking_of(body)
    call = as_openai(asked, request.params["model"], stream=False)
    return Asked(call, GeminiTelling(thoughts=asked.wants_thoughts))


def _streamed(request: Request, body: bytes) -> Asked:
    asked = asking_of(body)
    call = as_openai(asked, request.params["model"], stream=True)
    telling = GeminiTelling if request.query("alt") == "sse" else GeminiItems
    return Asked(call, telling(thoughts=asked.wants_thoughts))


def _counted(request: Request, body: bytes) -> ChatCall:
    return as_openai(counting_of(body), request.params["model"], stream=False)


def _number(request: Request, name: str, default: int) -> int:
    """Return the whole number in the query parameter *name*; raises InvalidRequest."""
    text = request.query(name) or str(default)
    if not (text.isdecimal() and len(text) < 10):
        raise InvalidRequest(f"{name}: must be a whole number.", param=name)
    return int(text)


def _listed(entry: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {
        "name": f"models/{entry['id']}",
        "version": "1",
        "displayName": entry["id"],
        "supportedGenerationMethods": ["generateContent", "countTokens"],
        "thinking": "reasoning" in entry.get("supported_parameters", ()),
    }
    limits = {
        "inputTokenLimit": entry.get("context_length"),
        "outputTokenLimit": entry.get("top_provider", {}).get("max_completion_tokens"),
    }
    return told | {name: limit for name, limit in limits.items() if limit}
