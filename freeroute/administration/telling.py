"""What operators are told of providers and keys: never a key, only how it ends."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

from freeroute.config.assembly import where_of
from freeroute.config.entries import merged, models_of, or_else
from freeroute.config.overlay import DISABLED, HIDDEN, Laid, Plan
from freeroute.domain.catalogue import Key, Provider
from freeroute.domain.overlay import EnteredKey
from freeroute.domain.resolve import nearest
from freeroute.errors import Conflict, NotFound
from freeroute.stores.keysafe import Opened

SHOWN = 4
"""Characters of a key's end that are shown, and of a long key alone."""

LONG = 16
"""Characters of a key from which on its end gives nothing away. Own design: 4 of 16 and more."""

States = Callable[[str, str], dict[str, Any]]
"""How the key of a provider and a label stands in a running gateway: ``state``, ``until``, ``reason``."""


def unknown_state(provider: str, label: str) -> dict[str, Any]:
    """Return what is known of a key's standing where no gateway runs."""
    return {"state": "unknown", "until": None, "reason": None}


class Knowing(Protocol):
    """What the settings and what was entered come to."""

    @property
    def plan(self) -> Plan:
        """Return what the settings alone come to."""
        ...

    @property
    def opened(self) -> Opened:
        """Return what was entered."""
        ...

    @property
    def laid(self) -> Laid:
        """Return what both come to."""
        ...


class Telling:
    """Tells of providers and keys as they are at one moment."""

    def __init__(self, known: Knowing, states: States = unknown_state) -> None:
        """Tell what is *known*; *states* says how keys in use stand."""
        self._plan, self._opened, self._laid = known.plan, known.opened, known.laid
        self._states = states
        assembly = self._laid.assembly
        self._on = {**assembly.catalogue.providers, **{one.id: one for one in assembly.local}}
        self._why = {line.provider: line.why for line in assembly.switched_on}

    def all(self) -> list[dict[str, Any]]:
        """Return every provider that is on, then those that could be."""
        return sorted(map(self.provider, self._plan.names), key=lambda told: not told["on"])

    def provider(self, name: str) -> dict[str, Any]:
        """Return what there is to tell of the provider *name*, one of the plan's."""
        settings = self._plan.settings
        spec = merged(name, settings.providers, self._plan.entries, where_of(name, settings))
        on = self._on.get(name)
        own = self._plan.own(name)
        home = own.base_url if own is not None else or_else(spec.base_url, None)
        overlay = self._opened.overlay
        off = {model.partition("/")[2] for model in overlay.off if model.startswith(f"{name}/")}
        return {
            "id": name,
            "name": or_else(spec.name, name),
            "on": on is not None,
            "enabled": name not in overlay.off,
            "why": self._why.get(name) or ("local server" if on is not None else None),
            "base_url": on.base_url if on is not None else home,
            "base_url_of_settings": home if name in overlay.addresses else None,
            "signup_url": or_else(spec.signup_url, None),
            "models": len(models_of(spec)),
            "models_off": sorted(off),
            "keys": [*(self._used(on) if on is not None else ()), *self._hidden(name, on)],
        }

    def _used(self, provider: Provider) -> Iterator[dict[str, Any]]:
        """Tell of the keys of *provider*; calling without one is none."""
        for key in provider.keys:
            if key.source == "entered":
                yield self._one(provider.id, key, self._opened.overlay.key((provider.id, key.label)))
            elif key.secret:
                yield self._one(provider.id, key, None)

    def _hidden(self, name: str, provider: Provider | None) -> Iterator[dict[str, Any]]:
        """Tell of entered keys that *provider* does not have: it cannot be on, or has others so called."""
        shown = {key.label for key in provider.keys if key.source == "entered"} if provider else set()
        for key in self._opened.overlay.keys:
            if key.provider == name and key.label not in shown:
                why = HIDDEN if provider is not None else self._laid.shut.get(key.place, "")
                yield {**_plain(key.label, key.account, "entered", key), "state": "off", "reason": why}

    def _one(self, provider: str, key: Key, entered: EnteredKey | None) -> dict[str, Any]:
        told = _plain(key.label, key.account, key.source, entered)
        told["ends_with"] = key.secret[-SHOWN:] if len(key.secret) >= LONG else ""
        if key.enabled:
            return {**told, **self._states(provider, key.label)}
        why = self._laid.shut.get((provider, key.label), "switched off in the settings")
        enabled = entered.enabled if entered is not None else (provider, key.label) in self._laid.shut
        return {**told, "enabled": enabled, "state": "off", "reason": None if why == HIDDEN else why}


def asked_about(laid: Laid, provider: str, label: str) -> tuple[Provider, Key]:
    """Return what is needed to ask *provider* about its key *label*; raises NotFound and Conflict.

    A key that is switched off can be asked about. One that is not for where its provider is now is not sent.
    """
    known = {**laid.assembly.catalogue.providers, **{one.id: one for one in laid.assembly.local}}
    if provider not in known:
        raise NotFound(f"provider {provider!r} is not switched on{meant(provider, known)}", param="provider")
    for key in known[provider].keys:
        if key.label == label:
            why = laid.shut.get((provider, label))
            if not key.enabled and why not in (None, DISABLED):
                raise Conflict(f"{provider}: {label} is not asked about: {why}", param="label")
            return known[provider], key
    labels = [key.label for key in known[provider].keys]
    raise NotFound(f"{provider} has no key {label!r}{meant(label, labels)}", param="label")


def meant(name: str, known: Iterable[str]) -> str:
    """Return the question whether one of those *known* was meant that look like *name*, if any does."""
    close = nearest(name, known)
    return f"; did you mean {' or '.join(close)}?" if close else ""


def _plain(label: str, account: str, source: str, entered: EnteredKey | None) -> dict[str, Any]:
    return {
        "label": label,
        "account": account,
        "source": source,
        "enabled": entered is None or entered.enabled,
        "ends_with": "",
        "created": entered.created if entered is not None else None,
        "state": "off",
        "until": None,
        "reason": None,
    }
