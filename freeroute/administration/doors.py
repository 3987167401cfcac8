"""Keys that open a door of this gateway, and that no provider may be shown therefore."""

from collections.abc import Callable, Iterable, Mapping

from freeroute.domain.clients import Client, hash_key
from freeroute.domain.operators import Operator

OwnKey = Callable[[str], str | None]


def own_key(
    key: str, told: Mapping[str, str | None], clients: Iterable[Client], operators: Iterable[Operator]
) -> str | None:
    """Return whose *key* it is at this gateway, None if nobody's. Of those *told*, None stands for no key.

    Keys that open nothing any more count too: whoever got hold of one would try it here.
    """
    hashed = hash_key(key)
    for name, own in told.items():
        if own is not None and hash_key(own) == hashed:
            return name
    for client in clients:
        if hashed in {client.key_hash, *(former.key_hash for former in client.former)}:
            return f"the key of the client {client.name}"
    for operator in operators:
        if operator.token_hash == hashed:
            return f"the token of the operator {operator.name}"
    return None


def nobodys(key: str) -> str | None:
    """Stand for a gateway without keys of its own."""
    return None
