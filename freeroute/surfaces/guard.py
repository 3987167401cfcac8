"""Who may pass: the one check in front of every route of every surface."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from enum import Enum, auto
from functools import lru_cache

from msgspec import Struct

from freeroute.clock import Clock
from freeroute.domain.clients import LONGEST_KEY, Client, Problem, Roster, hash_key
from freeroute.domain.operators import ADMIN_KEY, METRICS_KEY, Operator, Scope, Tokens
from freeroute.domain.wrong_tokens import WrongTokens
from freeroute.errors import Forbidden, InvalidApiKey, LoopDetected, Misdirected, RateLimited
from freeroute.surfaces.http import Caller, Header
from freeroute.wire.text import printable

Headers = Mapping[bytes, bytes]

LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^:\[\]/@\s]+)(?::(\d{0,5}))?")
_ORIGIN = re.compile(r"(https?)://([^/]+)")
_DEFAULT_PORTS = {"http": "80", "https": "443"}
# Bearer strings name queues only under a key that dies with the process.
_QUEUE_KEY = secrets.token_bytes(16)
# An admin key that freeroute made: 256 random bits, which nobody can guess.
_MADE = re.compile(r"fa-[\w-]{43}", re.ASCII)


class Access(Enum):
    """What a route asks of those who call it."""

    OPEN = auto()  # health: says nothing about anybody, and probes name a host of their own
    PAGE = auto()  # static files: no data in them, so a link from elsewhere may lead here
    SESSION = auto()  # hands out a key (demo only): our own page alone
    CLIENT = auto()
    STATUS = auto()  # a client or the operator
    METRICS = auto()
    READ = auto()  # an operator, whose token has this scope or more
    OPERATE = auto()
    ADMIN = auto()

    @property
    def scope(self) -> Scope:
        """Return what an operator's token needs here."""
        return _SCOPES.get(self, Scope.READ)


_SCOPES = {Access.OPERATE: Scope.OPERATE, Access.ADMIN: Scope.ADMIN}


class Policy(Struct, frozen=True):
    """What the guard goes by.

    *loopback* tells of the address listened on, never of the peer: behind a reverse proxy every peer is
    local. *open* says that listening widely without clients is meant. *hosts* are names this gateway
    answers to besides localhost, *cors* origins whose pages may call it.
    """

    clients: tuple[Client, ...] = ()
    operators: tuple[Operator, ...] = ()
    admin_key: str | None = None
    metrics_key: str | None = None
    hosts: frozenset[str] = frozenset()
    cors: frozenset[str] = frozenset()
    loopback: bool = True
    demo: bool = False


class Guard:
    """Admits a request or raises why not; *policy* may be replaced while serving."""

    def __init__(self, policy: Policy, clock: Clock) -> None:
        """Go by *policy*; *clock* says which keys have expired."""
        self.policy = policy
        self._clock = clock
        self._wrong = WrongTokens()

    @property
    def policy(self) -> Policy:
        """Return what is gone by; setting it takes effect with the next request."""
        return self._policy

    @policy.setter
    def policy(self, policy: Policy) -> None:
        self._policy = policy
        self._roster = Roster(policy.clients)
        made = policy.admin_key is not None and _MADE.fullmatch(policy.admin_key) is not None
        self._tokens = Tokens([*policy.operators, *([_holder(policy.admin_key)] if made else [])])

    def admit(self, headers: Headers, peer: str, access: Access) -> Caller:
        """Return who calls; raises Misdirected, Forbidden, LoopDetected, InvalidApiKey and RateLimited."""
        if access is Access.OPEN:
            return Caller()
        # Where a key opens the metrics, no page can send it, and who scrapes calls by whatever name.
        keyed = access is Access.METRICS and not self.policy.loopback
        if (not self.policy.clients and not keyed) or access is Access.SESSION:
            self._check_host(headers)
            if access is not Access.PAGE:
                self._check_origin(headers)
        hop = _hop(headers)
        key, others = bearer(headers), _other_keys(headers)
        if self.policy.clients and len({key, *others} - {None}) > 1:
            raise _ambiguous()
        found = self._found(key if key is not None else next(iter(others), None))
        client, problem = (found, None) if isinstance(found, Client) else (None, found)
        operator = None
        if not self._is_open(access, client):
            if client is not None:
                raise Forbidden(f"The key of a client is not enough here: send {_wanted(access)}.")
            operator = self._operator(access, headers, peer, problem)
        return Caller(client, _queue(client, key, peer), hop, operator)

    def _found(self, key: str | None) -> Client | Problem | None:
        """Return who holds *key*, or why nobody does; None if that does not matter."""
        if key is None or not self.policy.clients:
            return None
        return self._roster.find(key, self._clock.now().wall)

    def _is_open(self, access: Access, client: Client | None) -> bool:
        """Say whether *client*, or anybody if it is None, may pass without an operator's token."""
        match access:
            case Access.CLIENT | Access.STATUS:
                return client is not None or not self.policy.clients
            case Access.METRICS:
                return self.policy.loopback and not self.policy.clients
            case Access.READ | Access.OPERATE | Access.ADMIN:
                return False
            case _:
                return True

    def _operator(self, access: Access, headers: Headers, peer: str, problem: Problem | None) -> Operator:
        """Return who holds the token that was sent, which as a client's key has *problem*.

        Raises InvalidApiKey, Forbidden and RateLimited.
        """
        token = bearer(headers)
        if token is None or access is Access.CLIENT:
            raise _refusal(access, _problem(headers, problem))
        holder = self._tokens.find(token, self._clock.now().wall)
        if holder is Problem.UNKNOWN and problem in {None, Problem.UNKNOWN}:
            holder = self._chosen(access, token, peer)
        if not isinstance(holder, Operator):
            told = holder if holder is not Problem.UNKNOWN else problem or holder
            raise _refusal(access, _PROBLEMS[told])
        check_scope(holder, access.scope)
        return holder

    def _chosen(self, access: Access, token: str, peer: str) -> Operator | Problem:
        """Return who holds *token* if it is a key that a person chose, and that can be guessed therefore.

        Tokens that freeroute made are looked up before, so that nobody's guessing locks their holders out.
        """
        now = self._clock.now()
        if wait := self._wrong.wait(peer, now):
            raise RateLimited(
                "Too many wrong tokens came from this address: no admin key is looked at for some seconds."
                " Operators' tokens are.",
                code="too_many_wrong_tokens",
                retry_after=wait,
            )
        if _same(token, self.policy.admin_key):
            return _holder(token)
        if access is Access.METRICS and _same(token, self.policy.metrics_key):
            return Operator(METRICS_KEY, Scope.READ, b"")
        self._wrong.count(peer, now)
        return Problem.UNKNOWN

    def _check_host(self, headers: Headers) -> None:
        host = headers.get(b"host", b"").decode("latin-1")
        name = _host_name(host)
        if name not in LOCAL_HOSTS and name not in _names(self.policy.hosts):
            raise Misdirected(
                f"Host {printable(host)!r} is not one this gateway answers to while no client key is"
                " required: call it as localhost, or list the name in server.hosts.",
                param="host",
            )

    def _check_origin(self, headers: Headers) -> None:
        origin = headers.get(b"origin")
        if origin is None:
            foreign = headers.get(b"sec-fetch-site") == b"cross-site"
        else:
            foreign = not self._same_origin(headers, origin) and not self._listed(origin)
        if foreign:
            raise _foreign(origin)

    def _same_origin(self, headers: Headers, origin: bytes) -> bool:
        host = headers.get(b"host", b"").decode("latin-1")
        match = _ORIGIN.fullmatch(origin.decode("latin-1").lower())
        return match is not None and _with_port(match[2], match[1]) == _with_port(host, match[1])

    def _listed(self, origin: bytes) -> bool:
        cors = self.policy.cors
        return "*" in cors or origin.decode("latin-1").lower() in {item.lower().rstrip("/") for item in cors}

    def cors_headers(self, headers: Headers) -> list[Header]:
        """Return what lets a page of a listed origin read the reply."""
        if not self.policy.cors:
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
        """Return what a browser wants to know before it calls; raises Misdirected and Forbidden.

        A preflight carries no key, so it is judged by Host and Origin alone.
        """
        if not self.policy.clients:
            self._check_host(headers)
        origin = headers.get(b"origin")
        if origin is None or not self._listed(origin):
            raise _foreign(origin)
        asked = headers.get(b"access-control-request-headers", b"").decode("latin-1")
        return {
            "access-control-allow-methods": methods,
            "access-control-allow-headers": printable(asked, 1024),
            "access-control-max-age": "600",
        }


def check_scope(operator: Operator | None, needed: Scope) -> None:
    """Raise Forbidden if *operator* may not do what *needed* stands for."""
    if operator is not None and operator.scope.includes(needed):
        return
    told = "this call has no token" if operator is None else f"{operator.name} has scope {operator.scope}"
    raise Forbidden(
        f"This needs a token of scope {needed}; {told}.",
        code="insufficient_scope",
        metadata={"needed": needed, "scope": operator and operator.scope},
        headers={"www-authenticate": f'Bearer error="insufficient_scope", scope="{needed}"'},
    )


def bearer(headers: Headers) -> str | None:
    """Return the key of ``Authorization: Bearer``, or None."""
    scheme, _, key = headers.get(b"authorization", b"").strip().partition(b" ")
    key = key.strip()
    return key.decode("utf-8", "surrogateescape") if scheme.lower() == b"bearer" and key else None


def _other_keys(headers: Headers) -> list[str]:
    """Return the keys in the other headers that may hold one."""
    keys = (headers.get(name, b"").strip() for name in (b"x-api-key", b"api-key"))
    return [key.decode("utf-8", "surrogateescape") for key in keys if key]


_PROBLEMS = {
    Problem.UNKNOWN: "This key is unknown",
    Problem.OVERLONG: f"This is no key: it has more than {LONGEST_KEY} characters",
    Problem.REVOKED: "This key was revoked",
    Problem.EXPIRED: "This key has expired",
    Problem.REPLACED: "This key was replaced, and its time is over",
}


def _wanted(access: Access) -> str:
    """Return what passes at *access*, in words."""
    match access:
        case Access.CLIENT | Access.STATUS:
            return "a client key of this gateway"
        case Access.METRICS:
            return "the admin key, an operator's token or server.metrics_key"
        case _:
            return (
                f"an operator's token of scope {access.scope}, or the admin key"
                " (FREEROUTE_ADMIN_KEY, or the file admin_key in the state directory)"
            )


def _refusal(access: Access, problem: str) -> InvalidApiKey:
    return InvalidApiKey(
        f"{problem}: send {_wanted(access)} as `Authorization: Bearer ...`.",
        headers={"www-authenticate": "Bearer"},
    )


def _problem(headers: Headers, found: Problem | None) -> str:
    """Say what is wrong with the key that was sent, if one was."""
    if found is not None:
        return _PROBLEMS[found]
    if bearer(headers) is not None or _other_keys(headers):
        return "This key is not enough here"
    if headers.get(b"authorization", b"").strip():
        return "The Authorization header is not `Bearer` and a key"
    return "No key was sent"


def _same(given: str | None, wanted: str | None) -> bool:
    if not given or not wanted:
        return False
    # Hashes have one length, so that not even the length of a key can be measured.
    return hmac.compare_digest(hash_key(given), hash_key(wanted))


def _holder(admin_key: str | None) -> Operator:
    return Operator(ADMIN_KEY, Scope.ADMIN, hash_key(admin_key or ""))


def _queue(client: Client | None, key: str | None, peer: str) -> str:
    if client is not None:
        return client.holder
    if key is None:
        return f"peer:{peer}"
    secret = key.encode("utf-8", "surrogateescape")
    return "key:" + hashlib.blake2b(secret, digest_size=8, key=_QUEUE_KEY).hexdigest()


def _hop(headers: Headers) -> int:
    value = headers.get(b"x-freeroute-hop", b"").strip()
    if not value.isdigit():
        return 0
    if len(value) > 3 or int(value) > 1:
        raise LoopDetected(
            "This request has passed through more than one freeroute gateway: one of them lists the other"
            " as a provider. Take it out of the providers.",
            param="x-freeroute-hop",
        )
    return int(value)


def _ambiguous() -> InvalidApiKey:
    # Whatever stands in front of the gateway may have looked at the other one.
    return InvalidApiKey(
        "Two different keys were sent: send one, as `Authorization: Bearer ...` or as `x-api-key`.",
        headers={"www-authenticate": "Bearer"},
    )


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
