"""What lies here needs more than Python: it is marked, and left out unless asked for (`make e2e`)."""

import signal
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test under this directory."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("e2e")


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """Have what the tests start hear Ctrl-C, which what a script runs in the background is born to ignore."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
