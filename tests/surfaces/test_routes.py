"""Every route, walked: who may pass, what else is answered, and that the API's description is true."""

from pathlib import Path

import httpx
import msgspec
import pytest
from msgspec import structs
from structlog.testing import capture_logs

from freeroute.domain.clients import Client, hash_key
from freeroute.domain.operators import Operator, Scope
from freeroute.surfaces.admin import topics
from freeroute.surfaces.guard import Access, Guard, Policy
from freeroute.surfaces.http import BodyBounds
from freeroute.surfaces.litestar_app import routes
from freeroute.surfaces.operator import openapi_document
from tests.support.administration import administration
from tests.support.clocks import EPOCH, ManualClock
from tests.support.gateways import FakeGateway, FakeLive, FakeResponses

CLIENTS = (
    Client("alice", hash_key("sk-alice")),
    Client("late", hash_key("sk-late"), expires=EPOCH - 1),
    Client("gone", hash_key("sk-gone"), revoked=EPOCH - 1),
)
OPERATORS = (
    *(Operator(scope.value, scope, hash_key(f"fo-{scope}")) for scope in Scope),
    Operator("late", Scope.ADMIN, hash_key("fo-late"), expires=EPOCH - 1),
    Operator("gone", Scope.ADMIN, hash_key("fo-gone"), revoked=EPOCH - 1),
)
OPEN = Policy(admin_key="boss", operators=OPERATORS, demo=True)
KEYED = structs.replace(OPEN, clients=CLIENTS, metrics_key="gauge", loopback=False)
KEYS = {
    "none": None,
    "client": "sk-alice",
    "read": "fo-read",
    "operate": "fo-operate",
    "admin": "fo-admin",
    "admin key": "boss",
    "metrics key": "gauge",
    "wrong": "fr-nobody",
    "expired client": "sk-late",
    "revoked client": "sk-gone",
    "expired token": "fo-late",
    "revoked token": "fo-gone",
}
GOOD = {"client", "read", "operate", "admin", "admin key"}

# What the whole table must look like: path, method, and which keys pass once keys are in use.
ANYONE = set(KEYS)
CLIENT = {"client"}
ADMIN = {"admin", "admin key"}
OPERATE = {"operate", *ADMIN}
READ = {"read", *OPERATE}
TABLE: dict[tuple[str, str], set[str]] = {
    ("POST", "/v1/chat/completions"): CLIENT,
    ("POST", "/v1/embeddings"): CLIENT,
    ("POST", "/v1/rerank"): CLIENT,
    ("POST", "/v1/images/generations"): CLIENT,
    ("POST", "/v1/moderations"): CLIENT,
    ("POST", "/v1/audio/transcriptions"): CLIENT,
    ("POST", "/v1/audio/translations"): CLIENT,
    ("POST", "/v1/audio/speech"): CLIENT,
    ("POST", "/v1/messages"): CLIENT,
    ("POST", "/v1/messages/count_tokens"): CLIENT,
    ("POST", "/v1/completions"): CLIENT,
    ("POST", "/v1/responses"): CLIENT,
    ("GET", "/v1/responses/{response}"): CLIENT,
    ("DELETE", "/v1/responses/{response}"): CLIENT,
    ("GET", "/v1/responses/{response}/input_items"): CLIENT,
    ("POST", "/v1/responses/{response}/cancel"): CLIENT,
    ("GET", "/v1/models"): CLIENT,
    ("GET", "/v1/models/{model:path}"): CLIENT,
    ("GET", "/v1/key"): CLIENT,
    ("POST", "/v1beta/models/{model:path}:generateContent"): CLIENT,
    ("POST", "/v1beta/models/{model:path}:streamGenerateContent"): CLIENT,
    ("POST", "/v1beta/models/{model:path}:countTokens"): CLIENT,
    ("POST", "/v1beta/models/{model:path}:embedContent"): CLIENT,
    ("POST", "/v1beta/models/{model:path}:batchEmbedContents"): CLIENT,
    ("POST", "/v1/models/{model:path}:generateContent"): CLIENT,
    ("POST", "/v1/models/{model:path}:streamGenerateContent"): CLIENT,
    ("POST", "/v1/models/{model:path}:countTokens"): CLIENT,
    ("POST", "/v1/models/{model:path}:embedContent"): CLIENT,
    ("POST", "/v1/models/{model:path}:batchEmbedContents"): CLIENT,
    ("GET", "/v1beta/models"): CLIENT,
    ("GET", "/v1beta/models/{model:path}"): CLIENT,
    ("POST", "/api/chat"): CLIENT,
    ("POST", "/api/generate"): CLIENT,
    ("POST", "/api/embed"): CLIENT,
    ("POST", "/api/embeddings"): CLIENT,
    ("GET", "/api/tags"): CLIENT,
    ("POST", "/api/show"): CLIENT,
    ("POST", "/api/pull"): CLIENT,
    ("GET", "/api/ps"): CLIENT,
    ("GET", "/api/version"): CLIENT,
    ("POST", "/api/create"): CLIENT,
    ("POST", "/api/copy"): CLIENT,
    ("POST", "/api/push"): CLIENT,
    ("DELETE", "/api/delete"): CLIENT,
    ("GET", "/v1/status"): CLIENT | READ,
    ("GET", "/v1/status/events"): CLIENT | READ,
    ("GET", "/v1/status/providers/{provider}"): CLIENT | READ,
    ("GET", "/v1/plan"): CLIENT | READ,
    ("PATCH", "/v1/status/routing"): OPERATE,
    ("POST", "/v1/status/providers/{provider}/reset"): OPERATE,
    ("POST", "/mcp"): CLIENT | READ,
    ("GET", "/metrics"): READ | {"metrics key"},
    ("GET", "/"): ANYONE,
    ("GET", "/healthz"): ANYONE,
    ("GET", "/livez"): ANYONE,
    ("GET", "/readyz"): ANYONE,
    ("GET", "/openapi.json"): ANYONE,
    ("GET", "/dashboard"): ANYONE,
    ("GET", "/dashboard/session"): ANYONE,
    ("POST", "/dashboard/session"): ANYONE,
    ("DELETE", "/dashboard/session"): ANYONE,
    ("GET", "/dashboard/{file:path}"): ANYONE,
    ("GET", "/admin/holds"): READ,
    ("DELETE", "/admin/holds"): OPERATE,
    ("DELETE", "/admin/holds/{hold:path}"): OPERATE,
    ("GET", "/admin/breakers"): READ,
    ("DELETE", "/admin/breakers"): OPERATE,
    ("DELETE", "/admin/breakers/{breaker:path}"): OPERATE,
    ("GET", "/admin/limits"): READ,
    ("GET", "/admin/limits/learned"): READ,
    ("DELETE", "/admin/limits/learned"): OPERATE,
    ("DELETE", "/admin/limits/learned/{name:path}"): OPERATE,
    ("GET", "/admin/maintenance"): READ,
    ("PUT", "/admin/maintenance"): OPERATE,
    ("POST", "/admin/reload"): OPERATE,
    ("GET", "/admin/usage"): READ,
    ("GET", "/admin/receipts"): READ,
    ("GET", "/admin/audit"): READ,
    ("GET", "/admin/whoami"): READ,
    ("GET", "/admin/clients"): READ,
    ("POST", "/admin/clients"): OPERATE,
    ("GET", "/admin/clients/{name}"): READ,
    ("PATCH", "/admin/clients/{name}"): OPERATE,
    ("DELETE", "/admin/clients/{name}"): OPERATE,
    ("POST", "/admin/clients/{name}/rotate"): OPERATE,
    ("POST", "/admin/clients/{name}/revoke"): OPERATE,
    ("GET", "/admin/operators"): READ,
    ("POST", "/admin/operators"): ADMIN,
    ("DELETE", "/admin/operators/{name}"): ADMIN,
    ("GET", "/admin/providers"): READ,
    ("GET", "/admin/providers/{provider}"): READ,
    ("PATCH", "/admin/providers/{provider}"): OPERATE,
    ("POST", "/admin/providers/{provider}/keys"): ADMIN,
    ("PATCH", "/admin/providers/{provider}/keys/{label}"): ADMIN,
    ("DELETE", "/admin/providers/{provider}/keys/{label}"): ADMIN,
    ("POST", "/admin/providers/{provider}/keys/{label}/test"): OPERATE,
    ("PATCH", "/admin/models/{provider}/{model:path}"): OPERATE,
    ("GET", "/admin/models"): READ,
}
# These are there to say that they do nothing.
USELESS = {
    *("/api/create", "/api/copy", "/api/push", "/api/delete"),
    *(f"{root}/v1/responses/{{response}}/cancel" for root in ("", "/api")),
}
TASKS = (
    "/v1/embeddings",
    "/v1/rerank",
    "/v1/images/generations",
    "/v1/moderations",
    "/v1/audio/transcriptions",
    "/v1/audio/translations",
    "/v1/audio/speech",
)
FORM = (
    '--x\r\ncontent-disposition: form-data; name="model"\r\n\r\nwhisper\r\n'
    '--x\r\ncontent-disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRIFF\r\n--x--\r\n'
)
CONTENT = '{"content": {"parts": [{"text": "Hi"}]}}'
CONTENTS = '{"contents": [{"parts": [{"text": "Hi"}]}]}'
BODIES = {
    "/v1/embeddings": '{"model": "free", "input": "Hi"}',
    "/v1/rerank": '{"model": "free", "query": "Hi?", "documents": ["Hi"]}',
    "/v1/images/generations": '{"model": "free", "prompt": "Hi"}',
    "/v1/moderations": '{"model": "free", "input": "Hi"}',
    "/v1/audio/transcriptions": FORM,
    "/v1/audio/translations": FORM,
    "/v1/audio/speech": '{"model": "free", "input": "Hi", "voice": "v"}',
    "/v1beta/models/{model:path}:generateContent": CONTENTS,
    "/v1/models/{model:path}:generateContent": CONTENTS,
    "/v1beta/models/{model:path}:streamGenerateContent": CONTENTS,
    "/v1/models/{model:path}:streamGenerateContent": CONTENTS,
    "/v1beta/models/{model:path}:countTokens": CONTENTS,
    "/v1beta/models/{model:path}:embedContent": CONTENT,
    "/v1beta/models/{model:path}:batchEmbedContents": f'{{"requests": [{CONTENT}]}}',
    "/v1/models/{model:path}:countTokens": CONTENTS,
    "/v1/models/{model:path}:embedContent": CONTENT,
    "/v1/models/{model:path}:batchEmbedContents": f'{{"requests": [{CONTENT}]}}',
    "/api/chat": '{"model": "free", "messages": [{"role": "user", "content": "Hi"}], "stream": false}',
    "/api/generate": '{"model": "free", "prompt": "Hi", "stream": false}',
    "/api/embed": '{"model": "free", "input": ["Hi"]}',
    "/api/embeddings": '{"model": "free", "prompt": "Hi"}',
    "/api/show": '{"model": "free"}',
    "/api/pull": '{"model": "free"}',
    "/v1/chat/completions": '{"model": "free", "messages": [{"role": "user", "content": "Hi"}]}',
    "/v1/messages": '{"model": "free", "messages": [{"role": "user", "content": "Hi"}]}',
    "/v1/messages/count_tokens": '{"model": "free", "messages": [{"role": "user", "content": "Hi"}]}',
    "/v1/completions": '{"model": "free", "prompt": "Hi"}',
    "/v1/responses": '{"model": "free", "input": "Hi"}',
    "/v1/status/routing": '{"strategy": "random"}',
    "/mcp": '{"jsonrpc": "2.0", "id": 1, "method": "tools/list"}',
    "/dashboard/session": '{"key": "fo-read"}',
    "/admin/maintenance": '{"on": true}',
    "/admin/providers/{provider}": '{"enabled": false}',
    "/admin/providers/{provider}/keys": '{"label": "mine", "key": "gsk-secret"}',
    "/admin/providers/{provider}/keys/{label}": '{"enabled": false}',
    "/admin/models/{provider}/{model:path}": '{"enabled": false}',
}


def table(dashboard):
    guard, gateway, clock = Guard(KEYED, ManualClock()), FakeGateway(), ManualClock()
    return routes(
        gateway,
        FakeLive(),
        guard,
        clock,
        BodyBounds(),
        gateway.render,
        dict,
        dashboard,
        administration(),
        FakeResponses(),
    )


def concrete(path: str) -> str:
    values = {
        "{model:path}": "groq/openai/gpt-oss-120b",
        "{response}": "resp_1",
        "{provider}": "groq",
        "{label}": "mine",
        "{file:path}": "app.js",
        "{hold:path}": "key/groq/k1",
        "{breaker:path}": "groq/m%23k1",
        "{name:path}": "groq/m",
        "{name}": "alice",
    }
    for name, value in values.items():
        path = path.replace(name, value)
    return path


def places() -> list[tuple[str, str, set[str]]]:
    listed = []
    for (method, path), passing in TABLE.items():
        listed.append((method, path, passing))
        if path.startswith("/v1/"):
            listed.append((method, "/api" + path, passing))
    return listed


async def call(client: httpx.AsyncClient, method: str, path: str, key: str | None, **headers: str):
    if key:
        headers["authorization"] = f"Bearer {key}"
    content = BODIES.get(path.removeprefix("/api") if path.startswith("/api/v1/") else path)
    if content is FORM:
        headers["content-type"] = "multipart/form-data; boundary=x"
    if path == "/dashboard/session":
        headers["x-freeroute-dashboard"] = "1"
    query = {"model": "free"} if path.endswith("/plan") else None
    return await client.request(method, concrete(path), headers=headers, content=content, params=query)


def passed(path: str, reply: httpx.Response) -> bool:
    """Say whether the guard let a call to *path* through."""
    return reply.status_code < 400 or (path in USELESS and reply.status_code == 400)


def code_of(reply: httpx.Response) -> str | None:
    """Return the code of an error, of MCP beside its number; None if an API has no room for one."""
    error = reply.json()["error"]
    if not isinstance(error, dict):
        return None
    if isinstance(details := error.get("details"), list):
        return str(details[0]["reason"]).lower()
    return error.get("data", error).get("code") or error.get("details", {}).get("error_code")


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


def test_the_description_of_the_api_lists_exactly_these_routes():
    document = msgspec.json.decode(openapi_document())
    described = {
        (method.upper(), path)
        for path, item in document["paths"].items()
        for method in item
        if method not in {"servers", "parameters"}
    }
    plain = {(method, path.replace(":path}", "}")) for method, path in TABLE}
    assert described == plain


def test_the_description_says_which_keys_pass():
    document = msgspec.json.decode(openapi_document())
    for (method, path), passing in TABLE.items():
        operation = document["paths"][path.replace(":path}", "}")][method.lower()]
        named = {name: tuple(roles) for way in operation["security"] for name, roles in way.items()}
        scope = next((scope for scope in Scope if scope in passing), None)
        wanted: dict[str, tuple[str, ...]] = {}
        if passing != ANYONE:
            wanted |= {"client": ()} if "client" in passing else {}
            wanted |= {"admin": (scope.value,)} if scope is not None else {}
            wanted |= {"metrics": ()} if "metrics key" in passing else {}
        assert named == wanted, path


def test_no_topic_describes_what_another_does_already():
    whole = msgspec.json.decode(openapi_document())
    directory = Path(topics.__file__).parent
    described = [*directory.glob("*.openapi.json"), *directory.parent.glob("*.openapi.json")]
    parts = [msgspec.json.decode(path.read_bytes()) for path in described]
    parts.append(msgspec.json.decode((directory.parent / "openapi.json").read_bytes()))
    assert sum(len(part["paths"]) for part in parts) == len(whole["paths"])
    schemas = [part["schemas"] if "schemas" in part else part["components"]["schemas"] for part in parts]
    assert sum(map(len, schemas)) == len(whole["components"]["schemas"])


def test_everything_the_description_refers_to_is_there():
    document = msgspec.json.decode(openapi_document())

    def references(value):
        if isinstance(value, dict):
            if "$ref" in value:
                yield value["$ref"]
            for item in value.values():
                yield from references(item)
        elif isinstance(value, list):
            for item in value:
                yield from references(item)

    for reference in set(references(document)):
        found = document
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]
        assert found
