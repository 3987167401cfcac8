"""Is a key good? One cheap call that costs no quota, and a verdict that errs towards not knowing."""

from enum import Enum

import httpx
import msgspec
from msgspec import Struct

from freeroute.clock import Now
from freeroute.domain.catalogue import Key, Provider
from freeroute.domain.outcome import Kind
from freeroute.upstreams.verdicts import judge_response

TIMEOUT = 10.0
MOST_BYTES = 1 << 20


class State(Enum):
    """What is known about a key."""

    VALID = "valid"
    INVALID = "invalid"
    UNKNOWN = "unknown"


class Verdict(Struct, frozen=True):
    """What a check found; *detail* is printable and free of secrets."""

    state: State
    detail: str = ""


def new_client() -> httpx.AsyncClient:
    """Return a client for key checks: a redirect is an answer, never followed with a key."""
    return httpx.AsyncClient(follow_redirects=False, timeout=TIMEOUT)


async def check(provider: Provider, key: Key, client: httpx.AsyncClient, now: Now) -> Verdict:
    """Make the catalogue's cheap call with *key*. A network error or a challenge page is never invalid."""
    if not key.secret:
        return Verdict(State.UNKNOWN, "used without a key")
    if provider.key_check is None:
        return Verdict(State.UNKNOWN, "there is no call that tells without spending quota")
    try:
        status, headers, body = await _ask(_url(provider), provider, key, client)
    except httpx.HTTPError as exc:
        return Verdict(State.UNKNOWN, f"could not be asked: {type(exc).__name__}")
    if 200 <= status < 300:
        return _welcome(body)
    outcome = judge_response(status, headers, body, now=now, rules=provider.errors, secret=key.secret)
    match outcome.kind:
        case Kind.KEY_INVALID:
            return Verdict(State.INVALID, outcome.detail)
        case Kind.NO_CREDIT:
            return Verdict(State.VALID, f"but without credit: {outcome.detail}")
    return Verdict(State.UNKNOWN, outcome.detail)


def _welcome(body: bytes) -> Verdict:
    # A page that wants a browser comes with 200 too.
    try:
        msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return Verdict(State.UNKNOWN, "the answer is not JSON")
    return Verdict(State.VALID)


def _url(provider: Provider) -> str:
    path = provider.key_check or ""
    return path if path.startswith(("https://", "http://")) else provider.base_url + path


async def _ask(
    url: str, provider: Provider, key: Key, client: httpx.AsyncClient
) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    auth = provider.auth
    credentials = f"{auth.scheme} {key.secret}" if auth.scheme else key.secret
    headers = {**provider.headers, auth.header: credentials, "accept": "application/json"}
    body = b""
    async with client.stream("GET", url, headers=headers) as response:
        async for piece in response.aiter_bytes():
            body += piece
            if len(body) > MOST_BYTES:
                break
        return response.status_code, response.headers.raw, body
