"""What operators do with providers and their keys, by command and by API: the same rules, the same words."""

import re
from collections.abc import Callable, Iterable, Sequence
from ipaddress import ip_address
from typing import Any, Protocol
from urllib.parse import urlsplit

from msgspec import UnsetType, structs

from freeroute.administration.doors import OwnKey, nobodys
from freeroute.administration.telling import Knowing, States, Telling, asked_about, meant, unknown_state
from freeroute.clock import Clock
from freeroute.config.overlay import Plan
from freeroute.config.providers import address_problem
from freeroute.config.references import checked
from freeroute.config.schema import Where
from freeroute.domain.catalogue import Key, Provider
from freeroute.domain.keys import KeyPlace
from freeroute.domain.overlay import Address, EnteredKey, Overlay, origin_of
from freeroute.engine.changes import Note
from freeroute.errors import ConfigError, Conflict, InvalidRequest, NotFound
from freeroute.stores.keysafe import Change, KeySafe, Locked, Sealing
from freeroute.stores.sealing import Unopened

MOST_KEYS = 1000
"""Keys that may be entered. Own design: a hundred providers with ten accounts each; the file stays small."""

LONGEST_SECRET = 4096
"""Characters of a key. Own design: the longest that providers hand out, signed tokens, have some 1,500."""

_NAME = re.compile(r"[\w.@-]{1,64}", re.ASCII)


class Source(Knowing, Protocol):
    """What is known, and where what is entered is kept."""

    @property
    def safe(self) -> KeySafe:
        """Return where it is kept."""
        ...


def _none_found(provider: str, model: str) -> bool:
    return False


class ProviderBook:
    """The providers there are, with their keys. Keys of the settings are shown, those entered are changed.

    Everything here waits for a disk, and so belongs on a thread. What changes something takes a *note*, which
    is told of it before. Raises InvalidRequest, NotFound, Conflict, and ConfigError for a file that cannot be
    read or written; then nothing has changed.
    """

    def __init__(
        self,
        source: Source,
        clock: Clock,
        states: States = unknown_state,
        found: Callable[[str, str], bool] = _none_found,
        own: OwnKey = nobodys,
    ) -> None:
        """Go by *source*; *states* tells how keys in use stand, *found* knows models of local servers.

        *own* knows keys that open a door of the gateway itself.
        """
        self._source = source
        self._clock = clock
        self._states = states
        self._found = found
        self._own = own

    # --- looking -----------------------------------------------------------------------------------

    def list(self) -> list[dict[str, Any]]:
        """Return all providers: those that are on, then those that a key would switch on."""
        return Telling(self._source, self._states).all()

    def problems(self) -> tuple[str, ...]:
        """Return what of all that was entered is not used, and why: an operator should see to it."""
        return self._source.laid.problems

    def show(self, provider: str) -> dict[str, Any]:
        """Return one provider; raises NotFound."""
        self._check(provider)
        return Telling(self._source, self._states).provider(provider)

    def show_key(self, provider: str, label: str) -> dict[str, Any]:
        """Return one key that was entered; raises NotFound."""
        for told in self.show(provider)["keys"]:
            if (told["label"], told["source"]) == (label, "entered"):
                return dict(told)
        raise self._no_key(self._source.opened.overlay, (provider, label))

    def asked_about(self, provider: str, label: str) -> tuple[Provider, Key]:
        """Return what is needed to ask *provider* about its key *label*; raises NotFound and Conflict."""
        return asked_about(self._source.laid, provider, label)

    # --- keys --------------------------------------------------------------------------------------

    def add_key(self, provider: str, label: str, secret: str, note: Note, account: str = "default") -> None:
        """Keep *secret* as the key *label*, for the host where *provider* is now."""
        known = self._with_a_key(provider)
        _check_name("label", label)
        _check_name("account", account)
        secret = _sound(secret)
        if owner := self._own(secret):
            raise InvalidRequest(f"key: is {owner} of this gateway, and no provider's", param="key")
        if label in _labels(known):
            raise Conflict(f"{provider}: the settings have a key {label}; it is changed there", param="label")
        if any(key.secret == secret for key in known.keys):
            raise Conflict(f"{provider}: the settings have this key already", param="key")

        def entered(overlay: Overlay, sealing: Sealing) -> Overlay:
            _check_room(overlay, (provider, label), secret, sealing)
            origin = origin_of(_url(known, overlay))
            sealed = sealing.close((provider, label), origin, secret)
            created = self._clock.now().wall
            key = EnteredKey(provider, label, sealed, origin, account, created=created)
            note(None, _noted(key))
            return overlay.with_key(key)

        self._update(entered)

    def switch_key(self, provider: str, label: str, note: Note, *, on: bool) -> None:
        """Use the entered key at this place, or do not."""

        def switched(overlay: Overlay, _: Sealing) -> Overlay:
            before = self._entered(overlay, (provider, label))
            after = structs.replace(before, enabled=on)
            note(_noted(before), _noted(after))
            return overlay.with_key(after)

        self._update(switched)

    def remove_key(self, provider: str, label: str, note: Note) -> None:
        """Forget the entered key at this place."""

        def without(overlay: Overlay, _: Sealing) -> Overlay:
            note(_noted(self._entered(overlay, (provider, label))), None)
            return overlay.without_key((provider, label))

        self._update(without)

    # --- switches and addresses --------------------------------------------------------------------

    def switch(self, provider: str, note: Note, *, on: bool) -> None:
        """Let *provider* be asked, or not."""
        self._check(provider)
        self._switch(provider, note, on=on)

    def switch_model(self, provider: str, model: str, note: Note, *, on: bool) -> None:
        """Let *model* of *provider* be asked, or not."""
        models = {one.id: one for one in self._known(provider).models}
        if model not in models and not self._found(provider, model):
            raise NotFound(f"{provider} has no model {model!r}{meant(model, models)}", param="model")
        if on and model in models and not models[model].enabled:
            raise Conflict(f"{provider}/{model} is switched off in the settings, or retired", param="enabled")
        self._switch(f"{provider}/{model}", note, on=on)

    def _switch(self, name: str, note: Note, *, on: bool) -> None:
        def switched(overlay: Overlay, _: Sealing) -> Overlay:
            note({"enabled": name not in overlay.off}, {"enabled": on})
            return overlay.switched(name, on=on)

        self._update(switched)

    def move(self, provider: str, url: str | UnsetType | None, confirmed: Sequence[str], note: Note) -> None:
        """Have *provider* at *url*: None is where the settings have it, UNSET where it is.

        Of its keys only those *confirmed*, by their labels, are sent to a host they were not given for.
        """
        known = self._known(provider)
        if isinstance(url, str):
            _check_address(url, known)

        def moved(overlay: Overlay, sealing: Sealing) -> Overlay:
            after = _moved(overlay, known, url, confirmed)
            there = origin_of(_url(known, after))
            for label in confirmed:
                after = self._confirmed(after, known, label, there, sealing)
            note(_noted_address(overlay, known), _noted_address(after, known, confirmed))
            return after

        self._update(moved)

    def _confirmed(
        self, overlay: Overlay, known: Provider, label: str, there: str, sealing: Sealing
    ) -> Overlay:
        """Return *overlay* with the key *label* good for the origin *there*."""
        key = overlay.key((known.id, label))
        if key is None and label not in _labels(known):
            raise self._no_key(overlay, (known.id, label), "send_keys")
        if key is None or key.origin == there:
            return overlay
        secret = _secret(key, sealing)
        if secret is None:
            raise Conflict(f"{known.id}: the key {label} is damaged: remove it", param="send_keys")
        sealed = sealing.close(key.place, there, secret)
        return overlay.with_key(structs.replace(key, sealed=sealed, origin=there))

    # --- checks ------------------------------------------------------------------------------------

    def _update(self, change: Change) -> None:
        try:
            self._source.safe.update(change)
        except Locked as exc:
            raise Conflict(str(exc)) from exc

    @property
    def _plan(self) -> Plan:
        return self._source.plan

    def _check(self, provider: str) -> None:
        names = self._plan.names
        if provider not in names:
            raise NotFound(f"there is no provider {provider!r}{meant(provider, names)}", param="provider")

    def _known(self, provider: str) -> Provider:
        """Return *provider* as the settings have it, or as it would be with a key."""
        self._check(provider)
        return self._plan.own(provider) or self._with_a_key(provider)

    def _with_a_key(self, provider: str) -> Provider:
        self._check(provider)
        try:
            return self._plan.own(provider) or self._plan.keyless(provider)
        except ConfigError as exc:
            raise InvalidRequest(str(exc), param="provider") from exc

    def _entered(self, overlay: Overlay, place: KeyPlace) -> EnteredKey:
        self._check(place[0])
        found = overlay.key(place)
        if found is None:
            raise self._no_key(overlay, place)
        return found

    def _no_key(self, overlay: Overlay, place: KeyPlace, param: str = "label") -> Conflict | NotFound:
        provider, label = place
        own = self._plan.own(provider)
        labels = _labels(own) if own is not None else []
        if label in labels:
            return Conflict(f"{provider}: {label} is a key of the settings; it is changed there", param=param)
        labels += [key.label for key in overlay.keys if key.provider == provider]
        return NotFound(f"{provider} has no key {label!r}{meant(label, labels)}", param=param)


def _check_room(overlay: Overlay, place: KeyPlace, secret: str, sealing: Sealing) -> None:
    """Raise Conflict if there is no room for *secret* at *place*."""
    provider, label = place
    if overlay.key(place) is not None:
        raise Conflict(f"{provider}: there is a key {label} already", param="label")
    if len(overlay.keys) >= MOST_KEYS:
        raise Conflict(f"there are {MOST_KEYS} keys already: remove some")
    for other in overlay.keys:
        if other.provider == provider and _secret(other, sealing) == secret:
            raise Conflict(f"{provider}: this key is there as {other.label}", param="key")


def _moved(
    overlay: Overlay, known: Provider, url: str | UnsetType | None, confirmed: Iterable[str]
) -> Overlay:
    """Return *overlay* with *known* at *url*, and its own keys among those *confirmed* good for there."""
    before = overlay.addresses.get(known.id)
    if isinstance(url, UnsetType):
        url = None if before is None else before.url
    if url is None:
        return overlay.at(known.id, None)
    own = [label for label in confirmed if label in _labels(known)]
    if before is not None and origin_of(before.url) == origin_of(url):
        own = [*before.keys, *own]
    return overlay.at(known.id, Address(url.rstrip("/"), tuple(dict.fromkeys(own))))


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


def _noted(key: EnteredKey) -> dict[str, Any]:
    """Return what is written down of *key*."""
    return {"account": key.account, "enabled": key.enabled, "origin": key.origin}


def _noted_address(overlay: Overlay, known: Provider, confirmed: Sequence[str] = ()) -> dict[str, Any]:
    noted: dict[str, Any] = {"base_url": _url(known, overlay)}
    return {**noted, "send_keys": list(confirmed)} if confirmed else noted


def _check_name(field: str, text: str) -> None:
    if not _NAME.fullmatch(text):
        raise InvalidRequest(f"{field}: up to 64 letters, digits, `.`, `_`, `@` and `-`", param=field)


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
    plain_is_known = urlsplit(known.base_url).scheme == "http" and not _is_loopback(known.base_url)
    if urlsplit(url).scheme == "http" and not _is_loopback(url) and not plain_is_known:
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
