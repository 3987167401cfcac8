"""What of the candidates' standing outlives the process, and how it is kept and restored."""

from msgspec import Struct

from freeroute.clock import Now
from freeroute.domain.breaker import Breaker, ProviderBreaker
from freeroute.domain.catalogue import Candidate
from freeroute.domain.keepsake import (
    KeptCandidate,
    KeptHold,
    KeptKey,
    KeptModel,
    KeptProvider,
    KeptSpeed,
    KeptStanding,
    Name,
    Rebase,
)
from freeroute.domain.keys import Proofs
from freeroute.domain.lessons import Lessons
from freeroute.domain.outcome import Kind
from freeroute.domain.speed import Speed


class Hold(Struct, frozen=True):
    """Do not use before *until* (mono seconds; ``inf`` until reload).

    *quota* marks a hold that ends because capacity comes back; *step* counts a doubling back-off. *verdict*
    is the ending that it was laid for, if that says something of a key, a model or an address: what may be
    found to be otherwise before its time. *since* (mono) is when it was laid, None if nobody noted it.
    """

    until: float
    reason: str
    step: int = 0
    quota: bool = False
    verdict: Kind | None = None
    since: float | None = None


class Remembered:
    """Breakers, holds, speeds, lessons and proven keys, and which of them changed.

    *lessons* are there to be read: who learns and forgets notes that too.
    """

    def __init__(self) -> None:
        """Know nothing yet."""
        self._breakers: dict[str, Breaker] = {}
        self._provider_breakers: dict[str, ProviderBreaker] = {}
        self._holds: dict[tuple[str, ...], Hold] = {}
        self._speeds: dict[str, Speed] = {}  # by provider/model: a key makes nothing faster
        self.lessons = Lessons()
        self._proofs = Proofs()
        self._changed: set[Name] = set()
        self._touched: dict[str, Candidate] = {}  # candidates that were called, by id

    def changed(self) -> set[Name]:
        """Return what changed since this was last asked."""
        changed, self._changed = self._changed, set()
        for candidate in self._touched.values():
            changed.add(("candidate", candidate.id))
            changed.add(("provider", candidate.provider.id))
            changed.add(("speed", candidate.name))
        self._touched.clear()
        return changed

    def touch_all(self) -> None:
        """Let everything count as changed."""
        self._touched.clear()
        self._changed.update(("candidate", name) for name in self._breakers)
        self._changed.update(("provider", name) for name in self._provider_breakers)
        self._changed.update(("speed", name) for name in self._speeds)
        self._changed.update(("model", name) for name in self.lessons.models)
        self._changed.update(("key", *place) for place in self._proofs.proven)
        self._changed.update(("hold", *place) for place in self._holds)

    def kept(self, name: Name, now: Now) -> KeptStanding | None:
        """Return what outlives the process of what is called *name*; None if there is nothing, or no more."""
        kind, *place = name
        match kind:
            case "candidate":
                own = self._breakers.get(place[0])
                return None if own is None else own.kept_health()
            case "provider":
                whole = self._provider_breakers.get(place[0])
                gate = None if whole is None else whole.kept()
                return None if gate is None else KeptProvider(gate)
            case "speed":
                speed = self._speeds.get(place[0])
                return None if speed is None else speed.kept()
            case "model":
                return self.lessons.kept(place[0])
            case "key":
                return KeptKey() if tuple(place) in self._proofs.proven else None
        hold = self._holds.get(tuple(place))
        if hold is None:
            return None
        return KeptHold(hold.until, hold.reason, hold.step, hold.quota, hold.verdict, hold.since)

    def restore(self, name: Name, kept: KeptStanding, rebase: Rebase) -> None:
        """Go on from what an earlier run *kept* of what is called *name*; to be followed by `keep`."""
        match kept:
            case KeptCandidate():
                own = self._breakers[name[1]] = Breaker()
                own.restore_health(kept, rebase)
            case KeptProvider():
                whole = self._provider_breakers[name[1]] = ProviderBreaker()
                whole.restore(kept.gate, rebase)
            case KeptSpeed():
                self._speeds[name[1]] = Speed.restored(kept, rebase)
            case KeptModel():
                self.lessons.restore(name[1], kept, rebase)
            case KeptKey():
                self._proofs.recall((name[1], name[2]))
            case _:
                until = rebase.mono(kept.until)
                place = (name[1], name[2], *name[3:])  # what is held, and whose it is
                since = None if kept.since is None else rebase.mono(kept.since)
                self._holds[place] = Hold(until, kept.reason, kept.step, kept.quota, kept.verdict, since)

    def speed(self, candidate: Candidate) -> Speed:
        """Return the estimate for the model of *candidate*, from its prior if it was never asked."""
        found = self._speeds.get(candidate.name)
        if found is None:
            found = self._speeds[candidate.name] = Speed.prior(candidate.model)
        return found

    def breaker(self, candidate: Candidate) -> Breaker:
        """Return the breaker of *candidate*."""
        found = self._breakers.get(candidate.id)
        if found is None:
            found = self._breakers[candidate.id] = Breaker()
        return found

    def provider_breaker(self, provider_id: str) -> ProviderBreaker:
        """Return the breaker of the whole provider."""
        found = self._provider_breakers.get(provider_id)
        if found is None:
            found = self._provider_breakers[provider_id] = ProviderBreaker()
        return found

    def hold_on(self, candidate: Candidate, now: Now) -> Hold | None:
        """Return the longest hold that covers *candidate*, or None."""
        longest: Hold | None = None
        if not self._holds:  # as nearly always
            return None
        for place in places_of(candidate):
            hold = self._holds.get(place)
            if hold is not None and hold.until > now.mono and (longest is None or hold.until > longest.until):
                longest = hold
        return longest

    def held(self, place: tuple[str, ...]) -> Hold | None:
        """Return the hold laid on *place*, even if it has ended."""
        return self._holds.get(place)

    def verdicts(self, now: Now) -> list[tuple[tuple[str, ...], Hold]]:
        """Return the holds laid for a verdict that last beyond *now*, with their places."""
        return [
            (place, hold)
            for place, hold in self._holds.items()
            if hold.verdict is not None and hold.until > now.mono
        ]

    def lift(self, place: tuple[str, ...], hold: Hold) -> bool:
        """Lift *hold* from *place*; say whether it was still there, and not another one meanwhile."""
        if self._holds.get(place) is not hold:
            return False
        self._lift(place)
        return True

    def _ended(self, candidate: Candidate, now: Now) -> list[tuple[tuple[str, ...], Hold]]:
        """Return the holds on *candidate* that have ended, with their places."""
        places = places_of(candidate)
        return [(place, h) for place in places if (h := self._holds.get(place)) and h.until <= now.mono]

    def _lift(self, place: tuple[str, ...]) -> None:
        del self._holds[place]
        self._changed.add(("hold", *place))

    def _doubt(self, provider_id: str, label: str) -> None:
        self._proofs.doubt((provider_id, label))
        self._changed.add(("key", provider_id, label))


def places_of(candidate: Candidate) -> tuple[tuple[str, ...], ...]:
    """Return every place a hold on which covers *candidate*."""
    provider, model, key = candidate.provider.id, candidate.model.id, candidate.key
    return (
        ("provider", provider),
        ("key", provider, key.label),
        ("account", provider, key.account),
        ("model", provider, model),
        ("account-model", provider, key.account, model),
        ("key-model", provider, key.label, model),
    )
