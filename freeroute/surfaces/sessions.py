"""``/dashboard/session``: signing the dashboard in with a key, which its page need not keep then."""

from typing import Any

import msgspec
from msgspec import Struct

from freeroute.domain.clients import Client
from freeroute.domain.operators import Operator
from freeroute.domain.sessions import LONGEST
from freeroute.errors import InvalidRequest
from freeroute.surfaces.access import Access
from freeroute.surfaces.guard import Guard
from freeroute.surfaces.http import BodyBounds, Request
from freeroute.surfaces.routes import Route
from freeroute.surfaces.sent import cookie_name

# A key, and what JSON adds to it.
_BOUNDS = BodyBounds(limit=4096)


class SigningIn(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of ``POST /dashboard/session``."""

    key: str | None = None


class SessionSurface:
    """The session of the page: who is signed in, signing in and out."""

    def __init__(self, guard: Guard) -> None:
        """Let *guard* judge keys and keep the sessions."""
        self._guard = guard

    def routes(self) -> list[Route]:
        """Return what is served."""
        methods = {"GET": self.show, "POST": self.sign_in, "DELETE": self.sign_out}
        return [Route("/dashboard/session", methods, Access.SESSION)]

    async def show(self, request: Request) -> None:
        """Say who is signed in."""
        await request.reply_json(self._told(request.caller.client or request.caller.operator))

    async def sign_in(self, request: Request) -> None:
        """Begin a session for the holder of a key, in place of the one before.

        Without a key it is said who is signed in, after whoever opens a demo was.
        """
        key = _decode(await request.body(_BOUNDS)).key
        signed_in = request.caller.client or request.caller.operator
        begun = None
        if key is not None:
            begun = self._guard.sign_in(key.strip(), request.peer)
        elif signed_in is None:
            begun = self._guard.sign_in_demo()
        if begun is not None:
            self._guard.sign_out(request.headers)
            name, signed_in = begun
            _set_cookie(request, name, LONGEST)
        await request.reply_json(self._told(signed_in))

    async def sign_out(self, request: Request) -> None:
        """End the session; the answer tells what is left without."""
        self._guard.sign_out(request.headers)
        _set_cookie(request, "", 0)
        await request.reply_json(self._told(None))

    def _told(self, holder: Client | Operator | None) -> dict[str, Any]:
        policy = self._guard.policy
        return {
            "name": holder and holder.name,
            "scope": holder.scope if isinstance(holder, Operator) else None,
            "client": holder.name if isinstance(holder, Client) else None,
            "demo": policy.demo,
            "needs_key": bool(policy.clients),
        }


def _set_cookie(request: Request, name: str, seconds: float) -> None:
    """Have the browser keep *name* for *seconds*, and show it to no script and to no other site."""
    forwarded = (request.header(b"x-forwarded-proto") or "").partition(",")[0].strip()
    secure = "; Secure" if "https" in (request.scope["scheme"], forwarded) else ""
    kept = f"Path=/; Max-Age={seconds:.0f}; HttpOnly; SameSite=Strict{secure}"
    cookie = f"{cookie_name(request.headers)}={name}; {kept}"
    request.add_headers([(b"set-cookie", cookie.encode("latin-1"))])


def _decode(body: bytes) -> SigningIn:
    try:
        return msgspec.json.decode(body, type=SigningIn)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as exc:
        raise InvalidRequest('The body must be {"key": "..."}.', param="key") from exc
