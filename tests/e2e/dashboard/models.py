"""The page of models."""

from collections.abc import Callable
from typing import Any

from tests.e2e.dashboard.walk import ADMIN_KEY, Walk


def _models(walk: Walk) -> Any:
    admin = {"authorization": f"Bearer {ADMIN_KEY}"}
    return walk.page.request.get(f"{walk.url}/admin/models", headers=admin).json()


def _page(walk: Walk) -> Any:
    return walk.page.locator(".models")


def _rows(walk: Walk) -> Any:
    return _page(walk).locator("tbody tr:not(.family)")


def every_model_has_a_row(walk: Walk) -> None:
    """All models are there, those of a family together, with their state in words."""
    walk.turn_to("Models")
    found = _models(walk)
    _rows(walk).nth(len(found["data"]) - 1).wait_for()
    assert _rows(walk).count() == len(found["data"])
    assert all(walk.page.locator(".models .result").all_inner_texts())
    families = [one["family"] for one in found["data"]]
    shared = {name for name in families if families.count(name) > 1}
    assert set(walk.page.locator(".models .family strong").all_inner_texts()) == shared
    cards = walk.page.locator(".models .card h3").all_inner_texts()
    assert cards == [one["name"] for one in found["meta_models"]]


def models_are_found(walk: Walk) -> None:
    """A part of the name, what it can and who serves it leave the rows that fit."""
    walk.turn_to("Models")
    every = _models(walk)["data"]
    _page(walk).get_by_label("Find by name").fill("gpt-oss")
    assert _rows(walk).count() == sum("gpt-oss" in one["id"] for one in every)
    _page(walk).get_by_label("Find by name").fill("")
    _page(walk).get_by_label("Can", exact=True).select_option("tools")
    assert _rows(walk).count() == sum("tools" in one["capabilities"] for one in every)
    _page(walk).get_by_label("Can", exact=True).select_option("")
    _page(walk).locator(".switch").get_by_text("Off", exact=True).click()
    assert _rows(walk).count() == sum(one["state"] == "off" for one in every)
    _page(walk).locator(".switch").get_by_text("All", exact=True).click()


def the_plan_is_explained(walk: Walk) -> None:
    """Explain shows who would answer now, in order; Escape closes it, and the focus is where it was."""
    walk.turn_to("Models")
    walk.page.get_by_role("button", name="Explain free-fast", exact=True).click()
    walk.see("#plan-title", "free-fast")
    assert walk.page.locator(".plan li").count() >= 5
    walk.page.keyboard.press("Escape")
    walk.page.locator(".plan").wait_for(state="hidden")
    assert walk.page.evaluate("document.activeElement.getAttribute('aria-label')") == "Explain free-fast"


def a_model_is_switched(walk: Walk) -> None:
    """A model is switched off, says by whom, and on again."""
    walk.turn_to("Models")
    name = next(one["id"] for one in _models(walk)["data"] if one["provider"] == "groq")
    walk.page.get_by_role("button", name=f"Switch off {name}", exact=True).click()
    walk.see("#notice", "off")
    walk.see(".models .result", "by an operator")
    assert next(one for one in _models(walk)["data"] if one["id"] == name)["off_by"] == "operator"
    walk.page.get_by_role("button", name=f"Switch on {name}", exact=True).click()
    walk.page.get_by_role("button", name=f"Switch off {name}", exact=True).wait_for()


def a_provider_is_switched(walk: Walk) -> None:
    """A provider that was picked is switched off with all of its models, and on again."""
    walk.turn_to("Models")
    _page(walk).get_by_label("Provider", exact=True).select_option("groq")
    walk.page.get_by_role("button", name="Switch Groq off").click()
    walk.see(".models .result", "its provider is switched off")
    walk.page.get_by_role("button", name="Switch Groq on").click()
    walk.page.get_by_role("button", name="Switch Groq off").wait_for()
    _page(walk).get_by_label("Provider", exact=True).select_option("")


STEPS: tuple[Callable[[Walk], None], ...] = (
    every_model_has_a_row,
    models_are_found,
    the_plan_is_explained,
    a_model_is_switched,
    a_provider_is_switched,
)
