"""OpenRouter's ``provider`` object: what is honoured, what is true anyway, and what is refused."""

from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct

from freeroute.errors import InvalidRequest
from freeroute.wire.chat import Preferences

# Wishes without a promise: leaving them aside breaks nothing the caller relies on.
_WISHES = frozenset({"preferred_min_throughput", "preferred_max_latency"})


class _Wanted(Struct):
    order: list[str] | None = None
    only: list[str] | None = None
    ignore: list[str] | None = None
    allow_fallbacks: bool | None = None
    data_collection: Literal["allow", "deny"] | None = None
    require_parameters: bool | None = None
    zdr: bool | None = None
    enforce_distillable_text: bool | None = None
    sort: str | None = None
    max_price: dict[str, Any] | None = None


_WANTED = msgspec.json.Decoder(_Wanted)
_MEMBERS = msgspec.json.Decoder(dict[str, Raw])


def preferences_of(raw: Raw | None) -> Preferences:
    """Return the preferences in *raw*; raises InvalidRequest for what the gateway cannot promise."""
    if raw is None or bytes(raw) == b"null":
        return Preferences()
    try:
        members = _MEMBERS.decode(raw)
        wanted = _WANTED.decode(raw)
    except RecursionError:
        raise InvalidRequest("provider: nested too deeply.", param="provider") from None
    except (msgspec.MsgspecError, ValueError) as exc:
        reason, _, path = str(exc).partition(" - at `$")
        param = "provider" + path.rstrip("`")
        raise InvalidRequest(f"{param}: {reason[:100]}.", param=param) from None
    for name in members:
        if name not in _Wanted.__struct_fields__ and name not in _WISHES and bytes(members[name]) != b"null":
            raise _refused(name)
    _check(wanted)
    return Preferences(
        order=tuple(wanted.order or ()),
        only=tuple(wanted.only or ()),
        ignore=tuple(wanted.ignore or ()),
        allow_fallbacks=wanted.allow_fallbacks is not False,
        data_collection=wanted.data_collection or "allow",
        require_parameters=bool(wanted.require_parameters),
    )


def _check(wanted: _Wanted) -> None:
    """Refuse what is not so already: free models cost nothing, so a price wish always holds."""
    for name in ("zdr", "enforce_distillable_text"):
        if getattr(wanted, name):
            raise _refused(name)
    if wanted.sort not in (None, "price"):
        raise InvalidRequest(
            "provider.sort: only price is honoured; ask for free-fast to get the quickest answer.",
            param="provider.sort",
        )
    for name, price in (wanted.max_price or {}).items():
        try:
            fits = not isinstance(price, bool) and float(price) >= 0
        except (TypeError, ValueError):
            fits = False
        if not fits:
            raise InvalidRequest("provider.max_price: prices are numbers from 0 up.", param=_price(name))


def _price(name: str) -> str:
    return f"provider.max_price.{name}" if name.isidentifier() else "provider.max_price"


def _refused(name: str) -> InvalidRequest:
    shown = name if name.isprintable() and len(name) <= 64 else "?"
    return InvalidRequest(
        f"provider.{shown} is not honoured by this gateway; leave it out.", param=f"provider.{shown}"
    )
