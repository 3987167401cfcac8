"""What operators entered at run time, to lie over the settings: keys, switches, addresses. Plain facts."""

from urllib.parse import urlsplit

from msgspec import Struct, structs

from freeroute.domain.catalogue import Catalogue
from freeroute.domain.keys import KeyPlace

_PORTS = {"http": 80, "https": 443}


class EnteredKey(Struct, frozen=True, forbid_unknown_fields=True):
    """A provider's key as it is kept: *sealed*, and for *origin* alone. *created* is a Unix time."""

    provider: str
    label: str
    sealed: str
    origin: str
    account: str = "default"
    enabled: bool = True
    created: float = 0.0

    @property
    def place(self) -> KeyPlace:
        """Return what tells it from other keys."""
        return self.provider, self.label


class Address(Struct, frozen=True, forbid_unknown_fields=True):
    """Where a provider is instead; *keys* are the labels of the settings' keys that may be sent there."""

    url: str
    keys: tuple[str, ...] = ()


class Overlay(Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that was entered. *off* names providers (``groq``) and models (``groq/model``)."""

    keys: tuple[EnteredKey, ...] = ()
    off: frozenset[str] = frozenset()
    addresses: dict[str, Address] = {}

    def key(self, place: KeyPlace) -> EnteredKey | None:
        """Return the key at *place*, if one was entered."""
        return next((key for key in self.keys if key.place == place), None)

    def with_key(self, key: EnteredKey) -> "Overlay":
        """Return this with *key*, in place of what was there."""
        if self.key(key.place) is None:
            return structs.replace(self, keys=(*self.keys, key))
        return structs.replace(self, keys=tuple(key if old.place == key.place else old for old in self.keys))

    def without_key(self, place: KeyPlace) -> "Overlay":
        """Return this without the key at *place*."""
        return structs.replace(self, keys=tuple(key for key in self.keys if key.place != place))

    def switched(self, name: str, *, on: bool) -> "Overlay":
        """Return this with the provider or model *name* on or off."""
        return structs.replace(self, off=self.off - {name} if on else self.off | {name})

    def at(self, provider: str, address: Address | None) -> "Overlay":
        """Return this with *provider* at *address*; None is where the settings have it."""
        others = {name: there for name, there in self.addresses.items() if name != provider}
        return structs.replace(self, addresses=others if address is None else {**others, provider: address})


def renewed(before: Catalogue, after: Catalogue) -> list[KeyPlace]:
    """Return the places of keys of *after* that *before* did not have, or others there."""
    known = {
        (provider.id, key.label): key.secret
        for provider in before.providers.values()
        for key in provider.keys
    }
    return [
        place
        for provider in after.providers.values()
        for key in provider.keys
        if known.get(place := (provider.id, key.label)) != key.secret
    ]


def origin_of(url: str) -> str:
    """Return the scheme, host and port of *url*: what decides who gets a key that is sent there."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    shown = f"[{host}]" if ":" in host else host
    port = parts.port
    return f"{parts.scheme}://{shown}" + ("" if port in (None, _PORTS.get(parts.scheme)) else f":{port}")
