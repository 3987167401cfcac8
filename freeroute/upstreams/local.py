"""Local servers: asked who they are and what they serve. One that does not identify itself is not used."""

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct, structs

from freeroute.domain.catalogue import Key, Limit, Model, Provider, Unit
from freeroute.domain.families import family_of

if TYPE_CHECKING:
    import httpx

BUDGET = 0.3
# A server that the settings name may be on another machine, and is worth waiting for.
LISTED_BUDGET = 3.0
MOST_BYTES = 4 << 20
MOST_MODELS = 300
# What Ollama loads a model with on a small machine unless told otherwise.
OLLAMA_CONTEXT = 4096
# The most tokens Ollama is asked to load a model with, unless the settings say more: for a model of eight
# billion parameters they take about 4 GiB beside it. Own design.
MAX_CONTEXT = 32_768
# How many models are asked about in one look, one request each; what they told is kept. Own design.
ASKED_AT_ONCE = 16
ASKING_BUDGET = 0.5
MOST_KNOWN = 1000

_JSON = frozenset({"json_object", "json_schema"})


def new_client(servers: Iterable[Provider]) -> "httpx.AsyncClient":
    """Return a client for local *servers*: no proxy, no redirect.

    The first one takes as long as httpx takes to load, and each that is to speak TLS as long as certificates
    do: 40 and 20 ms, which are no loop's business.
    """
    import httpx  # not at the start, where nobody may want to look

    by_tls = any(urlsplit(server.base_url).scheme == "https" for server in servers)
    return httpx.AsyncClient(verify=by_tls, trust_env=False, follow_redirects=False, timeout=LISTED_BUDGET)


class ModelFacts(Struct, frozen=True):
    """What Ollama tells of one model: the longest context it was made for, and the one its file asks for."""

    longest: int | None = None
    default: int | None = None


Known = MutableMapping[tuple[str, str, str], ModelFacts]
"""What servers told of their models, by address, name and digest: it does not change."""


async def find(
    servers: Sequence[Provider],
    client: "httpx.AsyncClient",
    *,
    own_port: int | None = None,
    ollama_context: int = OLLAMA_CONTEXT,
    known: Known | None = None,
) -> list[Provider]:
    """Return those of *servers* that are there, with the models they have; all are asked at once.

    *own_port* is where this gateway listens: it never takes itself for a server. *known* is what earlier
    looks were told, and gains what this one is.
    """
    known = {} if known is None else known
    asked = [
        _find(_Asking(server, client, ollama_context, known))
        for server in servers
        if not _is_self(server, own_port)
    ]
    return [found for found in await asyncio.gather(*asked) if found is not None]


def _is_self(server: Provider, own_port: int | None) -> bool:
    url = urlsplit(server.base_url)
    return url.hostname in ("127.0.0.1", "localhost", "::1") and url.port == own_port


async def _find(ask: "_Asking") -> Provider | None:
    server = ask.server
    try:
        async with asyncio.timeout(LISTED_BUDGET if server.origin == "settings" else BUDGET) as patience:
            ask.patience = patience
            found = await _ENGINES[server.engine or ""](ask)
    except (TimeoutError, _Unlike):
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
    """There is no answer, or it is not what this server software gives."""


Found = tuple[list[Model], list[Limit]]


class _Asking:
    """Questions to one server."""

    def __init__(
        self, server: Provider, client: "httpx.AsyncClient", ollama_context: int, known: Known
    ) -> None:
        self.server = server
        self.known = known
        self._client = client
        self._root = server.base_url.removesuffix("/v1")
        self._key = next((key.secret for key in server.keys if key.enabled and key.secret), "")
        self.ollama_context = ollama_context
        self.patience: asyncio.Timeout | None = None

    def identified(self) -> None:
        """Note that the server is there: what it tells further is worth waiting for."""
        if self.patience is not None:
            self.patience.reschedule(asyncio.get_running_loop().time() + LISTED_BUDGET)

    async def get(self, path: str) -> dict[str, Any]:
        """Return the JSON object at *path*; raises _Unlike for anything else."""
        return await self._ask("GET", path)

    async def post(self, path: str, body: dict[str, str]) -> dict[str, Any]:
        """Return the JSON object that answers *body* at *path*; raises _Unlike for anything else."""
        return await self._ask("POST", path, body)

    async def _ask(self, method: str, path: str, body: dict[str, str] | None = None) -> dict[str, Any]:
        import httpx

        try:
            content = await self._content(method, path, body)
            return msgspec.json.decode(content, type=dict[str, Any])
        except (httpx.HTTPError, msgspec.DecodeError, RecursionError) as exc:
            raise _Unlike from exc

    async def _content(self, method: str, path: str, body: dict[str, str] | None) -> bytes:
        headers = {"authorization": f"Bearer {self._key}"} if self._key else {}
        content = b""
        url = self._root + path
        async with self._client.stream(method, url, headers=headers, json=body) as response:
            # Whatever it serves, a gateway like this one is not a model server.
            if response.status_code != 200 or any(
                name.startswith("x-freeroute") for name in response.headers
            ):
                raise _Unlike
            async for piece in response.aiter_bytes():
                content += piece
                if len(content) > MOST_BYTES:
                    raise _Unlike
        return content

    async def items(self, path: str, member: str) -> list[dict[str, Any]]:
        """Return the objects in list *member* of the answer at *path*."""
        items = (await self.get(path)).get(member)
        if not isinstance(items, list):
            raise _Unlike
        return [item for item in items if isinstance(item, dict)]


async def _ollama(ask: _Asking) -> Found:
    if not isinstance((await ask.get("/api/version")).get("version"), str):
        raise _Unlike
    ask.identified()
    # A cloud model is listed like the others, but prompts to it would leave this machine.
    listed = [
        item
        for item in await ask.items("/api/tags", "models")
        if not (item.get("remote_host") or item.get("remote_model"))
    ]
    loaded = await _loaded(ask)
    await _learn(ask, listed)
    return _named(_ollama_model(ask, item, loaded) for item in listed), []


async def _loaded(ask: _Asking) -> dict[str, int | None] | None:
    """Return the context each loaded model really has, or None: older versions do not tell."""
    try:
        items = await ask.items("/api/ps", "models")
    except _Unlike:
        return None
    return {_text(item, "name"): _count(item, "context_length") for item in items}


async def _learn(ask: _Asking, listed: Sequence[dict[str, Any]]) -> None:
    """Ask about models not asked about before, as far as time allows."""
    new = [item for item in listed if _place(ask, item) not in ask.known]
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(ASKING_BUDGET):
            await asyncio.gather(*(_show(ask, item) for item in new[:ASKED_AT_ONCE]))


async def _show(ask: _Asking, item: dict[str, Any]) -> None:
    try:
        told = await ask.post("/api/show", {"model": _text(item, "name")})
    except _Unlike:
        return
    info = _inside(told, "model_info")
    longest = _count(info, f"{_text(info, 'general.architecture')}.context_length")
    given = re.search(r"^num_ctx\s+(\d{1,9})\s*$", _text(told, "parameters"), re.MULTILINE)
    while len(ask.known) >= MOST_KNOWN:
        del ask.known[next(iter(ask.known))]
    ask.known[_place(ask, item)] = ModelFacts(longest, int(given[1]) if given else None)


def _place(ask: _Asking, item: dict[str, Any]) -> tuple[str, str, str]:
    return ask.server.base_url, _text(item, "name"), _text(item, "digest")


def _ollama_model(ask: _Asking, item: dict[str, Any], loaded: dict[str, int | None] | None) -> Model:
    name = _text(item, "name")
    told = ask.known.get(_place(ask, item), ModelFacts())
    default = (loaded or {}).get(name) or told.default
    model = structs.replace(
        _model(name, default or ask.ollama_context, _ollama_abilities(item)),
        cold=loaded is not None and name not in loaded,
    )
    if ask.server.kind != "ollama":
        return model
    # Only what the server was told is its default: what it takes by itself depends on its memory.
    if default is None and ask.ollama_context != OLLAMA_CONTEXT:
        default = ask.ollama_context
    if told.longest is None:
        return structs.replace(model, default_context=default)
    return structs.replace(
        model,
        context=min(max(ask.server.max_context or MAX_CONTEXT, default or 0), told.longest),
        default_context=None if default is None else min(default, told.longest),
    )


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
        model = _model(_text(item, "id"), context, abilities)
        models.append(structs.replace(model, cold=item["state"] == "not-loaded"))
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
