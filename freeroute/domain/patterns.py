"""What the catalogue says of models by patterns of their ids. Pure."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import TypeVar

V = TypeVar("V")


def by_pattern(model_id: str, table: Mapping[str, V]) -> V | None:
    """Return what *table* says of the first pattern that *model_id* fits, in any case, or None."""
    name = model_id.lower()
    return next((value for pattern, value in table.items() if fnmatchcase(name, pattern.lower())), None)


def is_pattern(name: str) -> bool:
    """Say whether *name* has a sign in it that stands for others."""
    return any(sign in name for sign in "*?[")
