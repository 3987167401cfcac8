"""What one request has been through so far."""

import math
from functools import reduce
from operator import add

from msgspec import Struct, structs

from freeroute.clock import Now
from freeroute.domain.leases import LEAST_OUTPUT
from freeroute.domain.needs import UNTRIED, Tried
from freeroute.domain.outcome import STOPPED, Kind, Outcome
from freeroute.domain.receipt import AttemptNote, Grounds, Wait
from freeroute.domain.tasks import Task
from freeroute.domain.usage import Usage
from freeroute.wire.chat import CallContext
from freeroute.wire.transcript import Transcript


class Course(Struct):
    """The state of one request in the attempt loop.

    *asked* is the model's name as the caller wrote it, *known* whether it resolved; *unknown* are those of
    all names asked for that did not. *counted* are the attempts that use up ``max_attempts``; *repeated*
    are second goes already given, each by its candidate and what came before; *rejected* and *too_long* are
    the first such endings, *misfit* the first answer that did not fit the schema asked for, *refused* the
    last of a request that asked for what a provider does not offer; *without* are parameters that models
    refused of this one, by the models' names; *upstream* is seconds spent with providers and *queued* with
    waiting, in *waits*. It may wait *until*, and start attempts until *last_start* (both mono).
    *conversation* is what it goes by in ``Affinity``, None while nothing is remembered. *hedged* says that
    two attempts ran side by side once, *pressed* that somebody else can be asked if the attempt under way
    takes too long. *crowded* are providers where we made no more calls at a time, *in_line* says that it
    waits there as long as it may. *transcript* takes down what it says, if that is kept. *grounds* are what
    its first candidate was chosen by, *headers* the lines of the headers that tell its caller of all this.
    """

    context: CallContext
    asked: str
    stream: bool = False
    task: Task = Task.CHAT
    conversation: int | None = None
    last_start: float = math.inf
    until: float = -math.inf
    known: bool = False
    unknown: tuple[str, ...] = ()
    tried: Tried = UNTRIED
    notes: list[AttemptNote] = []
    counted: int = 0
    repeated: frozenset[tuple[str, Kind, str | None]] = frozenset()
    dropped: frozenset[str] = frozenset()
    without: dict[str, set[str]] = {}
    rejected: Outcome | None = None
    too_long: Outcome | None = None
    refused: Outcome | None = None
    misfit: Outcome | None = None
    upstream: float = 0.0
    queued: float = 0.0
    waits: list[Wait] = []
    hedged: bool = False
    pressed: bool = False
    crowded: frozenset[str] = frozenset()
    in_line: bool = False
    transcript: Transcript | None = None
    grounds: Grounds | None = None
    headers: bytes = b""

    def overhead(self, now: Now) -> float:
        """Return the seconds up to *now* that the gateway itself took."""
        return now.mono - self.context.received.mono - self.upstream - self.queued

    def waited(self, began: Now, ended: Now) -> None:
        """Note that the time from *began* to *ended* went by waiting; what follows at once is one wait."""
        start, seconds = began.mono - self.context.received.mono, ended.mono - began.mono
        self.queued += seconds
        if self.waits and start <= self.waits[-1].began + self.waits[-1].seconds:
            last = self.waits.pop()
            start, seconds = last.began, last.seconds + seconds
        self.waits.append(Wait(start, seconds))

    def is_repeated(self, candidate: str, kind: Kind, param: str | None = None) -> bool:
        """Say whether a *candidate* was given a second go after it had ended so, at *param* if at any."""
        return (candidate, kind, param) in self.repeated

    def asks_for_less(self, candidate: str, bound: int | None) -> bool:
        """Have a *candidate* asked for a quarter of the output *bound*, once; say whether that is to be."""
        if bound is None or bound <= LEAST_OUTPUT or candidate in self.tried.outputs:
            self.tried = self.tried.asking(candidate, None)
            return False
        self.tried = self.tried.asking(candidate, max(bound // 4, LEAST_OUTPUT))
        return True

    def goes_round(self, provider: str) -> None:
        """Leave a *provider* that is crowded out, to come back once if that is all there is to do."""
        self.tried = self.tried.also(providers={provider})
        if not self.in_line:
            self.crowded |= {provider}

    def line_up(self) -> None:
        """Let those be asked once more who were crowded, in whose line it waits this time."""
        self.tried = structs.replace(self.tried, providers=self.tried.providers - self.crowded)
        self.crowded, self.in_line = frozenset(), True

    def became(self, note: int, outcome: Outcome) -> None:
        """Say in the *note* of an attempt, made at its first event, what became of it."""
        self.notes[note] = structs.replace(self.notes[note], kind=outcome.kind, detail=outcome.detail)

    def lasted(self, note: int, seconds: float, usage: Usage | None) -> None:
        """Say in the *note* of an attempt, made at its first event, what its stream took in all."""
        made = self.notes[note]
        self.notes[note] = structs.replace(made, first_event=made.seconds, seconds=seconds, usage=usage)

    def stopped(self) -> None:
        """Say of the calls that were cancelled that the gateway stopped, and not that the caller left."""
        for at, note in enumerate(self.notes):
            if note.kind is Kind.CALLER_LEFT:
                self.became(at, STOPPED)

    @property
    def abandoned(self) -> Usage | None:
        """Return what calls that the caller left took; None if nothing of any went out."""
        left = [note.usage for note in self.notes if note.kind is Kind.CALLER_LEFT and note.usage is not None]
        return reduce(add, left) if left else None

    def took(self, note: int, usage: Usage | None) -> None:
        """Say in the *note* of an attempt which tokens its answer took."""
        self.notes[note] = structs.replace(self.notes[note], usage=usage)
