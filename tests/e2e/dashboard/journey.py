"""Walk through the dashboard of a demo in a real browser: what a test of files cannot see.

    python -m tests.e2e.dashboard.journey --screenshots /tmp/shots

It needs Playwright for Python and a Chromium; neither is a dependency of freeroute. WCAG is looked at by
axe-core, which `make e2e` fetches.
"""

import argparse
import importlib
import shutil
import sys
from pathlib import Path

from tests.e2e.dashboard import (
    clients,
    connect,
    keyboard,
    keys,
    models,
    overview,
    playground,
    requests,
    signing,
    usage,
)
from tests.e2e.dashboard.stage import Stage, staged
from tests.e2e.dashboard.views import AXE, VIEWS, costs, look
from tests.e2e.dashboard.walk import Walk

# Clients come late: from then on the gateway asks for keys.
STEPS = (
    *overview.STEPS,
    *requests.STEPS,
    *usage.STEPS,
    *models.STEPS,
    *playground.STEPS,
    *signing.STEPS,
    *keys.STEPS,
    *connect.STEPS,
    *clients.STEPS,
    *playground.KEYED_STEPS,
    *signing.KEYED_STEPS,
)


def run(stage: Stage, chromium: str, axe: Path = AXE, into: Path | None = None) -> None:
    """Do every step and open every view; an AssertionError or a timeout says what failed."""
    rules = axe.read_text() if axe.exists() else ""
    if not rules:
        print(f"{axe} is not there, so nobody looks whether WCAG is kept; `make e2e` fetches it")
    playwright = importlib.import_module("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        # Chromium's sandbox does not start for root, which is who containers and CI jobs run as.
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for steps in (STEPS, keyboard.STEPS):
            walk = Walk(browser.new_page(), stage)
            walk.page.set_default_timeout(15_000)
            walk.open()
            for step in steps:
                step(walk)
                print(f"ok  {(step.__doc__ or '').splitlines()[0]}")
            walk.expect_silence()
            walk.page.close()
        for view in VIEWS:
            look(browser, stage, view, rules, into)
            print(f"ok  {view}")
        for one in costs(browser, stage):
            print(f"    {one.page}: {one.milliseconds:.0f} ms, {one.sent} bytes of {one.size}")
        browser.close()


def find_chromium() -> str | None:
    """Return the path of a Chromium on this machine."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def main() -> int:
    """Read the arguments and walk."""
    parser = argparse.ArgumentParser(description="Walk through the dashboard of a demo.")
    parser.add_argument("--chromium", default=find_chromium())
    parser.add_argument("--screenshots", type=Path, help="a directory for pictures of each view")
    parser.add_argument("--axe", type=Path, default=AXE, help="axe-core's axe.min.js")
    chosen = parser.parse_args()
    if not chosen.chromium:
        parser.error("no Chromium found; name one with --chromium")
    if chosen.screenshots:
        chosen.screenshots.mkdir(parents=True, exist_ok=True)
    with staged() as stage:
        run(stage, chosen.chromium, chosen.axe, chosen.screenshots)
    return 0


if __name__ == "__main__":
    sys.exit(main())
