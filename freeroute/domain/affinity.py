"""Which candidate a conversation had last: remembered in memory alone, bounded in number and in time."""

import hashlib
from collections import OrderedDict

from freeroute.clock import Now

# How many conversations are remembered. Own design: about 2 MB, and more than are held within half an hour.
CONVERSATIONS = 10_000


class Affinity:
    """The last candidates of conversations. The one longest unused makes room for a new one."""

    def __init__(self, secret: bytes, size: int = CONVERSATIONS) -> None:
        """Know conversations by hashes under *secret*, at most 64 bytes that die with the process."""
        self._keyed = hashlib.blake2b(digest_size=16, key=secret)
        self._size = size
        self._last: OrderedDict[bytes, tuple[str, float]] = OrderedDict()

    def __len__(self) -> int:
        """Return how many conversations are remembered."""
        return len(self._last)

    def key(self, queue: str, session: str | None, opening: bytes) -> bytes:
        """Return what a conversation goes by: whose it is, and its *session* or else its *opening*."""
        named = session is not None
        told = session.encode() if session is not None else opening
        whose = queue.encode("utf-8", "surrogateescape")
        # Lengths keep the parts apart: no caller can write itself into another's conversation.
        hashed = self._keyed.copy()
        hashed.update(b"%d:%s:%d:%s" % (len(whose), whose, named, told))
        return hashed.digest()

    def preferred(self, key: bytes, lifetime: float, now: Now) -> str | None:
        """Return the id of the candidate that *key* had in the last *lifetime* seconds, or None."""
        found = self._last.get(key)
        return found[0] if found is not None and now.mono - found[1] < lifetime else None

    def remember(self, key: bytes, candidate: str, now: Now) -> None:
        """Note that *key* was answered by *candidate*, an id."""
        self._last[key] = (candidate, now.mono)
        self._last.move_to_end(key)
        if len(self._last) > self._size:
            self._last.popitem(last=False)
