"""What errors taught of models, by their names: the real context, and what they refuse."""

import math
from collections.abc import Collection

from msgspec import Struct

from freeroute.clock import Now
from freeroute.domain.keepsake import KeptModel, Rebase
from freeroute.domain.usage import Demand

MOST_REFUSED = 32
"""Parameters remembered of one model, so that errors cannot fill the memory. Own design."""

MOST_OVERLONG = 8
"""Prompts remembered of one model that were too long. Own design: one of each kind of text that is asked."""

ALIKE = 1.1
"""Two texts are of one kind if their lengths differ by one factor for all tokenizers, within this factor. Own
design: a page that grows by half moves by 1.04, its parts by up to 1.14; JSON differs from prose by 1.14 and
more, German from English by 1.4, hexadecimal digits by 1.5."""


_NOTHING: frozenset[str] = frozenset()


class _Lesson(Struct):
    """What is known of one model, last taught at *at* (mono)."""

    at: float
    context: int | None = None
    refuses: frozenset[str] = frozenset()


class _Overlong(Struct, frozen=True):
    """A prompt that was refused as too long, and until when (mono) that is believed."""

    demand: Demand
    until: float

    def speaks_of(self, demand: Demand) -> bool:
        """Say whether *demand* is as long and of the same kind of text: estimates are off by kinds."""
        if (demand.max_output or 0) < (self.demand.max_output or 0):
            return False
        both = zip(demand.every(), self.demand.every(), strict=True)
        shares = [new / max(old, 1) for new, old in both]
        return min(shares) >= 1.0 and max(shares) <= ALIKE * min(shares)


class Taught(Struct, frozen=True):
    """What errors taught of one model, last *at* (mono; None for what is not dated).

    *spared* are the features it gets no calls with, *overlong* the tokens of prompts like which it gets none,
    each until (mono).
    """

    at: float | None
    context: int | None
    refuses: tuple[str, ...]
    spared: dict[str, float]
    overlong: tuple[tuple[int, float], ...]


class Lessons:
    """What is known better than the catalogue knows it. *edition* changes with it, features apart."""

    def __init__(self) -> None:
        """Know nothing."""
        self.edition = 0
        self._models: dict[str, _Lesson] = {}
        self._features: dict[str, dict[str, float]] = {}
        self._overlong: dict[str, tuple[_Overlong, ...]] = {}

    @property
    def models(self) -> Collection[str]:
        """Return the names of all models that something is known of."""
        return self._models.keys() | self._features.keys()

    def tell_of(self, model: str) -> bool:
        """Say whether anything was taught of *model*, features apart: of most nothing is."""
        return model in self._models or model in self._overlong

    def refused_prompts(self, model: str) -> bool:
        """Say whether *model* refused a prompt as too long, be it long ago."""
        return model in self._overlong

    def context(self, model: str) -> int | None:
        """Return the context window in tokens that an error named, if one did."""
        lesson = self._models.get(model)
        return None if lesson is None else lesson.context

    def refuses(self, model: str) -> frozenset[str]:
        """Return the parameters that *model* was found to refuse."""
        lesson = self._models.get(model)
        return _NOTHING if lesson is None else lesson.refuses

    def spares(self, model: str, features: frozenset[str], now: Now) -> bool:
        """Say whether *model* refused one of *features* lately."""
        known = self._features.get(model)
        return known is not None and any(known.get(feature, 0.0) > now.mono for feature in features)

    def overlong(self, model: str, demand: Demand, now: Now) -> bool:
        """Say whether *model* lately refused a prompt like that of *demand*, or shorter, as too long."""
        known = self._overlong.get(model)
        return known is not None and any(one.until > now.mono and one.speaks_of(demand) for one in known)

    def taught(self, model: str, now: Now) -> Taught | None:
        """Return what is believed of *model* at *now* because of errors; None if nothing is."""
        lesson = self._models.get(model)
        spared = {name: at for name, at in self._features.get(model, {}).items() if at > now.mono}
        overlong = [one for one in self._overlong.get(model, ()) if one.until > now.mono]
        if lesson is None and not spared and not overlong:
            return None
        return Taught(
            at=None if lesson is None else lesson.at,
            context=None if lesson is None else lesson.context,
            refuses=() if lesson is None else tuple(sorted(lesson.refuses)),
            spared=spared,
            overlong=tuple((one.demand.prompt, one.until) for one in overlong),
        )

    def learn_context(self, model: str, tokens: int, now: Now) -> None:
        """Remember the context window an error named."""
        self._lesson(model, now).context = tokens

    def learn_refusal(self, model: str, param: str, now: Now) -> None:
        """Remember that *model* refuses *param*."""
        lesson = self._lesson(model, now)
        if len(lesson.refuses) < MOST_REFUSED:
            lesson.refuses |= {param}

    def learn_overlong(self, model: str, demand: Demand, until: float) -> None:
        """Remember until *until* (mono) that the prompt of *demand* was too long, instead of longer ones."""
        new = _Overlong(demand, until)
        self.edition += 1
        others = [one for one in self._overlong.get(model, ()) if not new.speaks_of(one.demand)]
        self._overlong[model] = (*others, new)[-MOST_OVERLONG:]

    def spare(self, model: str, feature: str, until: float) -> None:
        """Spare *model* calls with *feature* until *until* (mono)."""
        self._features.setdefault(model, {})[feature] = until

    def spare_nothing(self) -> None:
        """Forget which features were refused, and which prompts."""
        self.edition += 1
        self._features.clear()
        self._overlong.clear()

    def forget(self, models: Collection[str]) -> None:
        """Forget *models*."""
        self.edition += 1
        for name in models:
            self._models.pop(name, None)
            self._overlong.pop(name, None)
            self._features.pop(name, None)

    def keep(self, models: Collection[str]) -> None:
        """Forget all but *models*."""
        self.edition += 1
        self._models = {name: lesson for name, lesson in self._models.items() if name in models}
        self._overlong = {name: known for name, known in self._overlong.items() if name in models}
        self._features = {name: spared for name, spared in self._features.items() if name in models}

    def kept(self, model: str) -> KeptModel | None:
        """Return what outlives the process, if anything is known of *model*."""
        lesson, features = self._models.get(model), self._features.get(model, {})
        if lesson is None:
            return KeptModel(-math.inf, features=features) if features else None
        return KeptModel(lesson.at, lesson.context, sorted(lesson.refuses), features)

    def restore(self, model: str, kept: KeptModel, rebase: Rebase) -> None:
        """Know again what was *kept*, unless it is too old to be believed."""
        self.edition += 1
        if rebase.fresh(kept.at):
            self._models[model] = _Lesson(rebase.mono(kept.at), kept.context, frozenset(kept.refuses))
        if kept.features:
            self._features[model] = {name: rebase.mono(until) for name, until in kept.features.items()}

    def _lesson(self, model: str, now: Now) -> _Lesson:
        self.edition += 1
        lesson = self._models.setdefault(model, _Lesson(now.mono))
        lesson.at = now.mono
        return lesson
