"""Whether a text is JSON that fits a JSON Schema, and the JSON inside one that is only wrapped."""

import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from freeroute.wire.unfolding import STEP, WORK, Extent, Steps, counted, unfolded, written

if TYPE_CHECKING:
    from jsonschema_rs import Validator

SCHEMA_LIMIT = 64 * 1024
"""Bytes of a schema. Own design: OpenAI's own are far smaller, and this one compiles in some milliseconds."""
PATTERNS = 200
"""Patterns of a schema, and lists without repeats. Own design: to compile one may take a millisecond."""
EXPLAINED = 200_000
"""Looks up to which an answer is told the keyword that it breaks. Own design: all that a value might be is
gone through to find it."""
_CACHED = 64  # compiled schemas: applications ask with the same few, over and over
# What one pattern may cost, in steps back and in MiB compiled, and all of a schema together, where each may
# cost one: they are the caller's, and so is the prompt. Own design: 10 MiB are the 2048 characters of an
# address, or 200 letters of any script, and compile in some 50 ms; 200 MiB in about a second.
_BACKTRACKS = 10_000
_PATTERN_SIZE = 10
_PATTERNS_SIZE = 200
_COUNTED = re.compile(r"\{\d+(,\d*)?\}")

_UNFIT = "the answer does not fit the schema"
_FENCED = re.compile(r"```[\w-]*[ \t]*\n(.*?)\n?[ \t]*```", re.DOTALL)
_OPENING = re.compile(r"[{\[]")


class BadSchema(ValueError):
    """A schema that nothing can be held to; the message says why, in no words of the schema."""


class Fitted(Struct, frozen=True):
    """The JSON *text* that fits, or *wrong*: why there is none, in no words of the answer."""

    text: str | None = None
    wrong: str = ""


def check(schema: bytes) -> None:
    """Raise BadSchema unless answers can be held to *schema*: small, valid, and leading nowhere else."""
    if len(schema) > SCHEMA_LIMIT:
        raise BadSchema(f"larger than {SCHEMA_LIMIT // 1024} KiB")
    _compiled(schema)


def fitted(text: str, schema: bytes) -> Fitted:
    """Return the part of *text* that fits *schema*: all of it, or the one JSON value that words surround."""
    wrong = "the answer is not JSON"
    for part in dict.fromkeys((text, *_inside(text))):
        try:
            value = msgspec.json.decode(part)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            continue
        misses = _compiled(schema).misses(value, len(part))
        if misses is None:
            return Fitted(part)
        wrong = misses
    return Fitted(wrong=wrong)


def _inside(text: str) -> list[str]:
    """Return what may be the JSON in *text*: what a fence holds, or the first value if no other follows."""
    fenced = _FENCED.findall(text)
    if fenced:
        return [fenced[0]] if len(fenced) == 1 else []
    opening = _OPENING.search(text)
    if opening is None:
        return []
    try:
        _, end = json.JSONDecoder().raw_decode(text, opening.start())
    except (ValueError, RecursionError):
        return []
    return [] if _OPENING.search(text, end) else [text[opening.start() : end]]


class _Form:
    """A compiled schema; where a check may take much, the same once more, to count what it takes."""

    def __init__(self, schema: Any) -> None:
        scans = written(schema).scans
        if scans > PATTERNS:
            raise BadSchema(f"more than {PATTERNS} patterns")
        self._schema = schema
        self._size = max(1, min(_PATTERN_SIZE, _PATTERNS_SIZE // max(scans, 1)))
        self._extent: Extent = unfolded(schema)
        self._plain = _validator(schema, self._size) if self._extent.is_plain else None
        self._counting = None if self._plain else self._counted()

    def _counted(self) -> "tuple[Validator, Steps]":
        steps = Steps(self._schema)
        return _validator(counted(self._schema), self._size, {STEP: steps.keyword}), steps

    def misses(self, value: Any, length: int) -> str | None:
        """Return why *value*, of *length* characters, does not fit, or None: with the keyword, where that is
        cheap.
        """
        from jsonschema_rs import ValidationError

        work = self._extent.work(length)
        try:
            if self._plain is None or work > WORK:
                return self._misses_counted(value)
            if work <= EXPLAINED:
                self._plain.validate(value)
            return None if work <= EXPLAINED or self._plain.is_valid(value) else _UNFIT
        except ValidationError as exc:
            return f"{_UNFIT}: {exc.kind.name}"
        except (ValueError, RecursionError):
            return f"{_UNFIT}: nested too deeply"

    def _misses_counted(self, value: Any) -> str | None:
        self._counting = self._counting or self._counted()
        validator, steps = self._counting
        try:
            steps.begin(value)
            fits = validator.is_valid(value)
        except (ValueError, RecursionError):
            fits = False
        if steps.left < 0:
            return "the answer takes too long to check"
        return None if fits else _UNFIT


@lru_cache(maxsize=_CACHED)
def _compiled(schema: bytes) -> _Form:
    """Return what validates by *schema*; raises BadSchema."""
    try:
        return _Form(msgspec.json.decode(schema))
    except (msgspec.MsgspecError, RecursionError):
        raise BadSchema("not a valid JSON Schema") from None


def _validator(schema: Any, size: int, keywords: Any = None) -> "Validator":
    """Compile *schema*, each pattern to *size* MiB at most; raises BadSchema."""
    from jsonschema_rs import FancyRegexOptions, ReferencingError, ValidationError, validator_for

    elsewhere: list[str] = []

    def refuse(uri: str) -> Any:
        elsewhere.append(uri)
        raise ValueError("nothing is fetched")

    try:
        return validator_for(
            schema,
            keywords=keywords or {},
            validate_formats=False,
            retriever=refuse,
            pattern_options=FancyRegexOptions(backtrack_limit=_BACKTRACKS, size_limit=size * 1024 * 1024),
        )
    except (ValidationError, ReferencingError, TypeError, ValueError, RecursionError) as exc:
        why = "not a valid JSON Schema"
        if elsewhere:
            why = "refers to another document, and none is fetched"
        elif isinstance(exc, ValidationError) and _is_too_large(exc.instance):
            why = f"a pattern takes more than {size} MiB compiled"
        raise BadSchema(why) from None


def _is_too_large(wrong: Any) -> bool:
    """Say whether *wrong*, at which compiling failed, is a pattern, fine but for its counts."""
    from jsonschema_rs import FancyRegexOptions, ValidationError, validator_for

    if not isinstance(wrong, str) or not _COUNTED.search(wrong):
        return False
    try:
        validator_for(
            {"pattern": _COUNTED.sub("{1}", wrong)},
            pattern_options=FancyRegexOptions(backtrack_limit=_BACKTRACKS, size_limit=1024 * 1024),
        )
    except (ValidationError, ValueError):
        return False
    return True
