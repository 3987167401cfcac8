"""What every API for callers has to keep: the same tests over each, on real sockets.

A speaker of an API says in its words what the tests ask, and hears what is answered. The gateway runs as it
does in production, over providers that are played byte by byte; after each test nothing is left behind.
"""

import pytest

from tests.contract.speakers import SPEAKERS
from tests.contract.speaking import Speaker
from tests.faults.conftest import log, play
from tests.support.patience import OURS, LoopFactory

__all__ = ["log", "play"]


def pytest_asyncio_loop_factories(config, item) -> dict[str, LoopFactory]:
    return {"loop": OURS}


@pytest.fixture(params=SPEAKERS, ids=lambda speaker: speaker.name)
def speaker(request) -> Speaker:
    return request.param


@pytest.fixture(params=[False, True], ids=["whole", "streamed"])
def stream(request) -> bool:
    return request.param
