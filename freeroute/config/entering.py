"""Entering what lies over the settings: each change is checked against them, then kept."""

import re
from collections.abc import Callable, Iterable, Sequence
from ipaddress import ip_address
from urllib.parse import urlsplit

from msgspec import structs

from freeroute.config.overlay import Plan
from freeroute.config.providers import address_problem
from freeroute.config.references import checked
from freeroute.config.schema import Where
from freeroute.domain.catalogue import Provider
from freeroute.domain.keys import KeyPlace
from freeroute.domain.overlay import Address, EnteredKey, Overlay, origin_of
from freeroute.domain.resolve import nearest
from freeroute.errors import ConfigError, Conflict, InvalidRequest, NotFound
from freeroute.stores.keysafe import KeySafe, Sealing
from freeroute.stores.sealing import Unopened

MOST_KEYS = 1000
"""Keys that may be entered. Own design: a hundred providers with ten accounts each; the file stays small."""

LONGEST_SECRET = 4096
"""Characters of a key. Own design: the longest that providers hand out, signed tokens, have some 1,500."""

_NAME = re.compile(r"[\w.@-]{1,64}", re.ASCII)


class Entering:
    """Changes to what was entered. Each raises InvalidRequest, NotFound, Conflict or ConfigError, and then
    nothing has changed. They wait for locks and disks: not on the event loop.
    """

    def __init__(
        self, plan: Plan, safe: KeySafe, found: Callable[[str, str], bool] = lambda p, m: False
    ) -> None:
        """Check against *plan* and keep in *safe*; *found* knows models of local servers."""
        self._plan = plan
        self._safe = safe
        self._found = found

    # --- keys --------------------------------------------------------------------------------------

    def add_key(
        self, provider: str, label: str, secret: str, account: str = "default", *, wall: float
    ) -> None:
        """Keep *secret* as the key *label*, for where *provider* is now. *wall* is the Unix time."""
        known = self._with_a_key(provider)
        _check_name("label", label)
        _check_name("account", account)
        secret = _sound(secret)
        if label in _labels(known):
            raise Conflict(
                f"{provider}: the settings have a key {label}: what holds for it is said there", param="label"
            )
        if any(key.secret == secret for key in known.keys):
            raise Conflict(f"{provider}: the settings have this key already", param="key")

        def entered(overlay: Overlay, sealing: Sealing) -> Overlay:
            if overlay.key((provider, label)) is not None:
                raise Conflict(f"{provider}: there is a key {label} already", param="label")
            if len(overlay.keys) >= MOST_KEYS:
                raise Conflict(f"there are {MOST_KEYS} keys already: remove some")
            for other in overlay.keys:
                if other.provider == provider and _secret(other, sealing) == secret:
                    raise Conflict(f"{provider}: this key is there as {other.label}", param="key")
            origin = origin_of(self._url(known, overlay))
            sealed = sealing.close((provider, label), origin, secret)
            return overlay.with_key(EnteredKey(provider, label, sealed, origin, account, created=wall))

        self._safe.update(entered)

    def switch_key(self, provider: str, label: str, *, on: bool) -> None:
        """Use the entered key at this place, or do not."""

        def switched(overlay: Overlay, _: Sealing) -> Overlay:
            return overlay.with_key(structs.replace(self._entered(overlay, (provider, label)), enabled=on))

        self._safe.update(switched)

    def remove_key(self, provider: str, label: str) -> None:
        """Forget the entered key at this place."""

        def without(overlay: Overlay, _: Sealing) -> Overlay:
            self._entered(overlay, (provider, label))
            return overlay.without_key((provider, label))

        self._safe.update(without)

    # --- switches and addresses --------------------------------------------------------------------

    def switch(self, provider: str, *, on: bool) -> None:
        """Let *provider* be asked, or not."""
        self._known(provider)
        self._safe.update(lambda overlay, _: overlay.switched(provider, on=on))

    def switch_model(self, provider: str, model: str, *, on: bool) -> None:
        """Let *model* of *provider* be asked, or not."""
        known = self._known(provider)
        models = {one.id: one for one in known.models}
        if model not in models and not self._found(provider, model):
            raise NotFound(f"{provider} has no model {model!r}{_meant(model, models)}", param="model")
        if on and model in models and not models[model].enabled:
            raise Conflict(f"{provider}/{model} is switched off in the settings, or retired", param="enabled")
        self._safe.update(lambda overlay, _: overlay.switched(f"{provider}/{model}", on=on))

    def move(self, provider: str, url: str | None, confirmed: Sequence[str]) -> None:
        """Have *provider* at *url*; None is where the settings have it.

        Of its keys only those *confirmed*, by their labels, are sent to a place they were not given for.
        """
        known = self._known(provider)
        if url is not None:
            _check_address(url, known)

        def moved(overlay: Overlay, sealing: Sealing) -> Overlay:
            before = overlay.addresses.get(provider)
            address = None if url is None else Address(url.rstrip("/"), self._own(confirmed, known))
            overlay = overlay.at(provider, address)
            there = origin_of(self._url(known, overlay))
            for label in confirmed:
                key = overlay.key((provider, label))
                if key is None and label not in _labels(known):
                    raise NotFound(
                        f"{provider} has no key {label!r}{_meant(label, _all(overlay, known))}",
                        param="send_keys",
                    )
                if key is not None and key.origin != there:
                    secret = _secret(key, sealing)
                    if secret is None:
                        raise Conflict(
                            f"{provider}: the key {label} is damaged: remove it", param="send_keys"
                        )
                    sealed = sealing.close(key.place, there, secret)
                    overlay = overlay.with_key(structs.replace(key, sealed=sealed, origin=there))
            if address is not None and before is not None and origin_of(before.url) == there:
                kept = tuple(dict.fromkeys((*before.keys, *address.keys)))
                overlay = overlay.at(provider, structs.replace(address, keys=kept))
            return overlay

        self._safe.update(moved)

    # --- checks ------------------------------------------------------------------------------------

    def _known(self, provider: str) -> Provider:
        """Return *provider*, on or not; raises NotFound."""
        names = self._plan.names
        if provider not in names:
            raise NotFound(f"there is no provider {provider!r}{_meant(provider, names)}", param="provider")
        return self._plan.own(provider) or self._with_a_key(provider)

    def _with_a_key(self, provider: str) -> Provider:
        if provider not in self._plan.names:
            return self._known(provider)
        try:
            return self._plan.own(provider) or self._plan.keyless(provider)
        except ConfigError as exc:
            raise InvalidRequest(str(exc), param="provider") from exc

    def _entered(self, overlay: Overlay, place: KeyPlace) -> EnteredKey:
        found = overlay.key(place)
        if found is not None:
            return found
        provider, label = place
        known = self._known(provider)
        if label in _labels(known):
            raise Conflict(
                f"{provider}: {label} is a key of the settings: what holds for it is said there",
                param="label",
            )
        raise NotFound(f"{provider} has no key {label!r}{_meant(label, _all(overlay, known))}", param="label")

    @staticmethod
    def _own(labels: Sequence[str], known: Provider) -> tuple[str, ...]:
        return tuple(label for label in labels if label in _labels(known))

    @staticmethod
    def _url(known: Provider, overlay: Overlay) -> str:
        address = overlay.addresses.get(known.id)
        return known.base_url if address is None else address.url


def _secret(key: EnteredKey, sealing: Sealing) -> str | None:
    try:
        return sealing.open(key)
    except Unopened:
        return None


def _labels(known: Provider) -> list[str]:
    return [key.label for key in known.keys if key.secret]


def _all(overlay: Overlay, known: Provider) -> list[str]:
    return [*_labels(known), *(key.label for key in overlay.keys if key.provider == known.id)]


def _meant(name: str, known: Iterable[str]) -> str:
    close = nearest(name, known)
    return f"; did you mean {' or '.join(close)}?" if close else ""


def _check_name(field: str, text: str) -> None:
    if not _NAME.fullmatch(text):
        raise InvalidRequest(
            f"{field} is made of up to 64 letters, digits, `.`, `_`, `@` and `-`", param=field
        )


def _sound(secret: str) -> str:
    """Return *secret* if it can be a key and stands for nothing else; raises InvalidRequest."""
    if secret.startswith(("env:", "file:")):
        raise InvalidRequest(
            "references such as env:NAME and file:PATH belong into the settings file: give the key itself",
            param="key",
        )
    if len(secret) > LONGEST_SECRET:
        raise InvalidRequest(f"key has more than {LONGEST_SECRET} characters", param="key")
    try:
        return checked(secret, Where("", "key"))
    except ConfigError as exc:
        raise InvalidRequest(str(exc), param="key") from exc


def _check_address(url: str, known: Provider) -> None:
    if problem := address_problem(url):
        raise InvalidRequest(f"base_url: {problem}", param="base_url")
    parts = urlsplit(url)
    plain_is_known = urlsplit(known.base_url).scheme == "http" and not _is_loopback(known.base_url)
    if parts.scheme == "http" and not _is_loopback(url) and not plain_is_known:
        raise InvalidRequest(
            "base_url: keys and prompts are not sent over the network in the clear: expected https, or an"
            " address of this machine",
            param="base_url",
        )


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
