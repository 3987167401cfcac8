"""Whether a text is JSON that fits a JSON Schema, and the JSON inside one that is only wrapped."""

import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from freeroute.wire.unfolding import PLAIN, STEP, STEPS, Steps, counted, unfolded

if TYPE_CHECKING:
    from jsonschema_rs import Validator

SCHEMA_LIMIT = 64 * 1024
"""Bytes of a schema. Own design: OpenAI's own are far smaller, and this one compiles in some milliseconds."""
_CACHED = 64  # compiled schemas: applications ask with the same few, over and over
# What one pattern may cost, in steps back and in bytes compiled: it is the caller's, and so is the prompt.
_BACKTRACKS = 10_000
_PATTERN_SIZE = 1024 * 1024

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
    for written in dict.fromkeys((text, *_inside(text))):
        try:
            value = msgspec.json.decode(written)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            continue
        misses = _compiled(schema).misses(value)
        if misses is None:
            return Fitted(written)
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
    """A compiled schema; the *steps* of a check are counted if it may lead through itself again and again."""

    def __init__(self, validator: "Validator", steps: Steps | None) -> None:
        self._validator = validator
        self._steps = steps

    def misses(self, value: Any) -> str | None:
        """Return why *value* does not fit, or None: with the keyword, where that is cheap."""
        from jsonschema_rs import ValidationError

        try:
            if self._steps is None:
                self._validator.validate(value)
                return None
            self._steps.left = STEPS
            fits = self._validator.is_valid(value)
        except ValidationError as exc:
            return f"{_UNFIT}: {exc.kind.name}"
        except (ValueError, RecursionError):
            return f"{_UNFIT}: nested too deeply"
        if self._steps.left < 0:
            return f"the answer takes more than {STEPS} steps to check"
        return None if fits else _UNFIT


@lru_cache(maxsize=_CACHED)
def _compiled(schema: bytes) -> _Form:
    """Return what validates by *schema*; raises BadSchema."""
    from jsonschema_rs import FancyRegexOptions, ReferencingError, ValidationError, validator_for

    elsewhere: list[str] = []

    def refuse(uri: str) -> Any:
        elsewhere.append(uri)
        raise ValueError("nothing is fetched")

    try:
        told = msgspec.json.decode(schema)
        steps = None if unfolded(told) <= PLAIN else Steps()
        keywords: Any = {} if steps is None else {STEP: steps.keyword}
        validator = validator_for(
            told if steps is None else counted(told),
            keywords=keywords,
            validate_formats=False,
            retriever=refuse,
            pattern_options=FancyRegexOptions(backtrack_limit=_BACKTRACKS, size_limit=_PATTERN_SIZE),
        )
        return _Form(validator, steps)
    except (ValidationError, ReferencingError, TypeError, ValueError, RecursionError):
        why = "refers to another document, and none is fetched" if elsewhere else "not a valid JSON Schema"
        raise BadSchema(why) from None
