"""Runs that keep what they know in one directory, over a clock that is moved by hand."""

import contextlib

import pytest

from tests.stores.runs import Run
from tests.support.clocks import ManualClock


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def run(tmp_path, clock):
    """Start a run in the one directory of the test; the file is closed at the end."""
    with contextlib.ExitStack() as stack:

        def run(clock=clock, **given) -> Run:
            made = Run(tmp_path, clock, **given)
            stack.callback(made.file.close)
            return made

        yield run
