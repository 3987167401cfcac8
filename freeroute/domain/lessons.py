"""What errors taught of models, by their names: the real context, parameters and features they refuse."""

import math
from collections.abc import Collection

from msgspec import Struct

from freeroute.clock import Now
from freeroute.domain.keepsake import KeptModel, Rebase

MOST_REFUSED = 32
"""Parameters remembered of one model, so that errors cannot fill the memory. Own design."""


class _Lesson(Struct):
    """What is known of one model, last taught at *at* (mono)."""

    at: float
    context: int | None = None
    refuses: frozenset[str] = frozenset()


class Lessons:
    """What is known better than the catalogue knows it."""

    def __init__(self) -> None:
        """Know nothing."""
        self._models: dict[str, _Lesson] = {}
        self._features: dict[str, dict[str, float]] = {}

    @property
    def models(self) -> Collection[str]:
        """Return the names of all models that something is known of."""
        return self._models.keys() | self._features.keys()

    def context(self, model: str) -> int | None:
        """Return the context window in tokens that an error named, if one did."""
        lesson = self._models.get(model)
        return None if lesson is None else lesson.context

    def refuses(self, model: str) -> frozenset[str]:
        """Return the parameters that *model* was found to refuse."""
        lesson = self._models.get(model)
        return frozenset() if lesson is None else lesson.refuses

    def spares(self, model: str, features: frozenset[str], now: Now) -> bool:
        """Say whether *model* refused one of *features* lately."""
        known = self._features.get(model)
        return known is not None and any(known.get(feature, 0.0) > now.mono for feature in features)

    def learn_context(self, model: str, tokens: int, now: Now) -> None:
        """Remember the context window an error named."""
        self._lesson(model, now).context = tokens

    def learn_refusal(self, model: str, param: str, now: Now) -> None:
        """Remember that *model* refuses *param*."""
        lesson = self._lesson(model, now)
        if len(lesson.refuses) < MOST_REFUSED:
            lesson.refuses |= {param}

    def spare(self, model: str, feature: str, until: float) -> None:
        """Spare *model* calls with *feature* until *until* (mono)."""
        self._features.setdefault(model, {})[feature] = until

    def spare_nothing(self) -> None:
        """Forget which features were refused."""
        self._features.clear()

    def forget(self, models: Collection[str]) -> None:
        """Forget *models*."""
        self.keep([name for name in self.models if name not in models])

    def keep(self, models: Collection[str]) -> None:
        """Forget all but *models*."""
        self._models = {name: lesson for name, lesson in self._models.items() if name in models}
        self._features = {name: spared for name, spared in self._features.items() if name in models}

    def kept(self, model: str) -> KeptModel | None:
        """Return what outlives the process, if anything is known of *model*."""
        lesson, features = self._models.get(model), self._features.get(model, {})
        if lesson is None:
            return KeptModel(-math.inf, features=features) if features else None
        return KeptModel(lesson.at, lesson.context, sorted(lesson.refuses), features)

    def restore(self, model: str, kept: KeptModel, rebase: Rebase) -> None:
        """Know again what was *kept*, unless it is too old to be believed."""
        if rebase.fresh(kept.at):
            self._models[model] = _Lesson(rebase.mono(kept.at), kept.context, frozenset(kept.refuses))
        if kept.features:
            self._features[model] = {name: rebase.mono(until) for name, until in kept.features.items()}

    def _lesson(self, model: str, now: Now) -> _Lesson:
        lesson = self._models.setdefault(model, _Lesson(now.mono))
        lesson.at = now.mono
        return lesson
