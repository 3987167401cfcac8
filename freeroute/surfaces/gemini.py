"""Gemini's API: answers, whole and streamed, tokens counted beforehand, and the list of models."""

import functools
from typing import Any

from freeroute.errors import InvalidRequest
from freeroute.surfaces.access import Access
from freeroute.surfaces.conversing import Asked, Conversations, understood
from freeroute.surfaces.embeddings import in_batches
from freeroute.surfaces.entries import chats, embeds, gives
from freeroute.surfaces.gemini_answer import GeminiItems, GeminiTelling, in_geminis_shape
from freeroute.surfaces.gemini_embedding import batch_asked, one_asked
from freeroute.surfaces.gemini_request import as_openai, asking_of, counting_of
from freeroute.surfaces.http import Handler, Request
from freeroute.surfaces.routes import Route
from freeroute.wire.chat import ChatCall

_SURFACE = "gemini"
_SPOKEN = b"x-goog-api-client"
# The most models of one page, and those of a page whose size nobody asks for: as Google has it.
_LONGEST_PAGE = 1000
# What is done with models that give this.
_DONE = {
    "text": ("generateContent", "countTokens"),
    "embeddings": ("embedContent", "batchEmbedContents"),
}


class GeminiSurface:
    """The routes of Gemini's API over a gateway."""

    def __init__(self, conversations: Conversations) -> None:
        """Serve calls by *conversations*."""
        self._conversations = conversations
        self._gateway = conversations.gateway
        self._ask_batches = in_batches(conversations.gateway, conversations.clock)

    def routes(self) -> list[Route]:
        """Return what is served, in both versions of the API: newer SDKs of Google's take the plain one.

        What OpenAI's API has too is told apart by a header that those SDKs send.
        """
        beta = [*self._answers("/v1beta"), *self._models("/v1beta")]
        return [
            *beta,
            *self._answers("/v1", mirrored=True),
            *self._models("/v1", mirrored=True, spoken=_SPOKEN),
        ]

    def _answers(self, version: str, **more: Any) -> list[Route]:
        answering, refused = self._conversations.answering, self._conversations.refused(_SURFACE)
        model = f"{version}/models/{{model:path}}"
        batched = functools.partial(answering, ask=self._ask_batches)
        verbs = {
            "generateContent": answering(_SURFACE, _whole),
            "streamGenerateContent": answering(_SURFACE, _streamed),
            "embedContent": batched(_SURFACE, _one_embedded),
            "batchEmbedContents": batched(_SURFACE, _several_embedded),
        }
        return [
            self._route(f"{model}:countTokens", {"POST": self.count_tokens}, Access.MODELS, **more),
            *(
                self._route(f"{model}:{verb}", {"POST": answer}, Access.CLIENT, refused=refused, **more)
                for verb, answer in verbs.items()
            ),
        ]

    def _models(self, version: str, **more: Any) -> list[Route]:
        models = f"{version}/models"
        return [
            self._route(models, {"GET": self.list_models}, Access.MODELS, **more),
            self._route(f"{models}/{{model:path}}", {"GET": self.show_model}, Access.MODELS, **more),
        ]

    def _route(self, path: str, methods: dict[str, Handler], access: Access, **more: Any) -> Route:
        return Route(path, methods, access, refusal=in_geminis_shape, key_in_query="key", **more)

    async def count_tokens(self, request: Request) -> None:
        """Estimate how many tokens a prompt has: no provider is asked."""
        self._gateway.model(request.params["model"], request.caller.client)
        body = await request.body(self._conversations.bounds)
        call = await understood(_counted, request, body)
        await request.reply_json({"totalTokens": call.demand.prompt})

    async def list_models(self, request: Request) -> None:
        """List the models that chat or make vectors, page by page: this API asks no others."""
        first = _number(request, "pageToken", 0)
        end = first + max(1, min(_number(request, "pageSize", _LONGEST_PAGE), _LONGEST_PAGE))
        models = [one for one in self._gateway.models(request.caller.client) if chats(one) or embeds(one)]
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


def _one_embedded(request: Request, body: bytes) -> Asked:
    return one_asked(body, request.params["model"])


def _several_embedded(request: Request, body: bytes) -> Asked:
    return batch_asked(body, request.params["model"])


def _counted(request: Request, body: bytes) -> ChatCall:
    return as_openai(counting_of(body), request.params["model"], stream=False)


def _number(request: Request, name: str, default: int) -> int:
    """Return the whole number in the query parameter *name*; raises InvalidRequest."""
    text = request.query(name) or str(default)
    if not (text.isdecimal() and len(text) < 10):
        raise InvalidRequest(f"{name}: must be a whole number.", param=name)
    return int(text)


def _listed(entry: dict[str, Any]) -> dict[str, Any]:
    given = gives(entry)
    told: dict[str, Any] = {
        "name": f"models/{entry['id']}",
        "version": "1",
        "displayName": entry["id"],
        "supportedGenerationMethods": [
            verb for kind, verbs in _DONE.items() if kind in given for verb in verbs
        ],
        "thinking": "reasoning" in entry.get("supported_parameters", ()),
    }
    limits = {
        "inputTokenLimit": entry.get("context_length"),
        "outputTokenLimit": entry.get("top_provider", {}).get("max_completion_tokens"),
    }
    return told | {name: limit for name, limit in limits.items() if limit}
