"""From entries under ``clients`` to those who may call."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime

from freeroute.config.schema import Where
from freeroute.config.specs import ClientSpec
from freeroute.domain.catalogue import Limit, Unit, WindowKind
from freeroute.domain.clients import LONGEST_KEY, Client, hash_key

LookUp = Callable[[str, Where], str]


def clients_of(
    specs: tuple[ClientSpec, ...],
    look_up: LookUp,
    where: Where,
    *,
    own: str | None,
    taken: Mapping[bytes, str],
) -> tuple[Client, ...]:
    """Return who may call; raises ConfigError for what is ambiguous.

    *own* is the key without an entry, *taken* are hashes of keys for other doors, *look_up* resolves a
    reference to a key.
    """
    found: list[Client] = []
    if own is not None:
        place = Where("environment", "FREEROUTE_API_KEY")
        client = Client(name="default", key_hash=_hashed(own, place))
        _check_free(client, taken, place)
        found.append(client)
    for index, spec in enumerate(specs):
        place = where.item(index)
        client = client_of(spec, _key_hash(spec, look_up, place), place)
        if client.name in [other.name for other in found]:
            raise place.error("another client has this name", ".name")
        if client.key_hash in [other.key_hash for other in found]:
            raise place.error("another client has this key", ".key")
        _check_free(client, taken, place.member("key_hash" if spec.key is None else "key"))
        found.append(client)
    return tuple(found)


def client_of(spec: ClientSpec, key_hash: bytes, where: Where) -> Client:
    """Return the client of *spec* that holds the key of *key_hash*; raises ConfigError."""
    return Client(
        name=spec.name,
        key_hash=key_hash,
        models=spec.models,
        limits=tuple(_limits(spec)),
        weight=spec.weight,
        no_train=spec.privacy == "no-train",
        expires=moment_of(spec.expires, where) if spec.expires is not None else None,
        max_wait=None if spec.max_wait is None else float(spec.max_wait),
        note=spec.note,
    )


def _check_free(client: Client, taken: Mapping[bytes, str], where: Where) -> None:
    if name := taken.get(client.key_hash):
        raise where.error(f"is the same key as {name}: a key that callers hold may open nothing else")


def _key_hash(spec: ClientSpec, look_up: LookUp, where: Where) -> bytes:
    if spec.key is not None:
        place = where.member("key")
        return _hashed(look_up(spec.key, place), place)
    return bytes.fromhex((spec.key_hash or "").removeprefix("sha256:"))


def _hashed(key: str, where: Where) -> bytes:
    if len(key) > LONGEST_KEY:
        raise where.error(f"is longer than {LONGEST_KEY} characters")
    return hash_key(key)


def _limits(spec: ClientSpec) -> Iterator[Limit]:
    for unit, amount, seconds, span in (
        (Unit.REQUESTS, spec.requests_per_minute, 60.0, "minute"),
        (Unit.TOKENS, spec.tokens_per_minute, 60.0, "minute"),
        (Unit.TOKENS, spec.tokens_per_day, 86400.0, "day"),
        (Unit.CONCURRENCY, spec.concurrency, 0.0, ""),
    ):
        if amount is not None:
            yield Limit(unit=unit, amount=amount, seconds=seconds, span=span)
    if spec.tokens_per_month is not None:
        # People budget by the calendar; any 30 days would be whole again only after a month of silence.
        month = Limit(
            Unit.TOKENS, spec.tokens_per_month, 30 * 86400.0, window=WindowKind.CALENDAR, span="month"
        )
        yield month


def moment_of(text: str, where: Where) -> float:
    """Return the Unix time that *text* stands for, in UTC if it does not say; raises ConfigError."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as exc:
        raise where.error("expected a date such as 2027-01-31, or a date with a time", ".expires") from exc
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
