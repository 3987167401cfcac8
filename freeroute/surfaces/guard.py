"""Who may pass: the one check in front of every route of every surface."""

import hmac
import math
import re
import secrets
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from freeroute.clock import Clock, Now
from freeroute.domain.clients import LONGEST_KEY, Client, Problem, Roster, hash_key
from freeroute.domain.operators import ADMIN_KEY, METRICS_KEY, Operator, Scope, Tokens
from freeroute.domain.sessions import Sessions
from freeroute.domain.wrong_tokens import WrongTokens
from freeroute.errors import Forbidden, InvalidApiKey, RateLimited
from freeroute.surfaces.access import Access, Door, Policy, door_of
from freeroute.surfaces.http import Caller, Header
from freeroute.surfaces.origins import Origins, check_own_page, is_own_page
from freeroute.surfaces.sent import Headers, Keys, bearer, hop_of, keys_in, other_keys, queue_of, session_name

# An admin key that freeroute made: 256 random bits, which nobody can guess.
_MADE = re.compile(r"fa-[\w-]{43}", re.ASCII)


class _Pass(Struct, frozen=True):
    """What a head opened: *caller* may come with it through this *door* until *until* (Unix time).

    Each policy has doors of its own, so a pass is worth nothing under the next one.
    """

    door: Door
    caller: Caller
    until: float


class Guard:
    """Admits a request or raises why not; *policy* may be replaced while serving."""

    def __init__(self, policy: Policy, clock: Clock) -> None:
        """Go by *policy*; *clock* says which keys have expired."""
        self.policy = policy
        self.clock = clock
        self._wrong = WrongTokens()
        self._sessions = Sessions()

    @property
    def policy(self) -> Policy:
        """Return what is gone by; setting it takes effect with the next request."""
        return self._policy

    @policy.setter
    def policy(self, policy: Policy) -> None:
        self._policy = policy
        self._origins = Origins(policy.hosts, policy.cors)
        self.hears_pages = bool(policy.cors)  # of origins that are not ours
        self._doors = {access: door_of(access, policy) for access in Access}
        self._roster = Roster(policy.clients)
        self._admin = _holder(ADMIN_KEY, Scope.ADMIN, policy.admin_key)
        self._metrics = _holder(METRICS_KEY, Scope.READ, policy.metrics_key)
        made = self._admin is not None and _MADE.fullmatch(policy.admin_key or "") is not None
        self._tokens = Tokens([*policy.operators, *([self._admin] if self._admin and made else [])])

    def admit_again(self, access: Access, now: Now, kept: Mapping[Any, Any] | None) -> Caller | None:
        """Return who calls with a head that `admit` would let in again; None if it has to be asked."""
        found: _Pass | None = None if kept is None else kept.get(self)
        if found is None or found.door is not self._doors[access] or found.until <= now.wall:
            return None
        return found.caller

    def admit(
        self,
        headers: Headers,
        peer: str,
        access: Access,
        in_query: str | None = None,
        now: Now | None = None,
        kept: dict[Any, Any] | None = None,
    ) -> Caller:
        """Return who calls; raises Misdirected, Forbidden, LoopDetected, InvalidApiKey and RateLimited.

        A key may be *in_query*, where an API has a place for it there. *now* is for who has looked at the
        clock already. What `admit_again` goes by is *kept* for requests of this peer with the same head, its
        query included.
        """
        door = self._doors[access]
        if door.unguarded:
            return Caller()
        now = now or self.clock.now()
        if door.by_name:
            self._origins.check_host(headers)
        if door.no_page:
            self._origins.check_origin(headers)
        if door.own_page:
            check_own_page(headers)
        hop = hop_of(headers)
        keys = keys_in(headers, in_query)
        found = self._signed_in(headers, now) if keys.sent is None else self._found(keys, now)
        if isinstance(found, Client):
            if not door.clients:
                raise Forbidden(f"The key of a client is not enough here: send {_wanted(access)}.")
            caller = Caller(found, found.holder, hop)
        elif isinstance(found, Operator):
            if not door.anybody:
                check_scope(found, access.scope)
            caller = Caller(None, f"operator:{found.name}", hop, found)
        else:
            operator = None if door.anybody else self._operator(access, headers, peer, found)
            caller = Caller(None, queue_of(keys.bearer, peer), hop, operator)
        until = None if kept is None or caller.operator else self._opens_until(found, keys, headers)
        if kept is not None and until is not None:
            kept[self] = _Pass(door, caller, until)
        return caller

    def _opens_until(
        self, found: Client | Operator | Problem | None, keys: Keys, headers: Headers
    ) -> float | None:
        """Return until when the same head may come in without being asked (Unix time); None for not at all.

        A session is used each time, so a cookie has to be looked at each time.
        """
        if isinstance(found, Client):
            return None if keys.hashed is None else self._roster.until(keys.hashed)
        return math.inf if found is None and b"cookie" not in headers else None

    def _found(self, keys: Keys, now: Now) -> Client | Problem | None:
        """Return who holds the key that was sent, or why nobody does; None if that does not matter.

        Raises InvalidApiKey for two.
        """
        if not self._policy.clients:
            return None
        if keys.several:
            raise _ambiguous()
        hashed = keys.hashed
        return Problem.OVERLONG if hashed is None else self._roster.holding(hashed, now.wall)

    def _signed_in(self, headers: Headers, now: Now) -> Client | Operator | Problem | None:
        """Return whose session was sent, or why its key opens nothing; None if there is no session.

        A cookie is sent by the browser, whoever's page asks for it, so it counts from our own page alone.
        """
        name = session_name(headers) if is_own_page(headers) else None
        if name is None:
            return None
        key_hash = self._sessions.use(name, now)
        if key_hash is None:
            return None
        holder = self._holding(key_hash)
        if isinstance(holder, Problem):
            self._sessions.end(name)
        return holder

    def _holding(self, key_hash: bytes) -> Client | Operator | Problem:
        client = self._roster.holding(key_hash, self._wall)
        if isinstance(client, Client):
            return client
        if self._admin is not None and _is_of(self._admin, key_hash):
            return self._admin
        operator = self._tokens.holding(key_hash, self._wall)
        return client if operator is Problem.UNKNOWN else operator

    def sign_in(self, key: str, peer: str) -> tuple[str, Client | Operator]:
        """Return the name of a new session, and who holds *key*; raises InvalidApiKey and RateLimited."""
        found = self._roster.find(key, self._wall)
        holder = found if isinstance(found, Client) else self._judged(Access.SESSION, key, peer, found)
        return self._begun(hash_key(key)), holder

    def sign_in_demo(self) -> tuple[str, Client | Operator] | None:
        """Return the name of a new session of a demo's operator, and who it is; None where it is no demo."""
        if not self.policy.demo or self._admin is None:
            return None
        return self._begun(self._admin.token_hash), self._admin

    def sign_out(self, headers: Headers) -> None:
        """End the session that was sent."""
        name = session_name(headers)
        if name is not None:
            self._sessions.end(name)

    def _begun(self, key_hash: bytes) -> str:
        name = secrets.token_urlsafe(32)
        self._sessions.begin(name, key_hash, self.clock.now())
        return name

    @property
    def _wall(self) -> float:
        return self.clock.now().wall

    def _operator(self, access: Access, headers: Headers, peer: str, problem: Problem | None) -> Operator:
        """Return who holds the token that was sent, which as a client's key has *problem*.

        Raises InvalidApiKey, Forbidden and RateLimited.
        """
        token = bearer(headers)
        if token is None or access.for_clients:
            raise _refusal(access, _problem(headers, problem))
        holder = self._judged(access, token, peer, problem)
        check_scope(holder, access.scope)
        return holder

    def _judged(self, access: Access, token: str, peer: str, problem: Problem | None) -> Operator:
        """Return who holds *token*; raises InvalidApiKey and RateLimited."""
        holder = self._tokens.find(token, self._wall)
        if holder is Problem.UNKNOWN and problem in {None, Problem.UNKNOWN}:
            holder = self._chosen(access, token, peer)
        if not isinstance(holder, Operator):
            told = holder if holder is not Problem.UNKNOWN else problem or holder
            raise _refusal(access, _PROBLEMS[told])
        return holder

    def _chosen(self, access: Access, token: str, peer: str) -> Operator | Problem:
        """Return who holds *token* if it is a key that a person chose, and that can be guessed therefore.

        Tokens that freeroute made are looked up before, so that nobody's guessing locks their holders out.
        """
        now = self.clock.now()
        if wait := self._wrong.wait(peer, now):
            raise RateLimited(
                "Too many wrong tokens came from this address: no admin key is looked at for some seconds."
                " Operators' tokens are.",
                code="too_many_wrong_tokens",
                retry_after=wait,
            )
        for holder in (self._admin, self._metrics if access is Access.METRICS else None):
            if holder is not None and _is_of(holder, hash_key(token)):
                return holder
        self._wrong.count(peer, now)
        return Problem.UNKNOWN

    def cors_headers(self, headers: Headers) -> list[Header]:
        """Return what lets a page of a listed origin read the reply."""
        return self._origins.cors_headers(headers)

    def preflight(self, headers: Headers, methods: str) -> dict[str, str]:
        """Return what a browser wants to know before it calls; raises Misdirected and Forbidden.

        A preflight carries no key, so it is judged by Host and Origin alone.
        """
        if not self.policy.clients:
            self._origins.check_host(headers)
        return self._origins.preflight(headers, methods)


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
        case Access.SESSION:
            return "the admin key, the token of an operator or the key of a client"
        case Access.CLIENT | Access.MODELS | Access.STATUS | Access.AGENTS:
            return "a client key of this gateway"
        case Access.METRICS:
            return "the admin key, an operator's token or server.metrics_key"
        case _:
            return (
                f"an operator's token of scope {access.scope}, or the admin key"
                " (FREEROUTE_ADMIN_KEY, or the file admin_key in the state directory)"
            )


def _refusal(access: Access, problem: str) -> InvalidApiKey:
    wanted = _wanted(access) + ("" if access is Access.SESSION else " as `Authorization: Bearer ...`")
    return InvalidApiKey(f"{problem}: send {wanted}.", headers={"www-authenticate": "Bearer"})


def _problem(headers: Headers, found: Problem | None) -> str:
    """Say what is wrong with the key or the session that was sent, if one was."""
    if found is not None:
        return _PROBLEMS[found]
    if bearer(headers) is not None or other_keys(headers):
        return "This key is not enough here"
    if headers.get(b"authorization", b"").strip():
        return "The Authorization header is not `Bearer` and a key"
    return "No key was sent" if session_name(headers) is None else "This session is over"


def _holder(name: str, scope: Scope, key: str | None) -> Operator | None:
    return Operator(name, scope, hash_key(key)) if key else None


def _is_of(holder: Operator, key_hash: bytes) -> bool:
    # Hashes have one length, so that not even the length of a key can be measured.
    return hmac.compare_digest(holder.token_hash, key_hash)


def _ambiguous() -> InvalidApiKey:
    # Whatever stands in front of the gateway may have looked at the other one.
    return InvalidApiKey(
        "Two different keys were sent: send one, as `Authorization: Bearer ...` or as `x-api-key`.",
        headers={"www-authenticate": "Bearer"},
    )
