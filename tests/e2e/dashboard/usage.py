"""The page of usage."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.e2e.dashboard.walk import ADMIN_KEY, Walk


def _page(walk: Walk) -> Any:
    return walk.page.locator(".usage")


def use_is_drawn_and_listed(walk: Walk) -> None:
    """What was asked is a bar, a name in the legend and a row of the table, with the same figures."""
    admin = {"authorization": f"Bearer {ADMIN_KEY}"}
    used: Any = {}
    while not used.get("data"):  # receipts are written within a second
        walk.page.wait_for_timeout(200)
        used = walk.page.request.get(f"{walk.url}/admin/usage?by=provider&since=1h", headers=admin).json()
    walk.turn_to("Usage")
    _page(walk).get_by_label("Time", exact=True).select_option("1h")
    _page(walk).get_by_text("Requests", exact=True).first.click()
    for line in used["data"]:
        name = line["provider"] or "(nobody answered)"
        walk.see(".usage tbody tr", name)
        walk.see(".legend li", name)
    assert walk.page.locator(".plot path[d]").count() >= len(used["data"])


def time_is_walked_by_keys(walk: Walk) -> None:
    """The arrow keys go from bar to bar, and the legend and a screen reader are told the figures of each."""
    walk.turn_to("Usage")
    plot = walk.page.locator(".plot")
    plot.focus()
    plot.press("Home")
    plot.press("ArrowRight")
    assert plot.get_attribute("aria-valuenow") == "1"
    assert (plot.get_attribute("aria-valuetext") or "").endswith("0 requests")
    plot.press("End")
    assert plot.get_attribute("aria-valuenow") == plot.get_attribute("aria-valuemax")
    plot.blur()
    walk.see(".chart h3", "The whole time")


def one_name_is_looked_at_alone(walk: Walk) -> None:
    """A name of the legend can be looked at by itself, and all of them again."""
    walk.turn_to("Usage")
    first = walk.page.locator(".legend button").first
    for pressed in ("true", "false"):
        first.click()
        assert first.get_attribute("aria-pressed") == pressed


def what_is_shown_is_saved(walk: Walk) -> None:
    """CSV and JSON hold what is shown."""
    walk.turn_to("Usage")
    texts = {}
    for kind in ("CSV", "JSON"):
        with walk.page.expect_download() as saved:
            walk.page.get_by_role("button", name=kind, exact=True).click()
        assert saved.value.suggested_filename == f"usage-provider-1h.{kind.lower()}"
        texts[kind] = Path(saved.value.path()).read_text(encoding="utf-8")
    assert texts["CSV"].startswith("start,provider,requests,failed,")
    assert json.loads(texts["JSON"])["data"][0].keys() >= {"start", "provider", "requests"}


def the_address_says_what_is_shown(walk: Walk) -> None:
    """Another time and another name are in the address, so that it can be passed on."""
    walk.turn_to("Usage")
    _page(walk).get_by_text("Model", exact=True).first.click()
    _page(walk).get_by_label("Time", exact=True).select_option("7d")
    assert "by=model" in walk.page.url
    walk.page.reload()
    walk.see(".usage thead", "Model")
    assert _page(walk).get_by_label("Model", exact=True).is_checked()
    assert _page(walk).get_by_label("Time", exact=True).input_value() == "7d"
    _page(walk).get_by_text("The bars as a table").click()
    walk.see("[aria-label='Usage over time'] tbody tr", " – ")


def axes_have_round_marks(walk: Walk) -> None:
    """Marks begin at 0, are whole, few, and reach what is drawn."""
    for most in (1, 2, 7, 10, 999, 1000, 123_456, 10**12):
        found = walk.page.evaluate("async (most) => (await import('/dashboard/chart.js')).marks(most)", most)
        assert found[0] == 0
        assert found[-1] >= most
        assert 2 <= len(found) <= 6
        assert all(mark == int(mark) for mark in found)


def many_names_are_few_colours(walk: Walk) -> None:
    """Seven names have a colour of their own, and the others are one."""
    series = [{"name": f"n{number}", "values": [number, 1]} for number in range(12)]
    ranked = walk.page.evaluate(
        "async (series) => (await import('/dashboard/chart.js')).ranked(series)", series
    )
    assert [one["name"] for one in ranked] == [*(f"n{number}" for number in range(11, 4, -1)), "5 others"]
    assert ranked[-1]["values"] == [0 + 1 + 2 + 3 + 4, 5]


def an_address_that_says_nothing_sensible_is_not_heard(walk: Walk) -> None:
    """What an address names and nobody offers changes nothing."""
    walk.page.evaluate("location.hash = 'usage/show=constructor&span=constructor&by=toString&toString=1'")
    walk.page.wait_for_function("document.querySelectorAll('.usage [aria-pressed], .usage select').length")
    walk.settle()
    assert "does not answer" not in _page(walk).inner_text()
    assert "failed. Reload" not in _page(walk).inner_text()


STEPS: tuple[Callable[[Walk], None], ...] = (
    use_is_drawn_and_listed,
    time_is_walked_by_keys,
    one_name_is_looked_at_alone,
    what_is_shown_is_saved,
    the_address_says_what_is_shown,
    axes_have_round_marks,
    many_names_are_few_colours,
    an_address_that_says_nothing_sensible_is_not_heard,
)
