"""Disks on a bad day: full, or not to be written to, for this process alone.

Systems that cannot do that skip what needs it.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

resource = pytest.importorskip("resource")
_NOBODY = 65534


@contextlib.contextmanager
def full(size: int) -> Iterator[None]:
    """Let no file grow beyond *size* bytes, as on a disk that has no more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextlib.contextmanager
def read_only(directory: Path) -> Iterator[None]:
    """Take the right to write in *directory*, from root too."""
    us = os.geteuid()
    directory.chmod(0o500)
    if us == 0:
        os.seteuid(_NOBODY)
    try:
        yield
    finally:
        os.seteuid(us)
        directory.chmod(0o700)
