"""Every page on every kind of screen: what it costs, and what a browser and WCAG have against it."""

from pathlib import Path
from typing import Any

from msgspec import Struct

from tests.e2e.dashboard.stage import Stage
from tests.e2e.dashboard.walk import Walk

AXE = Path(__file__).parents[1] / "clients/node/node_modules/axe-core/axe.min.js"
WCAG = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
VIEWS = {
    "desktop-light": (1440, 900, "light"),
    "desktop-dark": (1440, 900, "dark"),
    "phone": (360, 740, "light"),
    "narrow": (320, 700, "dark"),
}
OPENINGS = 3  # of each page; the quickest tells what the page costs, the others what else the machine does
# Notes when the page was there to read: the router marks its link once it is shown.
WHEN_SHOWN = """new MutationObserver((_, observer) => {
  if (!document.querySelector("#nav [aria-current]")) return;
  window.shownAfter = performance.now();
  observer.disconnect();
}).observe(document, { subtree: true, childList: true, attributes: true });"""
BYTES = """[...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
  .filter((one) => new URL(one.name).pathname.startsWith("/dashboard"))
  .reduce(([sent, size], one) => [sent + one.encodedBodySize, size + one.decodedBodySize], [0, 0])"""


class Cost(Struct, frozen=True, order=True):
    """What a page costs whoever was never here: milliseconds until it can be read, bytes of its files.

    *sent* are those that travelled, compressed.
    """

    milliseconds: float
    page: str
    sent: int
    size: int


def look(browser: Any, stage: Stage, view: str, axe: str, into: Path | None = None) -> None:
    """Open every page in one view: nothing overflows, moves or breaks a rule of WCAG; keep pictures *into*.

    *axe* is the text of axe-core, or nothing.
    """
    width, height, scheme = VIEWS[view]
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce"
    )
    walk = Walk(context.new_page(), stage)
    walk.open()
    for name in pages(walk):
        walk.turn_to(name)
        walk.settle()
        if into:
            walk.page.screenshot(path=str(into / f"{name.lower()}-{view}.png"), full_page=True)
        walk.page.evaluate("document.querySelectorAll('main details').forEach((one) => { one.open = true; })")
        _find_nothing(walk, f"{name}, {view}", axe)
    walk.expect_silence()
    context.close()


def pages(walk: Walk) -> list[str]:
    """Return the names of the pages, as the navigation has them."""
    names: list[str] = walk.page.locator("#nav a").all_inner_texts()
    return names


def costs(browser: Any, stage: Stage) -> list[Cost]:
    """Return what each page costs in a browser that was never here."""
    walk = Walk(browser.new_page(), stage)
    walk.open()
    links = walk.page.locator("#nav a").all()
    places = [(link.inner_text(), link.get_attribute("href")) for link in links]
    walk.page.close()
    return [min(_cost(browser, stage, *place) for _ in range(OPENINGS)) for place in places]


def _cost(browser: Any, stage: Stage, name: str, place: str) -> Cost:
    context = browser.new_context()
    context.add_init_script(WHEN_SHOWN)
    page = context.new_page()
    page.goto(f"{stage.url}/dashboard{place}")
    page.locator("#nav [aria-current]").wait_for()
    cost = Cost(page.evaluate("window.shownAfter"), name, *page.evaluate(BYTES))
    context.close()
    return cost


def _find_nothing(walk: Walk, where: str, axe: str) -> None:
    overflow = walk.page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert overflow <= 0, f"{where}: {overflow} px too wide"
    assert not walk.page.evaluate("document.getAnimations().length"), f"{where}: something moves"
    if axe:
        walk.page.evaluate(f"{axe}\n;0")
        found = walk.page.evaluate("(tags) => axe.run(document, {runOnly: tags})", list(WCAG))["violations"]
        told = [(one["id"], [node["target"] for node in one["nodes"]]) for one in found]
        assert not found, f"{where}: {told}"
