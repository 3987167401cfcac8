"""An error body of any provider's shape, read into one plain struct. Garbage gives an empty one."""

import re
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct

from freeroute.upstreams.redaction import HIDDEN, hide
from freeroute.wire.answers import inspect

BODY_LIMIT = 64 * 1024
TEXT_LIMIT = 500

_DEPTH = 3


class Complaint(Struct):
    """What an error body says.

    *codes* are its code, type, status and reason fields as text, lower case; *fields* the parameters it
    names with whether it calls them unknown; *quotas* Google's violated quota ids and their values;
    *rates* are rate headers that it quotes.
    *is_broken* says that it, or an error inside it, means to be JSON and cannot be decoded.
    """

    message: str = ""
    codes: list[str] = msgspec.field(default_factory=list)
    param: str | None = None
    fields: list[tuple[str, bool]] = msgspec.field(default_factory=list)
    quotas: list[tuple[str, str]] = msgspec.field(default_factory=list)
    delay: str | None = None
    upstream: str | None = None
    reset: str | None = None
    rates: list[tuple[bytes, bytes]] = msgspec.field(default_factory=list)
    context: int | None = None
    flagged: bool = False
    is_html: bool = False
    is_json: bool = False
    is_broken: bool = False

    @property
    def is_readable(self) -> bool:
        """Say whether the message is one that was written to be read, rather than the raw body."""
        return self.is_json and not self.is_broken

    @property
    def status(self) -> int | None:
        """Return the HTTP status the body carries as a code, if any."""
        for code in self.codes:
            if re.fullmatch(r"[3-5]\d\d", code):
                return int(code)
        return None


def read_complaint(body: bytes) -> Complaint:
    """Return what *body* says; never raises."""
    complaint = Complaint()
    body = body[:BODY_LIMIT]
    text = body.decode("utf-8", "replace").strip()
    if _is_html(text):
        complaint.is_html = True
        return complaint
    value = _json(body)
    if isinstance(value, (dict, list)):
        complaint.is_json = True
        _read(complaint, value, _DEPTH)
    else:
        # A JSON body longer than we read ends in the middle: its beginning still tells most.
        complaint.message = value if isinstance(value, str) else text[:4000]
        complaint.is_broken = text.startswith(("{", "["))
    return complaint


def complaint_of(error: Any) -> Complaint:
    """Return what an *error* object found inside an answer says."""
    complaint = Complaint(is_json=True)
    _read(complaint, {"error": error}, _DEPTH)
    return complaint


def is_list_of_errors(payload: bytes) -> bool:
    """Say whether *payload* is a list of error objects, as Google answers."""
    value = _json(payload) if payload.lstrip()[:1] == b"[" else None
    items = value if isinstance(value, list) else []
    return bool(items) and all(isinstance(item, dict) and item.get("error") for item in items)


def tells_error(stray: bytes) -> bool:
    """Say whether the bare JSON *stray*, found in a stream, may be an error: an object that is no answer."""
    piece = inspect(stray)
    return (piece is not None and piece.choices is None) or is_list_of_errors(stray)


def _is_html(text: str) -> bool:
    start = text[:200].lower()
    return start.startswith(("<!doctype", "<html", "<head", "<?xml", "<body", "<center", "<h1"))


def _json(body: bytes | str) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def _read(into: Complaint, value: Any, depth: int) -> None:
    if depth <= 0:
        return
    if isinstance(value, list):
        for item in value[:4]:
            _read(into, item, depth - 1)
        return
    if not isinstance(value, dict):
        return
    for inner in _inner(value):
        _read(into, inner, depth - 1)
    _read_codes(into, value)
    _read_message(into, value, depth)
    _read_detail(into, value, depth)
    _read_google(into, value.get("details"))
    _read_metadata(into, value.get("metadata"), depth)
    if isinstance(value.get("param"), str) and value["param"] and into.param is None:
        into.param = value["param"][:200]
    if isinstance(value.get("n_ctx"), int) and 0 < value["n_ctx"] < 10**9:
        into.context = value["n_ctx"]


def _inner(value: dict[str, Any]) -> Iterator[Any]:
    error = value.get("error")
    if isinstance(error, str):
        yield {"message": error}
    elif error is not None:
        yield error
    if isinstance(value.get("errors"), list):
        yield value["errors"]
    for choice in value["choices"][:4] if isinstance(value.get("choices"), list) else ():
        if isinstance(choice, dict) and choice.get("error"):
            yield choice["error"]


def _read_codes(into: Complaint, value: dict[str, Any]) -> None:
    for name in ("code", "type", "status", "reason", "title", "raw_status_code"):
        code = value.get(name)
        if isinstance(code, bool):
            continue
        if isinstance(code, int) and abs(code) < 10**9:
            into.codes.append(str(code))
        elif isinstance(code, str) and 0 < len(code) <= 100:
            into.codes.append(code.lower())


def _read_message(into: Complaint, value: dict[str, Any], depth: int) -> None:
    message = value.get("message")
    if isinstance(message, (dict, list)):
        _read(into, message, depth)
        return
    if not isinstance(message, str):
        title = value.get("title")
        message = title if isinstance(title, str) and not into.message else None
    if message is None:
        return
    _read_text(into, message.strip(), depth)


def _read_text(into: Complaint, text: str, depth: int) -> None:
    """Read a sentence, or the error of another provider that was put into a string."""
    nested = _json(text) if text[:1] in ("{", "[") else None
    if isinstance(nested, (dict, list)):
        _read(into, nested, depth)
    elif text:
        into.is_broken |= text.startswith(_RAW)
        into.message = f"{into.message} {text}".strip()[:4000]


# How a body that was put into a string begins; "[Provider] some words" is a sentence.
_RAW = ("{", "[{", '["')


def _read_detail(into: Complaint, value: dict[str, Any], depth: int) -> None:
    """Read ``detail``: a sentence, or the list of fields a validation library found wrong."""
    detail = value.get("detail")
    if isinstance(detail, str):
        into.message = f"{into.message} {detail}".strip()[:4000]
    elif isinstance(detail, dict):
        _read(into, detail, depth)
    for item in detail[:8] if isinstance(detail, list) else ():
        if not isinstance(item, dict):
            continue
        reason = str(item.get("msg", ""))[:300]
        where = [str(part) for part in item["loc"][:12]] if isinstance(item.get("loc"), list) else []
        name = ".".join(where[1:] if where[:1] == ["body"] else where)
        kind = f"{item.get('type')} {reason}".lower()
        is_unknown = any(word in kind for word in ("extra", "not permitted", "unexpected"))
        into.fields.append((name[:200], is_unknown))
        into.message = f"{into.message} {name}: {reason}".strip()[:4000]


def _read_google(into: Complaint, details: Any) -> None:
    for detail in details[:8] if isinstance(details, list) else ():
        if not isinstance(detail, dict):
            continue
        if isinstance(detail.get("reason"), str):
            into.codes.append(detail["reason"].lower()[:100])
        into.delay = _delay(detail.get("retryDelay")) or into.delay
        violations = detail.get("violations")
        for violation in violations[:16] if isinstance(violations, list) else ():
            if isinstance(violation, dict):
                quota = str(violation.get("quotaId") or violation.get("subject") or "")[:200]
                into.quotas.append((quota, str(violation.get("quotaValue", ""))[:32]))


def _delay(told: Any) -> str | None:
    """Return a ``retryDelay``: a text such as 21s, or what another encoder makes of it."""
    if isinstance(told, str):
        return told[:64]
    if not isinstance(told, dict):
        return None
    try:  # Google's 64-bit numbers are texts in JSON
        seconds = float(told.get("seconds", 0)) + float(told.get("nanos", 0)) / 1e9
    except (TypeError, ValueError, OverflowError):
        return None
    return f"{seconds:.3f}s" if 0 < seconds < 1e9 else None


def _read_metadata(into: Complaint, metadata: Any, depth: int) -> None:
    """Read OpenRouter's ``metadata``: who really failed, and what that provider said."""
    if not isinstance(metadata, dict):
        return
    if isinstance(metadata.get("provider_name"), str):
        into.upstream = metadata["provider_name"][:64]
    into.flagged |= bool(metadata.get("reasons") or metadata.get("flagged_input"))
    headers = metadata.get("headers")
    if isinstance(headers, dict) and isinstance(headers.get("X-RateLimit-Reset"), (str, int)):
        into.reset = str(headers["X-RateLimit-Reset"])[:32]
    if isinstance(headers, dict):
        into.rates += [
            (name[:64].encode(errors="replace"), str(value)[:32].encode(errors="replace"))
            for name, value in list(headers.items())[:32]
            if isinstance(value, (str, int)) and not isinstance(value, bool)
        ]
    raw = metadata.get("raw")
    if isinstance(raw, str):
        _read_text(into, raw.strip(), depth - 1)


_KEY_LIKE = re.compile(
    r"(?:sk|gsk|nvapi|csk|hf|xai|pk|rk|ghp|gho|github_pat|AIza|ya29|Bearer|key|token|org|proj|acct)"
    r"[-_. ]?[A-Za-z0-9_\-.]{12,}"
    r"|[A-Za-z0-9_\-]{32,}|\beyJ[A-Za-z0-9_\-.]{10,}",
    re.IGNORECASE,
)


def redact(text: str, secret: str = "") -> str:
    """Return *text* without *secret* or any piece of it, and without whatever looks like a key."""
    return _KEY_LIKE.sub(_hidden, hide(text, (secret,)))


def _hidden(match: re.Match[str]) -> str:
    # Model names and error codes are long too; a key mixes letters with digits.
    found = match[0]
    return HIDDEN if sum(map(str.isdigit, found)) >= 3 and re.search(r"[A-Za-z]", found) else found


def presentable(text: str, secret: str = "", limit: int = TEXT_LIMIT) -> str:
    """Return *text* as one printable line of at most *limit* characters, redacted."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: limit * 8]).split())
    return redact(line, secret)[:limit]
