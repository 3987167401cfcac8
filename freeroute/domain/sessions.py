"""Who has signed in with a key, for how long, and how many at a time."""

from hashlib import sha256

from msgspec import Struct

from freeroute.clock import Now

IDLE = 12 * 3600.0
"""Seconds without use after which a session is over. Own design: a working day and its evening."""

LONGEST = 7 * 86400.0
"""Seconds after which a session is over however it is used. Own design: who looks daily signs in weekly."""

SESSIONS = 1000
"""Sessions at a time. Own design: a third of a megabyte; the one that was idle longest makes room."""

SESSIONS_OF_ONE = 50
"""Sessions of one key at a time. Own design: nobody's signing in again and again signs the others out."""


class Session(Struct):
    """What a session stands for: the key of which *key_hash* is the SHA-256; *begun* and *used* are mono."""

    key_hash: bytes
    begun: float
    used: float

    def is_over(self, now: Now) -> bool:
        """Say whether it has ended by itself."""
        return now.mono - self.used >= IDLE or now.mono - self.begun >= LONGEST


class Sessions:
    """Sessions by their names, of which hashes alone are kept, as of the keys: neither can be read back.

    A session does not say who signed in. Its key is looked up at each use, so that it opens what the key
    opens at that moment, and nothing once the key has ended.
    """

    def __init__(self, most: int = SESSIONS, most_of_one: int = SESSIONS_OF_ONE) -> None:
        """Keep at most *most*, and *most_of_one* of each key."""
        self._most, self._most_of_one = most, most_of_one
        # Those that were used last are last.
        self._sessions: dict[bytes, Session] = {}

    def __len__(self) -> int:
        """Return how many are kept."""
        return len(self._sessions)

    def begin(self, name: str, key_hash: bytes, now: Now) -> None:
        """Let *name*, which nobody can guess, stand for the key of *key_hash* from now on."""
        kept = {hashed: one for hashed, one in self._sessions.items() if not one.is_over(now)}
        own = [hashed for hashed, one in kept.items() if one.key_hash == key_hash]
        if len(own) >= self._most_of_one:
            del kept[own[0]]
        elif len(kept) >= self._most:
            del kept[next(iter(kept))]
        self._sessions = kept
        self._sessions[_hash(name)] = Session(key_hash, now.mono, now.mono)

    def use(self, name: str, now: Now) -> bytes | None:
        """Return the hash of the key that *name* stands for, which keeps it going; None if it is over."""
        hashed = _hash(name)
        session = self._sessions.pop(hashed, None)
        if session is None or session.is_over(now):
            return None
        session.used = now.mono
        self._sessions[hashed] = session
        return session.key_hash

    def end(self, name: str) -> None:
        """Let *name* stand for nothing any more."""
        self._sessions.pop(_hash(name), None)


def _hash(name: str) -> bytes:
    return sha256(name.encode("utf-8", "surrogateescape")).digest()
