"""How a provider uses headers: where a key goes, and what rates are told there."""

from typing import Literal

from msgspec import Struct

Window = Literal["minute", "hour", "day", "week", "month"]


class RateHeaders(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which window rate headers speak of that do not name it.

    *requests* is for ``x-ratelimit-*-requests``, *tokens* for ``x-ratelimit-*-tokens``. With *plain*, those
    without a unit count requests, of the minute or the day, as their reset tells.
    """

    requests: Window | None = None
    tokens: Window | None = None
    plain: bool = False


class Auth(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How a key travels: ``Authorization: Bearer <key>`` unless told otherwise."""

    header: str = "Authorization"
    scheme: str = "Bearer"
