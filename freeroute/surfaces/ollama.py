"""Ollama's API, for programs that know no other: chats, prompts, and the models there are."""

import hashlib
import re
from collections.abc import Callable
from typing import Any

from freeroute.clock import Clock
from freeroute.errors import UnsupportedCapability
from freeroute.surfaces.access import Access
from freeroute.surfaces.conversing import Asked, Conversations, Known
from freeroute.surfaces.embeddings import in_batches
from freeroute.surfaces.entries import chats, embeds
from freeroute.surfaces.http import Handler, Request
from freeroute.surfaces.ollama_answer import (
    LINES,
    OllamaTelling,
    Wording,
    as_chat,
    as_generated,
    in_ollamas_shape,
    loaded,
    stamp,
)
from freeroute.surfaces.ollama_embedding import embed_asked, embeddings_asked
from freeroute.surfaces.ollama_request import (
    Asking,
    chat_as_openai,
    chat_of,
    generate_as_openai,
    generate_of,
    named_of,
    unloads,
)
from freeroute.surfaces.routes import Route
from freeroute.version import version

SPOKEN_VERSION = "0.13.5"
"""The version of Ollama whose API this is: clients ask for one, and some want a recent one."""

_SURFACE = "ollama"
_LATEST = ":latest"
_SIZE = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)[bB](?![\w.])")
_NOT_HERE = {
    "create": "no model can be made here",
    "copy": "no model can be copied here",
    "push": "no model can be pushed from here",
    "delete": "no model can be deleted here",
}


class OllamaSurface:
    """The routes of Ollama's API over a gateway."""

    def __init__(self, conversations: Conversations, clock: Clock) -> None:
        """Serve calls by *conversations*."""
        self._conversations = conversations
        self._gateway = conversations.gateway
        self._clock = clock
        self._started = stamp(clock.now().wall)

    def routes(self) -> list[Route]:
        """Return what is served."""
        answering = self._conversations.answering
        batched = in_batches(self._gateway, self._clock)
        return [
            self._route("/api/chat", "POST", answering(_SURFACE, self._chat), Access.CLIENT),
            self._route("/api/generate", "POST", answering(_SURFACE, self._generate), Access.CLIENT),
            self._route("/api/embed", "POST", answering(_SURFACE, self._embed, ask=batched), Access.CLIENT),
            self._route("/api/embeddings", "POST", answering(_SURFACE, self._embeddings), Access.CLIENT),
            self._route("/api/tags", "GET", self.list_models),
            self._route("/api/show", "POST", self.show_model),
            self._route("/api/pull", "POST", self.pull),
            self._route("/api/ps", "GET", self.list_running),
            self._route("/api/version", "GET", self.tell_version),
            *(
                self._route(f"/api/{verb}", "DELETE" if verb == "delete" else "POST", _refusing(told))
                for verb, told in _NOT_HERE.items()
            ),
        ]

    def _route(self, path: str, method: str, handler: Handler, access: Access = Access.MODELS) -> Route:
        refused = self._conversations.refused(_SURFACE) if access is Access.CLIENT else None
        return Route(path, {method: _marked(handler)}, access, refused=refused, refusal=in_ollamas_shape)

    def _chat(self, request: Request, body: bytes) -> Asked | Known:
        asked = chat_of(body)
        if not asked.messages:
            return self._loaded(asked, as_chat)
        return Asked(chat_as_openai(asked), OllamaTelling(asked.model, as_chat, self._clock))

    def _generate(self, request: Request, body: bytes) -> Asked | Known:
        asked = generate_of(body)
        if asked.is_empty:
            return self._loaded(asked, as_generated)
        return Asked(generate_as_openai(asked), OllamaTelling(asked.model, as_generated, self._clock))

    def _embed(self, request: Request, body: bytes) -> Asked | Known:
        return embed_asked(body, self._clock)

    def _embeddings(self, request: Request, body: bytes) -> Asked | Known:
        return embeddings_asked(body)

    def _loaded(self, asked: Asking, wording: Wording) -> Known:
        """Return the answer to a request without a prompt, by which clients load a model, or unload it."""
        reason = "unload" if unloads(asked) else "load"
        return Known(loaded(asked.model, wording, self._clock, reason), asked.model)

    async def list_models(self, request: Request) -> None:
        """List the models that chat or make vectors: this API asks no others."""
        models = self._gateway.models(request.caller.client)
        listed = [self._listed(entry) for entry in models if chats(entry) or embeds(entry)]
        await request.reply_json({"models": listed})

    async def show_model(self, request: Request) -> None:
        """Tell what a model can do."""
        asked = named_of(await request.body(self._conversations.bounds)).told
        entry = self._gateway.model(asked, request.caller.client)
        # By either of these clients know that the middle of a text can be filled in.
        inserts, suffix = (["insert"], "{{ .Suffix }}") if self._gateway.completes(asked) else ([], "")
        await request.reply_json(
            {
                "license": "",
                "modelfile": f"FROM {entry['id']}\n",
                "parameters": "",
                "template": "{{ .Prompt }}" + suffix,
                "details": _details(entry),
                "model_info": _information(entry),
                "capabilities": _capabilities(entry) + inserts,
                "modified_at": self._started,
            }
        )

    async def pull(self, request: Request) -> None:
        """Say that a model is there, if it is: clients pull those they do not find."""
        asked = named_of(await request.body(self._conversations.bounds))
        self._gateway.model(asked.told, request.caller.client)
        done = b'{"status":"success"}\n'
        if asked.stream is False:
            await request.reply(200, done)
        else:
            await request.reply(200, b'{"status":"pulling manifest"}\n' + done, content_type=LINES)

    async def list_running(self, request: Request) -> None:
        """List no model: none of them runs here."""
        await request.reply_json({"models": []})

    async def tell_version(self, request: Request) -> None:
        """Tell which Ollama this speaks like."""
        await request.reply_json({"version": SPOKEN_VERSION})

    def _listed(self, entry: dict[str, Any]) -> dict[str, Any]:
        name = entry["id"] if ":" in entry["id"] else entry["id"] + _LATEST
        return {
            "name": name,
            "model": name,
            "modified_at": self._started,
            "size": 0,
            "digest": hashlib.sha256(name.encode()).hexdigest(),
            "details": _details(entry),
            "capabilities": _capabilities(entry),
        }


def _marked(handler: Handler) -> Handler:
    """Return *handler*, whose replies other gateways like this one know not to be Ollama's."""

    async def answer(request: Request) -> None:
        request.add_headers([(b"x-freeroute-version", version().encode("ascii"))])
        await handler(request)

    return answer


def _refusing(told: str) -> Callable[[Request], Any]:
    async def refuse(request: Request) -> None:
        raise UnsupportedCapability(f"{told}: freeroute serves the models of its providers.".capitalize())

    return refuse


def _details(entry: dict[str, Any]) -> dict[str, Any]:
    family = _family(entry)
    size = _SIZE.search(family)
    return {
        "parent_model": "",
        "format": "",
        "family": family,
        "families": [family],
        "parameter_size": f"{size[1]}B" if size else "",
        "quantization_level": "",
    }


def _family(entry: dict[str, Any]) -> str:
    family: str = entry.get("freeroute", {}).get("family") or entry["id"]
    return family


def _information(entry: dict[str, Any]) -> dict[str, Any]:
    told = {"general.architecture": _SURFACE, "general.basename": _family(entry)}
    context = entry.get("context_length")
    return told | ({f"{_SURFACE}.context_length": context} if context else {})


def _capabilities(entry: dict[str, Any]) -> list[str]:
    """Return what the model can do, in Ollama's words."""
    parameters = entry.get("supported_parameters", ())
    kinds = entry.get("architecture", {})
    able = {
        "completion": chats(entry),
        "embedding": embeds(entry),
        "tools": "tools" in parameters,
        "vision": "image" in kinds.get("input_modalities", ()),
        "thinking": "reasoning" in parameters,
    }
    return [name for name, has in able.items() if has]
