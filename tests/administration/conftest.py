from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from freeroute.administration.clients import ClientBook
from freeroute.administration.operators import OperatorBook
from freeroute.config.load import Overrides, load
from freeroute.stores.clients_file import ClientsFile
from freeroute.stores.operators_file import OperatorsFile
from tests.config.conftest import built, planned, safe
from tests.support.clocks import ManualClock

__all__ = ["built", "planned", "safe"]

SETTINGS = "clients:\n  - {name: set, key: k}\n"


class Notes:
    """What was noted before each change."""

    def __init__(self) -> None:
        self.taken: list[tuple[Any, Any]] = []

    def __call__(self, before: Any, after: Any) -> None:
        self.taken.append((before, after))


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def clients(tmp_path: Path, clock: ManualClock) -> Callable[..., ClientBook]:
    """Return the clients of a gateway with settings of its own."""

    def clients(written: str = "", env: Mapping[str, str] | None = None) -> ClientBook:
        (tmp_path / "freeroute.yaml").write_text(written)
        settings = load(Overrides(), env or {}, tmp_path, tmp_path)
        return ClientBook(ClientsFile(tmp_path / "state"), lambda: settings, clock)

    return clients


@pytest.fixture
def operators(tmp_path: Path, clock: ManualClock) -> OperatorBook:
    return OperatorBook(OperatorsFile(tmp_path / "state"), clock)
