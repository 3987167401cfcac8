"""Whether a text is JSON that fits a JSON Schema, and the JSON inside one that is only wrapped."""

import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

if TYPE_CHECKING:
    from jsonschema_rs import Validator

SCHEMA_LIMIT = 64 * 1024
"""Bytes of a schema. Own design: OpenAI's own are far smaller, and this one compiles in some milliseconds."""
_CACHED = 64  # compiled schemas: applications ask with the same few, over and over
# What one pattern may cost, in steps back and in bytes compiled: it is the caller's, and so is the prompt.
_BACKTRACKS = 10_000
_PATTERN_SIZE = 1024 * 1024

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
    for written in (text, *_inside(text)):
        try:
            value = msgspec.json.decode(written)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            continue
        keyword = _misses(value, schema)
        if keyword is None:
            return Fitted(written)
        wrong = f"the answer does not fit the schema: {keyword}"
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


def _misses(value: Any, schema: bytes) -> str | None:
    """Return the keyword of *schema* that *value* breaks, or None."""
    from jsonschema_rs import ValidationError

    try:
        _compiled(schema).validate(value)
    except ValidationError as exc:
        return exc.kind.name
    except (ValueError, RecursionError):
        return "nested too deeply"
    return None


@lru_cache(maxsize=_CACHED)
def _compiled(schema: bytes) -> "Validator":
    """Return what validates by *schema*; raises BadSchema."""
    from jsonschema_rs import FancyRegexOptions, ReferencingError, ValidationError, validator_for

    elsewhere: list[str] = []

    def refuse(uri: str) -> Any:
        elsewhere.append(uri)
        raise ValueError("nothing is fetched")

    try:
        return validator_for(
            msgspec.json.decode(schema),
            validate_formats=False,
            retriever=refuse,
            pattern_options=FancyRegexOptions(backtrack_limit=_BACKTRACKS, size_limit=_PATTERN_SIZE),
        )
    except (ValidationError, ReferencingError, TypeError, ValueError, RecursionError):
        why = "refers to another document, and none is fetched" if elsewhere else "not a valid JSON Schema"
        raise BadSchema(why) from None
