"""Who holds a key, and where one has to be held."""

from msgspec import structs

from freeroute.domain.clients import Client, FormerKey, hash_key
from freeroute.domain.operators import Operator, Scope
from freeroute.surfaces.guard import Policy
from tests.support.clocks import EPOCH

ALICE = Client("alice", hash_key("sk-alice"))
TURNED = Client("turned", hash_key("sk-new"), former=(FormerKey(hash_key("sk-former"), EPOCH + 60),))
OPERATORS = tuple(Operator(scope.value, scope, hash_key(f"fo-{scope}")) for scope in Scope)
KEYED = Policy(clients=(ALICE, TURNED), operators=OPERATORS, admin_key="boss", loopback=False)
OPEN = structs.replace(KEYED, clients=(), loopback=True, hosts=frozenset({"gateway.example"}))
