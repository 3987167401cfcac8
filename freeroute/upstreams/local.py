"""Local servers: asked who they are and what they serve. One that does not identify itself is not used."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

import httpx
import msgspec
from msgspec import structs

from freeroute.domain.catalogue import Key, Limit, Model, Provider, Unit, family_of

BUDGET = 0.3
# A server that the settings name may be on another machine, and is worth waiting for.
LISTED_BUDGET = 3.0
MOST_BYTES = 4 << 20
MOST_MODELS = 300
# What Ollama loads a model with unless told otherwise; a longer prompt would be cut without a word.
OLLAMA_CONTEXT = 4096

_JSON = frozenset({"json_object", "json_schema"})


def new_client() -> httpx.AsyncClient:
    """Return a client for local servers: no proxy, no redirect."""
    return httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=LISTED_BUDGET)


async def find(
    servers: Sequence[Provider],
    client: httpx.AsyncClient,
    *,
    own_port: int | None = None,
    ollama_context: int = OLLAMA_CONTEXT,
) -> list[Provider]:
    """Return those of *servers* that are there, with the models they have; all are asked at once.

    *own_port* is where this gateway listens: it never takes itself for a server.
    """
    asked = [_find(server, client, ollama_context) for server in servers if not _is_self(server, own_port)]
    return [found for found in await asyncio.gather(*asked) if found is not None]


def _is_self(server: Provider, own_port: int | None) -> bool:
    url = httpx.URL(server.base_url)
    return url.host in ("127.0.0.1", "localhost", "::1") and url.port == own_port


async def _find(server: Provider, client: httpx.AsyncClient, ollama_context: int) -> Provider | None:
    ask = _Asking(server, client, ollama_context)
    try:
        async with asyncio.timeout(LISTED_BUDGET if server.origin == "settings" else BUDGET):
            found = await _ENGINES[server.engine or ""](ask)
    except (httpx.HTTPError, TimeoutError, _Unlike):
        return None
    models, limits = found
    if not models:
        return None
    return structs.replace(
        server,
        keys=server.keys or (Key("", "anonymous"),),
        models=tuple(models)[:MOST_MODELS],
        limits=(*server.limits, *limits),
        origin="discovered",
    )


class _Unlike(Exception):
    """The answer is not what this server software gives."""


Found = tuple[list[Model], list[Limit]]


class _Asking:
    """Questions to one server."""

    def __init__(self, server: Provider, client: httpx.AsyncClient, ollama_context: int) -> None:
        self._client = client
        self._root = server.base_url.removesuffix("/v1")
        self._key = next((key.secret for key in server.keys if key.enabled and key.secret), "")
        self.ollama_context = ollama_context

    async def get(self, path: str) -> dict[str, Any]:
        """Return the JSON object at *path*; raises _Unlike for anything else."""
        headers = {"authorization": f"Bearer {self._key}"} if self._key else {}
        content = b""
        async with self._client.stream("GET", self._root + path, headers=headers) as response:
            # Whatever it serves, a gateway like this one is not a model server.
            if response.status_code != 200 or any(
                name.startswith("x-freeroute") for name in response.headers
            ):
                raise _Unlike
            async for piece in response.aiter_bytes():
                content += piece
                if len(content) > MOST_BYTES:
                    raise _Unlike
        try:
            return msgspec.json.decode(content, type=dict[str, Any])
        except (msgspec.DecodeError, RecursionError) as exc:
            raise _Unlike from exc

    async def items(self, path: str, member: str) -> list[dict[str, Any]]:
        """Return the objects in list *member* of the answer at *path*."""
        items = (await self.get(path)).get(member)
        if not isinstance(items, list):
            raise _Unlike
        return [item for item in items if isinstance(item, dict)]


async def _ollama(ask: _Asking) -> Found:
    if not isinstance((await ask.get("/api/version")).get("version"), str):
        raise _Unlike
    loaded = await _loaded(ask)
    models = []
    for item in await ask.items("/api/tags", "models"):
        # A cloud model is listed like the others, but prompts to it would leave this machine.
        if item.get("remote_host") or item.get("remote_model"):
            continue
        name = _text(item, "name")
        models.append(_model(name, loaded.get(name) or ask.ollama_context, _ollama_abilities(item)))
    return _named(models), []


async def _loaded(ask: _Asking) -> dict[str, int | None]:
    """Return the context each loaded model really has; older versions do not tell."""
    try:
        items = await ask.items("/api/ps", "models")
    except _Unlike:
        return {}
    return {_text(item, "name"): _count(item, "context_length") for item in items}


def _ollama_abilities(item: dict[str, Any]) -> set[str]:
    told = item.get("capabilities")
    if not isinstance(told, list):
        return set(_JSON)
    names = {"tools": "tools", "vision": "images", "thinking": "reasoning", "embedding": "embeddings"}
    known = {names[name] for name in told if isinstance(name, str) and name in names}
    return known if "embeddings" in known else known | _JSON


async def _llamacpp(ask: _Asking) -> Found:
    props = await ask.get("/props")
    settings = props.get("default_generation_settings")
    if not isinstance(settings, dict):
        raise _Unlike
    context = _count(settings, "n_ctx") or _count(props, "n_ctx")
    abilities = set(_JSON) | _llamacpp_abilities(props)
    models = [
        _model(_text(item, "id"), context or _count(_inside(item, "meta"), "n_ctx"), abilities)
        for item in await ask.items("/v1/models", "data")
    ]
    slots = _count(props, "total_slots") or 1
    return _named(models), [Limit(Unit.CONCURRENCY, float(slots), confidence="observed")]


def _llamacpp_abilities(props: dict[str, Any]) -> set[str]:
    """Return what the model's chat template and its projectors allow."""
    template = _inside(props, "chat_template_caps")
    told = template.get("supports_tools")
    tools = bool(told) if told is not None else "tools" in _text(props, "chat_template")
    sees = bool(_inside(props, "modalities").get("vision"))
    return {name for name, has in (("tools", tools), ("images", sees)) if has}


async def _lmstudio(ask: _Asking) -> Found:
    models = []
    for item in await ask.items("/api/v0/models", "data"):
        if not isinstance(item.get("state"), str) or not isinstance(item.get("type"), str):
            raise _Unlike
        told = item.get("capabilities")
        abilities = {"embeddings"} if item["type"] == "embeddings" else {"json_schema"}
        if isinstance(told, list) and "tool_use" in told:
            abilities.add("tools")
        if item["type"] == "vlm":
            abilities.add("images")
        context = _count(item, "loaded_context_length") or _count(item, "max_context_length")
        models.append(_model(_text(item, "id"), context, abilities))
    return _named(models), []


async def _vllm(ask: _Asking) -> Found:
    if not isinstance((await ask.get("/version")).get("version"), str):
        raise _Unlike
    items = await ask.items("/v1/models", "data")
    if not any(item.get("owned_by") == "vllm" for item in items):
        raise _Unlike
    # Tools need a switch at its start that cannot be seen from here, so they are not promised.
    models = [_model(_text(item, "id"), _count(item, "max_model_len"), set(_JSON)) for item in items]
    return _named(models), []


_ENGINES: dict[str, Callable[[_Asking], Awaitable[Found]]] = {
    "ollama": _ollama,
    "llamacpp": _llamacpp,
    "lmstudio": _lmstudio,
    "vllm": _vllm,
}

_FILE = re.compile(r"(\.gguf)$", re.IGNORECASE)
_QUANTISED = re.compile(r"[-.](i?q\d[\w]*|f16|bf16|fp16|f32|fp8|awq|gptq|mxfp4)$", re.IGNORECASE)


def _model(name: str, context: int | None, abilities: Iterable[str]) -> Model:
    capabilities = frozenset(abilities)
    return Model(
        id=name,
        family=family_of(_QUANTISED.sub("", _FILE.sub("", name))),
        context=context,
        capabilities=capabilities,
        auto="embeddings" not in capabilities,
    )


def _named(models: Iterable[Model]) -> list[Model]:
    unique = {model.id: model for model in models if re.fullmatch(r"[ -~]{1,256}", model.id)}
    return list(unique.values())


def _text(item: dict[str, Any], member: str) -> str:
    value = item.get(member)
    return value if isinstance(value, str) else ""


def _count(item: dict[str, Any], member: str) -> int | None:
    value = item.get(member)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _inside(item: dict[str, Any], member: str) -> dict[str, Any]:
    value = item.get(member)
    return value if isinstance(value, dict) else {}
