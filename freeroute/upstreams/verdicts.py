"""What an HTTP answer that is not an answer means. The only place that searches text."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct

from freeroute.clock import Now
from freeroute.domain.catalogue import ErrorRule, Scope
from freeroute.domain.outcome import Kind, Outcome
from freeroute.upstreams import hints, parameters, wordings
from freeroute.upstreams.complaints import Complaint, complaint_of, presentable, read_complaint, redact


class Heard(Struct):
    """An ending as it was heard: status, the headers that matter, and what the body says."""

    status: int
    headers: dict[str, str]
    said: Complaint
    now: Now
    secret: str = ""

    def mentions(self, sign: wordings.Sign) -> bool:
        """Say whether the message or a code bears *sign*."""
        return bool(sign.search(self.said.message)) or any(sign.search(c) for c in self.said.codes)


def judge_response(
    status: int,
    headers: Sequence[tuple[bytes, bytes]],
    body: bytes,
    *,
    now: Now,
    rules: Sequence[ErrorRule] = (),
    secret: str = "",
) -> Outcome:
    """Return what an answer of *status* that is no success means; never raises."""
    heard = Heard(status, hints.headers_of(headers), read_complaint(body), now, secret)
    return _judge(heard, rules)


def judge_inside(
    error: Any,
    headers: Sequence[tuple[bytes, bytes]],
    *,
    now: Now,
    rules: Sequence[ErrorRule] = (),
    secret: str = "",
) -> Outcome:
    """Return what an *error* object (or bytes of one) inside an answer of 200 means, by its own code."""
    said = read_complaint(error) if isinstance(error, bytes) else complaint_of(error)
    heard = Heard(_status_of(said), hints.headers_of(headers), said, now, secret)
    return _judge(heard, rules)


def _judge(heard: Heard, rules: Sequence[ErrorRule]) -> Outcome:
    for rule in rules:
        kind = _matched(rule, heard)
        if kind is not None:
            return _outcome(heard, kind, rule)
    return _outcome(heard, _kind(heard), None)


_KINDS = {kind.value: kind for kind in Kind}


def _matched(rule: ErrorRule, heard: Heard) -> Kind | None:
    if rule.status is not None and rule.status != heard.status:
        return None
    if rule.code is not None and rule.code.lower() not in heard.said.codes:
        return None
    if rule.contains is not None and rule.contains.casefold() not in heard.said.message.casefold():
        return None
    return _KINDS.get(rule.kind)


def _status_of(said: Complaint) -> int:
    if said.status is not None:
        return said.status
    for text in (*said.codes, said.message):
        for status, pattern in wordings.NAMED_STATUS:
            if pattern.search(text):
                return status
    return 502


def _kind(heard: Heard) -> Kind:
    status = heard.status
    if status < 300 or status > 599:
        return Kind.GARBAGE  # a success that is none, an interim answer that stayed, no status at all
    if 300 <= status < 400:
        return Kind.REDIRECTED
    if heard.said.is_html and status in (401, 403, 429):
        return Kind.FAULT  # a challenge page says nothing about the key
    return _BY_STATUS.get(status, _fault)(heard)


def _fault(heard: Heard) -> Kind:
    """Judge a status that says nothing about the request: what it is not blamed for, the provider is."""
    if heard.status >= 500:
        if heard.mentions(wordings.LOADING):
            return Kind.LOADING
        if heard.status == 503 and heard.mentions(wordings.FULL):
            return Kind.NO_CAPACITY
    return Kind.FAULT


def _unauthorised(heard: Heard) -> Kind:
    return Kind.KEY_INVALID


def _unpaid(heard: Heard) -> Kind:
    return Kind.NO_CREDIT


def _forbidden(heard: Heard) -> Kind:
    if heard.mentions(wordings.NOTHING_LEFT):
        return Kind.NO_CREDIT
    if heard.said.flagged or heard.mentions(wordings.FILTERED):
        return Kind.FILTERED
    return Kind.FORBIDDEN


def _gone(heard: Heard) -> Kind:
    if heard.status == 404 and not (heard.said.is_json or heard.said.is_broken):
        return Kind.REDIRECTED  # a web server answered, not an API: the address is wrong
    if heard.status == 404 and _knows_no_path(heard):
        return Kind.REDIRECTED
    return Kind.BAD_PARAMETER if parameters.unsupported(heard.said) else Kind.MODEL_GONE


def _knows_no_path(heard: Heard) -> bool:
    """Say whether an API answered that there is nothing at this path, rather than no such model.

    A web framework's own 404 (FastAPI's ``{"detail": "Not Found"}``) has no code and names nothing.
    """
    bare = not heard.said.codes and heard.said.message.casefold() == "not found"
    return bare or heard.mentions(wordings.NO_ROUTE)


def _too_large(heard: Heard) -> Kind:
    if heard.mentions(wordings.TOKENS_PER_TIME) or not heard.mentions(wordings.TOO_LONG):
        return Kind.TOO_LARGE
    return Kind.CONTEXT_TOO_LONG


def _limited(heard: Heard) -> Kind:
    said = heard.said
    if heard.mentions(wordings.OWN_LIMIT):
        return Kind.RATE_LIMITED
    if heard.mentions(wordings.BUSY) or said.upstream:
        return Kind.NO_CAPACITY
    if any(re.fullmatch(r"0+(?:\.0*)?", value) for _, value in said.quotas) or heard.mentions(
        wordings.NOTHING_LEFT
    ):
        return Kind.NO_CREDIT
    return Kind.NO_CREDIT if hints.limit_is_zero(heard.headers) else Kind.RATE_LIMITED


def _bad_request(heard: Heard) -> Kind:
    """Tell the many meanings of 400 and 422 apart, the more certain signs first."""
    for pattern, kind in _SIGNS_OF_400:
        if heard.mentions(pattern):
            return kind
    if heard.said.flagged:
        return Kind.FILTERED
    return Kind.REJECTED if parameters.named(heard.said) is None else Kind.BAD_PARAMETER


_SIGNS_OF_400 = (
    (wordings.BAD_KEY, Kind.KEY_INVALID),
    (wordings.REGION, Kind.FORBIDDEN),
    (wordings.BUSY, Kind.NO_CAPACITY),
    (wordings.MISGENERATED, Kind.MISGENERATED),
    (wordings.OUTPUT_BOUND, Kind.BAD_PARAMETER),
    (wordings.TOO_LONG, Kind.CONTEXT_TOO_LONG),
    (wordings.FILTERED, Kind.FILTERED),
    (wordings.GONE, Kind.MODEL_GONE),
)


def _no_capacity(heard: Heard) -> Kind:
    return Kind.NO_CAPACITY


_BY_STATUS: dict[int, Callable[[Heard], Kind]] = {
    400: _bad_request,
    401: _unauthorised,
    402: _unpaid,
    403: _forbidden,
    404: _gone,
    410: _gone,
    413: _too_large,
    422: _bad_request,
    429: _limited,
    498: _no_capacity,
}

# Errors about the request itself: what the provider said helps the caller, and may quote the prompt, so
# it goes to the caller alone.
_ABOUT_REQUEST = frozenset(
    {
        Kind.REJECTED,
        Kind.BAD_PARAMETER,
        Kind.CONTEXT_TOO_LONG,
        Kind.FILTERED,
        Kind.TOO_LARGE,
        Kind.MISGENERATED,
    }
)
_WAITS = frozenset({Kind.RATE_LIMITED, Kind.NO_CAPACITY, Kind.LOADING, Kind.FAULT, Kind.TOO_LARGE})


def _outcome(heard: Heard, kind: Kind, rule: ErrorRule | None) -> Outcome:
    spent = _spent(heard) if kind is Kind.RATE_LIMITED else hints.Spent()
    window = rule.window if rule is not None and rule.window else spent.window
    param = parameters.named(heard.said) if kind is Kind.BAD_PARAMETER else None
    if param is not None and redact(param, heard.secret) != param:
        param = None  # a key that was quoted where the parameter's name belongs
    return Outcome(
        kind=kind,
        status=heard.status,
        detail=_detail(heard),
        code=_code(heard),
        param=param,
        lasting=param is None or parameters.is_lasting(heard.said, param),
        retry_after=_wait(heard, window, spent.resets_in) if kind in _WAITS else None,
        window=window,
        scope=rule.scope.value if rule is not None and rule.scope else _scope(heard, kind),
        unit=rule.unit.value if rule is not None and rule.unit else spent.unit,
        context=_context(heard.said) if kind is Kind.CONTEXT_TOO_LONG else None,
        request_error=_told(heard) if kind in _ABOUT_REQUEST else None,
    )


def _told(heard: Heard) -> str:
    """Return what the caller may read of a refusal: a sentence of the provider's, never a raw body."""
    text = presentable(heard.said.message, heard.secret) if heard.said.is_readable else ""
    return text or f"the provider refused the request (HTTP {heard.status})"


_IDENTIFIER = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def _code(heard: Heard) -> str | None:
    """Return the provider's own code, if it is one: some put a sentence or a key there."""
    codes = [code for code in heard.said.codes if _IDENTIFIER.fullmatch(code)]
    codes = [code for code in codes if redact(code, heard.secret) == code]
    return next((code for code in codes if not code.isdigit()), codes[0] if codes else None)


def _detail(heard: Heard) -> str:
    """Return what logs and the status page say: no word of the provider's, it may quote the prompt."""
    code = _code(heard)
    told = f"HTTP {heard.status} ({code})" if code else f"HTTP {heard.status}"
    return f"{told} an HTML page" if heard.said.is_html else told


def _spent(heard: Heard) -> hints.Spent:
    """Return which counter a 429 speaks of: by quota ids, by its words, by the rate headers."""
    said = heard.said
    from_headers = hints.spent_in(heard.headers, heard.now) or hints.Spent()
    if said.quotas:
        ids = [quota for quota, _ in said.quotas]
        window = hints.longest([hints.window_in(quota) for quota in ids])
        unit = next((hints.unit_in(quota) for quota in ids if hints.window_in(quota) == window), None)
        return hints.Spent(window, unit, from_headers.resets_in)
    told = hints.counter_in(f"{said.message} {' '.join(said.codes)}")
    if "3036" in said.codes:
        told = hints.Spent("day", "neurons")
    if told.window is None:
        told = hints.Spent(from_headers.window, from_headers.unit or told.unit)
    return hints.Spent(told.window, told.unit or from_headers.unit, from_headers.resets_in)


def _wait(heard: Heard, window: str | None, resets_in: float | None) -> float | None:
    """Return how long to stay away: headers, then the body, then the reset of the spent counter."""
    asked = hints.retry_after(heard.headers, heard.now)
    if asked is not None:
        return asked
    said = heard.said
    # Google's delay is a matter of seconds even when it is the day that is spent.
    if not (said.quotas and window in ("day", "week", "month")):
        asked = hints.seconds_of(said.delay, heard.now) if said.delay else None
        asked = asked or hints.asked_wait(said.message, heard.now)
        if asked:
            return asked
    # "Now" is no hint after a refusal: the back-off knows better.
    return (hints.seconds_of(said.reset, heard.now) if said.reset else resets_in) or None


def _scope(heard: Heard, kind: Kind) -> str | None:
    if kind is not Kind.RATE_LIMITED:
        return None
    if any("permodel" in quota.lower() for quota, _ in heard.said.quotas):
        return Scope.MODEL.value
    if heard.mentions(wordings.ACCOUNT_WIDE):
        return Scope.ACCOUNT.value
    return Scope.IP.value if heard.mentions(wordings.PER_IP) else None


def _context(said: Complaint) -> int | None:
    """Return the real context size if the answer tells it."""
    if said.context:
        return said.context
    for pattern in wordings.CONTEXT_SIZES:
        found = pattern.search(said.message)
        if found:
            size = int(re.sub(r"\D", "", found[1]))
            return size if 256 <= size < 10**8 else None
    return None
