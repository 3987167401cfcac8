"""One look at the gateway's state, and what every report reads off it."""

import math

from msgspec import Struct

from freeroute.clock import Now
from freeroute.domain.catalogue import Candidate, Catalogue
from freeroute.domain.clients import Client
from freeroute.domain.leases import charges_of
from freeroute.domain.resolve import Names
from freeroute.domain.standing import Obstacle, Standing
from freeroute.domain.usage import DEFAULT_OUTPUT, Demand, Usage
from freeroute.engine.ports import Counters
from freeroute.engine.tally import Tally

# What a report assumes of a call nobody has made yet: a short chat turn.
TYPICAL = Demand(prompt=200)
TYPICAL_USE = Usage(prompt=TYPICAL.prompt, completion=DEFAULT_OUTPUT)


SOON = 2.0
"""Seconds within which a steady view tells no moment. Own design: longer than anything that is polled."""


class Recording(Struct):
    """How storing receipts goes: whether it is *failing*, receipts *written* and *lost*, bytes *spooled*.

    *queued* are receipts that wait in memory, *bodies_lost* prompts and answers that were to be kept and
    could not be.
    """

    failing: bool = False
    written: int = 0
    lost: int = 0
    spooled: int = 0
    queued: int = 0
    bodies_lost: int = 0


class Maintenance(Struct, frozen=True):
    """No request is taken, on purpose, *since* when (Unix time); *message* is for callers, or empty."""

    since: float
    message: str = ""


class Waiting(Struct, frozen=True):
    """Requests that wait *for_capacity*, at most as many as *room*, and *for_limits* of their clients."""

    for_capacity: int = 0
    room: int = 0
    for_limits: int = 0


class View(Struct, frozen=True):
    """Everything a report reads, at the instant *now*; *in_flight* are requests that are being answered.

    *unsaved* says that what changes is not being saved, *recording* how receipts are stored, if they are, and
    *unread* why the settings could not be read again. In a *steady* view moments are whole seconds.
    """

    now: Now
    started: Now
    catalogue: Catalogue
    names: Names
    standing: Standing
    counters: Counters
    tally: Tally
    strategy: str
    demo: bool
    version: str
    clients: tuple[Client, ...] = ()
    in_flight: int = 0
    waiting: Waiting = Waiting()
    unsaved: bool = False
    recording: Recording | None = None
    maintenance: Maintenance | None = None
    unread: str | None = None
    steady: bool = False

    def obstacle(self, candidate: Candidate) -> Obstacle | None:
        """Return what keeps *candidate* from serving a typical call now."""
        return self.standing.obstacle(candidate, charges_of(candidate, TYPICAL), self.now)

    def wall(self, mono: float) -> float | None:
        """Return the Unix time of *mono*; None for never."""
        if math.isinf(mono):
            return None
        return round(self.now.wall + mono - self.now.mono, 0 if self.steady else 3)

    def ahead(self, mono: float) -> float | None:
        """Return the Unix time of what ends at *mono*; None for never, and in a steady view for any moment.

        What is only looked at again soon has a moment that moves with each look.
        """
        return None if self.steady and mono - self.now.mono < SOON else self.wall(mono)
