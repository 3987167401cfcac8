"""Who holds a key, and the guard that they come to."""

from msgspec import structs

from freeroute.domain.clients import Client, FormerKey, hash_key
from freeroute.domain.operators import Operator, Scope
from freeroute.surfaces.access import Access, Policy
from freeroute.surfaces.guard import Guard
from tests.support.clocks import EPOCH, ManualClock

ALICE = Client("alice", hash_key("sk-alice"))
LATE = Client("late", hash_key("sk-late"), expires=EPOCH - 1)
GONE = Client("gone", hash_key("sk-gone"), revoked=EPOCH - 1)
TURNED = Client(
    "turned",
    hash_key("sk-new"),
    former=(FormerKey(hash_key("sk-old"), EPOCH - 1), FormerKey(hash_key("sk-former"), EPOCH + 60)),
)
OPERATORS = tuple(Operator(scope.value, scope, hash_key(f"fo-{scope}")) for scope in Scope)
KEYED = Policy(
    clients=(ALICE, LATE, GONE, TURNED),
    operators=OPERATORS,
    admin_key="boss",
    metrics_key="gauge",
    loopback=False,
)
OPEN = structs.replace(KEYED, clients=(), loopback=True, hosts=frozenset({"gateway.example"}))
LOCAL = {b"host": b"localhost:3000"}


def bearing(key: str) -> dict[bytes, bytes]:
    """Return the headers of a local call with *key*."""
    return {**LOCAL, b"authorization": f"Bearer {key}".encode()}


def guard(policy: Policy | None = None) -> Guard:
    """Return a guard, by default of a gateway that requires no client's key."""
    return Guard(policy or Policy(admin_key="boss"), ManualClock())


def admit(headers: dict[bytes, bytes], policy: Policy | None = None, access: Access = Access.CLIENT):
    """Let a call with *headers* come to a guard of its own; returns the caller."""
    return guard(policy).admit(headers, "10.0.0.9", access)
