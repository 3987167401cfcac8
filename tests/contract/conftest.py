"""What every API for callers has to keep: the same tests over each, on real sockets.

A speaker of an API says in its words what the tests ask, and hears what is answered. The gateway runs as it
does in production, over providers that are played byte by byte; after each test nothing is left behind.
"""

import asyncio
import importlib.util
from collections.abc import Callable

import pytest

from tests.contract.speakers import SPEAKERS
from tests.contract.speaking import Speaker
from tests.faults.conftest import log, play

__all__ = ["log", "play"]


def pytest_asyncio_loop_factories(config, item) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    loops = importlib.util.find_spec("uvloop")
    return {"loop": importlib.import_module("uvloop").new_event_loop if loops else asyncio.new_event_loop}


@pytest.fixture(params=SPEAKERS, ids=lambda speaker: speaker.name)
def speaker(request) -> Speaker:
    return request.param


@pytest.fixture(params=[False, True], ids=["whole", "streamed"])
def stream(request) -> bool:
    return request.param
