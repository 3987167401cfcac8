"""The dashboard in a real browser, on a demo of its own.

Skipped on machines without Playwright for Python or without a Chromium. FREEROUTE_E2E_URL walks
through a demo that runs already.
"""

import importlib.util
import os
import socket
import subprocess
import sys
import time

import httpx
import pytest

from tests.e2e.dashboard import journey

CHROMIUM = journey.find_chromium()
START_TIMEOUT = 30


@pytest.fixture
def demo_url(tmp_path):
    if given := os.environ.get("FREEROUTE_E2E_URL"):
        yield given
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    said = tmp_path / "demo.log"
    with said.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "freeroute", "demo"],
            env={**os.environ, "PORT": str(port)},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_for(url, process, said)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=START_TIMEOUT)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
@pytest.mark.skipif(
    importlib.util.find_spec("playwright") is None, reason="Playwright for Python is not installed"
)
def test_the_dashboard_works_in_a_browser(demo_url):
    assert CHROMIUM is not None
    journey.run(demo_url, CHROMIUM)


def _wait_for(url, process, said):
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        if process.poll() is not None:
            pytest.fail(f"the demo ended by itself: {said.read_text()}")
        try:
            httpx.get(f"{url}/livez", timeout=1)
            return
        except httpx.TransportError:
            time.sleep(0.1)
    pytest.fail(f"the demo did not answer within {START_TIMEOUT} s")
