"""Is a key good? One cheap call that costs no quota, and a verdict that errs towards not knowing."""

import asyncio
import os
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import structs

from freeroute.clock import Clock, Now
from freeroute.domain.catalogue import Key, Provider
from freeroute.domain.keys import KeyState, Verdict
from freeroute.domain.outcome import Kind
from freeroute.upstreams.http_proxies import Proxies
from freeroute.upstreams.verdicts import judge_response

if TYPE_CHECKING:
    import httpx

TIMEOUT = 10.0
MOST_BYTES = 1 << 20


def new_client() -> "httpx.AsyncClient":
    """Return a client for key checks: a redirect is an answer, never followed with a key.

    It goes through the proxies that requests go through; with one it cannot use httpx would not even begin.
    """
    import httpx  # not at the start, which checks no key

    usable = not Proxies(os.environ).unusable
    return httpx.AsyncClient(follow_redirects=False, timeout=TIMEOUT, trust_env=usable)


class HttpKeyChecks:
    """Key checks over HTTP, each with a client of its own: they are an hour apart."""

    def __init__(self, clock: Clock) -> None:
        """Tell time by *clock*."""
        self._clock = clock

    async def check(self, provider: Provider, key: Key) -> Verdict:
        """Make the catalogue's cheap call with *key*."""
        # Certificates are loaded for it, which takes 20 ms: not on the loop, where requests would wait.
        async with await asyncio.to_thread(new_client) as client:
            return await check(provider, key, client, self._clock.now())


class NoKeyChecks:
    """What is asked about simulated keys: nobody."""

    async def check(self, provider: Provider, key: Key) -> Verdict:
        """Not know."""
        return Verdict(KeyState.UNKNOWN, "providers are simulated here, and have no keys")


async def check(provider: Provider, key: Key, client: "httpx.AsyncClient", now: Now) -> Verdict:
    """Make the catalogue's cheap call with *key*. A network error or a challenge page is never invalid."""
    if not key.secret:
        return Verdict(KeyState.UNKNOWN, "used without a key")
    if provider.key_check is None:
        return Verdict(KeyState.UNKNOWN, "there is no call that tells without spending quota")
    url = provider.base_url + provider.key_check if provider.key_check[:1] == "/" else provider.key_check
    verdict = await _verdict(url, provider, key, client, now)
    return structs.replace(verdict, asked=url)


async def _verdict(url: str, provider: Provider, key: Key, client: "httpx.AsyncClient", now: Now) -> Verdict:
    import httpx

    try:
        status, headers, body = await _ask(url, provider, key, client)
    except httpx.HTTPError as exc:
        return Verdict(KeyState.UNKNOWN, f"could not be asked: {type(exc).__name__}")
    if 200 <= status < 300:
        return _welcome(body)
    outcome = judge_response(status, headers, body, now=now, rules=provider.errors, secret=key.secret)
    match outcome.kind:
        case Kind.KEY_INVALID:
            return Verdict(KeyState.INVALID, outcome.detail)
        case Kind.NO_CREDIT:
            return Verdict(KeyState.VALID, f"but without credit: {outcome.detail}", credit=False)
    return Verdict(KeyState.UNKNOWN, outcome.detail)


def _welcome(body: bytes) -> Verdict:
    # A page that wants a browser comes with 200 too.
    try:
        told = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return Verdict(KeyState.UNKNOWN, "the answer is not JSON")
    return Verdict(KeyState.VALID, credit=_credit(told), models=_listed(told))


def _credit(told: Any) -> bool | None:
    """Return whether calls can be paid for; None if the answer does not say, as lists of models do not."""
    about = told.get("data") if isinstance(told, dict) else None
    left = about.get("limit_remaining") if isinstance(about, dict) else None
    return left > 0 if isinstance(left, int | float) and not isinstance(left, bool) else None


def _listed(told: Any) -> frozenset[str]:
    """Return the ids of the models that the answer lists, if it is such a list."""
    if not isinstance(told, dict):
        return frozenset()
    lists = [told.get(name) for name in ("data", "models", "result")]
    entries = [
        entry for found in lists if isinstance(found, list) for entry in found if isinstance(entry, dict)
    ]
    names = (entry.get(field) for entry in entries for field in ("id", "name"))
    # Gemini writes models/gemini-...; a caller does not.
    return frozenset(name.removeprefix("models/") for name in names if isinstance(name, str))


async def _ask(
    url: str, provider: Provider, key: Key, client: "httpx.AsyncClient"
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
