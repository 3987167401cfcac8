"""From which pages a browser calls: by what names we are called, and whose pages may."""

import re
from functools import lru_cache

from msgspec import Struct

from freeroute.errors import Forbidden, Misdirected
from freeroute.surfaces.http import Header
from freeroute.surfaces.sent import DASHBOARD, Headers, from_dashboard
from freeroute.wire.text import printable

LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^:\[\]/@\s]+)(?::(\d{0,5}))?")
_ORIGIN = re.compile(r"(https?)://([^/]+)")
_DEFAULT_PORTS = {"http": "80", "https": "443"}


class Origins(Struct, frozen=True):
    """*hosts* are names that are ours besides localhost, *cors* origins whose pages may call."""

    hosts: frozenset[str]
    cors: frozenset[str]

    def check_host(self, headers: Headers) -> None:
        """Raise Misdirected if we are called by a name that is not ours."""
        host = headers.get(b"host", b"").decode("latin-1")
        name = _host_name(host)
        if name not in LOCAL_HOSTS and name not in _names(self.hosts):
            raise Misdirected(
                f"Host {printable(host)!r} is not one this gateway answers to while no client key is"
                " required: call it as localhost, or list the name in server.hosts.",
                param="host",
            )

    def check_origin(self, headers: Headers) -> None:
        """Raise Forbidden if it is a page that calls, neither ours nor of a listed origin."""
        origin = headers.get(b"origin")
        if origin is None:
            foreign = headers.get(b"sec-fetch-site") == b"cross-site"
        else:
            foreign = not _same_origin(headers, origin) and not self._listed(origin)
        if foreign:
            raise _foreign(origin)

    def _listed(self, origin: bytes) -> bool:
        cors = self.cors
        return "*" in cors or origin.decode("latin-1").lower() in {item.lower().rstrip("/") for item in cors}

    def cors_headers(self, headers: Headers) -> list[Header]:
        """Return what lets a page of a listed origin read the reply."""
        if not self.cors:
            return []
        origin = headers.get(b"origin")
        varies = [(b"vary", b"origin")]
        if origin is None or not self._listed(origin):
            return varies
        allowed = printable(origin.decode("latin-1")).encode("ascii")
        return [
            *varies,
            (b"access-control-allow-origin", allowed),
            (b"access-control-expose-headers", b"*"),
        ]

    def preflight(self, headers: Headers, methods: str) -> dict[str, str]:
        """Return what a browser wants to know before it calls; raises Forbidden."""
        origin = headers.get(b"origin")
        if origin is None or not self._listed(origin):
            raise _foreign(origin)
        asked = printable(headers.get(b"access-control-request-headers", b"").decode("latin-1"), 1024)
        # The header that cookies count beside is for our own page alone.
        kept = [name for name in asked.split(",") if name.strip().lower() != DASHBOARD]
        return {
            "access-control-allow-methods": methods,
            "access-control-allow-headers": ",".join(kept),
            "access-control-max-age": "600",
        }


def is_own_page(headers: Headers) -> bool:
    """Say whether our own page calls: it says so, which no other can unasked, and its browser agrees."""
    origin = headers.get(b"origin")
    if not from_dashboard(headers) or headers.get(b"sec-fetch-site", b"same-origin") != b"same-origin":
        return False
    return origin is None or _same_origin(headers, origin)


def check_own_page(headers: Headers) -> None:
    """Raise Forbidden if it is not our own page that calls."""
    if not is_own_page(headers):
        raise Forbidden(
            f"Only the dashboard's own page signs in, which sends `{DASHBOARD}: 1`; a proxy in between must"
            " pass the Host header on. Programs send a key with each request.",
            code="forbidden_origin",
            param="origin",
        )


def _same_origin(headers: Headers, origin: bytes) -> bool:
    host = headers.get(b"host", b"").decode("latin-1")
    match = _ORIGIN.fullmatch(origin.decode("latin-1").lower())
    return match is not None and _with_port(match[2], match[1]) == _with_port(host, match[1])


def _foreign(origin: bytes | None) -> Forbidden:
    named = printable(origin.decode("latin-1")) if origin is not None else "another site"
    return Forbidden(
        f"Pages of {named} may not call this gateway: list the origin in server.cors.",
        code="forbidden_origin",
        param="origin",
    )


@lru_cache(256)
def _host_name(host: str) -> str | None:
    """Return the name in a Host header without its port, in lower case."""
    match = _HOST.fullmatch(host.strip().lower())
    return None if match is None else match[1].rstrip(".")


@lru_cache(16)
def _names(hosts: frozenset[str]) -> frozenset[str | None]:
    """Return the names in *hosts*, with which a port may have been written."""
    return frozenset(_host_name(host) for host in hosts) - {None}


def _with_port(host: str, scheme: str) -> tuple[str, str] | None:
    match = _HOST.fullmatch(host.strip().lower())
    return None if match is None else (match[1].rstrip("."), match[2] or _DEFAULT_PORTS[scheme])
