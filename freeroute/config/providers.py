"""One provider entry resolved: addresses, keys, models and limits as the domain knows them."""

import re
from collections.abc import Iterator, Mapping
from datetime import date
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from msgspec import UnsetType, structs

from freeroute.config.entries import models_of, or_else, unknown
from freeroute.config.load import Settings, check_none_of_ours
from freeroute.config.provider_specs import (
    LimitSpec,
    ModelSpec,
    ProviderSpec,
    SpeedSpec,
    TermsSpec,
    TimeoutsSpec,
)
from freeroute.config.references import split
from freeroute.config.schema import Where
from freeroute.config.values import SPANS
from freeroute.domain.catalogue import (
    ErrorRule,
    Key,
    Limit,
    Model,
    Precharge,
    Privacy,
    Provider,
    Quirks,
    Scope,
    Timeouts,
    Unit,
)
from freeroute.domain.families import family_of
from freeroute.domain.headers import Auth, RateHeaders
from freeroute.domain.measuring import UNKNOWN
from freeroute.domain.outcome import Kind
from freeroute.domain.tasks import Task
from freeroute.upstreams.kinds import known


def set_variable(spec: ProviderSpec, env: Mapping[str, str], *, listed: bool) -> str | None:
    """Return the first variable that holds a key for *spec*; some count only once it is *listed*."""
    names = or_else(spec.env, ()) + (or_else(spec.env_named, ()) if listed else ())
    return next((name for name in names if split(env.get(name, ""))), None)


def provider_of(
    name: str,
    spec: ProviderSpec,
    settings: Settings,
    where: Where,
    today: date,
    keys: tuple[Key, ...] | None = None,
) -> Provider:
    """Resolve entry *name*, with *keys* instead of its own; raises ConfigError for what is wrong in it.

    *today* retires models.
    """
    listed = name in settings.providers
    terms = or_else(spec.terms, TermsSpec())
    return Provider(
        id=name,
        name=or_else(spec.name, name),
        base_url=_base_url(name, spec, settings, where),
        kind=_kind(spec, where),
        keys=tuple(_keys(spec, settings, where, listed=listed)) if keys is None else keys,
        models=tuple(_models(spec, where, today)),
        limits=_limits(or_else(spec.limits, ()), Scope.ACCOUNT, where),
        auth=or_else(spec.auth, Auth()),
        headers=_headers(spec, where),
        errors=_errors(spec, where),
        quirks=_quirks(spec, where),
        precharge=or_else(spec.precharge, Precharge()),
        rate_headers=or_else(spec.rate_headers, RateHeaders()),
        timeouts=_timeouts(or_else(spec.timeouts, TimeoutsSpec())),
        privacy=or_else(spec.privacy, Privacy.UNKNOWN),
        terms=" ".join(text for text in (terms.summary, terms.training) if text),
        local=or_else(spec.local, None),
        failed_calls_count=or_else(spec.failed_calls_count, False),
        probes=or_else(spec.probes, True),
        retired=or_else(spec.retired, {}),
        origin="settings" if listed else "catalogue",
        key_check=_path(or_else(spec.key_check, ""), spec, settings, where.member("key_check")) or None,
        paths=_paths(spec, settings, where),
        engine=or_else(spec.engine, None),
        max_context=_max_context(spec, where),
    )


def _kind(spec: ProviderSpec, where: Where) -> str:
    kind = or_else(spec.kind, "openai")
    if kind not in known():
        raise where.error(f"there is no adapter of this kind; there is {', '.join(known())}", ".kind")
    return kind


def _max_context(spec: ProviderSpec, where: Where) -> int | None:
    """Return the bound; refused where nothing asks for a context, so that nobody relies on it."""
    bound = or_else(spec.max_context, None)
    if bound is not None and or_else(spec.kind, "openai") != "ollama":
        raise where.error("only `kind: ollama` asks its server for a context", ".max_context")
    return bound


def _filled(text: str, spec: ProviderSpec, settings: Settings, where: Where) -> str:
    """Return *text* with the entry's variables put in: only those it declares, only plain values."""
    for name in or_else(spec.variables, ()):
        if f"{{{name}}}" not in text:
            continue
        value = settings.environ.get(name, "")
        if not value:
            raise where.error(f"needs the environment variable {name} as well")
        if not re.fullmatch(r"[\w.-]{1,128}", value, re.ASCII):
            raise where.error(f"{name} holds a character that does not belong into an address")
        text = text.replace(f"{{{name}}}", value)
    return text


def _base_url(name: str, spec: ProviderSpec, settings: Settings, where: Where) -> str:
    variable = _told_by(name, spec, settings)
    if variable is not None:
        where, url = Where("environment", variable), ollama_url(settings.environ[variable])
    else:
        where, url = where.member("base_url"), or_else(spec.base_url, "")
        if not url:
            raise where.error("is required for a provider that is not in the catalogue")
        url = _filled(url, spec, settings, where)
    if problem := address_problem(url):
        raise where.error(problem)
    return url.rstrip("/")


def address_problem(url: str) -> str | None:
    """Return why *url* cannot be the address of an API; None if it can."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return "expected an address such as https://api.example.com/v1"
    if not usable or not re.fullmatch(r"[!-~]+", url) or "{" in url:
        return "expected an address such as https://api.example.com/v1"
    if "@" in parts.netloc or parts.query or parts.fragment:
        return "may not carry a user, a query or a fragment; keys go into `keys`"
    return None


def _paths(spec: ProviderSpec, settings: Settings, where: Where) -> dict[Task, str]:
    return {
        Task(name): _path(path, spec, settings, where.member(f"paths.{name}"))
        for name, path in or_else(spec.paths, {}).items()
    }


def _path(told: str, spec: ProviderSpec, settings: Settings, where: Where) -> str:
    """Return the path or address that is *told*; a path that lacks its slash would name another host."""
    told = _filled(told, spec, settings, where)
    if told and not re.fullmatch(r"(/|https?://[\w.-])[!-~]*", told, re.ASCII):
        raise where.error("expected a path such as /models, or a whole address")
    return told


def _told_by(name: str, spec: ProviderSpec, settings: Settings) -> str | None:
    """Return which of Ollama's own variables says where it is, unless the settings say so themselves."""
    listed = settings.providers.get(name)
    if spec.engine != "ollama" or (listed is not None and not isinstance(listed.base_url, UnsetType)):
        return None
    names = ("OLLAMA_BASE_URL", "OLLAMA_HOST")
    return next((name for name in names if settings.environ.get(name)), None)


def ollama_url(told: str) -> str:
    """Return the base URL for what OLLAMA_HOST or OLLAMA_BASE_URL says: ``0.0.0.0``, ``box:11434``, a URL."""
    scheme, separator, rest = told.strip().rstrip("/").rpartition("://")
    rest = rest.removesuffix("/v1")
    host, colon, port = rest.rpartition(":") if re.search(r":\d+$", rest) else (rest, "", "")
    # The server's variable may name every address; that is where it listens, not where it is.
    host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host)
    if not colon and not separator:
        port = "11434"
    return f"{scheme or 'http'}://{host}{':' if port else ''}{port}/v1"


def _keys(spec: ProviderSpec, settings: Settings, where: Where, *, listed: bool) -> Iterator[Key]:
    if not isinstance(spec.keys, UnsetType):
        if not spec.keys:
            yield Key("", "anonymous")
        yield from _given_keys(spec, where)
        return
    variable = set_variable(spec, settings.environ, listed=listed)
    secrets = split(settings.environ[variable]) if variable else []
    if secrets and (listed or settings.discovery.env):
        place = Where("environment", variable or "")
        for number, secret in enumerate(secrets, 1):
            if not re.fullmatch(r"[!-~]+", secret):
                raise place.error("holds a character that no key has")
            check_none_of_ours(secret, settings.doors, place)
            yield Key(secret, f"key-{number}", source="environment")
    elif or_else(spec.keyless, False) or not isinstance(spec.engine, UnsetType):
        yield Key("", "anonymous")
    else:
        names = " or ".join(or_else(spec.env, ()) + or_else(spec.env_named, ()))
        advice = f"set {names} or give `keys`" if names else "give `keys`; `keys: []` sends none"
        raise where.error(f"has no key: {advice}")


def _given_keys(spec: ProviderSpec, where: Where) -> Iterator[Key]:
    labels: set[str] = set()
    for index, key in enumerate(or_else(spec.keys, ())):
        if isinstance(key, str):
            raise TypeError("keys are resolved before they are assembled")
        label = key.label or f"key-{index + 1}"
        for field, text in (("label", label), ("account", key.account)):
            if not re.fullmatch(r"[\w.@-]{1,64}", text, re.ASCII):
                raise where.error(
                    "is made of letters, digits, `.`, `_`, `@` and `-`", f".keys[{index}].{field}"
                )
        if label in labels:
            raise where.error("another key has this label", f".keys[{index}].label")
        labels.add(label)
        yield Key(key.key, label, key.account, key.enabled)


def _timeouts(spec: TimeoutsSpec) -> Timeouts:
    given: dict[str, Any] = {
        name: float(value)
        for name in spec.__struct_fields__
        if not isinstance(value := getattr(spec, name), UnsetType)
    }
    return Timeouts(**given)


def _headers(spec: ProviderSpec, where: Where) -> dict[str, str]:
    for name, value in or_else(spec.headers, {}).items():
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) or not re.fullmatch(r"[ -~]*", value):
            raise where.error("holds a name or a value that no header can carry", ".headers")
    return or_else(spec.headers, {})


def _errors(spec: ProviderSpec, where: Where) -> tuple[ErrorRule, ...]:
    rules = or_else(spec.errors, ())
    for index, rule in enumerate(rules):
        if rule.kind not in list(Kind):
            raise where.error(unknown("kind", rule.kind, list(Kind)), f".errors[{index}].kind")
        if rule.window is not None and rule.window not in SPANS:
            raise where.error(f"expected one of {', '.join(SPANS)}", f".errors[{index}].window")
    return rules


def _quirks(spec: ProviderSpec, where: Where) -> Quirks:
    quirks = or_else(spec.quirks, Quirks())
    for name, (low, high) in quirks.clamps.items():
        if not low <= high:
            raise where.error("expected the lowest value and then the highest", f".quirks.clamps.{name}")
    return quirks


# --- models and limits ---------------------------------------------------------------------------------


def _models(spec: ProviderSpec, where: Where, today: date) -> Iterator[Model]:
    of_provider = _limits(or_else(spec.limits, ()), Scope.ACCOUNT, where)
    shared = {_counter(limit) for limit in of_provider}
    metered = not _of_ones_own(spec)
    common: dict[tuple[Unit, float, Scope], tuple[Limit, str]] = {}
    for index, model in enumerate(models_of(spec)):
        place = Where(where.file, f"{where.path}.models[{index}]".lstrip("."))
        limits = _limits(or_else(model.limits, ()), Scope.MODEL, place)
        for limit in limits:
            if _counter(limit) in shared:
                text = f"the provider's own limits already count {limit.label} per {limit.scope.value}"
                raise place.error(text, ".limits")
            # Models may share a counter, but then it has one size and one kind of window.
            other, first = common.setdefault(_counter(limit), (limit, model.id))
            if limit.scope is not Scope.MODEL and not _alike(limit, other):
                text = f"{first} counts {limit.label} per {limit.scope.value} in another way"
                raise place.error(text, ".limits")
        if metered and all(limit.unit is not Unit.REQUESTS for limit in (*of_provider, *limits)):
            limits = (*limits, UNKNOWN)
        yield _model(model, spec, limits, place, today)


def _of_ones_own(spec: ProviderSpec) -> bool:
    """Say whether this is a server of the operator's own, which limits nobody by the minute."""
    if spec.privacy is Privacy.LOCAL or not isinstance(spec.engine, UnsetType):
        return True
    host = urlsplit(or_else(spec.base_url, "")).hostname or ""
    return spec.keys == () and (host == "localhost" or _is_private(host))


def _is_private(host: str) -> bool:
    try:
        return ip_address(host).is_private
    except ValueError:
        return False


def _model(
    spec: ModelSpec, provider: ProviderSpec, limits: tuple[Limit, ...], where: Where, today: date
) -> Model:
    speed = or_else(spec.speed, SpeedSpec())
    retires = or_else(spec.retires, None) or or_else(provider.retired, {}).get(spec.id)
    gone = retires is not None and _date(retires, where) <= today
    return Model(
        id=spec.id,
        family=or_else(spec.family, family_of(spec.id)),
        context=or_else(spec.context, None),
        max_output=or_else(spec.max_output, None),
        capabilities=frozenset(or_else(spec.capabilities, ())),
        quality=or_else(spec.quality, 30.0),
        first_token=or_else(speed.first_token, 1.0),
        tokens_per_second=or_else(speed.tokens_per_second, 50.0),
        price=or_else(spec.price, None),
        neurons=or_else(spec.neurons, None),
        dimensions=or_else(spec.dimensions, None),
        max_inputs=or_else(spec.max_inputs, None),
        auto=or_else(spec.auto, True),
        enabled=or_else(spec.enabled, not gone),
        limits=limits,
        retires=retires,
    )


def _date(text: str, where: Where) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as exc:
        raise where.error("expected a date such as 2027-01-31", ".retires") from exc


def _limits(specs: tuple[LimitSpec, ...], scope: Scope, where: Where) -> tuple[Limit, ...]:
    limits: list[Limit] = []
    for index, spec in enumerate(specs):
        span = or_else(spec.per, None)
        limit = Limit(
            unit=spec.unit,
            amount=spec.amount,
            seconds=span.seconds if span is not None else 0.0,
            window=spec.window,
            span=str(span) if span in SPANS else "",
            tz=spec.tz,
            scope=or_else(spec.scope, scope),
            confidence=spec.confidence,
        )
        twin = next((other for other in limits if _counter(other) == _counter(limit)), None)
        if twin is not None:
            same = "" if twin.label == limit.label else f" (it is {twin.label} as well)"
            raise where.error(f"{limit.label} is limited twice{same}", f".limits[{index}]")
        limits.append(limit)
    return tuple(limits)


def _counter(limit: Limit) -> tuple[Unit, float, Scope]:
    return limit.unit, limit.seconds, limit.scope


def _alike(limit: Limit, other: Limit) -> bool:
    return structs.replace(limit, confidence=other.confidence) == other
