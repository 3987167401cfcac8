"""What is done with operators' tokens, by command and by API: the same rules, the same words."""

import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Protocol

from msgspec import Meta, Struct, structs

from freeroute.administration.fields import check_known, check_name, check_note, written_moment
from freeroute.clock import Clock
from freeroute.config.clients import moment_of
from freeroute.config.schema import Where, convert
from freeroute.domain.clients import hash_key
from freeroute.domain.operators import ADMIN_KEY, METRICS_KEY, Operator, Scope
from freeroute.domain.resolve import nearest
from freeroute.engine.changes import Note
from freeroute.errors import Conflict, NotFound
from freeroute.wire.text import printable

MOST = 1000
"""Operators that are kept. Own design: those that look after one gateway, and those that once did."""

Told = dict[str, Any]
Operators = tuple[Operator, ...]

_WHERE = Where("operators", "", "operators[]")


class OperatorStore(Protocol):
    """Keeps operators; others may change them at any time."""

    def read(self) -> Operators:
        """Return the operators; raises ConfigError if they cannot be read."""
        ...

    def update(self, change: Callable[[Operators], Operators]) -> Operators:
        """Replace them by what *change* makes of them; raises ConfigError and what that raises."""
        ...


class _Terms(Struct, frozen=True, forbid_unknown_fields=True):
    """What is said of an operator besides the name."""

    scope: Scope
    expires: str | None = None
    note: Annotated[str, Meta(max_length=256)] = ""


class OperatorBook:
    """The operators there are. Everything here waits for a disk, and so belongs on a thread.

    What changes something takes a *note*, which is told of it before. Raises ConfigError for a file that
    cannot be read or written, and for a field that is wrong, which it names then.
    """

    def __init__(self, store: OperatorStore, clock: Clock) -> None:
        """Keep operators in *store*."""
        self._store = store
        self._clock = clock

    def list(self) -> list[Told]:
        """Return all operators, those that were revoked too."""
        now = self._now()
        return [tell(operator, now) for operator in self._store.read()]

    def add(self, name: str, terms: Mapping[str, Any], note: Note) -> tuple[str, Told]:
        """Give the operator *name* a token; return it, which is kept nowhere, and what there is to tell.

        Raises Conflict if the name is taken; one that was revoked makes room.
        """
        check_name(name)
        if name in {ADMIN_KEY, METRICS_KEY}:
            raise Conflict(f"{name} is the name of whoever holds that key: choose another", param="name")
        token, now = f"fo-{secrets.token_urlsafe(32)}", self._now()
        operator = _operator(name, hash_key(token), terms, now)

        def enter(known: Operators) -> Operators:
            others = tuple(other for other in known if other.name != name or other.revoked is None)
            if any(other.name == name for other in others):
                raise Conflict(f"there is an operator {name} already; revoke it first", param="name")
            if len(others) >= MOST:
                others = _without_oldest(others)
            note(None, tell(operator, now))
            return (*others, operator)

        self._store.update(enter)
        return token, tell(operator, now)

    def revoke(self, name: str, note: Note) -> Told:
        """Have the token of the operator *name* open nothing any more; raises NotFound."""
        now, told = self._now(), Told()

        def leave(known: Operators) -> Operators:
            before = _found(name, known)
            after = structs.replace(before, revoked=before.revoked or now)
            told.update(tell(after, now))
            note(tell(before, now), told)
            return tuple(after if operator is before else operator for operator in known)

        self._store.update(leave)
        return told

    def _now(self) -> float:
        return self._clock.now().wall


def tell(operator: Operator, wall: float) -> Told:
    """Return what is shown of *operator* at *wall* (Unix time): no token, no hash."""
    return {
        "name": operator.name,
        "scope": operator.scope.value,
        "state": operator.state(wall),
        "created": operator.created,
        "expires": operator.expires,
        "revoked": operator.revoked,
        "note": operator.note,
    }


def _operator(name: str, token_hash: bytes, terms: Mapping[str, Any], now: float) -> Operator:
    check_known(terms, _Terms.__struct_fields__, _WHERE)
    given = {field: value for field, value in terms.items() if value is not None}
    check_note(given, _WHERE)
    if "expires" in given:
        given["expires"] = written_moment(given["expires"], _WHERE.member("expires"))
    if given.get("scope", Scope.READ) not in list(Scope):
        raise _WHERE.error(f"expected one of {', '.join(Scope)}", ".scope")
    said = convert(given, _Terms, _WHERE)
    expires = None if said.expires is None else moment_of(said.expires, _WHERE)
    if expires is not None and expires <= now:
        raise _WHERE.error("is past: the token would open nothing", ".expires")
    return Operator(name, said.scope, token_hash, created=now, expires=expires, note=said.note)


def _without_oldest(known: Operators) -> Operators:
    """Return *known* without the one that was revoked first; raises Conflict if all of them are in use."""
    revoked = [operator for operator in known if operator.revoked is not None]
    if not revoked:
        raise Conflict(f"there are {MOST} operators already: revoke one")
    oldest = min(revoked, key=lambda operator: operator.revoked or 0.0)
    return tuple(operator for operator in known if operator is not oldest)


def _found(name: str, known: Iterable[Operator]) -> Operator:
    for operator in known:
        if operator.name == name:
            return operator
    close = nearest(name, [operator.name for operator in known])
    hint = f"; did you mean {' or '.join(close)}?" if close else ""
    raise NotFound(f"there is no operator {printable(name)}{hint}")
