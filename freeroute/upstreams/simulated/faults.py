"""What a simulated provider can be told to do wrong, and how fast it speaks."""

import math
from typing import Annotated, Literal, get_args

from msgspec import Meta, Struct

Kind = Literal[
    "ok",
    "status",
    "hang",
    "hang_after_head",
    "reset",
    "refused",
    "tls",
    "dns",
    "cut",
    "stall",
    "invalid_key",
    "payment",
    "forbidden",
    "model_gone",
    "rate_limit",
    "capacity",
    "garbage",
    "html",
    "empty",
    "no_choices",
    "error_in_200",
    "content_filter",
    "context_too_long",
    "slow",
]

_BY_STATUS: dict[int, Kind] = {
    200: "ok",
    401: "invalid_key",
    402: "payment",
    403: "forbidden",
    404: "model_gone",
    429: "rate_limit",
}


class Speed(Struct, frozen=True, forbid_unknown_fields=True):
    """Seconds to the first token, then tokens a second; a rate of 0 means at once."""

    first_token: Annotated[float, Meta(ge=0)] = 0.2
    tokens_per_second: Annotated[float, Meta(ge=0)] = 100.0

    def lasting(self, tokens: int) -> float:
        """How long *tokens* take once the first one is due."""
        return tokens / self.tokens_per_second if self.tokens_per_second > 0 else 0.0

    def within(self, seconds: float) -> int:
        """How many tokens were made *seconds* after the request came."""
        spent = seconds - self.first_token
        if spent < 0:
            return 0
        return math.floor(spent * self.tokens_per_second) if self.tokens_per_second > 0 else 1 << 30


class Fault(Struct, frozen=True, forbid_unknown_fields=True):
    """One ending on purpose.

    *status* belongs to kind ``status``; *after* counts the tokens before a cut, a stall or an error event;
    *scope* and *metric* choose the limit a ``rate_limit`` names, *retry_after* its wait in seconds;
    *first_token* belongs to ``slow``.
    """

    kind: Kind
    status: int = 500
    after: int | None = None
    scope: Literal["minute", "hour", "day"] = "minute"
    metric: Literal["requests", "tokens"] = "requests"
    retry_after: float | None = None
    first_token: float = 5.0

    def __post_init__(self) -> None:
        """Refuse a kind that does not exist: a misspelt script would test nothing."""
        if self.kind not in get_args(Kind):
            raise ValueError(f"there is no fault called {self.kind!r}")

    @property
    def tokens(self) -> int:
        """The tokens to deliver first: an error inside a 200 comes at once, a cut or stall after three."""
        if self.after is not None:
            return self.after
        return 0 if self.kind == "error_in_200" else 3


Shorthand = Fault | int | Kind | None


def parse_fault(given: Shorthand) -> Fault | None:
    """Read a fault, a bare status, a bare kind, or None; None and "ok" mean a normal answer."""
    if isinstance(given, bool):
        raise TypeError("a fault is an object, a status, a kind or null")
    if isinstance(given, int):
        given = Fault(_BY_STATUS.get(given, "status"), status=given)
    elif isinstance(given, str):
        given = Fault(given)
    return None if given is None or given.kind == "ok" else given
