"""How every candidate stands right now: holds, breakers, room, speed. State, but no I/O and no clock."""

import math
from collections.abc import Collection, Iterable, Sequence
from typing import Literal, Protocol

from msgspec import Struct

from freeroute.clock import Now
from freeroute.domain.catalogue import Candidate, Pool
from freeroute.domain.estimates import GENEROUS, Estimate
from freeroute.domain.keys import KeyPlace
from freeroute.domain.leases import Charges, Reading
from freeroute.domain.outcome import Kind
from freeroute.domain.promises import Promises, delays
from freeroute.domain.remembered import Hold, places_of
from freeroute.domain.speed import Awaited, Lapses
from freeroute.domain.trials import Measures, Trial
from freeroute.domain.undoing import Undoing
from freeroute.domain.usage import Demand

# While a half-open trial is under way nobody knows when it ends; it is told as this many seconds.
TRIAL = 1.0
OVERLONG_FOR = 3600.0
"""Seconds for which prompts like one that was too long are not sent. Own design: a context may be enlarged,
and a refused call an hour costs little."""
LEAST_CONTEXT = 1024
"""Tokens of a context that nobody knows. Own design: no model that is served today has less."""


class Room(Protocol):
    """The counters, as far as choosing looks at them."""

    def fits_at(self, charges: Charges, now: Now) -> float:
        """Return when (mono) all *charges* fit together."""
        ...

    def ceiling(self, pool: Pool, now: Now) -> float:
        """Return the present limit of *pool*: learned, else given; ``inf`` if nobody knows it."""
        ...

    def left(self, pools: Sequence[Pool], now: Now) -> float:
        """Return the smallest share (0 to 1) of quota left over *pools*, concurrency apart; 1 without any."""
        ...

    def lead(self, pools: Sequence[Pool], now: Now) -> float:
        """Return how far the scarcest of *pools* is ahead of its clock, -1 to 1."""
        ...

    def readings(self, pools: Sequence[Pool], now: Now) -> list[Reading]:
        """Return where *pools* stand."""
        ...


ObstacleKind = Literal["proving", "quota", "resting", "spent", "held", "off"]
"""Why a candidate cannot be used, the mildest first.

The first call on its key is under way; it has no quota; it rests; it rests, and not even as a last resort has
it quota; it is held; an operator switched it off.
"""


class Obstacle(Struct, frozen=True):
    """Why a candidate cannot be used now, and when (mono) it may be."""

    kind: ObstacleKind
    reason: str
    back_at: float


class Standing(Undoing):
    """Everything that changes about candidates, by their ids; survives a reload of the catalogue.

    What survives the process too, and what can be undone, is in the classes it is built on.
    """

    def __init__(self, room: Room) -> None:
        """Look at quota through *room*."""
        super().__init__()
        self.room = room
        self.promises = Promises()
        self._known: dict[str, Measures] = {}
        self._awaited: dict[str, Awaited] = {}
        self._lapses: dict[str, Lapses] = {}
        self._estimates: dict[str, Estimate] = {}
        self._turns: dict[str, int] = {}
        self._turn = 0
        self._off: frozenset[str] = frozenset()
        self._present: frozenset[str] = frozenset()
        self._withdrawn: frozenset[str] = frozenset()

    # --- reading -----------------------------------------------------------------------------------

    def obstacle(self, candidate: Candidate, charges: Charges, now: Now) -> Obstacle | None:
        """Return what keeps *candidate* from being used now, or None; of two lacks of quota the longer."""
        blocked = self.blocked(candidate, now)
        if blocked is not None and blocked.kind in ("held", "off"):
            return blocked
        at = self.room.fits_at(charges, now)
        # Without a look at what is promised where nothing is, as nearly always.
        short = None if at <= now.mono and not self.promises.by_pool else self._short(charges, at, now)
        if short is None and self._returning.first:
            short = self._following(candidate, now)
        if blocked is None:
            return self._proving(candidate, now) if short is None and self._proofs.first else short
        if short is None:
            return blocked
        if blocked.kind == "resting":
            return Obstacle("spent", f"{blocked.reason}, {short.reason}", short.back_at)
        return short if short.back_at > blocked.back_at else blocked

    def blocked(self, candidate: Candidate, now: Now) -> Obstacle | None:
        """Return the switch, hold or rest that keeps *candidate* from being used, quota apart, or None."""
        if self._off and self.is_off(candidate):
            return Obstacle("off", "switched off by an operator", math.inf)
        if self._withdrawn and candidate.id in self._withdrawn:
            return Obstacle("off", "no longer in the catalogue", math.inf)
        if self._holds and (hold := self.hold_on(candidate, now)) is not None:
            return Obstacle("quota" if hold.quota else "held", hold.reason, hold.until)
        known = self._known.get(candidate.id)
        if known is not None and not known.own.openings and not known.provider.openings:  # as nearly always
            return None
        return self._resting(candidate, now)

    @property
    def off(self) -> frozenset[str]:
        """Return the providers and models that an operator switched off."""
        return self._off

    def is_off(self, candidate: Candidate) -> bool:
        """Say whether an operator switched its provider or its model off."""
        return candidate.provider.id in self._off or candidate.name in self._off

    def free_at(self, candidate: Candidate, now: Now) -> float:
        """Return when (mono) *candidate* may be asked, quota apart: one that rests may, as a last resort."""
        if self.is_off(candidate) or candidate.id in self._withdrawn:
            return math.inf
        hold = self.hold_on(candidate, now)
        return now.mono if hold is None else hold.until

    def shortage(self, charges: Charges, now: Now) -> Obstacle | None:
        """Return the lack of quota for *charges*, or None."""
        return self._short(charges, self.room.fits_at(charges, now), now)

    def _short(self, charges: Charges, at: float, now: Now) -> Obstacle | None:
        """Return the lack of quota for *charges*, which fit together *at* (mono), or None."""
        if at <= now.mono:
            return self._kept(charges, now)
        reason = "larger than its quota" if at == math.inf else "out of quota"
        return Obstacle("quota", reason, at)

    def _kept(self, charges: Charges, now: Now) -> Obstacle | None:
        """Return the promise to a larger call that *charges* would delay, or None."""
        for promise in self.promises.touched(charges, now) if self.promises.by_pool else ():
            if delays(promise, self.room.fits_at(promise.wanted(charges), now), now):
                back_at = promise.at if promise.at > now.mono else promise.ends
                return Obstacle("quota", "kept for a larger call that waits", back_at)
        return None

    def _resting(self, candidate: Candidate, now: Now) -> Obstacle | None:
        provider = self._provider_breakers.get(candidate.provider.id)
        if provider is not None and provider.openings and not provider.permits(now):
            back_at = max(provider.opens_until, now.mono + TRIAL)
            return Obstacle("resting", "provider is resting after failures", back_at)
        own = self._breakers.get(candidate.id)
        if own is not None and own.openings and not own.permits(now):
            back_at = max(own.opens_until, now.mono + TRIAL)
            return Obstacle("resting", "resting after failures", back_at)
        return None

    def _following(self, candidate: Candidate, now: Now) -> Obstacle | None:
        """Return the call under way that shows first whether *candidate* has quota again, or None."""
        until = self._returning.busy_until(places_of(candidate), now)
        why = "the first call after a refusal is under way"
        return None if until is None else Obstacle("quota", why, until)

    def _proving(self, candidate: Candidate, now: Now) -> Obstacle | None:
        until = self._proofs.busy_until(candidate, now)
        return None if until is None else Obstacle("proving", "the first call on its key is under way", until)

    def suspect(self, candidate: Candidate, now: Now) -> bool:
        """Say whether the last call failed a short time ago, so that others come first."""
        own = self._breakers.get(candidate.id)
        return own is not None and own.suspect(now)

    def sized(self, candidate: Candidate, demand: Demand) -> Demand:
        """Return *demand* as the provider of *candidate* is likely to count it."""
        known = self._estimates.get(candidate.name)
        prompt = demand.prompt_of(candidate.tokenizer)
        return Demand(prompt if known is None else known.of(prompt), demand.max_output)

    def likely(self, candidate: Candidate, demand: Demand) -> int:
        """Return the tokens that the prompt of *demand* most likely has there: without any margin."""
        known = self._estimates.get(candidate.name)
        prompt = demand.prompt_of(candidate.tokenizer)
        return prompt if known is None else round(prompt * known.ratio)

    def awaited(self, candidate: Candidate) -> Awaited:
        """Return the calls to the model of *candidate* of which nothing has come yet."""
        found = self._awaited.get(candidate.name)
        if found is None:
            found = self._awaited[candidate.name] = Awaited()
        return found

    def under_way(self, model: str) -> Awaited | None:
        """Return the calls under way to *model* (``provider/model``); None if there never were any."""
        return self._awaited.get(model)

    def expected(self, candidate: Candidate, output: int, now: Now) -> float:
        """Return the expected seconds until *output* tokens have come, lateness and failures included."""
        return self.speed(candidate).expected(candidate.model, output, now) + self.slowed(candidate, now)

    def slowed(self, candidate: Candidate, now: Now) -> float:
        """Return the seconds that lateness and failures add to what speed alone lets expect."""
        awaited = self._awaited.get(candidate.name)
        seconds = 0.0 if awaited is None else awaited.late(now)
        lapses = self._lapses.get(candidate.id)
        return seconds if lapses is None else seconds + lapses.seconds(now)

    def context(self, candidate: Candidate) -> int | None:
        """Return the context window in tokens: learned from an error, else the catalogue's."""
        return self.lessons.context(candidate.name) or candidate.model.context

    def dropped(self, candidate: Candidate) -> frozenset[str]:
        """Return the parameters this model was found to refuse."""
        return self.lessons.refuses(candidate.name)

    def refused(self, candidate: Candidate, features: frozenset[str], now: Now) -> bool:
        """Say whether this model refused one of *features* lately."""
        return self.lessons.spares(candidate.name, features, now)

    def last_turn(self, candidate: Candidate) -> int:
        """Return the number of the last call *candidate* was given; 0 if none."""
        return self._turns.get(candidate.id, 0)

    # --- changing ----------------------------------------------------------------------------------

    def begin(self, candidate: Candidate, now: Now) -> Trial:
        """Start a call; in half-open it takes the one trial. Whoever rests may be the least bad of all."""
        self._turn += 1
        self._turns[candidate.id] = self._turn
        known = self._known.get(candidate.id) or self._measured(candidate)
        breaker, whole = known.own, known.provider  # both closed, as nearly always
        own = breaker.forced_trial(now) if breaker.openings else breaker.generation
        provider = whole.forced_trial(now) if whole.openings else whole.generation
        first = self._proofs.began(candidate, self._turn, now)
        for place, hold in self._ended(candidate, now) if self._holds else ():
            if hold.quota:
                self._returning.began(place, self._turn, now)
                first = True
        return Trial(own, provider, self._turn, first, known)

    def _measured(self, candidate: Candidate) -> Measures:
        """Find what is measured of *candidate*, to be known until the next catalogue."""
        found = self._known[candidate.id] = Measures(
            self.breaker(candidate),
            self.provider_breaker(candidate.provider.id),
            self.speed(candidate),
            self.awaited(candidate),
        )
        return found

    def answered(self, candidate: Candidate, trial: Trial, now: Now) -> bool:
        """Note that a call was served; say whether that lets others go, who had to wait for it."""
        granted = False
        for place, hold in self._ended(candidate, now) if self._holds else ():
            back = hold.quota and self._returning.granted(place, trial.call)
            if back or not hold.quota:
                self._lift(place)
            granted = granted or back
        if self._proofs.is_proven(candidate):  # as nearly always
            return granted
        self._changed.add(("key", candidate.provider.id, candidate.key.label))
        return self._proofs.answered(candidate) or granted

    def give_back(self, candidate: Candidate, trial: Trial) -> None:
        """End a call that says nothing about health: the trial is there for the next one."""
        self._touched[candidate.id] = candidate
        trial.known.own.end_trial(trial.own)
        trial.known.provider.end_trial(trial.provider)
        if trial.first:
            self._over(candidate, trial)

    def succeeded(self, candidate: Candidate, trial: Trial, now: Now) -> None:
        """Note a success."""
        self._touched[candidate.id] = candidate
        trial.known.own.success(now, trial.own)
        trial.known.provider.success(now, trial.provider)
        if trial.first:
            self._over(candidate, trial)

    def failed(self, candidate: Candidate, trial: Trial, kind: Kind, now: Now, *, jitter: float) -> None:
        """Note a failure that is the provider's fault; *jitter* is a random number in [0, 1)."""
        self._touched[candidate.id] = candidate
        known, unreachable = trial.known, kind is Kind.UNREACHABLE
        known.own.failure(now, trial.own, jitter=jitter)
        model = candidate.model.id
        known.provider.failure(now, trial.provider, model=model, unreachable=unreachable, jitter=jitter)
        if kind is Kind.TIMED_OUT:
            known.speed.timed_out()
        self.lapsed(candidate, now)
        if trial.first:
            self._over(candidate, trial)

    def _over(self, candidate: Candidate, trial: Trial) -> None:
        """Let others go that wait for the call of *trial*."""
        self._proofs.ended(candidate, trial.call)
        self._returning.ended(trial.call)

    def lapsed(self, candidate: Candidate, now: Now) -> None:
        """Note a failure or a 429: for a while *candidate* counts as slower."""
        lapses = self._lapses.get(candidate.id)
        if lapses is None:
            lapses = self._lapses[candidate.id] = Lapses()
        lapses.add(now)

    def hold(
        self,
        place: tuple[str, ...],
        until: float,
        reason: str,
        *,
        since: Now | None = None,
        step: int = 0,
        quota: bool = False,
        verdict: Kind | None = None,
    ) -> None:
        """Lay a hold on *place*; of two, the one that ends later stands. A judged key is new again."""
        held = self._holds.get(place)
        if held is None or until >= held.until:
            self._holds[place] = Hold(until, reason, step, quota, verdict, since.mono if since else None)
            self._changed.add(("hold", *place))
        if verdict is not None and place[0] == "key":
            self._doubt(place[1], place[2])

    def learn_size(self, candidate: Candidate, estimated: int, real: int) -> None:
        """Remember that the provider counted *real* tokens in a prompt *estimated* at so many."""
        known = self._estimates.get(candidate.name)
        if known is None:
            known = self._estimates[candidate.name] = Estimate()
        known.told(estimated, real)

    def learn_context(self, candidate: Candidate, tokens: int, now: Now) -> None:
        """Remember the context window an error named."""
        self.lessons.learn_context(candidate.name, tokens, now)
        self._changed.add(("model", candidate.name))

    def overlong(self, candidate: Candidate, demand: Demand, now: Now) -> bool:
        """Say whether this model lately refused a prompt like that of *demand*, or shorter, as too long."""
        return self.lessons.overlong(candidate.name, demand, now)

    def learn_overlong(self, candidate: Candidate, demand: Demand, now: Now) -> None:
        """Remember that the prompt of *demand* is too long for this model, if it may well be.

        If the estimate would have to be off by more than estimates are, the provider is mistaken.
        """
        tokens = self.likely(candidate, demand) + (demand.max_output or 0)
        if tokens >= GENEROUS * (self.context(candidate) or LEAST_CONTEXT):
            self.lessons.learn_overlong(candidate.name, demand, now.mono + OVERLONG_FOR)

    def learn_refusal(self, candidate: Candidate, param: str, now: Now) -> None:
        """Remember that this model refuses *param*."""
        self.lessons.learn_refusal(candidate.name, param, now)
        self._changed.add(("model", candidate.name))

    def refuses(self, candidate: Candidate, feature: str, *, until: float) -> None:
        """Spare this model calls with *feature*, of ``outcome.FEATURES`` or ``many``, until then (mono)."""
        self.lessons.spare(candidate.name, feature, until)
        self._changed.add(("model", candidate.name))

    def switch(self, off: Collection[str]) -> None:
        """Give no further call to the providers (``groq``) and models (``groq/model``) that are *off*."""
        self._off = frozenset(off)

    def keep(self, candidates: Iterable[Candidate]) -> None:
        """Forget what is not among *candidates*. Calls that know others still do not get them."""
        self.touch_all()
        self._known.clear()
        kept = list(candidates)
        ids = frozenset(candidate.id for candidate in kept)
        self._withdrawn = (self._withdrawn | self._present) - ids
        self._present = ids
        names = {candidate.name for candidate in kept}
        providers = {candidate.provider.id for candidate in kept}
        self._breakers = {k: v for k, v in self._breakers.items() if k in ids}
        self._speeds = {k: v for k, v in self._speeds.items() if k in names}
        self._awaited = {k: v for k, v in self._awaited.items() if k in names}
        self._lapses = {k: v for k, v in self._lapses.items() if k in ids}
        self._estimates = {k: v for k, v in self._estimates.items() if k in names}
        self._turns = {k: v for k, v in self._turns.items() if k in ids}
        self._proofs.keep(kept)
        self.lessons.keep(names)
        self._provider_breakers = {k: v for k, v in self._provider_breakers.items() if k in providers}
        self._holds = {k: v for k, v in self._holds.items() if k[1] in providers}

    def has_answered(self, place: KeyPlace) -> bool:
        """Say whether the key at *place* was served once: until then one call is made with it at a time."""
        return place in self._proofs.proven
