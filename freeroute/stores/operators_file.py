"""Operators' tokens: one file in the state directory, whoever changes it."""

from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from freeroute.domain.operators import Operator
from freeroute.stores.kept_file import KeptFile

NAME = "operators.json"
FORMAT = 1

OperatorChange = Callable[[tuple[Operator, ...]], tuple[Operator, ...]]


class _Content(Struct, frozen=True, forbid_unknown_fields=True):
    """What is in the file."""

    format: int
    operators: tuple[Operator, ...]


class OperatorsFile:
    """The file ``operators.json`` of a state directory."""

    def __init__(self, directory: Path) -> None:
        """Keep operators in *directory*; nothing is opened or made yet."""
        self._file = KeptFile(directory / NAME, _Content(FORMAT, ()))

    def read(self) -> tuple[Operator, ...]:
        """Return the operators; none if there is no file. Raises ConfigError if it cannot be read."""
        return self._file.read().operators

    def update(self, change: OperatorChange) -> tuple[Operator, ...]:
        """Replace them by what *change* makes of them; raises ConfigError and what that raises."""
        return self._file.update(lambda known: _Content(FORMAT, change(known.operators))).operators

    def mark(self) -> object:
        """Return what differs once the file has been changed; None while there is none."""
        return self._file.mark()
