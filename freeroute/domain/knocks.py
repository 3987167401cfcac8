"""Which of those who are turned away at the door get a receipt: a flood of wrong keys must fill nothing."""

from freeroute.clock import Now

BURST = 100
"""Receipts of requests that were turned away, one after the other. Own design: a client set up wrong is seen
whole."""

RATE = 10.0
"""Such receipts a second from then on. Own design: 5 KB a second of records and log, whatever comes."""


class Knocks:
    """Counts those who are turned away, and says of whom a receipt is written."""

    def __init__(self) -> None:
        """Start with nobody turned away."""
        self._room = float(BURST)
        self._at: float | None = None
        self._unrecorded = 0

    def heard(self, now: Now) -> int | None:
        """Take note of one; None if it gets no receipt, else how many before it got none."""
        if self._at is not None:
            self._room = min(BURST, self._room + (now.mono - self._at) * RATE)
        self._at = now.mono
        if self._room < 1:
            self._unrecorded += 1
            return None
        self._room -= 1
        unrecorded, self._unrecorded = self._unrecorded, 0
        return unrecorded
