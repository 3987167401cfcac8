"""The dashboard in a real browser, on a demo of its own. Skipped without Playwright for Python and a Chromium.

FREEROUTE_E2E_URL walks through a demo that runs already.
"""

import os
import socket
import subprocess
import sys
import time

import httpx
import pytest

from tests.e2e import dashboard

CHROMIUM = dashboard.find_chromium()
START_TIMEOUT = 30


@pytest.fixture
def demo_url():
    if given := os.environ.get("FREEROUTE_E2E_URL"):
        yield given
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "freeroute", "demo"],
        env={**os.environ, "PORT": str(port)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_for(url, process)
        yield url
    finally:
        process.terminate()
        process.communicate(timeout=START_TIMEOUT)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_the_dashboard_works_in_a_browser(demo_url):
    pytest.importorskip("playwright.sync_api", reason="Playwright for Python is not installed")
    assert CHROMIUM is not None
    dashboard.run(demo_url, CHROMIUM)


def _wait_for(url, process):
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        if process.poll() is not None:
            pytest.fail(f"the demo ended by itself: {process.stderr.read()}")
        try:
            httpx.get(f"{url}/livez", timeout=1)
            return
        except httpx.TransportError:
            time.sleep(0.1)
    pytest.fail(f"the demo did not answer within {START_TIMEOUT} s")
