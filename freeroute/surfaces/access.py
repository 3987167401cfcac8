"""What is asked of those who come, for each kind of route and under each policy."""

from enum import Enum, auto

from msgspec import Struct

from freeroute.domain.clients import Client
from freeroute.domain.operators import Operator, Scope


class Access(Enum):
    """What a route asks of those who call it."""

    # Each is one object, and looked up with every request: the hash of its name need not be.
    __hash__ = object.__hash__

    OPEN = auto()  # health: says nothing about anybody, and probes name a host of their own
    PAGE = auto()  # static files: no data in them, so a link from elsewhere may lead here
    SESSION = auto()  # signing in and out: our own page alone
    CLIENT = auto()  # answers of models: a client, or an operator at the dashboard
    MODELS = auto()  # what could be asked: likewise, and whoever looks on there
    STATUS = auto()  # a client or the operator
    AGENTS = auto()  # likewise, and of no page of another origin, as MCP demands of its servers
    METRICS = auto()
    READ = auto()  # an operator, whose token has this scope or more
    OPERATE = auto()
    ADMIN = auto()

    @property
    def scope(self) -> Scope:
        """Return what an operator's token, or session, needs here."""
        return _SCOPES.get(self, Scope.READ)

    @property
    def for_clients(self) -> bool:
        """Say whether the key of a client is asked for, and no operator's token will do."""
        return self in {Access.CLIENT, Access.MODELS}


_SCOPES = {Access.CLIENT: Scope.OPERATE, Access.OPERATE: Scope.OPERATE, Access.ADMIN: Scope.ADMIN}
_OF_CLIENTS = {Access.CLIENT, Access.MODELS, Access.STATUS, Access.AGENTS}
_OF_OPERATORS = {Access.READ, Access.OPERATE, Access.ADMIN}


class Policy(Struct, frozen=True):
    """What the guard goes by.

    While there are *clients*, their keys are asked for. *metrics_key* opens the metrics, and *admin_key* what
    is the *operators*' as well. *hosts* are names this gateway answers to besides localhost, *cors* origins
    whose pages may call it. *loopback* tells of the address listened on, never of the peer: behind a reverse
    proxy every peer is local. The page of a *demo* is signed in without a key.
    """

    clients: tuple[Client, ...] = ()
    operators: tuple[Operator, ...] = ()
    admin_key: str | None = None
    metrics_key: str | None = None
    hosts: frozenset[str] = frozenset()
    cors: frozenset[str] = frozenset()
    loopback: bool = True
    demo: bool = False


class Door(Struct, frozen=True):
    """What is asked, under one policy, of those who come for an access.

    *unguarded* asks nothing at all. *by_name* asks that they call us by a name of ours, *no_page* that no
    page of another origin calls, *own_page* that our own does. *anybody* may pass without an operator's
    token, or else *clients*.
    """

    unguarded: bool
    by_name: bool
    no_page: bool
    own_page: bool
    anybody: bool
    clients: bool


def door_of(access: Access, policy: Policy) -> Door:
    """Return what *policy* asks of those who come for *access*."""
    # Where a key opens the metrics, no page can send it, and who scrapes calls by whatever name.
    keyed = access is Access.METRICS and not policy.loopback
    # Who looks at a demo is signed in without a key, so that the name it is called by must be ours.
    given = access is Access.SESSION and policy.demo
    unkeyed = (not policy.clients and not keyed) or given
    asks_clients = bool(policy.clients) and (access in _OF_CLIENTS or access is Access.METRICS)
    anybody = access not in _OF_OPERATORS and not asks_clients and not keyed
    return Door(
        unguarded=access is Access.OPEN,
        by_name=unkeyed,
        no_page=(unkeyed and access is not Access.PAGE) or access is Access.AGENTS,
        own_page=access is Access.SESSION,
        anybody=anybody,
        clients=anybody or access in _OF_CLIENTS,
    )
