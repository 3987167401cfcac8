"""What was entered at run time laid over what the settings come to: keys, addresses, who is on by them."""

from collections.abc import Iterator, Mapping
from datetime import date

from msgspec import Struct, structs

from freeroute.config.assembly import (
    Assembly,
    SwitchedOn,
    assemble,
    hints_of,
    switched_on,
    where_of,
    with_providers,
)
from freeroute.config.entries import merged
from freeroute.config.load import Settings
from freeroute.config.provider_specs import ProviderSpec
from freeroute.config.providers import address_problem, provider_of
from freeroute.domain.catalogue import Key, Provider
from freeroute.domain.keys import KeyPlace
from freeroute.domain.overlay import EnteredKey, Overlay, origin_of
from freeroute.errors import ConfigError
from freeroute.stores.keysafe import Opened

DISABLED = "switched off by an operator"
HIDDEN = "hidden: the settings have a key of this label"
REPEATED = "the settings have this key"
LOCKED = "locked: the encryption key is missing or another one"
DAMAGED = "damaged: remove it, and enter it again"


class Plan(Struct, frozen=True):
    """Settings, the catalogue's *entries*, and what they come to *today*, nothing entered yet."""

    settings: Settings
    entries: Mapping[str, ProviderSpec]
    today: date
    assembly: Assembly

    @property
    def names(self) -> list[str]:
        """Return every provider that could be on, best rank first."""
        listed = self.settings.providers
        return [*self.entries, *(name for name in listed if name not in self.entries)]

    def own(self, name: str) -> Provider | None:
        """Return the provider *name* as the settings alone have it; None if they do not switch it on."""
        local = {server.id: server for server in self.assembly.local}
        return self.assembly.catalogue.providers.get(name) or local.get(name)

    def keyless(self, name: str) -> Provider:
        """Return the provider *name* as it would be once it has a key; raises ConfigError."""
        where = where_of(name, self.settings)
        spec = merged(name, self.settings.providers, self.entries, where)
        provider = provider_of(name, spec, self.settings, where, self.today, keys=())
        if provider.engine is None and not provider.models:
            raise where.error("lists no model", ".models")
        return provider


def planned(settings: Settings, entries: Mapping[str, ProviderSpec], today: date) -> Plan:
    """Return what *settings* come to over the catalogue's *entries*; raises ConfigError."""
    return Plan(settings, entries, today, assemble(settings, entries, today))


class Laid(Struct, frozen=True):
    """What is routed by. *shut* says why keys are not used, *problems* what an operator should see to."""

    assembly: Assembly
    shut: dict[KeyPlace, str]
    problems: tuple[str, ...] = ()


def laid(plan: Plan, opened: Opened) -> Laid:
    """Lay what was *opened* over *plan*. Nothing in it can keep the gateway from starting."""
    if opened.overlay == Overlay():
        return Laid(plan.assembly, {})
    shut: dict[KeyPlace, str] = {}
    problems = [opened.problem] if opened.problem else []
    lines = {line.provider: line for line in plan.assembly.switched_on}
    on: list[Provider] = []
    local: list[Provider] = []
    told: list[SwitchedOn] = []
    for name in plan.names:
        provider = plan.own(name)
        if provider is None:
            try:
                provider = _by_key(name, plan, opened)
            except ConfigError as exc:
                problems.append(f"{name} has a key but cannot be switched on: {exc}")
                shut.update({key.place: str(exc) for key in opened.overlay.keys if key.provider == name})
        if provider is None:
            continue
        provider = _overlaid(provider, opened, shut, problems)
        if provider.engine is not None and not provider.models:
            local.append(provider)
        else:
            on.append(provider)
            told.append(lines.get(name) or switched_on(provider, "a key was entered"))
    problems += [f"{place[0]}: the key {place[1]} is {DAMAGED}" for place in sorted(opened.damaged)]
    catalogue = with_providers(plan.assembly.catalogue, on)
    hints = (*hints_of(plan.settings, plan.entries, catalogue, local), *problems)
    made = Assembly(catalogue, tuple(told), tuple(local), hints)
    return Laid(made, shut, tuple(problems))


def _by_key(name: str, plan: Plan, opened: Opened) -> Provider | None:
    """Return the provider *name* if a key that was entered switches it on."""
    return plan.keyless(name) if any(key.provider == name for key in opened.overlay.keys) else None


def _overlaid(provider: Provider, opened: Opened, shut: dict[KeyPlace, str], problems: list[str]) -> Provider:
    provider = _moved(provider, opened, shut, problems)
    entered = [key for key in opened.overlay.keys if key.provider == provider.id]
    if not entered:
        return provider
    keys = tuple(_entered(entered, provider, opened, shut))
    # A key takes the place of calling without one, as it does in the settings.
    used = any(key.enabled for key in keys)
    own = tuple(key for key in provider.keys if key.secret or not used)
    return structs.replace(provider, keys=(*own, *keys))


def _moved(provider: Provider, opened: Opened, shut: dict[KeyPlace, str], problems: list[str]) -> Provider:
    """Return *provider* at the address that was entered, with those keys alone that may be sent there."""
    address = opened.overlay.addresses.get(provider.id)
    if address is None:
        return provider
    if problem := address_problem(address.url):
        problems.append(f"{provider.id}: the address that was entered is not used: {problem}")
        return provider
    there = origin_of(address.url)
    moved = there != origin_of(provider.base_url)
    withheld = {key.label for key in provider.keys if moved and key.secret and key.label not in address.keys}
    shut.update({(provider.id, label): elsewhere(provider.base_url, there) for label in withheld})
    check = provider.key_check
    if check is not None and not check.startswith("/") and origin_of(check) != there:
        check = None  # whoever is asked there would be told a key that is for others
    return structs.replace(
        provider,
        base_url=address.url.rstrip("/"),
        key_check=check,
        keys=tuple(
            structs.replace(key, enabled=key.enabled and key.label not in withheld) for key in provider.keys
        ),
    )


def elsewhere(url: str, there: str) -> str:
    """Say that a key for *url* has not been confirmed for the origin *there*."""
    return f"it is for {origin_of(url)}: confirm that it may be sent to {there}"


def _entered(
    keys: list[EnteredKey], provider: Provider, opened: Opened, shut: dict[KeyPlace, str]
) -> Iterator[Key]:
    own = {key.label for key in provider.keys if key.secret}
    secrets = {key.secret for key in provider.keys if key.secret}
    for key in keys:
        why = _why_not(key, provider, opened, own, secrets)
        if why is not None:
            shut[key.place] = why
        if key.label not in own:
            secret = opened.secrets.get(key.place, "")
            yield Key(secret, key.label, key.account, enabled=why is None, source="entered")


def _why_not(
    key: EnteredKey, provider: Provider, opened: Opened, own: set[str], secrets: set[str]
) -> str | None:
    """Return why *key* is not used; None if it is."""
    if key.label in own:
        return HIDDEN
    if key.place not in opened.secrets:
        return DAMAGED if key.place in opened.damaged else LOCKED
    if key.origin != origin_of(provider.base_url):
        return elsewhere(key.origin, origin_of(provider.base_url))
    if opened.secrets[key.place] in secrets:
        return REPEATED
    return None if key.enabled else DISABLED
