"""What a model name means: a meta-model, a model pinned to its provider, anywhere, a family, an alias."""

import difflib
from collections.abc import Callable, Container, Iterable
from fnmatch import fnmatchcase

from msgspec import Struct

from freeroute.domain.catalogue import Candidate, Catalogue, MetaModel
from freeroute.domain.patterns import by_pattern, is_pattern
from freeroute.domain.tasks import APART

# Comparing names takes time that grows with their length, and a caller chooses both.
LONGEST_NAME = 128
MOST_REMEMBERED = 256
NEAREST = 3


class Target(Struct, frozen=True, eq=False):
    """What a name stands for: *candidates* to choose from by *strategy* (free, fast, smart).

    *meta* says that the name is a strategy's and not a model's; *pinned* names the only provider allowed.
    """

    name: str
    strategy: str
    candidates: tuple[Candidate, ...]
    meta: bool = False
    pinned: str | None = None


class NotFound(Struct, frozen=True):
    """Nothing is called *name*; *nearest* are the names that look most like it."""

    name: str
    nearest: tuple[str, ...]


class Names:
    """Every name of one catalogue. Built once, so that a request's look-up is one dict hit."""

    def __init__(self, catalogue: Catalogue) -> None:
        """Work out all names of *catalogue*: what resolves first is written last."""
        everyone = catalogue.candidates
        self._targets: dict[str, Target] = {}
        self._add(everyone, lambda c: c.model.id)
        # A model's id that is a family's name too means the family: the same weights, in more places.
        self._add(everyone, lambda c: c.model.family)
        for provider in catalogue.providers:
            own = [c for c in everyone if c.provider.id == provider]
            self._add(own, lambda c: f"{c.provider.id}/{c.model.family}", pinned=provider)
            # A provider may repeat its own name in its ids: nvidia/nemotron at nvidia.
            repeated = [c for c in own if c.model.id.startswith(f"{provider}/")]
            self._add(repeated, lambda c: c.model.id, pinned=provider)
            self._add(own, lambda c: c.name, pinned=provider)
        for name, meta in catalogue.meta_models.items():
            self._targets[name] = Target(name, meta.strategy, members(meta, catalogue), meta=True)
        self._able: dict[str, dict[str, None]] = {}
        for candidate in everyone:
            for capability in candidate.model.capabilities & APART:
                self._able.setdefault(capability, {})[candidate.model.family] = None
        self._aliases: dict[str, Target | None] = {}
        for pattern, meant in catalogue.model_aliases.items():
            found = self._targets.get(meant) if meant is not None else None
            self._aliases[pattern] = found
            if found is not None and not is_pattern(pattern):
                self._targets.setdefault(pattern, found)
        self._sought: dict[str, Target | NotFound] = {}

    def _add(
        self, candidates: Iterable[Candidate], name_of: Callable[[Candidate], str], pinned: str | None = None
    ) -> None:
        named: dict[str, list[Candidate]] = {}
        for candidate in candidates:
            named.setdefault(name_of(candidate), []).append(candidate)
        for name, found in named.items():
            self._targets[name] = Target(name, "free", tuple(found), pinned=pinned)

    def resolve(self, name: str) -> Target | NotFound:
        """Return what *name* stands for, or the names nearest to it.

        Families are matched in any case, and aliases where nothing has the name itself. Clients of Ollama put
        ``:latest`` behind names that have no tag.
        """
        if (known := self._targets.get(name)) is not None:
            return known
        plain = name.removesuffix(":latest")
        return self._targets.get(name.lower()) or self._targets.get(plain) or self._seek(name[:LONGEST_NAME])

    def able_to(self, capability: str) -> tuple[str, ...]:
        """Return the families that have one of the capabilities which not every model needs."""
        return tuple(self._able.get(capability, ()))

    def all(self) -> tuple[str, ...]:
        """Return every name there is."""
        return tuple(self._targets)

    def _seek(self, name: str) -> Target | NotFound:
        if name not in self._sought:
            if len(self._sought) >= MOST_REMEMBERED:
                self._sought.clear()
            found = by_pattern(name, self._aliases)
            self._sought[name] = found or NotFound(name, nearest(name, self._targets))
        return self._sought[name]


def nearest(name: str, names: Iterable[str]) -> tuple[str, ...]:
    """Return up to three of *names* that look most like *name*, best first."""
    by_lower = {known.lower(): known for known in names}
    asked = name[:LONGEST_NAME].lower()
    close = difflib.get_close_matches(asked, by_lower, NEAREST)
    if not close:
        # `llama` is not close to `groq/llama-3.3-70b` by letters, but it is what was meant.
        close = sorted((known for known in by_lower if asked and asked in known), key=len)[:NEAREST]
    return tuple(by_lower[known] for known in close)


def members(meta: MetaModel, catalogue: Catalogue) -> tuple[Candidate, ...]:
    """Return the candidates of *meta*: those its patterns name, else every ``auto`` one; able to do all.

    They are models for chat, unless it requires what others do.
    """
    return tuple(
        candidate
        for candidate in catalogue.candidates
        if meta.require <= candidate.model.capabilities
        and (candidate.model.talks or meta.require & APART)
        and _belongs(meta, candidate, catalogue)
    )


def _belongs(meta: MetaModel, candidate: Candidate, catalogue: Catalogue) -> bool:
    if meta.models is None:
        return candidate.model.auto
    return any(matches(pattern, candidate, catalogue.providers) for pattern in meta.models)


def matches(pattern: str, candidate: Candidate, providers: Container[str]) -> bool:
    """Say whether *pattern* names *candidate*: by ``provider/model``, by model id or by family.

    As for single names, a first segment that is one of *providers* means that provider and no other.
    """
    provider = candidate.provider.id
    if (first := pattern.split("/", 1)[0]) != pattern and first in providers and first != provider:
        return False
    return any(fnmatchcase(name, pattern) for name in names(candidate))


def names(candidate: Candidate) -> tuple[str, ...]:
    """Return what the model of *candidate* goes by: alone and at its provider, by id and by family."""
    model = candidate.model
    return candidate.name, model.id, model.family, f"{candidate.provider.id}/{model.family}"
