"""Holders of a freeroute key, with limits of their own."""

import hashlib
import hmac
from fnmatch import fnmatchcase

from msgspec import Struct

from freeroute.domain.catalogue import Limit, Pool


class Client(Struct, frozen=True):
    """A person or an app. *key_hash* is the SHA-256 of its key; *models* are patterns such as ``free*``.

    *expires* is Unix time.
    """

    name: str
    key_hash: bytes
    models: tuple[str, ...] | None = None
    limits: tuple[Limit, ...] = ()
    weight: float = 1.0
    no_train: bool = False
    expires: float | None = None

    @property
    def pools(self) -> tuple[Pool, ...]:
        """Return the counters this client charges."""
        return tuple(Pool(f"client:{self.name}/{limit.label}", limit) for limit in self.limits)

    def may_ask(self, model: str) -> bool:
        """Say whether *model*, as the client wrote it, is on its list."""
        return self.models is None or any(fnmatchcase(model, pattern) for pattern in self.models)


def hash_key(key: str) -> bytes:
    """Return what is stored of *key*: keys are 256 random bits, so a plain hash cannot be guessed."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def find_client(clients: tuple[Client, ...], key: str, wall: float) -> Client | None:
    """Return the client that holds *key* and has not expired, comparing in constant time."""
    hashed = hash_key(key)
    found = None
    for client in clients:
        if hmac.compare_digest(client.key_hash, hashed):
            found = client
    if found is not None and found.expires is not None and found.expires <= wall:
        return None
    return found
