"""What operators do with clients, by command and by API: the same rules, the same words."""

import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from msgspec import structs

from freeroute.administration.fields import (
    check_client_name,
    check_known,
    check_note,
    duration_of,
    written_moment,
)
from freeroute.clock import Clock
from freeroute.config.clients import client_of
from freeroute.config.load import Settings
from freeroute.config.schema import Where, convert
from freeroute.config.specs import ClientSpec
from freeroute.domain.clients import Client, enrolled, hash_key, rotated
from freeroute.domain.resolve import nearest
from freeroute.engine.changes import Note
from freeroute.engine.ports import ClientStore
from freeroute.errors import Conflict, NotFound
from freeroute.wire.text import printable

LIMITS = {
    "requests_per_minute": "requests/minute",
    "tokens_per_minute": "tokens/minute",
    "tokens_per_day": "tokens/day",
    "tokens_per_month": "tokens/month",
    "concurrency": "concurrency",
}
"""The fields of a client's limits, and how its counters are labelled."""

MOST = 50_000
"""Clients that may be added. Own design: five times as many as are measured."""

TERMS = tuple(field for field in ClientSpec.__struct_fields__ if field not in {"name", "key", "key_hash"})
"""What may be said of a client besides its name."""

_WHERE = Where("clients", "", "clients[]")

Told = dict[str, Any]


class ClientBook:
    """The clients there are. Those of the settings are shown, those that were added are changed.

    Everything here waits for a disk, and so belongs on a thread. Fields are those of the settings file. What
    changes something takes a *note*, which is told of it before. Raises ConfigError for a file that cannot be
    read or written, and for a field that is wrong, which it names then.
    """

    def __init__(self, store: ClientStore, settings: Callable[[], Settings], clock: Clock) -> None:
        """Go by the present *settings*, and keep in *store* what is added."""
        self._store = store
        self._settings = settings
        self._clock = clock

    def list(self) -> list[Told]:
        """Return all clients, those of the settings first."""
        settings, now = self._settings(), self._now()
        stored = self._store.read()
        hidden = enrolled(settings.clients, stored)[1]
        told = [tell(client, now, source_of(client, settings)) for client in settings.clients]
        for client in stored:
            state = {"state": "hidden by the settings"} if client.name in hidden else {}
            told.append(tell(client, now) | state)
        return told

    def show(self, name: str) -> Told:
        """Return the client *name*; raises NotFound."""
        for told in self.list():
            if told["name"] == name:
                return told
        raise self._nobody(name, self._store.read())

    def add(self, name: str, terms: Mapping[str, Any], note: Note) -> tuple[str, Told]:
        """Let a client in; return its key, which is kept nowhere, and what there is to tell. Raises Conflict.

        One of that name that was revoked makes room for it.
        """
        check_client_name(name)
        key, now = f"fr-{secrets.token_urlsafe(32)}", self._now()
        client = structs.replace(_client(name, hash_key(key), terms), created=now)

        def enter(known: tuple[Client, ...]) -> tuple[Client, ...]:
            others = tuple(other for other in known if other.name != name or other.revoked is None)
            if any(other.name == name for other in others):
                raise Conflict(
                    f"there is a client {name} already: rotate it to give it another key",
                    param="name",
                )
            if len(others) >= MOST:
                raise Conflict(f"there are {MOST} clients already: remove some that are revoked")
            note(None, tell(client, now))
            return (*others, client)

        self._check_free(name)
        self._store.update(enter)
        return key, tell(client, now)

    def replace(self, name: str, terms: Mapping[str, Any], note: Note) -> Told:
        """Give the client *name* those *terms* and no others; its key stays. Raises NotFound and Conflict."""
        return self._change(name, lambda client: _with_terms(client, terms), note)

    def amend(self, name: str, terms: Mapping[str, Any], note: Note) -> Told:
        """Change the *terms* named of the client *name*, None to its default. Raises as `replace` does."""
        check_known(terms, TERMS, _WHERE)
        return self._change(name, lambda client: _with_terms(client, {**terms_of(client), **terms}), note)

    def rotate(self, name: str, overlap: str | float, note: Note) -> tuple[str, Told]:
        """Give the client *name* another key and return it; the old one works on for *overlap*.

        Raises NotFound and Conflict.
        """
        seconds = duration_of(overlap, _WHERE.member("overlap"))
        key, now = f"fr-{secrets.token_urlsafe(32)}", self._now()

        def turned(client: Client) -> Client:
            try:
                return rotated(client, hash_key(key), now + seconds, now)
            except ValueError as exc:
                raise Conflict(str(exc)) from exc

        return key, self._change(name, turned, note)

    def revoke(self, name: str, note: Note) -> Told:
        """Let the client *name* in no more, whichever of its keys it sends; raises NotFound and Conflict."""
        now = self._now()
        return self._change(name, lambda one: structs.replace(one, revoked=one.revoked or now), note)

    def remove(self, name: str, note: Note) -> None:
        """Forget the client *name*; raises NotFound, and Conflict if there would be no client any more."""
        given = self._check_free(name)

        def leave(known: tuple[Client, ...]) -> tuple[Client, ...]:
            client, others = self._found(name, known), tuple(one for one in known if one.name != name)
            if not others and not given:
                raise Conflict(
                    f"{name} is the last client, and without any the gateway is open to everybody: revoke it"
                )
            note(tell(client, self._now()), None)
            return others

        self._store.update(leave)

    def _change(self, name: str, turned: Callable[[Client], Client], note: Note) -> Told:
        now, told = self._now(), Told()

        def enter(known: tuple[Client, ...]) -> tuple[Client, ...]:
            before = self._found(name, known)
            after = turned(before)
            told.update(tell(after, now))
            note(tell(before, now), told)
            return tuple(after if client is before else client for client in known)

        self._check_free(name)
        self._store.update(enter)
        return told

    def _check_free(self, name: str) -> tuple[Client, ...]:
        """Return the clients of the settings; raises Conflict if *name* is among them."""
        settings = self._settings()
        for client in settings.clients:
            if client.name == name:
                source = source_of(client, settings)
                raise Conflict(
                    f"{name} is a client of the settings, {source}: what holds for it is said there"
                )
        return settings.clients

    def _found(self, name: str, known: Iterable[Client]) -> Client:
        found = next((client for client in known if client.name == name), None)
        if found is None:
            raise self._nobody(name, known)
        return found

    def _nobody(self, name: str, known: Iterable[Client]) -> NotFound:
        names = [client.name for client in (*self._settings().clients, *known)]
        close = nearest(name, names)
        hint = f"; did you mean {' or '.join(close)}?" if close else ""
        return NotFound(f"there is no client {printable(name)}{hint}")

    def _now(self) -> float:
        return self._clock.now().wall


def source_of(client: Client, settings: Settings) -> str:
    """Return where a client of the settings is said."""
    own = client.name == "default" and settings.environ.get("FREEROUTE_API_KEY")
    return "FREEROUTE_API_KEY" if own else settings.shown


def terms_of(client: Client) -> dict[str, Any]:
    """Return what was said of *client*, in the fields of the settings."""
    amounts = {limit.label: int(limit.amount) for limit in client.limits}
    return {
        **{field: amounts.get(label) for field, label in LIMITS.items()},
        "models": None if client.models is None else list(client.models),
        "expires": client.expires,
        "weight": client.weight,
        "privacy": "no-train" if client.no_train else "any",
        "max_wait": client.max_wait,
        "note": client.note,
    }


def tell(client: Client, wall: float, source: str = "added") -> Told:
    """Return what operators see of *client* at *wall* (Unix time): no key, no hash."""
    return {
        "name": client.name,
        "state": client.state(wall),
        "from": source,
        **terms_of(client),
        "created": client.created,
        "revoked": client.revoked,
        "former_keys": [former.until for former in client.former],
    }


def _with_terms(client: Client, terms: Mapping[str, Any]) -> Client:
    made = _client(client.name, client.key_hash, terms)
    kept = {field: getattr(client, field) for field in ("created", "revoked", "former", "rotated")}
    return structs.replace(made, **kept)


def _client(name: str, key_hash: bytes, terms: Mapping[str, Any]) -> Client:
    check_known(terms, TERMS, _WHERE)
    given = {field: value for field, value in terms.items() if value is not None}
    check_note(given, _WHERE)
    if "expires" in given:
        given["expires"] = written_moment(given["expires"], _WHERE.member("expires"))
    spec = convert({"name": name, "key_hash": key_hash.hex(), **given}, ClientSpec, _WHERE)
    return client_of(spec, key_hash, _WHERE)
