"""Every route, walked: who may pass, and what else is answered."""

import httpx
import pytest
from msgspec import structs
from structlog.testing import capture_logs

from freeroute.surfaces.access import Access, Policy
from tests.surfaces.route_table import (
    ANYONE,
    CLIENT,
    GOOD,
    KEYED,
    KEYS,
    OPEN,
    OPERATE,
    READ,
    TABLE,
    TASKS,
    call,
    code_of,
    concrete,
    passed,
    places,
    table,
)


def test_the_table_lists_every_route(dashboard):
    found = {(method, path) for route in table(dashboard) for path in route.paths for method in route.methods}
    assert found == {(method, path) for method, path, _ in places()}


def refused(name: str, passing: set[str]) -> int:
    """Return what a route answers that takes *passing* to the key called *name*, which is none of these."""
    # A token is not known where only clients may call.
    return 403 if name == "client" or (name in GOOD and passing != CLIENT) else 401


@pytest.mark.parametrize(("method", "path", "passing"), places())
async def test_once_keys_are_in_use_a_route_takes_its_own_and_no_other(ask, method, path, passing):
    async with ask(KEYED) as client:
        for name, key in KEYS.items():
            reply = await call(client, method, path, key)
            if name in passing:
                assert passed(path, reply), name
            else:
                assert reply.status_code == refused(name, passing), name
                scoped = name in {"read", "operate"} and reply.status_code == 403
                other = "forbidden" if name == "client" else "invalid_api_key"
                assert code_of(reply) in {None, "insufficient_scope" if scoped else other}
            assert reply.headers["x-request-id"]


OWN = {"x-freeroute-dashboard": "1"}
# Where models are asked; what else is a client's tells what could be asked.
GENERATING = ("generateContent", "streamGenerateContent", "embedContent", "batchEmbedContents")
CHATTING = (
    *("/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages"),
    *("/api/chat", "/api/generate", "/api/embed", "/api/embeddings"),
    *(f"/{version}/models/{{model:path}}:{verb}" for version in ("v1", "v1beta") for verb in GENERATING),
)
KEPT = "/v1/responses/{response}"
ASKING = {("POST", path) for path in (*CHATTING, *TASKS)} | {
    ("GET", KEPT),
    ("DELETE", KEPT),
    ("GET", f"{KEPT}/input_items"),
    ("POST", f"{KEPT}/cancel"),
}
# What operators' sessions open that their tokens do not: the playground.
ALSO = {where: OPERATE if where in ASKING else READ for where, passing in TABLE.items() if passing == CLIENT}


async def test_every_api_lists_the_models_it_asks(ask, gateway):
    gateway.others = ("embeddings", "rerank", "speech")
    listed: dict[str, list[str]] = {}
    async with ask(OPEN) as client:
        for name, path, field, headers in (
            ("anthropic", "/v1/models", "data", {"anthropic-version": "2023-06-01"}),
            ("gemini", "/v1beta/models", "models", {}),
            ("ollama", "/api/tags", "models", {}),
            ("openai", "/v1/models", "data", {}),
        ):
            found = (await client.get(path, headers=headers)).json()[field]
            listed[name] = [(one.get("id") or one["name"]).removeprefix("models/") for one in found]
            if name == "ollama":
                assert [one["capabilities"] for one in found] == [
                    ["completion"],
                    ["completion"],
                    ["embedding"],
                ]
    chatting = ["free", "groq/openai/gpt-oss-120b"]
    assert listed == {
        "anthropic": chatting,
        "gemini": [*chatting, "groq/embeddings"],
        "ollama": [f"{one}:latest" for one in (*chatting, "groq/embeddings")],
        "openai": [*chatting, "groq/embeddings", "groq/rerank", "groq/speech"],
    }


async def sign_in(client: httpx.AsyncClient, key: str | None) -> None:
    reply = await client.post("/dashboard/session", json={"key": key}, headers=OWN)
    assert reply.status_code == 200


@pytest.mark.parametrize(("method", "path", "passing"), places())
async def test_a_session_opens_what_its_key_does(ask, method, path, passing):
    opened = passing | ALSO.get((method, path), ALSO.get((method, path.removeprefix("/api")), set()))
    async with ask(KEYED) as client:
        for name in sorted(GOOD):
            await sign_in(client, KEYS[name])
            reply = await call(client, method, path, None, **OWN)
            assert passed(path, reply) if name in opened else reply.status_code == 403, name


@pytest.mark.parametrize(("method", "path", "passing"), places())
async def test_a_cookie_alone_or_from_another_page_or_signed_out_opens_nothing(ask, method, path, passing):
    asked = passing != ANYONE
    async with ask(structs.replace(KEYED, cors=frozenset({"https://app.example"}))) as client:
        for name in ("client", "admin key"):
            await sign_in(client, KEYS[name])
            for headers in (
                {},
                {**OWN, "origin": "https://app.example"},
                {**OWN, "sec-fetch-site": "same-site"},
            ):
                reply = await call(client, method, path, None, **headers)
                assert reply.status_code == 401 or not asked
            cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
            await client.delete("/dashboard/session", headers=OWN)
            client.cookies.clear()
            reply = await call(client, method, path, None, cookie=cookie, **OWN)
            assert reply.status_code == 401 or not asked


@pytest.mark.parametrize(("method", "path", "passing"), places())
async def test_while_no_key_is_in_use_all_but_the_operators_switches_are_open(ask, method, path, passing):
    async with ask(OPEN) as client:
        reply = await call(client, method, path, None)
        assert passed(path, reply) == bool(passing - READ)
        assert passed(path, await call(client, method, path, "boss"))


@pytest.mark.parametrize(("method", "path", "passing"), places())
async def test_a_rebinding_host_reaches_nothing_but_health(ask, method, path, passing):
    async with ask(OPEN) as client:
        reply = await call(client, method, path, "boss", host="evil.example")
        health = path in {"/healthz", "/livez", "/readyz"}
        assert reply.status_code == (200 if health else 421)


@pytest.mark.parametrize(("method", "path", "passing"), places())
async def test_a_foreign_page_reaches_nothing_that_tells_or_does(ask, dashboard, method, path, passing):
    [access] = {route.access for route in table(dashboard) if path in route.paths}
    async with ask(OPEN) as client:
        reply = await call(client, method, path, "boss", origin="https://evil.example")
        assert reply.status_code == (200 if access in {Access.OPEN, Access.PAGE} else 403)


@pytest.mark.parametrize(("method", "path", "passing"), places())
async def test_another_method_is_refused_with_those_there_are(ask, method, path, passing):
    async with ask() as client:
        known = {other for other, where, _ in places() if where == path}
        for wrong in {"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"} - known:
            reply = await client.request(wrong, concrete(path))
            assert reply.status_code == 405
            assert code_of(reply) in (None, "method_not_allowed")
            assert method in reply.headers["allow"]


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/v1",
            "/v2/models",
            "/api/healthz",
            "/api/metrics",
            "/api/v1",
            "/api/dashboard",
        ),
        *(
            "/metrics/x",
            "/v1/status/groq",
            "/v1/status/providers/a/b/reset",
            "/%0d%0aevil",
            "/\xff",
        ),
    ],
)
async def test_an_unknown_path_is_a_404_in_the_same_shape(ask, path):
    async with ask() as client:
        reply = await client.get(path)
    assert reply.status_code == 404
    assert reply.json()["error"] == {
        "message": reply.json()["error"]["message"],
        "type": "invalid_request_error",
        "param": "path",
        "code": "not_found",
    }
    assert reply.headers["x-request-id"]


async def test_a_malformed_host_is_a_400_in_the_same_shape(ask):
    async with ask() as client:
        reply = await client.get("/v1/models", headers={"host": "local/host"})
    assert reply.status_code == 400
    assert reply.json()["error"]["param"] == "host"


async def test_a_fault_of_ours_is_a_500_that_tells_nothing(ask, gateway):
    gateway.answer = KeyError("the prompt")
    with capture_logs() as logs:
        async with ask() as client:
            reply = await call(client, "POST", "/v1/chat/completions", None)
    assert reply.status_code == 500
    assert reply.json()["error"]["code"] == "internal_error"
    assert "prompt" not in reply.text + str(logs)
    assert logs[0]["request_id"] == reply.headers["x-request-id"]


async def test_a_listed_origin_is_answered_with_cors_and_its_preflight_too(ask):
    policy = Policy(cors=frozenset({"https://app.example"}))
    origin = {"origin": "https://app.example", "sec-fetch-site": "cross-site"}
    wish = {"access-control-request-method": "POST", "access-control-request-headers": "authorization"}
    async with ask(policy) as client:
        preflight = await client.options("/v1/chat/completions", headers={**origin, **wish})
        assert preflight.status_code == 204
        assert preflight.headers["access-control-allow-methods"] == "POST"
        assert preflight.headers["access-control-allow-origin"] == "https://app.example"
        reply = await client.get("/v1/models", headers=origin)
        assert reply.headers["access-control-allow-origin"] == "https://app.example"
        assert reply.headers["vary"] == "origin"
        refused = await client.options("/v1/models", headers={**wish, "origin": "https://evil.example"})
        assert refused.status_code == 403
        assert "access-control-allow-origin" not in refused.headers
