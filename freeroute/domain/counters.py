"""What every counter has in common: calls take, confirm, settle and cancel, and answers correct.

A call *takes* an amount and gets a slip, may *confirm* it when the provider's answer begins, and ends by
*settling* it to what was really used or *cancelling* it. What the answer says of the provider's own count
*corrects* ours.
"""

import math
from abc import ABC, abstractmethod

from msgspec import Struct, structs

from freeroute.clock import Now
from freeroute.domain.catalogue import Limit, Unit
from freeroute.domain.keepsake import KeptWindow

DOUBT = 0.25
"""Share of a call's own charge by which it may have been estimated too low: settling puts that right, and it
must not be put right twice. What was estimated too high may be all of it. Own design."""

GUARD = 0.5
"""Seconds a call may be under way before the provider counts it. Own design: a few round trips over a poor
line; freeing a slot earlier turns network delay into a refusal, later gives capacity away."""

NOISE = 1e-9  # sums of fractions of a dollar are not exact; far below anything a provider counts


class Slip(Struct, eq=False, gc=False):
    """What one call took from a counter, until it is settled. *mark* is the counter's own note.

    It is *sure* that it was counted by its mark if its answer had begun before the guard was over.
    The rest is how things stood when it was taken, for what the answer may tell: at *at* (mono) *level* was
    used, this call included; *others* were under way; *taken* and *freed* are the counter's sums by then.
    *change* is by how much it turned out different from what was *charged*; *amount* is what is left of it.
    """

    amount: float
    mark: float = 0.0
    open: bool = True
    sure: bool = False
    at: float = -math.inf
    others: float = 0.0
    taken: float = 0.0
    freed: float = 0.0
    level: float = 0.0
    charged: float = 0.0
    change: float = 0.0


class Counter(ABC):
    """What is taken of one limit.

    *level* is what was taken when that was last looked at: time gives back and takes nothing, so that it is
    never less than what is taken now. *taken* and *freed* are all that ever raised and lowered it, and
    *in_flight* is what calls under way have taken. One that does not *heed answers* need not be told when
    they begin.

    Each kind of window takes and settles in methods of its own, whole: they are what every call costs.
    """

    heeds_answers = False

    def __init__(self, limit: Limit) -> None:
        """Start empty."""
        self.limit = limit
        self.level = 0.0
        self.guard = 0.0
        self.taken = self.freed = self.in_flight = 0.0
        self.peak = 0.0
        self.raised = False
        self._told_at = -math.inf
        self._noted = 0.0  # of all that raised it, what `peak` has looked at or what no call took

    def fits_at(self, amount: float, now: Now) -> float:
        """Return the mono instant at which *amount* fits: ``now.mono`` if now, ``inf`` if never."""
        ceiling = self.limit.amount
        if ceiling <= 0 or amount > ceiling:
            return math.inf
        if self.used(now) + amount <= ceiling + NOISE:
            return now.mono
        return self._back_at(amount, now)

    def sent(self, slip: Slip, now: Now) -> None:  # noqa: B027 - most windows do not care
        """Note that the call went out only now: it is counted later than if it had when it was taken."""

    def confirm(self, slip: Slip, now: Now) -> None:  # noqa: B027 - most windows do not care
        """Note that the provider's answer began: the call was counted by now."""

    @abstractmethod
    def take(self, amount: float, now: Now) -> Slip:
        """Take *amount*, whether it fits or not."""

    @abstractmethod
    def settle(self, slip: Slip, actual: float | None, now: Now) -> None:
        """End *slip* with the *actual* amount, 0 as if it had never been, None as taken; once only."""

    def left(self, now: Now) -> float:
        """Return the share (0 to 1) of the limit that is not taken."""
        amount = self.limit.amount
        share = 1.0 - self.used(now) / amount if amount > 0 else 0.0
        return share if 0.0 <= share <= 1.0 else float(share > 1.0)

    def lead(self, now: Now) -> float:
        """Return how far the quota is ahead of its clock, -1 to 1; what comes back by itself has no clock."""
        return self.left(now)

    def resize(self, limit: Limit, now: Now) -> None:
        """Change the limit and keep what is taken; only for a limit with the same kind of window."""
        self.used(now)
        self.limit = limit

    def note_peak(self) -> None:
        """Raise `peak`, the most that was taken from one saving to the next: a crash loses no more.

        `raised` says that an allowance for that is in the counter, and that nothing was taken since.
        """
        taken = self.taken
        self.peak = max(self.peak, taken - self._noted)
        self.raised = self.raised and taken == self._noted
        self._noted = taken

    def carry(self, amount: float, peak: float, now: Now) -> None:
        """Take *amount* for good, for calls of which there are no slips here, and go on from *peak*."""
        if amount:
            self.settle(self.take(amount, now), None, now)
        self.peak, self._noted = peak, self.taken

    def counted_beside(self, slip: Slip, now: Now) -> float:
        """Return how much was counted, itself apart, when the provider judged *slip*'s call, which ended."""
        return self.used(now) - slip.charged - slip.change

    def recall(self, now: Now) -> float:
        """Take again what answers gave back of calls that ended; return how much, 0 if nobody knows."""
        return 0.0

    def was_tight(self, slip: Slip, soon: float) -> bool:
        """Say whether *slip* fitted only by what we guess came back in the *soon* seconds before it."""
        return False

    def lengthen(self, guard: float, now: Now) -> None:
        """Use a longer *guard* from now on, for the calls of the last window too."""
        self.guard = guard

    def learn(
        self,
        slip: Slip,
        told: float | None,
        limit: float | None,
        now: Now,
        back_in: float | None = None,
    ) -> bool:
        """Believe the answer to *slip*'s call: *told* is used, of *limit*. False if it is old news.

        The provider counted somewhere between the sending and now: it may have missed calls that were under
        way before, or included ones sent later, and some of its quota may be back; what answers corrected
        since the sending may be in its count already. Only what none of this explains is corrected, so that
        what we know better (when each slot comes back) is kept, and a difference that many answers tell of
        is made up for once. The own calls under way stay counted.

        An answer to a call sent before the one last believed may only raise. *back_in* is in how many seconds
        the provider has forgotten all of it.
        """
        if not self._heeds(slip, now):
            return False
        latest = slip.at >= self._told_at
        if latest:
            self._told_at = slip.at
            if limit is not None and limit != self.limit.amount:
                self.resize(structs.replace(self.limit, amount=limit), now)
        elif limit not in (None, self.limit.amount):
            return False  # what it says is left is left of another limit
        if told is not None:
            self._compare(slip, told, now, back_in, lower=latest)
        return latest

    def _compare(self, slip: Slip, told: float, now: Now, back_in: float | None, *, lower: bool) -> None:
        used = self.used(now)
        level = slip.level + slip.change
        doubt = slip.amount if slip.open and self.limit.unit is not Unit.REQUESTS else 0.0
        later = self.taken - slip.taken - max(0.0, slip.change)
        returned = self._returned(slip, now) - max(0.0, -slip.change)
        most, least = level + later, level - slip.others - returned - doubt
        if told > most + self._grain + DOUBT * doubt + NOISE:
            self.correct(used + told - most, now, back_in)
        elif lower and told < least - NOISE:
            self.correct(max(used + told - least, min(used, self.in_flight), 0.0), now, back_in)

    def correct(self, used: float, now: Now, back_in: float | None = None) -> None:
        """Let *used* be taken from now on; what is new comes back within *back_in* seconds, if told."""
        before = self.used(now)
        self._correct(used, now, back_in)
        change = self.used(now) - before
        if change > 0:
            self._raise(change)
        else:
            self.freed -= change

    def _turned_out(self, slip: Slip, actual: float) -> float:
        """Note that *slip*, which has ended, took the *actual* amount; return how much more that is."""
        if actual < 0.0:
            actual = 0.0
        change = actual - slip.amount
        if change:
            slip.change = change
        if change > 0.0:
            self.taken += change
        else:
            self.freed -= change
        return change

    def _raise(self, amount: float) -> None:
        """Note that *amount* is taken that no call took just now."""
        self.taken += amount
        self._noted += amount

    def _heeds(self, slip: Slip, now: Now) -> bool:
        """Say whether what was counted when *slip* was taken still means anything."""
        return True

    @property
    def _grain(self) -> float:
        """Return how much more a provider that tells whole numbers may tell than it counts."""
        return 0.0

    @abstractmethod
    def _correct(self, used: float, now: Now, back_in: float | None) -> None:
        """Let *used* be taken from now on, as far as that is not under way."""

    @abstractmethod
    def kept(self, now: Now) -> KeptWindow | None:
        """Return what of it outlives the process; None if nothing does. Calls under way count as taken."""

    @abstractmethod
    def _returned(self, slip: Slip, now: Now) -> float:
        """Return how much the provider may have freed, by now, of what was used when *slip* was taken."""

    @abstractmethod
    def used(self, now: Now) -> float:
        """Return how much is taken."""

    @abstractmethod
    def resets_in(self, now: Now) -> float:
        """Return the seconds until nothing is taken any more; a calendar says when its period ends."""

    @abstractmethod
    def _back_at(self, amount: float, now: Now) -> float:
        """Return when *amount*, which does not fit now but may later, fits."""
