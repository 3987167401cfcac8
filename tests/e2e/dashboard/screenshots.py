"""Pictures of the dashboard for the documentation, of a demo that has seen some life.

    make screenshots                       the selection, into docs/screenshots
    make screenshots SCREENSHOTS=/tmp/all  every page in every view as well

It needs Playwright for Python and a Chromium; neither is a dependency of freeroute.
"""

import argparse
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.e2e.dashboard.journey import find_chromium
from tests.e2e.dashboard.pictures import save
from tests.e2e.dashboard.stage import CLIENTS, Stage, staged
from tests.e2e.dashboard.views import pages
from tests.e2e.dashboard.walk import Walk

DOCS = Path(__file__).parents[3] / "docs/screenshots"
VIEWS = {
    "light": (1280, 800, "light"),
    "dark": (1280, 800, "dark"),
    "phone": (390, 844, "light"),
}
# What the documentation shows.
CHOSEN = (
    ("Overview", "light"),
    ("Overview", "dark"),
    ("Overview", "phone"),
    ("Requests", "light"),
    ("Usage", "light"),
    ("Playground", "light"),
)
QUESTION = "Why is the sky blue?"
DOOMED = ("mistral/mistral-small-2603", "openrouter/google/gemma-4-31b-it:free", "mistral/codestral-2508")


def live(stage: Stage) -> None:
    """Let there be clients that ask, a provider that fails, one whose key is refused, and a spent quota."""
    keys = [stage.add_client(name, requests_per_minute=60, tokens_per_day=200_000) for name in CLIENTS]
    for number, key in enumerate(keys * 5):
        stage.ask(("free-fast", "free-smart", "free")[number % 3], QUESTION, key, stream=number % 2 == 0)
    for number in range(8):
        stage.ask("gemini/gemini-3.5-flash", QUESTION, keys[number % 3])
    stage.steer("mistral", always={"kind": "cut", "after": 0})
    stage.steer("openrouter", always=401)
    for key in keys:
        stage.ask("free-smart", QUESTION, key, stream=True)
    stage.ask(DOOMED[0], QUESTION, keys[0], models=[*DOOMED, "free-smart"], stream=True)


def _open_a_request(walk: Walk) -> None:
    walk.page.locator(".request", has_text=DOOMED[0]).first.get_by_role("button").first.click()


def _show_a_month(walk: Walk) -> None:
    walk.page.get_by_label("Time", exact=True).select_option(label="30 days")


def _ask(walk: Walk) -> None:
    walk.page.locator(".playground select").select_option("free-smart")
    walk.page.get_by_label("Message", exact=True).fill(QUESTION)
    walk.page.keyboard.press("Control+Enter")
    walk.page.locator(".told div").first.wait_for()
    walk.page.get_by_text("The plan when it was asked").click()


# What is done on a page before its picture is taken.
BEFORE: dict[str, Callable[[Walk], None]] = {
    "Requests": _open_a_request,
    "Usage": _show_a_month,
    "Playground": _ask,
}


def take(browser: Any, stage: Stage, view: str, into: Path | None) -> None:
    """Take the pictures of one view: those for the documentation, and all of them *into* a directory."""
    width, height, scheme = VIEWS[view]
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    walk = Walk(context.new_page(), stage)
    walk.open()
    for name in pages(walk):
        walk.turn_to(name)
        walk.settle()
        if prepare := BEFORE.get(name):
            prepare(walk)
            walk.settle()
        walk.page.mouse.move(0, 0)
        file = f"{name.lower()}-{view}.png"
        if (name, view) in CHOSEN:
            save(browser, walk.page, DOCS / file)
        if into:
            walk.page.screenshot(path=str(into / file), full_page=True)
    context.close()


def main() -> None:
    """Read the arguments and take the pictures."""
    parser = argparse.ArgumentParser(description="Take pictures of the dashboard.")
    parser.add_argument("--chromium", default=find_chromium())
    parser.add_argument("--all", type=Path, help="a directory for every page in every view")
    chosen = parser.parse_args()
    if not chosen.chromium:
        parser.error("no Chromium found; name one with --chromium")
    for directory in filter(None, (DOCS, chosen.all)):
        directory.mkdir(parents=True, exist_ok=True)
    playwright = importlib.import_module("playwright.sync_api")
    with staged(history=True) as stage, playwright.sync_playwright() as driver:
        live(stage)
        browser = driver.chromium.launch(executable_path=chosen.chromium, args=["--no-sandbox"])
        for view in VIEWS:
            take(browser, stage, view, chosen.all)
        browser.close()


if __name__ == "__main__":
    main()
