"""From settings and the catalogue's files to the resolved catalogue: what is switched on, and why."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from fnmatch import fnmatchcase

from msgspec import Struct, UnsetType

from freeroute.config.entries import merged, models_of, or_else, unknown
from freeroute.config.load import Settings
from freeroute.config.provider_specs import ProviderSpec
from freeroute.config.providers import provider_of, set_variable
from freeroute.config.schema import Where
from freeroute.domain.aliases import BUILT_IN, MODEL_ALIASES, Aliases
from freeroute.domain.catalogue import Catalogue, MetaModel, Privacy, Provider, catalogue_of
from freeroute.domain.families import family_of
from freeroute.domain.patterns import is_pattern
from freeroute.domain.resolve import Names, Target, members
from freeroute.domain.tasks import APART


class SwitchedOn(Struct, frozen=True):
    """A provider that is on, *why*, and what it does with prompts: for the message at start."""

    provider: str
    name: str
    why: str
    privacy: Privacy
    terms: str


class Assembly(Struct, frozen=True):
    """The catalogue, what is on, local servers yet to be looked for, and *hints* on what could be better.

    *offers* are the providers of the catalogue, on or not, by what models of theirs do beside chat.
    """

    catalogue: Catalogue
    switched_on: tuple[SwitchedOn, ...]
    local: tuple[Provider, ...] = ()
    hints: tuple[str, ...] = ()
    offers: dict[str, tuple[str, ...]] = {}


def assemble(settings: Settings, entries: Mapping[str, ProviderSpec], today: date) -> Assembly:
    """Resolve *settings* over the catalogue's *entries*; raises ConfigError for what dangles."""
    on: list[tuple[Provider, str]] = []
    local: list[Provider] = []
    for name in [*entries, *(name for name in settings.providers if name not in entries)]:
        where = where_of(name, settings)
        spec = merged(name, settings.providers, entries, where)
        listed = name in settings.providers
        reason = _why(name, spec, settings, listed)
        if reason is None:
            continue
        provider = provider_of(name, spec, settings, where, today)
        if provider.engine is not None and not provider.models:
            local.append(provider)
        elif not provider.models:
            raise where.error("lists no model", ".models")
        else:
            on.append((provider, reason))
    metas = [_meta(name, settings, entries) for name in settings.meta_models]
    aliases = _aliases(settings, entries)
    catalogue = catalogue_of([provider for provider, _ in on], metas, aliases)
    return Assembly(
        catalogue=catalogue,
        switched_on=tuple(switched_on(provider, why) for provider, why in on),
        local=tuple(local),
        hints=hints_of(settings, entries, catalogue, local),
        offers={capability: _offering(capability, entries) for capability in sorted(APART)},
    )


def _offering(capability: str, entries: Mapping[str, ProviderSpec]) -> tuple[str, ...]:
    able = (
        name
        for name, spec in entries.items()
        if any(capability in or_else(model.capabilities, ()) for model in models_of(spec))
    )
    return tuple(able)


def with_local(catalogue: Catalogue, found: list[Provider]) -> Catalogue:
    """Return *catalogue* with the local servers that were *found*, in place of any found before."""
    gone = {name for name, provider in catalogue.providers.items() if provider.origin == "discovered"}
    kept = [provider for name, provider in catalogue.providers.items() if name not in gone]
    return with_providers(catalogue, [*kept, *found])


def with_providers(catalogue: Catalogue, providers: list[Provider]) -> Catalogue:
    """Return *catalogue* with other *providers*, and the names that were made up."""
    return catalogue_of(providers, list(catalogue.meta_models.values()), catalogue.model_aliases)


def switched_on(provider: Provider, why: str) -> SwitchedOn:
    """Return the line for the message at start."""
    return SwitchedOn(provider.id, provider.name, why, provider.privacy, provider.terms)


# --- what is on ----------------------------------------------------------------------------------------


def where_of(name: str, settings: Settings) -> Where:
    """Return where errors about provider *name* are: in the settings, or in its file of the catalogue."""
    if name in settings.providers:
        return Where(settings.shown, f"providers.{name}", "providers.*")
    return Where(f"{name}.yaml", "", "providers.*")


def _why(name: str, spec: ProviderSpec, settings: Settings, listed: bool) -> str | None:
    """Return why provider *name* is on, or None if it is not."""
    if listed:
        return f"listed in {settings.shown}"
    variable = set_variable(spec, settings.environ, listed=False)
    if settings.discovery.env and variable:
        return f"{variable} is set"
    if settings.discovery.local and not isinstance(spec.engine, UnsetType):
        return "local server"
    if settings.discovery.keyless and or_else(spec.keyless, False):
        return "used without a key"
    return None


def hints_of(
    settings: Settings,
    entries: Mapping[str, ProviderSpec],
    catalogue: Catalogue,
    local: Sequence[Provider],
) -> tuple[str, ...]:
    """Return what could be better about *settings*, which come to *catalogue* and *local* servers."""
    metas = [catalogue.meta_models[name] for name in settings.meta_models]
    return (
        *_hints(settings, entries),
        *_empty_metas(metas, catalogue, local),
        *_idle_aliases(settings, catalogue, local),
    )


def _hints(settings: Settings, entries: Mapping[str, ProviderSpec]) -> Iterator[str]:
    for name, spec in entries.items():
        variable = set_variable(spec, settings.environ, listed=True)
        on = name in settings.providers or _why(name, spec, settings, False) == "local server"
        if variable and not on and variable in or_else(spec.env_named, ()):
            yield f"{variable} is set, but {name} is used only when listed: `providers: {{{name}: {{}}}}`"


# --- meta-models and aliases ---------------------------------------------------------------------------


def _meta(name: str, settings: Settings, entries: Mapping[str, ProviderSpec]) -> MetaModel:
    spec = settings.meta_models[name]
    where = Where(settings.shown, f"meta_models.{name}")
    patterns = or_else(spec.models, None)
    for index, pattern in enumerate(patterns or ()):
        _check_pattern(pattern, settings, entries, Where(where.file, f"{where.path}.models[{index}]"))
    return MetaModel(name, spec.strategy, patterns, frozenset(spec.require))


def _empty_metas(metas: list[MetaModel], catalogue: Catalogue, local: Sequence[Provider]) -> Iterator[str]:
    """Name the meta-models that nothing switched on belongs to, unless they wait for a local server."""
    awaited = {server.id for server in local}
    for meta in metas if catalogue.providers else ():
        firsts = {pattern.partition("/")[0] for pattern in meta.models or ()}
        if not members(meta, catalogue) and not awaited & firsts:
            yield f"meta_models.{meta.name} is empty: no model that is on fits its `models` and `require`"


def _aliases(settings: Settings, entries: Mapping[str, ProviderSpec]) -> Aliases:
    """Return what unknown names stand for: the settings' own aliases come before those that are built in."""
    own = settings.model_aliases
    for pattern, name in own.items():
        where = Where(settings.shown, f"model_aliases.{pattern}")
        if name is None or name in BUILT_IN or name in settings.meta_models:
            continue
        if is_pattern(name):
            raise where.error("leads to one name; `meta_models` puts several models under one")
        _check_pattern(name, settings, entries, where)
    return own | {pattern: name for pattern, name in MODEL_ALIASES.items() if pattern not in own}


def _idle_aliases(settings: Settings, catalogue: Catalogue, local: Sequence[Provider]) -> Iterator[str]:
    """Name the aliases of models that nothing switched on has, unless they wait for a local server."""
    if not settings.model_aliases or not catalogue.providers:
        return
    names, awaited = Names(catalogue), {server.id for server in local}
    for pattern, name in settings.model_aliases.items():
        if name is None or isinstance(names.resolve(name), Target) or name.partition("/")[0] in awaited:
            continue
        yield f"model_aliases.{pattern} leads nowhere: nothing that is on has the name {name}"


def _check_pattern(
    pattern: str, settings: Settings, entries: Mapping[str, ProviderSpec], where: Where
) -> None:
    """Refuse a pattern that can never match: a provider nobody knows, a model that no provider lists."""
    known = [*entries, *settings.providers]
    provider, separator, _ = pattern.partition("/")
    if not separator or provider not in known:
        if is_pattern(pattern):
            return
        names = [name for entry in known for name in _names(entry, settings, entries)]
        if pattern not in [*names, *(name.partition("/")[2] for name in names)]:
            advice = "; a local model is written ollama/NAME" if not separator else ""
            raise where.error(unknown("model", pattern, names) + advice)
        return
    spec = merged(provider, settings.providers, entries, where)
    names = _names(provider, settings, entries)
    if isinstance(spec.engine, UnsetType) and not any(fnmatchcase(name, pattern) for name in names):
        raise where.error(unknown("model", pattern, names))


def _names(name: str, settings: Settings, entries: Mapping[str, ProviderSpec]) -> list[str]:
    spec = merged(name, settings.providers, entries, where_of(name, settings))
    ids = [(model.id, or_else(model.family, family_of(model.id))) for model in models_of(spec)]
    return [f"{name}/{part}" for pair in ids for part in dict.fromkeys(pair)]
