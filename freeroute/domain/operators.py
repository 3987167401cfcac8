"""Holders of an operator token, and what each may do."""

from collections.abc import Iterable
from enum import StrEnum

from msgspec import Struct

from freeroute.domain.clients import LONGEST_KEY, Problem, hash_key

ADMIN_KEY = "admin"
"""The name that whoever holds the admin key goes by; no token has it."""

METRICS_KEY = "metrics"
"""The name that whoever holds ``server.metrics_key`` goes by; no token has it."""

COMMAND_LINE = "command line"
"""The name that changes made by commands go by; no token can have it."""


class Scope(StrEnum):
    """What a token is good for; each includes those before it."""

    READ = "read"
    OPERATE = "operate"
    ADMIN = "admin"

    def includes(self, other: "Scope") -> bool:
        """Say whether who has this scope may do what asks for *other*."""
        order = list(Scope)
        return order.index(self) >= order.index(other)


class Operator(Struct, frozen=True):
    """A person or a program that looks after the gateway; *token_hash* is the SHA-256 of its token.

    *created*, *expires* and *revoked* are Unix time. *note* is what was written about it.
    """

    name: str
    scope: Scope
    token_hash: bytes
    created: float | None = None
    expires: float | None = None
    revoked: float | None = None
    note: str = ""

    def state(self, wall: float) -> str:
        """Return ``active``, ``expired`` or ``revoked``, at *wall* (Unix time)."""
        if self.revoked is not None:
            return "revoked"
        return "expired" if self.expires is not None and self.expires <= wall else "active"


class Tokens:
    """Operators by their tokens: one look-up costs the same however many there are, right or wrong.

    Like `domain.clients.Roster`, and safe for the same reason: what is looked up is a SHA-256.
    """

    def __init__(self, operators: Iterable[Operator]) -> None:
        """Know *operators*."""
        self._holders = {operator.token_hash: operator for operator in operators}

    def find(self, token: str, wall: float) -> Operator | Problem:
        """Return who holds *token* at *wall* (Unix time), or why nobody does."""
        return Problem.OVERLONG if len(token) > LONGEST_KEY else self.holding(hash_key(token), wall)

    def holding(self, token_hash: bytes, wall: float) -> Operator | Problem:
        """Return whose token has this hash at *wall* (Unix time), or why nobody's does."""
        operator = self._holders.get(token_hash)
        if operator is None:
            return Problem.UNKNOWN
        if operator.revoked is not None:
            return Problem.REVOKED
        return Problem.EXPIRED if operator.state(wall) == "expired" else operator
