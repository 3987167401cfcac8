"""What the options of the benchmarks take: anything else is refused before something is measured."""

import os
from argparse import ArgumentTypeError
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Number = TypeVar("Number", int, float)


def whole(least: int, most: int) -> Callable[[str], int]:
    """Return the type of an option that takes a whole number from *least* to *most*."""
    return _within(int, least, most, f"a whole number from {least} to {most}")


def number(least: float, most: float) -> Callable[[str], float]:
    """Return the type of an option that takes a number from *least* to *most*."""
    return _within(float, least, most, f"a number from {least:g} to {most:g}")


def _within(
    kind: Callable[[str], Number], least: Number, most: Number, range_: str
) -> Callable[[str], Number]:
    def taken(text: str) -> Number:
        try:
            value = kind(text)
        except ValueError:
            value = least - 1
        # What is not a number is not in between either.
        if not least <= value <= most:
            raise ArgumentTypeError(f"{text!r} is not {range_}")
        return value

    return taken


def writable(text: str) -> Path:
    """Return the file that *text* names, to be written once all is measured."""
    path = Path(text)
    try:
        place = path if path.exists() else path.parent
        if path.is_dir():
            raise ArgumentTypeError(f"{text!r} is a directory")
    except OSError as exc:
        raise ArgumentTypeError(f"{text!r}: {exc.strerror}") from None
    if not path.parent.is_dir():
        raise ArgumentTypeError(f"{text!r}: there is no directory {path.parent}")
    if not os.access(place, os.W_OK):
        raise ArgumentTypeError(f"{text!r} may not be written")
    return path
