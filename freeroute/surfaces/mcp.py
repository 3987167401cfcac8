"""The Model Context Protocol over HTTP: agents look up models, routes, quota and health. Nothing is kept.

Two generations of the protocol share the path. From 2026-07-28 on each request says by itself who asks and in
which version; before, ``initialize`` agreed on one. Since no session is kept, both are answered alike:
https://modelcontextprotocol.io/specification/2026-07-28/basic/transports and 2025-11-25's.
"""

import base64
import binascii
import re
from functools import cache
from typing import Any, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from freeroute.clock import Clock
from freeroute.errors import ApiError
from freeroute.surfaces.access import Access
from freeroute.surfaces.http import BodyBounds, Request
from freeroute.surfaces.mcp_tools import TOOLS, Asking, ToolGateway
from freeroute.surfaces.routes import Route
from freeroute.version import version
from freeroute.wire.text import printable

AGREED = ("2025-03-26", "2025-06-18", "2025-11-25")
"""Versions that ``initialize`` agrees on, the newest last."""
STATED = ("2026-07-28",)
"""Versions that each request states by itself."""

PARSE, REQUEST, METHOD, PARAMS, REFUSED = -32700, -32600, -32601, -32602, -32000
MISMATCH, VERSION = -32020, -32022

# The largest message calls one tool by its name. Own design.
_BODY_LIMIT = 64 * 1024
# What is told of tools changes with the program only.
_FRESH_MS = 3_600_000
_META_VERSION = "io.modelcontextprotocol/protocolVersion"
_META_ABLE = "io.modelcontextprotocol/clientCapabilities"
_META_SERVER = "io.modelcontextprotocol/serverInfo"
_ENCODED = re.compile(r"=\?base64\?(.*)\?=")
_INSTRUCTIONS = (
    "This gateway routes requests to free LLM tiers. Look up here which models can be used now, who would"
    " answer, how much quota is left and how providers stand; nothing here changes anything or asks a model."
)

_Answer = dict[str, Any]


class Message(Struct, frozen=True):
    """One message of JSON-RPC: without an *id* it is a notification, without a *method* an answer."""

    jsonrpc: Literal["2.0"]
    method: str | UnsetType = UNSET
    id: int | str | UnsetType = UNSET
    params: dict[str, Any] | UnsetType = UNSET


class Fault(Exception):
    """What is wrong with a message: an error of JSON-RPC, and the *status* that goes with it."""

    def __init__(self, code: int, message: str, status: int = 400, details: _Answer | None = None) -> None:
        """Keep what the answer needs."""
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.details = details

    def body(self, about: int | str | None) -> bytes:
        """Return the body of the answer to the message with the id *about*."""
        error: _Answer = {"code": self.code, "message": self.message}
        if self.details is not None:
            error["data"] = self.details
        return msgspec.json.encode({"jsonrpc": "2.0", "id": about, "error": error})


def in_its_shape(error: ApiError, request_id: str) -> bytes:
    """Return the body that tells *error* to clients of MCP; what others get of it is its ``data``."""
    return Fault(REFUSED, error.message, details=error.body()["error"]).body(None)


class McpSurface:
    """The one route of the Model Context Protocol over a gateway."""

    def __init__(self, gateway: ToolGateway, clock: Clock, bounds: BodyBounds) -> None:
        """Serve *gateway*, with bodies no larger than *bounds* allow."""
        self._gateway = gateway
        self._clock = clock
        self._bounds = msgspec.structs.replace(bounds, limit=min(bounds.limit, _BODY_LIMIT))

    def routes(self) -> list[Route]:
        """Return what is served: there is no stream to GET and no session to DELETE."""
        return [Route("/mcp", {"POST": self.answer}, Access.AGENTS, refusal=in_its_shape)]

    async def answer(self, request: Request) -> None:
        """Answer one message."""
        body = await request.body(self._bounds)
        about: int | str | None = None
        try:
            message = read_message(body)
            about = None if message.id is UNSET else message.id
            stated = _is_stated(message, request)
            if message.method is UNSET or message.id is UNSET:
                await request.reply(202, b"")
                return
            result = self._result(message, message.method, request, stated=stated)
        except Fault as fault:
            await request.reply(fault.status, fault.body(about), {"cache-control": "no-store"})
            return
        await request.reply_json({"jsonrpc": "2.0", "id": about, "result": result})

    def _result(self, message: Message, method: str, request: Request, *, stated: bool) -> _Answer:
        params = {} if message.params is UNSET else message.params
        match method:
            case "server/discover" if stated:
                found = {"supportedVersions": [*STATED, *reversed(AGREED)], **_able(), **_cached()}
            case "initialize" if not stated:
                return {"protocolVersion": _agreed(params), **_able(), "serverInfo": _server()}
            case "ping" if not stated:
                return {}
            case "tools/list":
                found = {"tools": _tools(), **(_cached() if stated else {})}
            case "tools/call":
                found = self._called(params, request, status=400 if stated else 200)
            case _:
                raise Fault(METHOD, f"There is no method {printable(method)!r}.", 404 if stated else 200)
        return {**found, "resultType": "complete", "_meta": {_META_SERVER: _server()}} if stated else found

    def _called(self, params: _Answer, request: Request, *, status: int) -> _Answer:
        """Return what the tool that *params* name finds, or what is wrong with its arguments."""
        name, arguments = params.get("name"), params.get("arguments", {})
        tool = next((tool for tool in TOOLS if tool.name == name), None)
        if tool is None:
            known = ", ".join(tool.name for tool in TOOLS)
            raise Fault(PARAMS, f"There is no tool {printable(str(name))!r}; there is: {known}.", status)
        asking = Asking(self._gateway, request.caller.client, self._clock.now().wall)
        try:
            found = tool.call(asking, arguments)
        except msgspec.ValidationError as exc:
            return _told(f"The arguments of {tool.name} do not fit: {exc}.", wrong=True)
        except ApiError as exc:
            return _told(exc.message, wrong=True)
        text = msgspec.json.encode(found).decode("utf-8")
        return {**_told(text), "structuredContent": msgspec.to_builtins(found)}


def read_message(body: bytes) -> Message:
    """Return the message in *body*; raises Fault."""
    try:
        return msgspec.json.decode(body, type=Message)
    except msgspec.ValidationError as exc:
        raise Fault(REQUEST, f"This is not one message of JSON-RPC 2.0: {exc}.") from exc
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as exc:
        raise Fault(PARSE, "The body is not JSON.") from exc


def _is_stated(message: Message, request: Request) -> bool:
    """Say whether *message* states its version by itself; raises Fault where it is none that is served."""
    header = request.header(b"mcp-protocol-version")
    meta = None if message.params is UNSET else message.params.get("_meta")
    meta = meta if isinstance(meta, dict) else {}
    stated = header in STATED or _META_VERSION in meta or message.method == "server/discover"
    if stated and message.id is not UNSET:
        _check_stated(message, meta, request)
    told = meta.get(_META_VERSION, header) if stated else header
    if told is not None and told not in (STATED if stated else AGREED):
        details = {"supported": [*STATED, *AGREED], "requested": printable(str(told))}
        raise Fault(VERSION, "This version of the protocol is not served.", details=details)
    return stated


def _check_stated(message: Message, meta: _Answer, request: Request) -> None:
    """Raise Fault unless *meta* is all there, and the headers say the same as the message."""
    missing = [name for name in (_META_VERSION, _META_ABLE) if name not in meta]
    if missing:
        raise Fault(PARAMS, f"params._meta lacks {' and '.join(missing)}.")
    params = {} if message.params is UNSET else message.params
    wanted = {b"mcp-protocol-version": meta[_META_VERSION], b"mcp-method": message.method}
    if message.method == "tools/call" and params.get("name") is not None:
        wanted[b"mcp-name"] = params["name"]
    for header, value in wanted.items():
        if _header(request, header) != value:
            raise Fault(MISMATCH, f"The header {header.decode('ascii')} does not say what the message says.")


def _header(request: Request, name: bytes) -> str | None:
    """Return the header *name*, decoded if it had to be encoded to be one; None if that was done wrong."""
    value = request.header(name)
    match = _ENCODED.fullmatch(value) if value else None
    if match is None:
        return value
    try:
        return base64.b64decode(match[1], validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return None


def _agreed(params: _Answer) -> str:
    """Return the version to go on with: the one that is asked for, else the newest that can be agreed on."""
    asked = params.get("protocolVersion")
    return asked if asked in AGREED else AGREED[-1]


def _told(text: str, *, wrong: bool = False) -> _Answer:
    return {"content": [{"type": "text", "text": text}], "isError": wrong}


def _able() -> _Answer:
    return {"capabilities": {"tools": {}}, "instructions": _INSTRUCTIONS}


def _cached() -> _Answer:
    return {"ttlMs": _FRESH_MS, "cacheScope": "private"}


def _server() -> _Answer:
    return {"name": "freeroute", "title": "freeroute", "version": version()}


@cache
def _tools() -> list[_Answer]:
    return [tool.described() for tool in TOOLS]
