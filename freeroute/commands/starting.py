"""What makes a start cheaper; to be begun before anything is imported."""

import contextlib
import gc
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def lightly() -> Iterator[None]:
    """Import and build without looking for garbage, until `serving` has built everything."""
    # Next to nothing that a start makes is garbage, and looking for it takes a fifth of the time.
    gc.disable()
    try:
        with _missing("rich"):
            import structlog  # noqa: F401 - it can draw with rich, which takes 50 ms and which nobody asks for
        yield
    finally:
        gc.enable()


@contextlib.contextmanager
def _missing(package: str) -> Iterator[None]:
    """Let *package* be one that is not installed, if nobody has imported it before."""
    if package in sys.modules:
        yield
        return
    sys.modules[package] = None  # type: ignore[assignment]  # how the language says so
    try:
        yield
    finally:
        del sys.modules[package]
