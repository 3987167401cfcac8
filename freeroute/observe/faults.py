"""Whose business an ending is, as one word: the label ``fault`` of metrics.

``caller``: the request, or the caller left. ``policy``: a rule that the operator laid down for a client.
``provider``: it failed, or has no quota left. ``gateway``: freeroute or its settings; somebody has to act.
"""

from collections.abc import Iterator

from freeroute.domain.outcome import Blame, Kind, Outcome, blamed
from freeroute.errors import ApiError

NONE, CALLER, POLICY, PROVIDER, GATEWAY = "", "caller", "policy", "provider", "gateway"
FAULTS = (NONE, CALLER, POLICY, PROVIDER, GATEWAY)

# What a code says, where the class of its status would say otherwise.
_SPECIAL = {
    "rate_limit_exceeded": POLICY,
    "maintenance": POLICY,
    "capacity_exhausted": PROVIDER,
    "upstream_failed": PROVIDER,
    "upstream_timeout": PROVIDER,
}
# Codes that are given in place of an error's own.
_GIVEN = {
    "model_not_found": CALLER,
    "model_not_allowed": POLICY,
    "forbidden_origin": CALLER,
    "too_many_wrong_tokens": CALLER,
}

# What freeroute is to blame for, and what only its operator can mend, though a provider says it.
_OURS = frozenset(
    {
        Kind.INTERNAL,
        Kind.CROWDED,
        Kind.SHUTTING_DOWN,
        Kind.KEY_INVALID,
        Kind.NO_CREDIT,
        Kind.MODEL_GONE,
        Kind.REDIRECTED,
    }
)
_CALLERS = frozenset({Kind.CALLER_LEFT, Kind.CALLER_STALLED})
_NO_FAULT = frozenset({Kind.SERVED, Kind.OUTRUN})


def of_attempt(kind: Kind) -> str:
    """Return whose business an attempt that ended as *kind* is."""
    return _BY_KIND[kind]


def of_request(code: str | None) -> str:
    """Return whose business a request is that ended with *code*; what nobody knows is the gateway's."""
    return NONE if code is None else CODES.get(code, GATEWAY)


def _of_kind(kind: Kind) -> str:
    if kind in _NO_FAULT:
        return NONE
    if kind in _CALLERS or blamed(Outcome(kind)) is Blame.REQUEST:
        return CALLER
    return GATEWAY if kind in _OURS else PROVIDER


def _errors(root: type[ApiError]) -> Iterator[type[ApiError]]:
    yield root
    for error in root.__subclasses__():
        yield from _errors(error)


def _of_error(error: type[ApiError]) -> str:
    by_status = CALLER if error.status < 500 else GATEWAY
    return _SPECIAL.get(error.default_code, by_status)


_BY_KIND = {kind: _of_kind(kind) for kind in Kind}

CODES = {
    **{kind.value: fault for kind, fault in _BY_KIND.items()},
    **{error.default_code: _of_error(error) for error in _errors(ApiError)},
    **_GIVEN,
}
"""Every code that a receipt can carry: of an error, or the kind in which a stream broke off."""
