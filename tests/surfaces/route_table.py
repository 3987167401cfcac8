"""Every route there is, who may pass it, and how each is called."""

import httpx
from msgspec import structs

from freeroute.domain.clients import hash_key
from freeroute.domain.operators import Operator, Scope
from freeroute.surfaces.access import Policy
from freeroute.surfaces.guard import Guard
from freeroute.surfaces.http import BodyBounds
from freeroute.surfaces.litestar_app import routes
from tests.support.administration import administration
from tests.support.clocks import EPOCH, ManualClock
from tests.support.gateways import FakeGateway, FakeLive, FakeResponses
from tests.surfaces.holders import ALICE, GONE, LATE

OPERATORS = (
    *(Operator(scope.value, scope, hash_key(f"fo-{scope}")) for scope in Scope),
    Operator("late", Scope.ADMIN, hash_key("fo-late"), expires=EPOCH - 1),
    Operator("gone", Scope.ADMIN, hash_key("fo-gone"), revoked=EPOCH - 1),
)
OPEN = Policy(admin_key="boss", operators=OPERATORS, demo=True)
KEYED = structs.replace(OPEN, clients=(ALICE, LATE, GONE), metrics_key="gauge", loopback=False)
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
    """Return the routes of a gateway of which nothing is real."""
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
    """Return *path* with something in each of its places."""
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
    """Return method, path and whose keys pass, of the mirrored routes too."""
    listed = []
    for (method, path), passing in TABLE.items():
        listed.append((method, path, passing))
        if path.startswith("/v1/"):
            listed.append((method, "/api" + path, passing))
    return listed


async def call(client: httpx.AsyncClient, method: str, path: str, key: str | None, **headers: str):
    """Ask *path* for what it is there for, with *key*."""
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
