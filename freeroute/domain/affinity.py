"""Which candidate a conversation had last: remembered in memory alone, bounded in number and in time."""

from collections import OrderedDict

from freeroute.clock import Now

# How many conversations are remembered. Own design: about 2 MB, and more than are held within half an hour.
CONVERSATIONS = 10_000


class Affinity:
    """The last candidates of conversations. The one longest unused makes room for a new one."""

    def __init__(self, size: int = CONVERSATIONS) -> None:
        """Remember so many conversations."""
        self._size = size
        self._last: OrderedDict[int, tuple[str, float]] = OrderedDict()

    def __len__(self) -> int:
        """Return how many conversations are remembered."""
        return len(self._last)

    def key(self, queue: str, session: str | None, opening: int) -> int:
        """Return what a conversation goes by: whose it is, and its *session* or else its *opening*.

        Python hashes texts under a secret that dies with the process. If two conversations should ever meet
        in its 64 bits, one of them would prefer a candidate for no reason, and no more.
        """
        return hash((queue, opening) if session is None else (queue, session, ""))

    def preferred(self, key: int, lifetime: float, now: Now) -> str | None:
        """Return the id of the candidate that *key* had in the last *lifetime* seconds, or None."""
        found = self._last.get(key)
        return found[0] if found is not None and now.mono - found[1] < lifetime else None

    def remember(self, key: int, candidate: str, now: Now) -> None:
        """Note that *key* was answered by *candidate*, an id."""
        self._last[key] = (candidate, now.mono)
        self._last.move_to_end(key)
        if len(self._last) > self._size:
            self._last.popitem(last=False)
