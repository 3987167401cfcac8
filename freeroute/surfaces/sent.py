"""What the head of a request says of who sends it: keys, the cookie of a session, gateways it passed."""

import hashlib
import re
import secrets
from collections.abc import Mapping, Sequence

from freeroute.domain.clients import LONGEST_KEY, hash_key
from freeroute.errors import LoopDetected

Headers = Mapping[bytes, bytes]

DASHBOARD = "x-freeroute-dashboard"
"""The header that our own page sends with everything, and no other page can unless we let it."""

# Anthropic's, Azure's and Google's.
_OTHER_KEYS = (b"x-api-key", b"api-key", b"x-goog-api-key")
_HOLDING_KEYS = frozenset(_OTHER_KEYS)
# Cookies do not tell ports apart: with its port in the name, each gateway of a computer has its own.
_PORT = re.compile(rb".*:(\d{1,5})", re.DOTALL)
# Bearer strings name queues only under a key that dies with the process.
_QUEUE_KEY = secrets.token_bytes(16)


def bearer(headers: Headers) -> str | None:
    """Return the key of ``Authorization: Bearer``, or None."""
    scheme, _, key = headers.get(b"authorization", b"").strip().partition(b" ")
    key = key.strip()
    return key.decode("utf-8", "surrogateescape") if scheme.lower() == b"bearer" and key else None


def other_keys(headers: Headers) -> list[str]:
    """Return the keys in the other headers that may hold one."""
    if _HOLDING_KEYS.isdisjoint(headers):
        return []
    sent = [headers.get(name, b"").strip() for name in _OTHER_KEYS]
    return [key.decode("utf-8", "surrogateescape") for key in sent if key]


class Keys:
    """The keys that a request sends: *bearer* alone as such, and *sent*, which is it or another one.

    There may be *several*, of which nobody can say which one is meant.
    """

    __slots__ = ("_hashed", "bearer", "sent", "several")

    def __init__(self, bearer: str | None, others: Sequence[str] = ()) -> None:
        """Take it that *bearer* was sent, and *others* in headers or a query."""
        self.bearer = bearer
        self.sent = others[0] if bearer is None and others else bearer
        self.several = len({self.sent, *others}) > 1 if others else False
        self._hashed: bytes | None = None

    @property
    def hashed(self) -> bytes | None:
        """Return the hash of the one that was sent, made once; None of none, and of what is too long."""
        if self._hashed is None and self.sent is not None and len(self.sent) <= LONGEST_KEY:
            self._hashed = hash_key(self.sent)
        return self._hashed


def keys_in(headers: Headers, in_query: str | None = None) -> Keys:
    """Return the keys in *headers*, and the one *in_query*."""
    others = other_keys(headers)
    return Keys(bearer(headers), [*others, in_query] if in_query else others)


def from_dashboard(headers: Headers) -> bool:
    """Say whether a request has the header that our own page sends."""
    return headers.get(DASHBOARD.encode("ascii"), b"").strip() == b"1"


def cookie_name(headers: Headers) -> str:
    """Return what the cookie of a session is called at the host that *headers* name."""
    port = _PORT.fullmatch(headers.get(b"host", b""))
    return "freeroute_session" + (f"_{port[1].decode('ascii')}" if port else "")


def session_name(headers: Headers) -> str | None:
    """Return the name of the session that was sent as a cookie, or None."""
    wanted = cookie_name(headers).encode("ascii")
    for cookie in headers.get(b"cookie", b"").split(b";"):
        name, _, value = cookie.strip().partition(b"=")
        if name == wanted and value:
            return value.decode("latin-1")
    return None


def queue_of(key: str | None, peer: str) -> str:
    """Return the name of the queue in which those who are no clients wait: a key's or a computer's."""
    if key is None:
        return f"peer:{peer}"
    secret = key.encode("utf-8", "surrogateescape")
    return "key:" + hashlib.blake2b(secret, digest_size=8, key=_QUEUE_KEY).hexdigest()


def hop_of(headers: Headers) -> int:
    """Return how many gateways a request has passed; raises LoopDetected if that is one too many."""
    value = headers.get(b"x-freeroute-hop")
    value = value.strip() if value is not None else b""
    if not value.isdigit():
        return 0
    if len(value) > 3 or int(value) > 1:
        raise LoopDetected(
            "This request has passed through more than one freeroute gateway: one of them lists the other"
            " as a provider. Take it out of the providers.",
            param="x-freeroute-hop",
        )
    return int(value)
