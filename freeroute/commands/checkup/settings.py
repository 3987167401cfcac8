"""Are the settings what was meant: what is on, which keys nobody uses, whose limits are odd?"""

import importlib.util
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from freeroute.app import LOOPBACK
from freeroute.commands.checkup.finding import Finding, note, ok, problem, warning
from freeroute.commands.offline import Offline
from freeroute.config.entries import or_else
from freeroute.config.load import VARIABLES, Settings
from freeroute.config.provider_specs import LimitSpec, ProviderSpec
from freeroute.config.references import split
from freeroute.config.sources import read_text
from freeroute.domain.catalogue import Limit, Provider
from freeroute.domain.overlay import origin_of
from freeroute.domain.resolve import nearest
from freeroute.errors import ConfigError
from freeroute.serving import refuse_wide_bind
from freeroute.stores.clients_file import ClientsFile
from freeroute.stores.permissions import open_to_others
from freeroute.tracing import ENDPOINTS

AREA, ENVIRONMENT, LIMITS = "settings", "environment", "limits"
_LOOKS_LIKE_A_KEY = re.compile(r"(?!FREEROUTE_).*(API_?KEY|API_TOKEN|ACCESS_TOKEN)|HF_TOKEN")
_MAY_BE_MEANT = re.compile(r"(?!FREEROUTE_).*(KEY|TOKEN)")


def examine(read: Offline) -> Iterator[Finding]:
    """Return what is to be said of settings that can be read."""
    settings, assembly = read.plan.settings, read.assembly
    yield ok(AREA, f"{settings.file or 'the environment, for there is no settings file,'} can be read")
    yield from _who_may_call(settings)
    if not assembly.switched_on and not assembly.local:
        told = "set a key such as GROQ_API_KEY, start a local model, or say --keyless"
        yield problem(AREA, "no provider is switched on", told)
    elif assembly.switched_on:
        yield ok(AREA, f"on: {', '.join(on.provider for on in assembly.switched_on)}")
    yield from (
        note(AREA, hint, "see docs/configuration.md")
        for hint in assembly.hints
        if hint not in read.laid.problems
    )
    yield from (problem("keys", told, "see docs/keys.md") for told in read.laid.problems)
    for (provider, label), why in sorted(read.laid.shut.items()):
        yield note("keys", f"{provider}: the key {label} is not used: {why}", "see docs/keys.md")
    yield from _readable_by_others(settings, _providers(read))
    yield from _extras(settings)


def _providers(read: Offline) -> list[Provider]:
    return [*read.assembly.catalogue.providers.values(), *read.assembly.local]


def _who_may_call(settings: Settings) -> Iterator[Finding]:
    try:
        added = ClientsFile(settings.state_dir).read()
    except ConfigError as exc:
        yield problem(AREA, str(exc), "bring back a copy of it, or remove it and add the clients again")
        return
    try:
        refuse_wide_bind(settings, added)
    except ConfigError as exc:
        yield problem(AREA, str(exc), "set FREEROUTE_API_KEY, or add clients: `freeroute clients add NAME`")
        return
    if settings.server.host not in LOOPBACK and not settings.clients and not added:
        told = f"whoever reaches {settings.server.host}:{settings.server.port} may spend your quota"
        yield warning(AREA, told, "set FREEROUTE_API_KEY, or add clients, unless the network is yours alone")


def _readable_by_others(settings: Settings, providers: Iterable[Provider]) -> Iterator[Finding]:
    """Name the files with keys in them that others on this machine can read."""
    secrets = [key.secret for provider in providers for key in provider.keys if key.secret]
    for path in filter(None, (settings.file, Path(".env"))):
        if path.is_file() and (mode := open_to_others(path)):
            text = read_text(path, path.name)
            if any(secret in text for secret in secrets):
                told = f"{path}: holds keys, and others on this machine may read it (mode {mode:04o})"
                yield warning(AREA, told, f"chmod 600 {path}")


def _extras(settings: Settings) -> Iterator[Finding]:
    if importlib.util.find_spec("opentelemetry") is not None:
        return
    install = "pip install 'freeroute-gateway[otel]'"
    if settings.traces.endpoint is not None:
        yield problem(AREA, "traces.endpoint is set, and OpenTelemetry's libraries are missing", install)
    elif name := next((name for name in ENDPOINTS if settings.environ.get(name)), None):
        yield warning(AREA, f"{name} is set, and no traces are sent: the libraries are missing", install)


# --- variables that look like keys ------------------------------------------------------------------------


def unused_variables(read: Offline) -> Iterator[Finding]:
    """Say of each variable that looks like a key, and is none that anything uses, why that is."""
    settings = read.plan.settings
    owners = _owners(read.plan.entries)
    secrets = {key.secret for provider in _providers(read) for key in provider.keys}
    written = read_text(settings.file, settings.shown) if settings.file else ""
    hinted = " ".join(read.assembly.hints)
    for name, value in sorted(settings.environ.items()):
        if name in VARIABLES or f"env:{name}" in written or re.search(rf"\b{re.escape(name)}\b", hinted):
            continue
        if value.strip() and secrets.isdisjoint(split(value)):
            yield from _unused(name, owners, settings)
    # One line, for who copied a whole list of variables, as compose files do.
    if empty := [name for name in sorted(owners) if settings.environ.get(name, "-").strip() == ""]:
        yield note(
            ENVIRONMENT, f"empty: {', '.join(empty)}", "a provider is on once its variable holds a key"
        )


def _owners(entries: Mapping[str, ProviderSpec]) -> dict[str, str]:
    """Return which provider of the catalogue takes a key from which variable."""
    return {
        variable: name
        for name, spec in entries.items()
        for variable in (*or_else(spec.env, ()), *or_else(spec.env_named, ()))
    }


def _unused(name: str, owners: Mapping[str, str], settings: Settings) -> Iterator[Finding]:
    if name in owners:
        told, remedy = _why(name, owners[name], settings)
        yield note(ENVIRONMENT, told, remedy)
    elif _MAY_BE_MEANT.fullmatch(name) and (meant := _meant(name, owners)):
        yield warning(ENVIRONMENT, f"{name} is set, and nobody reads it", f"did you mean {meant}?")
    elif _LOOKS_LIKE_A_KEY.fullmatch(name):
        told = f"{name} looks like a key, and no provider of the catalogue takes it"
        yield note(ENVIRONMENT, told, f"a provider of your own can: `keys: [env:{name}]`")


def _meant(name: str, owners: Mapping[str, str]) -> str | None:
    """Return the variable that *name* is a slip of, or a short form."""
    service = name.partition("_")[0]
    close = [one for one in owners if one.partition("_")[0] == service] or nearest(name, owners)
    return next((one for one in close if one[:2] == name[:2]), None)


def _why(name: str, owner: str, settings: Settings) -> tuple[str, str]:
    listed = settings.providers.get(owner)
    if listed is not None and or_else(listed.keys, None) is not None:
        told = f"{name} is set, and not used: providers.{owner}.keys says which keys are"
        return told, f"add `env:{name}` there, or remove it"
    if not settings.discovery.env and listed is None:
        told = f"{name} is set, and not used: discovery.env is off"
        return told, f"list it: `providers: {{{owner}: {{}}}}`"
    return f"{name} is set, and not used: another variable of {owner} comes first", "remove one of them"


# --- limits -----------------------------------------------------------------------------------------------


def limits(read: Offline) -> Iterator[Finding]:
    """Say whose limits nobody knows, which settings disagree with what is published, and what is shared."""
    providers = _providers(read)
    for provider in providers:
        if not provider.is_local:
            yield from _unknown(provider)
            yield from _shared(provider)
        yield from _overridden(provider, read)
    yield from _counted_twice(providers)


def _known(limits: Iterable[Limit]) -> bool:
    return any(math.isfinite(limit.amount) for limit in limits)


def _unknown(provider: Provider) -> Iterator[Finding]:
    if not _known(provider.limits) and not any(_known(model.limits) for model in provider.models):
        told = f"{provider.id}: nobody tells its limits; they are found by what it refuses"
        yield note(LIMITS, told, f"if you know them, say so in providers.{provider.id}.limits")


def _shared(provider: Provider) -> Iterator[Finding]:
    accounts: dict[str, int] = defaultdict(int)
    for key in provider.keys:
        accounts[key.account] += bool(key.enabled and key.secret)
    for account, count in accounts.items():
        if count > 1:
            told = f"{provider.id}: {count} keys share the limits of the account {account}"
            yield note(
                LIMITS, told, "that is right for keys of one account; name another `account` otherwise"
            )


def _overridden(provider: Provider, read: Offline) -> Iterator[Finding]:
    listed, entry = read.plan.settings.providers.get(provider.id), read.plan.entries.get(provider.id)
    if listed is None or entry is None or not (given := or_else(listed.limits, ())):
        return
    where = f"providers.{provider.id}.limits"
    published = {_counter(limit): limit.amount for limit in or_else(entry.limits, ())}
    for limit in given:
        amount = published.pop(_counter(limit), None)
        if amount is not None and limit.amount > amount:
            told = (
                f"{where}: {limit.amount:,g} {_label(limit)} are more than the {amount:,g} that are published"
            )
            yield warning(LIMITS, told, "right for a paid plan only: what is beyond it is refused")
    for unit, span, _ in published:
        label = f"{unit} per {span}" if span else unit
        yield note(
            LIMITS, f"{where} leaves out {label}, which is published", "what is given there replaces all"
        )


def _counter(limit: LimitSpec) -> tuple[str, str, str]:
    return limit.unit.value, str(or_else(limit.per, "")), str(or_else(limit.scope, "account"))


def _label(limit: LimitSpec) -> str:
    unit, span, _ = _counter(limit)
    return f"{unit} per {span}" if span else unit


def _counted_twice(providers: Iterable[Provider]) -> Iterator[Finding]:
    """Name the providers that are one account under several names: each counts only its own calls."""
    used: dict[tuple[str, str], list[str]] = defaultdict(list)
    for provider in providers:
        for key in provider.keys:
            if key.secret and key.enabled:
                used[origin_of(provider.base_url), key.secret].append(provider.id)
    for names in dict.fromkeys(tuple(names) for names in used.values() if len(names) > 1):
        told = f"{' and '.join(names)} use the same key: each counts its own calls against the one quota"
        yield warning(LIMITS, told, "keep one of them")
