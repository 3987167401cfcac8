"""What was laid, opened or learned of candidates, taken back: by operators, a reload or another key."""

from collections.abc import Collection, Iterable

from freeroute.clock import Now
from freeroute.domain.lessons import Taught
from freeroute.domain.remembered import Hold, Remembered
from freeroute.domain.returning import Place, Returning


class Undoing(Remembered):
    """Holds, breakers and lessons as an operator sees and undoes them; all of it is undone on disk too."""

    def __init__(self) -> None:
        """Know nothing yet."""
        super().__init__()
        self._returning = Returning()

    def holds(self, now: Now) -> list[tuple[Place, Hold]]:
        """Return the holds that last beyond *now*, with their places."""
        return [(place, hold) for place, hold in self._holds.items() if hold.until > now.mono]

    def lift_holds(self, places: Iterable[Place]) -> None:
        """Lift the holds laid on *places*, and go on as if they had never been: nobody has to go first."""
        for place in [place for place in places if place in self._holds]:
            self._lift(place)
        self._returning.forget()

    def close_breakers(self, candidates: Iterable[str], providers: Iterable[str]) -> None:
        """Close the breakers of these *candidates* and whole *providers*, by their ids."""
        for name in candidates:
            if (own := self._breakers.get(name)) is not None:
                own.reset()
                self._changed.add(("candidate", name))
        for name in providers:
            if (whole := self._provider_breakers.get(name)) is not None:
                whole.reset()
                self._changed.add(("provider", name))

    def lesson(self, model: str, now: Now) -> Taught | None:
        """Return what errors taught of *model* (``provider/model``); None if nothing."""
        return self.lessons.taught(model, now)

    def unlearn(self, models: Collection[str]) -> None:
        """Forget what errors taught of *models*: their context, and what they refuse."""
        self._changed.update(("model", name) for name in models)
        self.lessons.forget(models)

    def reset(self, provider_id: str) -> None:
        """Close the breakers of a provider and lift its holds."""
        own = [name for name in self._breakers if name.startswith(f"{provider_id}/")]
        self.close_breakers(own, [provider_id])
        self.lift_holds([place for place in self._holds if place[1] == provider_id])

    def retry_verdicts(self) -> None:
        """Forget what a reload may have cured: verdicts, features, holds on keys (labels may be others')."""
        self._changed.update(("model", name) for name in self.lessons.models)
        self.lessons.spare_nothing()
        judged = [place for place, h in self._holds.items() if place[0] == "key" or h.verdict is not None]
        for place in judged:
            self._lift(place)

    def renewed(self, provider_id: str, label: str) -> None:
        """Lift what is held against the key that had *label*: it is another one now."""
        for place in [place for place in self._holds if place[0] in ("key", "key-model")]:
            if place[1:3] == (provider_id, label):
                self._lift(place)
        self._doubt(provider_id, label)
