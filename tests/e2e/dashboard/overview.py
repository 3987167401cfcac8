"""The page that is opened first, and the shell around all pages."""

from collections.abc import Callable

from tests.e2e.dashboard.walk import ADMIN_KEY, Walk


def cards_show_every_provider(walk: Walk) -> None:
    """Each provider that is on has a card with its name and a state in words."""
    walk.see("#live", "Live")
    on = [one["name"] for one in walk.status()["providers"] if one["state"] != "no-key"]
    assert on, "the demo has no provider"
    assert walk.page.locator(".card h3").all_inner_texts() == on
    assert all(walk.page.locator(".card .state").all_inner_texts())


def routing_changes(walk: Walk) -> None:
    """The switch changes the order of equals, and shows what the gateway says."""
    for label, strategy in (("Random", "random"), ("Balanced", "balanced")):
        walk.page.get_by_text(label, exact=True).click()
        walk.see("#notice", label.lower())
        assert walk.status()["strategy"] == strategy
        walk.next_update()
        assert walk.page.get_by_label(label, exact=True).is_checked()


def maintenance_is_told(walk: Walk) -> None:
    """While no requests are let in, the page says so, with the operator's words."""
    chip, admin = walk.page.locator("#maintenance"), {"authorization": f"Bearer {ADMIN_KEY}"}
    for wanted in ({"on": True, "message": "new disks"}, {"on": False}):
        reply = walk.page.request.put(f"{walk.url}/admin/maintenance", data=wanted, headers=admin)
        assert reply.ok, reply.text()
        if wanted["on"]:
            walk.see("#maintenance", "new disks")
        else:
            chip.wait_for(state="hidden")


def the_focus_survives_updates(walk: Walk) -> None:
    """Whoever stands on a button still stands there two updates later."""
    walk.page.locator(".card button").first.focus()
    walk.next_update()
    walk.next_update()
    assert walk.page.evaluate("document.activeElement === document.querySelector('.card button')")


def the_keyboard_reaches_everything(walk: Walk) -> None:
    """The skip link comes first, and Tab reaches the switch and every button of every card."""
    walk.page.reload()
    walk.page.locator("#page-overview").wait_for()
    walk.page.keyboard.press("Tab")
    assert walk.page.evaluate("document.activeElement.className") == "skip"
    walk.page.keyboard.press("Enter")
    reached = set()
    for _ in range(20 + 4 * walk.page.locator(".card").count()):
        walk.page.keyboard.press("Tab")
        reached.add(walk.page.evaluate("document.activeElement.getAttribute('aria-label')"))
        reached.add(walk.page.evaluate("document.activeElement.name"))
    wanted = {f"Reset {name}" for name in walk.page.locator(".card h3").all_inner_texts()}
    assert wanted | {"strategy"} <= reached, wanted - reached


def updates_can_be_paused(walk: Walk) -> None:
    """The page stops moving when asked to, and goes on."""
    walk.page.get_by_role("button", name="Pause updates").click()
    walk.see("#live", "Paused")
    walk.page.get_by_role("button", name="Resume updates").click()
    walk.see("#live", "Live")


def an_outage_is_told(walk: Walk) -> None:
    """A gateway that goes away is told at once, and its return too."""
    walk.page.context.set_offline(True)
    walk.see("#trouble", "does not answer")
    walk.see("#live", "Interrupted")
    walk.page.context.set_offline(False)
    walk.page.get_by_role("button", name="Try now").click()
    walk.see("#live", "Live")
    assert walk.page.locator("#trouble").is_hidden()
    walk.forgive("ERR_INTERNET_DISCONNECTED")


STEPS: tuple[Callable[[Walk], None], ...] = (
    cards_show_every_provider,
    routing_changes,
    maintenance_is_told,
    the_focus_survives_updates,
    the_keyboard_reaches_everything,
    updates_can_be_paused,
    an_outage_is_told,
)
