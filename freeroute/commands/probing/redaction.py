"""What may be shown of an answer: its shape, and of its words those that explain errors and limits.

Whatever is not known to be harmless is left out. Keys and ids are told from words by their letters and
digits; names of people and organisations by where they stand, since nothing else tells them apart.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from freeroute.upstreams.redaction import HIDDEN, hide

# Own design: what explains a refusal is at its beginning, and long answers repeat themselves.
LONGEST = 400
DEEPEST, MOST = 8, 12

# --- headers ----------------------------------------------------------------------------------------------

_TELLING = re.compile(r".*(?:limit|quota|remaining|reset|retry|credit|budget|usage).*", re.IGNORECASE)
_FORM = frozenset({"content-type", "content-encoding", "server", "date", "transfer-encoding"})
_SOMEBODYS = re.compile(r".*[-_](?:user|org|organi[sz]ation|account|project|team|key|id|name)", re.IGNORECASE)
# Moments are told in milliseconds too.
_COUNT = re.compile(r"\d{1,13}(?:\.\d{1,9})?")


def headers(
    pairs: Iterable[tuple[bytes, bytes]], secrets: Sequence[str], known: Sequence[str]
) -> dict[str, str]:
    """Return those of an answer's headers that speak of limits or of its form; see `words`."""
    shown: dict[str, list[str]] = {}
    for raw, value in pairs:
        name, text = raw.decode("latin-1").lower(), value.decode("latin-1").strip()
        if _is_shown(name, secrets, known):
            told = text if name not in _FORM and _is_count(text, secrets) else words(text, secrets, known)
            shown.setdefault(name, []).append(told)
    return {name: ", ".join(told) for name, told in shown.items()}


def _is_shown(name: str, secrets: Sequence[str], known: Sequence[str]) -> bool:
    telling = _TELLING.fullmatch(name) and not _SOMEBODYS.fullmatch(name)
    return name in _FORM or bool(telling and words(name, secrets, known) == name)


def _is_count(text: str, secrets: Sequence[str]) -> bool:
    return bool(_COUNT.fullmatch(text)) and hide(text, secrets) == text


# --- bodies -----------------------------------------------------------------------------------------------

# Members whose text explains something; of others it is the length that is told.
_EXPLAINING = frozenset(
    "message error errors msg detail details reason code type status title param object finish_reason role"
    " retrydelay quotaid quotametric quotavalue quotadimensions location domain description error_code"
    " error_type error_message retry_after raw name @type".split()
)
# Under these no value is shown, whatever it looks like.
_PRIVATE = re.compile(
    r"(?:.*[_-])?(?:id|ids|uuid|user|users|account|organi[sz]ation|org|project|team|workspace|tenant|owner|customer"
    r"|e?mail|phone|address|key|api_?key|token|secret|fingerprint|consumer|username|name|login)",
    re.IGNORECASE,
)
_NAME = re.compile(r"[A-Za-z_@$][A-Za-z0-9_@$.-]{0,39}")
# A larger number may be somebody's; counters and moments under names that say so are not.
_LARGE = 10**8


def shape(value: Any, secrets: Sequence[str], known: Sequence[str], under: str = "", depth: int = 0) -> Any:
    """Return *value*, read from JSON, as it may be shown, the value of a member called *under*."""
    if isinstance(value, dict):
        return _members(value, secrets, known, depth) if depth < DEEPEST else "{...}"
    if isinstance(value, list):
        if depth >= DEEPEST:
            return "[...]"
        more = [f"... {len(value) - MOST} more"] if len(value) > MOST else []
        return [*(shape(one, secrets, known, under, depth + 1) for one in value[:MOST]), *more]
    if isinstance(value, str):
        return _text(value, secrets, known, under)
    if value is None or isinstance(value, bool):
        return value
    return _number(value, under)


def _members(
    value: dict[str, Any], secrets: Sequence[str], known: Sequence[str], depth: int
) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for name, member in list(value.items())[: MOST * 2]:
        told = name if _NAME.fullmatch(name) and words(name, secrets, known) == name else HIDDEN
        shown[told] = shape(member, secrets, known, name, depth + 1)
    if len(value) > MOST * 2:
        shown["..."] = f"{len(value) - MOST * 2} more"
    return shown


def _text(text: str, secrets: Sequence[str], known: Sequence[str], under: str) -> str:
    if text in known:
        return text
    if under.lower() in _EXPLAINING and not _PRIVATE.fullmatch(under):
        return words(text, secrets, known)
    return f"string of {len(text)}"


def _number(value: float, under: str) -> float | str:
    if _PRIVATE.fullmatch(under) or (abs(value) >= _LARGE and not _TELLING.fullmatch(under)):
        return "number"
    return value


# --- words ------------------------------------------------------------------------------------------------

_MAIL = re.compile(r"[^\s@]+@[^\s@\"'<>)\]},;]*")
_LINK = re.compile(r"(https?://)([^\s/?#\"'`<>)@]+)[^\s\"'`<>)]*")
# What is called by one of these, in quotes or written large, has a name that is somebody's, and perhaps
# another in brackets.
_OWNED = re.compile(
    r"\b((?i:organi[sz]ations?|orgs?|accounts?|projects?|teams?|workspaces?|tenants?|users?|customers?|owners?"
    r"|names?|bearer|ids?))((?i:\s+(?:id|ids|name|named|called|number|is|for|of))*\s*[:=#]?\s*)"
    r"(\"[^\"]*\"|'[^']*'|`[^`]*`|“[^”]*”|‘[^’]*’|\([^)]*\)|\[[^\]]*\]|<[^>]*>"
    r"|[A-Z][^\s,;.]*(?:\s+[A-Z][^\s,;.]*)*)(?:\s+\([^)]*\))?"
)
# How ids begin whose rest may be letters alone.
_ID = re.compile(
    r"(?i:org|proj|project|acct|account|user|usr|req|request|chatcmpl|cmpl|msg|key|sk|pk|gsk|csk|team|ws|cus|gen|resp"
    r"|sess|nvapi|hf)[-_](?=.*[A-Z0-9]).{4,}"
)
# Digits in groups, as telephone numbers are written, and no date.
_PHONE = re.compile(r"(?<![\w.:-])(?!\d{4}-\d\d-\d\d)(?:\+\s?|\()?\d{1,5}\)?(?:[ .()/-]{1,3}\d{2,12}){1,8}")
_PHONE_DIGITS = 7
_TOKEN = re.compile(r"[^\s\"'`“”‘’()\[\]{}<>,;]+")
_HARMLESS = re.compile(
    r"""
    [+-]?[$€]?\d{1,8}(?:[.:]\d{1,9})?%?                 # 200000, 0.5, 12:30
    | (?:\d{1,6}(?:\.\d{1,9})?(?:ms|us|µs|s|m|h|d))+    # 2m59.56s
    | \d{4}-\d{2}-\d{2}(?:[Tt]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)?(?:Z|[+-]\d{2}:\d{2})?
    | \d{2}:\d{2}:\d{2}
    | [A-Za-z]{1,4}\d{1,2} | \d{1,3}[A-Za-z]{1,3}       # v1, utf8, 4xx, 8k
    """,
    re.VERBOSE,
)
# A word is a hump of capitals or of small letters, or several as in camelCase.
_WORD = re.compile(r"(?:[A-Z]{1,18}|[A-Z]?[a-z]{1,18}(?:[A-Z][a-z]{1,18})*)")
_BETWEEN = re.compile(r"[._/:=|+-]")
_EDGES = ".:!?-_/=*#|~\\@"
_BARE = HIDDEN.strip("[]")


def words(text: str, secrets: Sequence[str], known: Sequence[str]) -> str:
    """Return *text* as one printable line, shortened, without what may be a key, an id, a name or an address.

    *secrets* are never shown, not in pieces; *known* are names that may be, such as those of models.
    """
    text = " ".join("".join(char if char.isprintable() else " " for char in text[: LONGEST * 8]).split())
    text = hide(text, secrets)
    text = _MAIL.sub(HIDDEN, text)
    text = _LINK.sub(lambda found: found[1] + host(found[2]), text)
    text = _OWNED.sub(lambda found: _owned(found, known), text)
    text = _PHONE.sub(_phone, text)
    text = _TOKEN.sub(lambda found: _token(found[0], known), text)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def host(host: str) -> str:
    """Return a host's name without the parts that may be an account's."""
    return ".".join(part if all(map(_is_plain, part.split("-"))) else HIDDEN for part in host.split("."))


def _owned(found: re.Match[str], known: Sequence[str]) -> str:
    bare = found[3].strip("\"'`“”‘’()[]<>")
    return found[0] if bare in known else f"{found[1]}{found[2]}{HIDDEN}"


def _phone(found: re.Match[str]) -> str:
    digits = sum(map(str.isdigit, found[0]))
    is_number = re.fullmatch(r"\d+[./]\d+", found[0]) is not None
    return found[0] if is_number or digits < _PHONE_DIGITS else HIDDEN


def _token(token: str, known: Sequence[str]) -> str:
    bare = token.strip(_EDGES)
    if not bare or bare == _BARE or token in known or bare in known or _is_harmless(bare):
        return token
    return token.replace(bare, HIDDEN)


def _is_harmless(bare: str) -> bool:
    """Say whether *bare* is a number, or made of words with one number at most."""
    if _HARMLESS.fullmatch(bare):
        return True
    if _ID.fullmatch(bare):
        return False
    parts = [part for part in _BETWEEN.split(bare) if part]
    numbers = [part for part in parts if not part.isalpha()]
    return len(numbers) <= 1 and all(map(_is_plain, parts))


def _is_plain(part: str) -> bool:
    return _is_word(part) or bool(_HARMLESS.fullmatch(part))


def _is_word(part: str) -> bool:
    if not part.isascii():
        return part.isalpha()
    humps = sum(map(str.isupper, part[1:])) + 1
    # Letters that are drawn change their case all the time; words do not.
    return bool(_WORD.fullmatch(part)) and (part.isupper() or humps <= 3 or len(part) >= 4 * humps)
