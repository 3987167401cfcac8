"""Everything without a mouse."""

from collections.abc import Callable

from tests.e2e.dashboard.views import pages
from tests.e2e.dashboard.walk import Walk


def every_page_is_reached(walk: Walk) -> None:
    """Each link of the navigation is reached and followed by keyboard, and leads to the title of its page."""
    for name in pages(walk):
        walk.page.locator("body").evaluate("document.activeElement.blur()")
        walk.page.keyboard.press("Tab")
        walk.press_on(f"#nav a:text-is('{name}')")
        walk.page.locator("#nav [aria-current=page]", has_text=name).wait_for()
        walk.page.locator("main h2:focus").wait_for()


def a_provider_is_reset(walk: Walk) -> None:
    """A reset is reached and done by keyboard, and told."""
    walk.turn_to("Overview")
    name = walk.page.locator(".card h3").first.inner_text()
    walk.press_on(f"[aria-label='Reset {name}']")
    walk.see("#notice", f"{name} was reset")


def a_question_can_be_taken_back(walk: Walk) -> None:
    """What cannot be undone asks first, the focus is on the way out, and Escape leads back."""
    walk.turn_to("Clients")
    button = "[aria-label='Revoke: bob']"
    walk.press_on(button)
    walk.page.locator("dialog[open]").wait_for()
    assert walk.page.evaluate("document.activeElement.textContent") == "Cancel"
    walk.page.keyboard.press("Escape")
    walk.page.locator("dialog[open]").wait_for(state="detached")
    assert walk.page.evaluate("(one) => document.activeElement.matches(one)", button)


# Once there is a client called bob.
STEPS: tuple[Callable[[Walk], None], ...] = (
    every_page_is_reached,
    a_provider_is_reset,
    a_question_can_be_taken_back,
)
