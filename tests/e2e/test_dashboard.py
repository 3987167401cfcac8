"""The dashboard in a real browser, on a demo of its own.

Skipped on machines without Playwright for Python or without a Chromium.
"""

import importlib.util

import pytest

from tests.e2e.dashboard import journey
from tests.e2e.dashboard.stage import staged

CHROMIUM = journey.find_chromium()


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
@pytest.mark.skipif(
    importlib.util.find_spec("playwright") is None, reason="Playwright for Python is not installed"
)
def test_the_dashboard_works_in_a_browser(capfd):
    assert CHROMIUM is not None
    with staged() as stage, capfd.disabled():
        print()
        journey.run(stage, CHROMIUM)
