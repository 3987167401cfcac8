"""What lies here needs more than Python: it is marked, and left out unless asked for (`make e2e`)."""

from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test under this directory."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("e2e")
