"""Silence of a stream, which is its provider's, and pauses in its reading, which are its caller's."""

import math

from msgspec import structs

from freeroute.domain.outcome import Kind, Outcome

# A stream that breaks after nobody read it for so long, and before more of it was waited for a second, broke
# because nobody read it. Own design: servers wait 10 s and more for a reader, and break by themselves at any
# time.
LONG = 5.0
AT_RETURN = 1.0


class Pauses:
    """When nobody read one stream; times are the event loop's. *unread* is for how many seconds in all."""

    def __init__(self) -> None:
        """Begin with a reader that is there."""
        self.unread = 0.0
        self._since = math.inf
        self._heard_at = math.inf  # less the pauses by then
        # Of the last long one; and the time by then, less all pauses.
        self._length, self._waited = 0.0, -math.inf

    def begin(self, now: float) -> None:
        """Note that the reader has what there was."""
        self._since = now

    def end(self, now: float) -> None:
        """Note that the reader asks for more."""
        length = now - self._since
        if length > 0.0:
            self.unread += length
        if length >= LONG:
            self._length, self._waited = length, now - self.unread
        self._heard_at = min(self._heard_at, now - self.unread)  # silence begins with the first wait

    def heard(self, now: float) -> None:
        """Note that something to read came."""
        self._heard_at = now - self.unread

    def silence(self, now: float) -> float:
        """Return for how long nothing to read has come, while somebody waited for it."""
        return now - self.unread - self._heard_at

    def judged(self, outcome: Outcome | None, now: float) -> Outcome | None:
        """Return the *outcome* of a stream that ended, without blame for a cut that came of a pause."""
        waited = now - self.unread - self._waited
        if outcome is None or outcome.kind is not Kind.TRUNCATED or waited > AT_RETURN:
            return outcome
        told = f"nobody read the answer for {self._length:.0f} s, and its provider gave up"
        return structs.replace(outcome, kind=Kind.CALLER_STALLED, detail=told)
