"""Secrets go in by every way there is, and come out nowhere.

None of them looks like a key and the log has no list of them, so that the net under the log catches nothing.
Providers here say back all they were sent: in errors of every kind, in headers, in answers.
"""

import contextlib
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import structlog

from freeroute.observe.logs import set_up
from freeroute.upstreams.transport import Deadlines, Exchange, Transport
from tests.faults.scene import played
from tests.support.asking import DONE
from tests.support.live import ADMIN, AS_ADMIN, Live, live, question
from tests.support.provider import JSON, SSE, PlayedProvider, Reply, closed, ended, raw, sse, whole
from tests.support.servers import Peer, Request, Server, serve
from tests.support.serving import RawCaller, post

ALICE, BOB, FORMER, WRONG = "walrus-alice", "walrus-bob", "walrus-former", "walrus-wrong"
PROVIDERS = ("walrus-of-alpha", "walrus-of-beta")
PASSWORD, METRICS = "walrus-of-the-database", "walrus-of-the-metrics"
PROMPT, ANSWER, SESSION, TOOL = "Walrus prompt", "Walrus answer", "walrus-session", "walrus_tool"
# What nobody at all may read, and what only the caller it belongs to may.
SECRETS = (ALICE, BOB, FORMER, WRONG, *PROVIDERS, PASSWORD, METRICS, ADMIN)
CONTENT = (PROMPT, ANSWER, SESSION, TOOL)

CLIENTS = [{"name": "alice", "key": ALICE}, {"name": "bob", "key": BOB}]


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def leaks(text: str | bytes, secrets: Sequence[str] = SECRETS + CONTENT) -> list[str]:
    """Return which of *secrets* are in *text*, whichever way they were written."""
    seen = text.encode() if isinstance(text, str) else text
    found = seen.lower()
    return [secret for secret in secrets if secret.lower().encode() in found]


# --- providers that say back what they hear ----------------------------------------------------------------


def echoed(request: Request) -> str:
    return f"You sent {request.headers.get('authorization')} and {request.body.decode()}"


def refusing(status: str, **fields: Any) -> Reply:
    async def refuse(peer: Peer, request: Request) -> None:
        told = echoed(request)
        error = {"message": told, "code": told, "type": told, "param": told} | fields
        head = f"x-echo: {told}".replace("\n", " ").encode()
        await peer.answer(
            msgspec.json.encode({"error": error}), b"content-type: " + JSON, head, status=status.encode()
        )

    return refuse


async def page(peer: Peer, request: Request) -> None:
    """Answer with a page, as a proxy in front of a provider does."""
    text = f"<html><body>{echoed(request)}</body></html>".encode()
    await peer.answer(text, b"content-type: text/html", status=b"502 Bad Gateway")


async def elsewhere(peer: Peer, request: Request) -> None:
    """Send the caller to an address that holds the key."""
    place = f"location: http://localhost/?{request.headers.get('authorization')}".encode()
    await peer.answer(b"", place, status=b"307 " + echoed(request)[:60].encode())


async def garbage(peer: Peer, request: Request) -> None:
    """Answer 200 with what is no answer."""
    await peer.answer(echoed(request).encode(), b"content-type: " + JSON)


async def error_inside(peer: Peer, request: Request) -> None:
    """Answer 200 with an error."""
    await peer.answer(msgspec.json.encode({"error": {"message": echoed(request)}}), b"content-type: " + JSON)


async def no_http(peer: Peer, request: Request) -> None:
    """Answer in a protocol of its own."""
    await peer.send(echoed(request).encode() + b"\r\n\r\n")
    peer.close()


def said(text: str, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return b"data: " + msgspec.json.encode(chunk) + b"\n\n"


async def good(peer: Peer, request: Request) -> None:
    """Answer well."""
    if b'"stream":true' in request.body:
        await sse(said(ANSWER), said("", "stop"), DONE)(peer, request)
        return
    message = {"role": "assistant", "content": ANSWER}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    whole_answer = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    await whole(msgspec.json.encode(whole_answer))(peer, request)


def stream_error(peer: Peer, request: Request) -> Any:
    """Say something, then an error that says everything back."""
    error = b"data: " + msgspec.json.encode({"error": {"message": echoed(request), "code": 500}}) + b"\n\n"
    return sse(said(ANSWER), error, DONE)(peer, request)


def stream_noise(peer: Peer, request: Request) -> Any:
    """Say something, then what is no event, then nothing more."""
    return sse(said(ANSWER), f"data: {{{echoed(request)}\n\n".encode(), then=ended)(peer, request)


ENDINGS: dict[str, Reply] = {
    "good": good,
    **{
        status[:3]: refusing(status)
        for status in (
            "400 Bad Request",
            "401 Unauthorized",
            "402 Payment Required",
            "403 Forbidden",
            "404 Not Found",
            "408 Request Timeout",
            "413 Payload Too Large",
            "422 Unprocessable",
            "429 Too Many Requests",
            "500 Internal Server Error",
            "503 Service Unavailable",
        )
    },
    "parameter": refusing("400 Bad Request", code="unsupported_parameter", param="user"),
    "filtered": refusing("400 Bad Request", code="content_filter"),
    "too long": refusing("400 Bad Request", code="context_length_exceeded"),
    "page": page,
    "redirect": elsewhere,
    "garbage": garbage,
    "error inside": error_inside,
    "no http": no_http,
    "stream error": stream_error,
    "stream noise": stream_noise,
    "cut": raw(b"HTTP/1.1 200 OK\r\ncontent-type: " + SSE + b"\r\n\r\n", said(ANSWER), then=closed),
}


class Crashing:
    """A transport that fails in a way nobody thought of, quoting all it was given, when it is told to."""

    def __init__(self, inner: Transport) -> None:
        self.inner = inner
        self.crash = False

    async def open(
        self,
        method: str,
        url: str,
        headers: Sequence[tuple[bytes, bytes]],
        body: bytes,
        deadlines: Deadlines,
        **more: Any,
    ) -> Exchange:
        if self.crash:
            raise RuntimeError(f"{headers!r} {body!r}")
        return await self.inner.open(method, url, headers, body, deadlines, **more)

    async def close(self) -> None:
        await self.inner.close()


# --- the stage ---------------------------------------------------------------------------------------------


@pytest.fixture(params=["json", "console"])
def log(request, capsys) -> Iterator[Callable[[], str]]:
    """Log everything; gives what was written."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    set_up(request.param, "debug")
    yield lambda: capsys.readouterr().err
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


class Stage:
    """A gateway that keeps everything, and the two providers behind it."""

    def __init__(self, gateway: Live, alpha: PlayedProvider, crashing: Crashing) -> None:
        self.gateway = gateway
        self.alpha = alpha
        self.crashing = crashing
        self.told: list[tuple[str, bytes]] = []  # what came back, and whose content it may hold

    async def ask(self, **fields: Any) -> httpx.Response:
        """Ask as alice with all that is hers in it."""
        tool = {"type": "function", "function": {"name": TOOL, "parameters": {"type": "object"}}}
        asked = question(PROMPT, user=SESSION, **{"tools": [tool]} | fields)
        headers = {**bearer(ALICE), "x-session-id": SESSION, "traceparent": SESSION}
        answer = await self.gateway.http.post("/v1/chat/completions", json=asked, headers=headers)
        self.told.append(("alice", answer.content + repr(answer.headers).encode()))
        return answer

    async def get(self, path: str, headers: dict[str, str], whose: str) -> httpx.Response:
        answer = await self.gateway.http.get(path, headers=headers)
        self.told.append((whose, answer.content + repr(answer.headers).encode()))
        return answer


@contextlib.asynccontextmanager
async def staged(directory: Path, **sections: Any) -> AsyncIterator[Stage]:
    alpha, beta = PlayedProvider(good), PlayedProvider(good)
    crashing: list[Crashing] = []

    def wrapped(inner: Transport) -> Transport:
        crashing.append(Crashing(inner))
        return crashing[0]

    state = directory / "state"
    state.mkdir()
    async with contextlib.AsyncExitStack() as stack:
        servers: list[Server] = [await stack.enter_async_context(serve(one)) for one in (alpha, beta)]
        providers = {
            name: played(server.url("/v1"), [key], quality, {"capabilities": ["tools"]})
            for name, server, key, quality in zip(
                ("alpha", "beta"), servers, PROVIDERS, (90, 50), strict=True
            )
        }
        gateway = await stack.enter_async_context(
            live(
                directory,
                providers,
                state=state,
                wrapped=wrapped,
                clients=CLIENTS,
                server={"metrics_key": METRICS, "cors": ["https://app.example"], "state_dir": str(state)},
                **sections,
            )
        )
        yield Stage(gateway, alpha, crashing[0])


ADMINISTERED = (
    *("holds", "breakers", "limits", "limits/learned", "maintenance", "usage", "receipts", "audit"),
    *("audit?who=" + WRONG, "receipts?client=alice", "usage?by=client"),
)


async def everything(stage: Stage) -> None:
    """Let secrets in by every way there is."""
    for reply in ENDINGS.values():
        stage.alpha.answer(reply)
        for stream in (False, True):
            for fields in ({}, {"model": "alpha/large"}):
                await stage.ask(stream=stream, **fields)
            await stage.gateway.reset("alpha")
            stage.gateway.clock.advance(3600)
    stage.crashing.crash = True
    for stream in (False, True):
        assert (await stage.ask(stream=stream)).status_code == 500
    stage.crashing.crash = False
    await malformed(stage)
    for whose, headers in (("alice", bearer(ALICE)), ("bob", bearer(BOB)), ("admin", AS_ADMIN)):
        for path in PATHS:
            await stage.get(path, headers, whose)
    for key in (METRICS, WRONG):
        await stage.get("/metrics", bearer(key), "nobody")
    await administered(stage)


OWN_PAGE = {"x-freeroute-dashboard": "1"}
PATHS = (
    *("/v1/status", "/v1/key", "/v1/plan?model=free", "/v1/models", "/v1/models/large", "/metrics"),
    *("/readyz", "/livez", "/openapi.json", "/dashboard", "/dashboard/session", "/v1/nowhere"),
)


async def administered(stage: Stage) -> None:
    """Look at all there is to look at, and change what can be changed, with a good token and with others."""
    http = stage.gateway.http
    for key in (WRONG, ALICE, ADMIN):
        answer = await http.post("/dashboard/session", json={"key": key}, headers=OWN_PAGE)
        stage.told.append(("nobody", answer.content + repr(answer.headers.raw).encode()))
        stage.told.append(("nobody", (await http.get("/dashboard/session", headers=OWN_PAGE)).content))
    for headers in (bearer(WRONG), bearer(ALICE), AS_ADMIN):
        for topic in ADMINISTERED:
            await stage.get(f"/admin/{topic}", headers, "nobody")
        for path in ("/admin/holds", "/admin/breakers", "/admin/holds/key/alpha/nothing"):
            answer = await http.delete(path, headers=headers)
            stage.told.append(("nobody", answer.content))
        answer = await http.post("/admin/reload", headers=headers)
        stage.told.append(("nobody", answer.content))


async def malformed(stage: Stage) -> None:
    """Ask in every wrong way."""
    good_body = json.dumps(question(PROMPT)).encode()
    lines = (
        f"authorization: Bearer {WRONG}\r\n",
        f"authorization: Basic {WRONG}\r\n",
        f"authorization: {WRONG}\r\n",
        f"x-api-key: {WRONG}\r\n",
        f"authorization: Bearer {ALICE}\r\nauthorization: Bearer {BOB}\r\n",
        f"authorization: Bearer {ALICE}\r\nx-api-key: {BOB}\r\n",
        f"authorization: Bearer {ALICE}\0\r\n",
        f"authorization: Bearer {ALICE}\r {BOB}\r\n",
        f"authorization: Bearer {ALICE} {'x' * 70_000}\r\n",
        f"authorization: Bearer {ALICE}\r\nx-freeroute-max-wait: {SESSION}\r\n",
        f"authorization: Bearer {ALICE}\r\nx-freeroute-strict: {SESSION}\r\n",
        f"authorization: Bearer {ALICE}\r\nx-session-id: {SESSION * 200}\r\n",
        f"authorization: Bearer {ALICE}\r\ncontent-encoding: {SESSION}\r\n",
    )
    bodies = (
        good_body[:-2],
        good_body.replace(b'"max_tokens": 8', b'"max_tokens": "' + PROMPT.encode() + b'"'),
        good_body.replace(b'"user"', b'"' + TOOL.encode() + b'"'),
        good_body.replace(PROMPT.encode(), PROMPT.encode() + b"\xff"),
        b"[" + good_body + b"]",
        b'"' + PROMPT.encode() + b'"',
    )
    sent = [post(good_body, more=line) for line in lines]
    sent += [post(body, more=f"authorization: Bearer {ALICE}\r\n") for body in bodies]
    sent.append(f"GET /v1/status?key={WRONG} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())
    for data in sent:
        async with RawCaller.to(stage.gateway.url) as caller:
            await caller.send(data)
            answer = await caller.answer()
            assert 400 <= answer.status < 500, (answer.status, data[:200])
            stage.told.append(("alice", answer.body + repr(answer.headers).encode()))


# --- what is looked at -------------------------------------------------------------------------------------


def looked_at(stage: Stage, directory: Path, log: str) -> None:
    """Look for the secrets in all that was told and written."""
    assert "request" in log
    assert leaks(log) == []
    for whose, told in stage.told:
        # A caller may read what it said itself and was answered: its own request's reply alone holds it.
        secrets = SECRETS if whose == "alice" else SECRETS + CONTENT
        assert leaks(told, secrets) == [], told[:2000]
    files = {path.name: path.read_bytes() for path in (directory / "state").rglob("*") if path.is_file()}
    assert {"state.db", "audit.jsonl"} <= files.keys()
    assert {name: found for name, content in files.items() if (found := leaks(content))} == {}


async def test_no_secret_that_went_in_comes_out_anywhere(tmp_path, log):
    async with staged(tmp_path) as stage:
        await everything(stage)
    assert (tmp_path / "state" / "records.db").exists()
    looked_at(stage, tmp_path, log())


async def test_a_database_out_of_reach_tells_no_password_and_no_content_waits_for_it(tmp_path, log):
    url = f"postgresql://me:{PASSWORD}@127.0.0.1:9/records?connect_timeout=1"
    async with staged(tmp_path, storage={"url": url}) as stage:
        await everything(stage)
    assert (tmp_path / "state" / "records.spool").stat().st_size
    written = log()
    assert "records cannot be written" in written
    looked_at(stage, tmp_path, written)


async def test_what_is_kept_of_prompts_is_in_the_database_and_on_the_way_there_alone(tmp_path, log):
    async with staged(tmp_path, storage={"bodies": {"clients": ["alice"]}}) as stage:
        await everything(stage)
        headers = {**bearer(ALICE), "x-freeroute-store": "false"}
        for fields in ({}, {"stream": True}):
            await stage.gateway.http.post(
                "/v1/chat/completions", json=question("Narwhal prompt", **fields), headers=headers
            )
            await stage.ask(**fields, messages=[{"role": "user", "content": "Narwhal prompt"}], store=False)
    records = (tmp_path / "state" / "records.db").read_bytes()
    assert leaks(records) == [PROMPT, ANSWER]
    assert leaks(records, ["narwhal"]) == []
    (tmp_path / "state" / "records.db").unlink()
    (tmp_path / "state" / "records.spool").unlink(missing_ok=True)  # until the database has it for good
    looked_at(stage, tmp_path, log())


@pytest.mark.parametrize("text", [f"it holds {PROMPT}", json.dumps({"key": ALICE})])
def test_what_is_looked_for_would_be_found(text):
    assert leaks(text.upper())
