import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from msgspec import structs

from freeroute.domain.catalogue import Key, Privacy, Provider, Unit
from freeroute.upstreams.local import find, new_client
from tests.support.servers import Peer, serve

PORTS = {"ollama": 11434, "llamacpp": 8080, "lmstudio": 1234, "vllm": 8000}


def server(engine: str, **more: Any) -> Provider:
    return Provider(
        id=engine,
        name=engine,
        base_url=f"http://127.0.0.1:{PORTS[engine]}/v1",
        privacy=Privacy.LOCAL,
        engine=engine,
        origin=more.pop("origin", "catalogue"),
        **more,
    )


Paths = dict[str, Any]

OLLAMA: Paths = {
    "/api/version": {"version": "0.12.0"},
    "/api/ps": {"models": [{"name": "llama3.2:3b", "context_length": 32768}]},
    "/api/tags": {
        "models": [
            {"name": "llama3.2:3b", "capabilities": ["completion", "tools"]},
            {"name": "gemma3:4b", "capabilities": ["completion", "vision", "thinking"]},
            {"name": "nomic-embed", "capabilities": ["embedding"]},
            {"name": "older"},
            {"name": "gpt-oss:120b-cloud", "remote_host": "https://ollama.com"},
        ]
    },
}
LLAMACPP: Paths = {
    "/props": {
        "default_generation_settings": {"n_ctx": 8192},
        "total_slots": 4,
        "chat_template": "{% if tools %}",
        "modalities": {"vision": True},
    },
    "/v1/models": {"data": [{"id": "SmolLM2-135M-Instruct-Q4_K_M.gguf", "meta": {"n_ctx_train": 8192}}]},
}
LMSTUDIO: Paths = {
    "/api/v0/models": {
        "data": [
            {"id": "qwen3-8b", "type": "llm", "state": "loaded", "loaded_context_length": 4096,
             "max_context_length": 40960, "capabilities": ["tool_use"]},
            {"id": "gemma-3-4b", "type": "vlm", "state": "not-loaded", "max_context_length": 131072},
            {"id": "nomic", "type": "embeddings", "state": "not-loaded"},
        ]
    }
}  # fmt: skip
VLLM: Paths = {
    "/version": {"version": "0.11"},
    "/v1/models": {"data": [{"id": "Qwen/Qwen3-8B", "owned_by": "vllm", "max_model_len": 40960}]},
}
ALL = {"ollama": OLLAMA, "llamacpp": LLAMACPP, "lmstudio": LMSTUDIO, "vllm": VLLM}


def answering(
    servers: dict[str, Paths], headers: dict[str, str] | None = None
) -> Callable[[httpx.Request], httpx.Response]:
    by_port = {PORTS[engine]: paths for engine, paths in servers.items()}

    def handle(request: httpx.Request) -> httpx.Response:
        paths = by_port.get(request.url.port or 0)
        if paths is None:
            raise httpx.ConnectError("refused")
        if request.url.path not in paths:
            return httpx.Response(404, json={"error": "not found"})
        return httpx.Response(200, json=paths[request.url.path], headers=headers)

    return handle


async def found(handle: Any, *engines: str, **more: Any) -> dict[str, Provider]:
    servers = [server(engine) for engine in engines or PORTS]
    async with httpx.AsyncClient(transport=httpx.MockTransport(handle)) as client:
        return {provider.id: provider for provider in await find(servers, client, **more)}


async def test_all_four_kinds_are_found_with_their_models():
    providers = await found(answering(ALL))
    assert {name: [m.id for m in p.models] for name, p in providers.items()} == {
        "ollama": ["llama3.2:3b", "gemma3:4b", "nomic-embed", "older"],
        "llamacpp": ["SmolLM2-135M-Instruct-Q4_K_M.gguf"],
        "lmstudio": ["qwen3-8b", "gemma-3-4b", "nomic"],
        "vllm": ["Qwen/Qwen3-8B"],
    }
    for provider in providers.values():
        assert (provider.origin, provider.keys) == ("discovered", (Key("", "anonymous"),))
        assert all(model.quality == 30 for model in provider.models)


async def test_nothing_there_is_nothing_found():
    assert await found(answering({})) == {}


async def test_ollama_tells_the_context_of_what_is_loaded_and_the_rest_gets_its_default():
    models = {m.id: m for m in (await found(answering(ALL), "ollama", ollama_context=9000))["ollama"].models}
    assert (models["llama3.2:3b"].context, models["gemma3:4b"].context) == (32768, 9000)


async def test_abilities_are_those_the_server_tells():
    providers = await found(answering(ALL))
    told = {f"{p.id}/{m.id}": set(m.capabilities) for p in providers.values() for m in p.models}
    json_forms = {"json_object", "json_schema"}
    assert told == {
        "ollama/llama3.2:3b": {"tools", *json_forms},
        "ollama/gemma3:4b": {"images", "reasoning", *json_forms},
        "ollama/nomic-embed": {"embeddings"},
        "ollama/older": json_forms,
        "llamacpp/SmolLM2-135M-Instruct-Q4_K_M.gguf": {"tools", "images", *json_forms},
        "lmstudio/qwen3-8b": {"tools", "json_schema"},
        "lmstudio/gemma-3-4b": {"images", "json_schema"},
        "lmstudio/nomic": {"embeddings"},
        "vllm/Qwen/Qwen3-8B": json_forms,
    }


async def test_embedding_models_are_no_members_of_free():
    providers = await found(answering(ALL))
    assert {m.id for p in providers.values() for m in p.models if not m.auto} == {"nomic-embed", "nomic"}


async def test_a_model_file_belongs_to_the_family_of_its_weights():
    llamacpp = (await found(answering(ALL), "llamacpp"))["llamacpp"]
    assert llamacpp.models[0].family == "smollm2-135m"
    assert llamacpp.models[0].context == 8192


async def test_llamacpps_slots_bound_its_concurrency():
    llamacpp = (await found(answering(ALL), "llamacpp"))["llamacpp"]
    assert [(limit.unit, limit.amount) for limit in llamacpp.limits] == [(Unit.CONCURRENCY, 4)]


async def test_llamacpps_template_abilities_win_over_its_text():
    props = {**LLAMACPP["/props"], "chat_template_caps": {"supports_tools": False}, "modalities": None}
    llamacpp = (await found(answering({"llamacpp": {**LLAMACPP, "/props": props}}), "llamacpp"))["llamacpp"]
    assert llamacpp.models[0].capabilities == {"json_object", "json_schema"}


@pytest.mark.parametrize(
    ("engine", "paths"),
    [
        ("ollama", {"/api/tags": OLLAMA["/api/tags"]}),
        ("ollama", {**OLLAMA, "/api/version": {"version": 3}}),
        ("ollama", {**OLLAMA, "/api/tags": {"models": "none"}}),
        ("ollama", {**OLLAMA, "/api/tags": {"models": []}}),
        ("ollama", {**OLLAMA, "/api/version": ["0.12"]}),
        ("llamacpp", {"/v1/models": LLAMACPP["/v1/models"]}),
        ("llamacpp", {**LLAMACPP, "/props": {"total_slots": 1}}),
        ("lmstudio", {"/api/v0/models": {"data": [{"id": "x"}]}}),
        ("vllm", {**VLLM, "/v1/models": {"data": [{"id": "x", "owned_by": "someone"}]}}),
        ("vllm", {**VLLM, "/version": {}}),
        ("vllm", {**VLLM, "/v1/models": {"data": ["x"]}}),
    ],
)
async def test_what_does_not_identify_itself_is_not_used(engine, paths):
    assert await found(answering({engine: paths}), engine) == {}


async def test_an_older_ollama_that_does_not_list_what_is_loaded_is_used_all_the_same():
    paths = {path: body for path, body in OLLAMA.items() if path != "/api/ps"}
    assert (await found(answering({"ollama": paths}), "ollama"))["ollama"].models[0].context == 4096


async def test_a_gateway_like_this_one_is_never_taken_for_a_server():
    assert await found(answering(ALL, headers={"x-freeroute-provider": "groq"})) == {}


async def test_the_own_port_is_not_even_asked():
    def handle(request: httpx.Request) -> httpx.Response:
        raise AssertionError("asked itself")

    assert await found(handle, "vllm", own_port=8000) == {}


async def test_what_answers_too_late_is_not_used():
    async def handle(request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    assert await found(handle) == {}


@pytest.mark.parametrize("body", [b"<html>", b"[" * 100_000, b"\xff", b'"text"'])
async def test_garbage_is_not_used(body):
    assert await found(lambda request: httpx.Response(200, content=body)) == {}


async def test_an_endless_answer_is_cut():
    body = b'{"version": "' + b"x" * (5 << 20) + b'"}'
    assert await found(lambda request: httpx.Response(200, content=body)) == {}


async def test_names_that_cannot_be_written_down_are_left_out():
    tags = {
        "models": [{"name": "good"}, {"name": "bad\r\nname"}, {"name": ""}, {"name": 3}, {"name": "good"}]
    }
    ollama = (await found(answering({"ollama": {**OLLAMA, "/api/tags": tags}}), "ollama"))["ollama"]
    assert [m.id for m in ollama.models] == ["good"]


async def test_a_servers_key_is_sent_along():
    seen = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get("authorization"))
        return answering(ALL)(request)

    async with httpx.AsyncClient(transport=httpx.MockTransport(handle)) as client:
        listed = server("vllm", keys=(Key("hush", "mine"),), origin="settings")
        (vllm,) = await find([listed], client)
    assert set(seen) == {"Bearer hush"}
    assert vllm.keys == (Key("hush", "mine"),)


async def test_the_client_uses_no_proxy_and_follows_no_redirect(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:3128")
    async with new_client([server("ollama")]) as client:
        assert not client.follow_redirects
        assert not client.trust_env


async def test_a_server_that_speaks_tls_has_to_prove_who_it_is(certificates):
    async with serve(Peer.answer, certificates.server, greet=True) as there:
        url = f"https://localhost:{there.port}/v1"
        async with new_client([server("ollama"), structs.replace(server("vllm"), base_url=url)]) as client:
            with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                await client.get(url)


async def test_a_redirect_is_not_followed():
    def handle(request: httpx.Request) -> httpx.Response:
        return httpx.Response(302, headers={"location": "http://elsewhere.example/"}, content=json.dumps({}))

    assert await found(handle) == {}


# --- what Ollama tells of its models -------------------------------------------------------------------


class Shown:
    """An Ollama that is asked for its models, in its own API unless told otherwise."""

    def __init__(self, tags: list[dict[str, Any]], shown: dict[str, Any], loaded: Any = ()) -> None:
        self.asked: list[str] = []
        self.shown = shown
        self.known: dict[Any, Any] = {}
        self._paths = {**OLLAMA, "/api/tags": {"models": tags}, "/api/ps": {"models": list(loaded)}}

    def handle(self, request: httpx.Request) -> httpx.Response:
        if request.url.path != "/api/show":
            return answering({"ollama": self._paths})(request)
        name = json.loads(request.content)["model"]
        self.asked.append(name)
        return httpx.Response(200, json=self.shown[name]) if name in self.shown else httpx.Response(500)

    async def model(self, ollama_context: int = 4096, **more: Any) -> Any:
        """Return the first model that is found."""
        at = server("ollama", kind=more.pop("kind", "ollama"), **more)
        async with httpx.AsyncClient(transport=httpx.MockTransport(self.handle)) as client:
            [one] = await find([at], client, ollama_context=ollama_context, known=self.known)
        return one.models[0]


LLAMA = {"name": "llama", "digest": "d1"}
TOLD = {"model_info": {"general.architecture": "llama", "llama.context_length": 131_072}}
WITH_DEFAULT = {**TOLD, "parameters": 'stop "<|eot|>"\nnum_ctx                        8192\ntemperature 1'}
LOADED = {"name": "llama", "context_length": 65_536}


@pytest.mark.parametrize(
    ("shown", "loaded", "settings", "context", "default"),
    [
        (TOLD, (), {}, 32_768, None),
        (TOLD, (), {"max_context": 100_000}, 100_000, None),
        (TOLD, (), {"max_context": 200_000}, 131_072, None),
        (TOLD, (), {"ollama_context": 64_000}, 64_000, 64_000),
        (TOLD, (), {"ollama_context": 999_000}, 131_072, 131_072),
        (TOLD, (LOADED,), {}, 65_536, 65_536),
        (WITH_DEFAULT, (), {"ollama_context": 64_000}, 32_768, 8192),
        ({}, (), {}, 4096, None),
        ({}, (LOADED,), {}, 65_536, 65_536),
        ({"model_info": {"general.architecture": 3}}, (), {"ollama_context": 64_000}, 64_000, 64_000),
        (TOLD, (), {"kind": "openai"}, 4096, None),
        (TOLD, (LOADED,), {"kind": "openai"}, 65_536, None),
    ],
)
async def test_what_ollama_may_load_a_model_with_is_bounded_by_the_model_and_the_settings(
    shown: Any, loaded: Any, settings: dict[str, Any], context: int, default: int | None
):
    model = await Shown([LLAMA], {"llama": shown}, loaded).model(**settings)
    assert (model.context, model.default_context) == (context, default)


async def test_a_model_is_asked_about_once_until_it_changes():
    tags = [dict(LLAMA)]
    ollama = Shown(tags, {"llama": TOLD})
    for _ in range(2):
        assert (await ollama.model()).context == 32_768
    assert ollama.asked == ["llama"]
    tags[0]["digest"] = "d2"
    await ollama.model()
    assert ollama.asked == ["llama", "llama"]


async def test_of_many_models_a_few_are_asked_about_in_one_look():
    ollama = Shown([{"name": str(n)} for n in range(40)], {str(n): TOLD for n in range(40)})
    for looks in (16, 32, 40, 40):
        await ollama.model()
        assert len(ollama.asked) == looks


async def test_a_model_that_tells_nothing_is_asked_again_and_used_meanwhile():
    ollama = Shown([LLAMA], {})
    assert [(await ollama.model()).context, (await ollama.model()).context] == [4096, 4096]
    assert ollama.asked == ["llama", "llama"]


async def test_what_is_known_of_models_is_bounded():
    ollama = Shown([LLAMA], {"llama": TOLD})
    ollama.known = {("there", str(n), ""): None for n in range(1000)}
    await ollama.model()
    assert len(ollama.known) == 1000
    assert ("there", "0", "") not in ollama.known


async def test_a_server_that_said_who_it_is_may_take_its_time_to_tell_of_its_models():
    ollama = Shown([LLAMA], {"llama": TOLD})

    async def slow(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/show":
            await asyncio.Event().wait()
        return ollama.handle(request)

    async with httpx.AsyncClient(transport=httpx.MockTransport(slow)) as client:
        [one] = await find([server("ollama", kind="ollama")], client)
    assert one.models[0].context == 4096


async def test_a_model_that_is_not_loaded_is_cold_where_the_server_tells():
    providers = await found(answering(ALL))
    cold = {f"{p.id}/{m.id}" for p in providers.values() for m in p.models if m.cold}
    assert cold == {"ollama/gemma3:4b", "ollama/nomic-embed", "ollama/older", "lmstudio/gemma-3-4b",
                    "lmstudio/nomic"}  # fmt: skip
    silent = {name: answer for name, answer in OLLAMA.items() if name != "/api/ps"}
    ollama = (await found(answering({"ollama": silent}), "ollama"))["ollama"]
    assert not any(model.cold for model in ollama.models)
