"""Signing in, and what small scopes are told."""

from collections.abc import Callable

from tests.e2e.dashboard.walk import ADMIN_KEY, Walk


def a_wrong_admin_key_is_refused(walk: Walk) -> None:
    """Without a key the page asks for it, says when it is wrong, and then does what was wanted."""
    walk.turn_to("Overview")
    name = walk.page.locator(".card h3").first.inner_text()
    walk.page.get_by_role("button", name="Admin key").click()
    walk.page.get_by_role("button", name="Forget it").click()
    walk.page.get_by_role("button", name=f"Reset {name}", exact=True).click()
    field = walk.page.locator("#admin-key")
    field.fill("wrong")
    field.press("Enter")
    walk.see("#admin-error", "not accepted")
    field.fill(ADMIN_KEY)
    field.press("Enter")
    walk.see("#notice", f"{name} was reset")
    walk.forgive("401")  # the two refusals just provoked


STEPS: tuple[Callable[[Walk], None], ...] = (a_wrong_admin_key_is_refused,)
