"""What a call asks of a candidate, and what it may not use again."""

import math
from collections.abc import Iterator, Mapping, Set
from typing import Any, Protocol

from msgspec import Struct, structs

from freeroute.domain.catalogue import Candidate
from freeroute.domain.resolve import Target
from freeroute.domain.standing import Standing
from freeroute.domain.usage import Demand


class Fit(Protocol):
    """Candidates able to serve a call, each with the place of its target among the call's targets."""

    def __len__(self) -> int:
        """Return how many there are."""
        ...

    def __iter__(self) -> Iterator[tuple[int, Candidate]]:
        """Return them in the order of the catalogue."""
        ...


class Need(Struct):
    """What a call asks of a candidate, and whose turn it would be.

    *targets* are tried in order (OpenRouter's ``models``); *dice* is the call's one random number in [0, 1);
    *ties* is how ``free`` orders equals: balanced (no ties), round_robin (longest unused first) or random.
    With *clamp* the output bound may be cut to what a provider that counts it in advance has room for.
    *tools* are the names of those that it offers, *features* those of ``outcome.FEATURES`` that it carries,
    *choices* how many answers it wants; *parameters* are the fields that have to be honoured as they are,
    with their values as far as they are known here; *preferred* is the id of the candidate that its
    conversation had last. It *continues* an answer: whoever can be given its beginning comes first. Vectors
    are to be *dimensions* long, which a model may have to be told (*resized*) if its own are not. The prompt
    is of so many *texts*, each of which has a model's context to itself.
    """

    targets: tuple[Target, ...]
    demand: Demand
    capabilities: frozenset[str] = frozenset()
    remote_images: bool = False
    no_train: bool = False
    order: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    dice: float = 0.5
    ties: str = "balanced"
    clamp: bool = False
    tools: tuple[str, ...] = ()
    features: frozenset[str] = frozenset()
    choices: int = 1
    parameters: dict[str, Any] = {}
    preferred: str | None = None
    continues: bool = False
    dimensions: int | None = None
    resized: bool = False
    texts: int = 1


class Tried(Struct, frozen=True):
    """What this call may not use again.

    *candidates* by id, *models* by ``provider/model``, *keys* by (provider, label), *providers* by id, and
    every candidate whose context is not larger than *context* tokens. *outputs* are the bounds, by id, that
    candidates may be asked for at most after they found a call too large.
    """

    candidates: frozenset[str] = frozenset()
    models: frozenset[str] = frozenset()
    keys: frozenset[tuple[str, str]] = frozenset()
    providers: frozenset[str] = frozenset()
    context: int = 0
    outputs: Mapping[str, int] = {}

    def also(
        self,
        *,
        candidates: Set[str] = frozenset(),
        models: Set[str] = frozenset(),
        keys: Set[tuple[str, str]] = frozenset(),
        providers: Set[str] = frozenset(),
        context: int = 0,
    ) -> "Tried":
        """Return what is out if these are too."""
        return Tried(
            self.candidates | candidates,
            self.models | models,
            self.keys | keys,
            self.providers | providers,
            max(self.context, context),
            self.outputs,
        )

    def asking(self, candidate: str, most: int | None) -> "Tried":
        """Return the same if *candidate*, an id, may be asked for so much output at the *most*."""
        others = {name: bound for name, bound in self.outputs.items() if name != candidate}
        return structs.replace(self, outputs=others if most is None else {**others, candidate: most})

    def with_less(self) -> "Tried":
        """Return what is out if candidates may be asked for less output than they found too large."""
        return structs.replace(self, candidates=self.candidates.difference(self.outputs))

    def covers(self, candidate: Candidate, standing: Standing) -> bool:
        """Say whether *candidate* is out for this call."""
        return (
            candidate.id in self.candidates
            or candidate.name in self.models
            or (candidate.provider.id, candidate.key.label) in self.keys
            or candidate.provider.id in self.providers
            or (self.context > 0 and (standing.context(candidate) or math.inf) <= self.context)
        )


UNTRIED = Tried()
"""What every call may not use again at first, and most in the end: nothing."""


class Reason(Struct, frozen=True):
    """Why a candidate is not used; *back_at* (mono) is ``inf`` when time alone will not help."""

    candidate: Candidate
    kind: str
    text: str
    back_at: float = math.inf
