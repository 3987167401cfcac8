"""Holders of a freeroute key, with limits of their own."""

import hashlib
import math
from collections.abc import Iterable
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import cached_property

from msgspec import Struct, structs

from freeroute.domain.catalogue import Limit, Pool, Unit
from freeroute.domain.resolve import Target, names

LONGEST_KEY = 512
"""Characters of a key. Own design: ours have 46; what is longer is refused before it costs a hash."""

LEAST_WEIGHT, MOST_WEIGHT = 0.001, 1000.0
"""Shares of clients. Own design: a million to one tells any two apart, and its turns are still exact."""

MOST_FORMER = 8
"""Keys of one client that were replaced and open the door still. Own design: rotations are days apart."""

SETTLING = 5.0
"""Seconds in which a key that a rotation made is not replaced at once by another. Own design: two operators
who rotate at the same time must not both be shown a key of which one is dead already.
"""


class FormerKey(Struct, frozen=True):
    """A key that was replaced and opens the door until *until* (Unix time) still."""

    key_hash: bytes
    until: float


class Client(Struct, frozen=True, dict=True):
    """A person or an app. *key_hash* is the SHA-256 of its key; *models* are patterns such as ``free*``.

    *expires*, *created* and *revoked* are Unix time, *max_wait* the most seconds its requests wait for
    capacity, and how long they do if they do not say. *former* keys are those that a rotation left for a
    while, *rotated* is when the last one was. *note* is what its operator wrote about it.
    """

    name: str
    key_hash: bytes
    models: tuple[str, ...] | None = None
    limits: tuple[Limit, ...] = ()
    weight: float = 1.0
    no_train: bool = False
    expires: float | None = None
    max_wait: float | None = None
    note: str = ""
    created: float | None = None
    revoked: float | None = None
    former: tuple[FormerKey, ...] = ()
    rotated: float | None = None

    def state(self, wall: float) -> str:
        """Return ``active``, ``expired`` or ``revoked``, at *wall* (Unix time)."""
        if self.revoked is not None:
            return "revoked"
        return "expired" if self.expires is not None and self.expires <= wall else "active"

    @cached_property
    def holder(self) -> str:
        """Return what everything of it is remembered under."""
        return holder_of(self.name, self.created)

    @cached_property
    def pools(self) -> tuple[Pool, ...]:
        """Return the counters this client charges."""
        return tuple(Pool(f"client:{self.holder}/{limit.label}", limit) for limit in self.limits)

    @cached_property
    def told_pools(self) -> tuple[Pool, ...]:
        """Return those of its counters that its answers tell of: calls under way have no header."""
        return tuple([pool for pool in self.pools if pool.limit.unit in (Unit.REQUESTS, Unit.TOKENS)])

    def may_ask(self, name: str, target: Target) -> bool:
        """Say whether *name*, which stands for *target*, is on its list.

        It is if a pattern fits the name as it was written or as it stands in the catalogue (``fast`` is
        ``free-fast``), or if it is a model's and patterns fit that model, in whatever form, wherever it is.
        """
        if self.models is None or self._lists(name) or self._lists(target.name):
            return True
        return not target.meta and all(any(map(self._lists, names(c))) for c in target.candidates)

    def _lists(self, name: str) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in self.models or ())


def holder_of(name: str, created: float | None) -> str:
    """Return who is meant by *name*: a client that was added anew is not the one that had the name before.

    No name holds an ``@``.
    """
    return name if created is None else f"{name}@{created}"


def name_of(holder: str) -> str:
    """Return the name of *holder*."""
    return holder.partition("@")[0]


def hash_key(key: str) -> bytes:
    """Return what is stored of *key*: keys are 256 random bits, so a plain hash cannot be guessed."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def rotated(client: Client, key_hash: bytes, until: float, wall: float) -> Client:
    """Return *client* with another key; the one it had opens the door *until* (Unix time), if that comes yet.

    Raises ValueError if it was revoked, has too many former keys, or got its key just now and would lose it.
    """
    if client.revoked is not None:
        raise ValueError(f"{client.name} was revoked: a client of this name can only be added anew")
    if until <= wall and client.rotated is not None and abs(wall - client.rotated) < SETTLING:
        raise ValueError(
            f"{client.name} got another key just now, which would be lost: say how long it is to work on,"
            f" or try again in {SETTLING:g} s"
        )
    former = [key for key in client.former if key.until > wall]
    if until > wall:
        former.append(FormerKey(client.key_hash, until))
    if len(former) > MOST_FORMER:
        raise ValueError(f"{client.name} has {MOST_FORMER} former keys that still open the door")
    return structs.replace(client, key_hash=key_hash, former=tuple(former), rotated=wall)


def enrolled(given: Iterable[Client], stored: Iterable[Client]) -> tuple[tuple[Client, ...], tuple[str, ...]]:
    """Return all clients, and the names of those *stored* that are left out.

    A name or a key that is *given* in the settings is theirs.
    """
    clients, hidden = list(given), []
    names, hashes = {client.name for client in clients}, {client.key_hash for client in clients}
    for client in stored:
        if client.name in names or client.key_hash in hashes:
            hidden.append(client.name)
        else:
            clients.append(client)
    return tuple(clients), tuple(hidden)


class Problem(StrEnum):
    """Why a key opens nothing."""

    UNKNOWN = "unknown"
    OVERLONG = "overlong"
    REVOKED = "revoked"
    EXPIRED = "expired"
    REPLACED = "replaced"


class Roster:
    """Clients by their keys: one look-up costs the same however many there are, right or wrong."""

    def __init__(self, clients: Iterable[Client]) -> None:
        """Know *clients*; of two with one key the first counts."""
        self._holders: dict[bytes, tuple[Client, FormerKey | None]] = {}
        for client in clients:
            self._holders.setdefault(client.key_hash, (client, None))
            for former in client.former:
                self._holders.setdefault(former.key_hash, (client, former))

    def __len__(self) -> int:
        """Return how many keys there are, those that open nothing any more included."""
        return len(self._holders)

    def find(self, key: str, wall: float) -> Client | Problem:
        """Return the client that holds *key* at *wall* (Unix time), or why nobody does.

        How long it takes tells nothing about the keys there are. What is looked up is a SHA-256, of which
        nobody can choose the bytes, and the dict finds it by a hash of that under a secret of the process:
        bytes are compared only where all of those 64 bits are the same.
        """
        return Problem.OVERLONG if len(key) > LONGEST_KEY else self.holding(hash_key(key), wall)

    def holding(self, key_hash: bytes, wall: float) -> Client | Problem:
        """Return the client whose key has this hash at *wall* (Unix time), or why nobody does."""
        client, former = self._holders.get(key_hash, (None, None))
        if client is None:
            return Problem.UNKNOWN
        if client.revoked is not None:
            return Problem.REVOKED
        if client.expires is not None and client.expires <= wall:
            return Problem.EXPIRED
        if former is not None and former.until <= wall:
            return Problem.REPLACED
        return client

    def until(self, key_hash: bytes) -> float:
        """Return until when (Unix time) the key with this hash, which opens something now, does so."""
        client, former = self._holders[key_hash]
        until = math.inf if former is None else former.until
        return until if client.expires is None else min(until, client.expires)
