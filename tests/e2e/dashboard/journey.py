"""Walk through the dashboard of a demo in a real browser: what a test of files cannot see.

    python -m tests.e2e.dashboard.journey --screenshots /tmp/shots

It needs Playwright for Python and a Chromium; neither is a dependency of freeroute. ``--axe`` takes
axe-core's axe.min.js to check the pages against WCAG as well.
"""

import argparse
import importlib
import shutil
import sys
from pathlib import Path
from typing import Any

from tests.e2e.dashboard import clients, connect, keys, models, overview, playground, requests, signing, usage
from tests.e2e.dashboard.stage import Stage, staged
from tests.e2e.dashboard.walk import Walk

WCAG = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
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
    *signing.KEYED_STEPS,
)
VIEWS = {
    "desktop-light": (1440, 900, "light"),
    "desktop-dark": (1440, 900, "dark"),
    "phone-light": (390, 844, "light"),
    "phone-dark": (390, 844, "dark"),
    "narrow": (320, 700, "light"),
}


def look(browser: Any, stage: Stage, view: str, axe: str, into: Path | None) -> None:
    """Open every page in one view: nothing overflows, nothing breaks a WCAG rule; keep a picture of each."""
    width, height, scheme = VIEWS[view]
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    walk = Walk(context.new_page(), stage)
    walk.open()
    for name in walk.page.locator("#nav a").all_inner_texts():
        walk.turn_to(name)
        _look_at(walk, f"{name.lower()}-{view}", axe, into)
    assert not walk.complaints, walk.complaints
    assert not walk.foreign, walk.foreign
    context.close()


def _look_at(walk: Walk, name: str, axe: str, into: Path | None) -> None:
    walk.page.wait_for_load_state("networkidle")
    overflow = walk.page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert overflow <= 0, f"{name}: {overflow} px too wide"
    if into:
        walk.page.screenshot(path=str(into / f"{name}.png"), full_page=True)
    if axe:
        walk.page.evaluate(f"{axe}\n;0")
        found = walk.page.evaluate("(tags) => axe.run(document, {runOnly: tags})", list(WCAG))["violations"]
        told = [(one["id"], [node["target"] for node in one["nodes"]]) for one in found]
        assert not found, f"{name}: {told}"


def run(stage: Stage, chromium: str, axe: str = "", into: Path | None = None) -> None:
    """Do every step and open every view; an AssertionError or a timeout says what failed."""
    playwright = importlib.import_module("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        # Chromium's sandbox does not start for root, which is who containers and CI jobs run as.
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        walk = Walk(browser.new_page(), stage)
        walk.page.set_default_timeout(15_000)
        walk.open()
        for step in STEPS:
            step(walk)
            print(f"ok  {(step.__doc__ or '').splitlines()[0]}")
        assert not walk.complaints, walk.complaints
        assert not walk.foreign, walk.foreign
        for view in VIEWS:
            look(browser, stage, view, axe, into)
            print(f"ok  {view}")
        browser.close()


def find_chromium() -> str | None:
    """Return the path of a Chromium on this machine."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def main() -> int:
    """Read the arguments and walk."""
    parser = argparse.ArgumentParser(description="Walk through the dashboard of a demo.")
    parser.add_argument("--chromium", default=find_chromium())
    parser.add_argument("--screenshots", type=Path, help="a directory for pictures of each view")
    parser.add_argument("--axe", type=Path, help="axe-core's axe.min.js")
    chosen = parser.parse_args()
    if not chosen.chromium:
        parser.error("no Chromium found; name one with --chromium")
    if chosen.screenshots:
        chosen.screenshots.mkdir(parents=True, exist_ok=True)
    with staged() as stage:
        run(stage, chosen.chromium, chosen.axe.read_text() if chosen.axe else "", chosen.screenshots)
    return 0


if __name__ == "__main__":
    sys.exit(main())
