"""Where simulated providers are asked without sockets time is virtual: no machine is too slow for it."""

from collections.abc import Mapping

import pytest

from tests.support.patience import STANDARD, LoopFactory
from tests.support.virtual import VirtualLoop


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, LoopFactory]:
    return {"loop": STANDARD if item.path.name == "test_http.py" else VirtualLoop}
