"""The page that is opened first, and the shell around all pages."""

from collections.abc import Callable

from tests.e2e.dashboard.walk import ADMIN_KEY, STREAM, Walk


def cards_show_every_provider(walk: Walk) -> None:
    """Each provider that is on has a card with its name and a state in words."""
    walk.see("#live", "Live")
    on = [one["name"] for one in walk.status()["providers"] if one["state"] != "no-key"]
    assert on, "the demo has no provider"
    assert walk.page.locator(".card h3").all_inner_texts() == on
    assert all(walk.page.locator(".card .state").all_inner_texts())


def what_is_left_is_told(walk: Walk) -> None:
    """How many calls there is room for stands on top, now and today, and falls with each call."""
    left = walk.page.locator("#room div", has_text="Calls left now").locator("dd")
    before = _number(left.inner_text())
    assert 0 < before <= _number(walk.page.locator("#room div", has_text="today").locator("dd").inner_text())
    walk.stage.ask("openrouter/google/gemma-4-31b-it:free").raise_for_status()
    walk.see(".card .facts", "1 request")
    assert _number(left.inner_text()) < before


def a_provider_fails_and_recovers(walk: Walk) -> None:
    """Its card turns while one looks on, says why and until when; a reset takes its breaker back."""
    card = walk.page.locator(".card", has=walk.page.get_by_role("heading", name="Mistral", exact=True))
    walk.stage.steer("mistral", always=503)
    for model in ("mistral-small-2603", "mistral-medium-3-5"):
        for _ in range(3):
            walk.stage.ask(f"mistral/{model}")
    card.locator(".state", has_text="Breaker open").wait_for()
    card.locator(".why", has_text="Back in").wait_for()
    card.locator(".failure", has_text="failed on its side").wait_for()
    walk.see("#alerts", "Mistral kept failing and is left alone.")
    walk.see("#news", "Mistral: Breaker open")
    walk.stage.steer("mistral", always=None)
    card.get_by_role("button", name="Reset Mistral").click()
    card.locator(".state", has_text="Healthy").wait_for()
    walk.page.locator("#alerts-box").wait_for(state="hidden")
    walk.stage.ask("mistral/mistral-small-2603").raise_for_status()
    card.locator(".facts", has_text="7 requests").wait_for()


def a_refused_key_says_what_to_do(walk: Walk) -> None:
    """A key that a provider does not accept is told on top, with the page where another is entered."""
    walk.stage.steer("cerebras", always=401)
    walk.stage.ask("cerebras/gpt-oss-120b")
    alert = walk.page.locator("#alerts li", has_text="Cerebras does not accept the key key-1.")
    alert.get_by_role("link", name="Keys").wait_for()
    walk.stage.steer("cerebras", always=None)
    walk.page.get_by_role("button", name="Reset Cerebras").click()
    alert.wait_for(state="detached")


def a_card_opens_to_the_whole_provider(walk: Walk) -> None:
    """More than the fullest limits are read when somebody wants to see them."""
    card = walk.page.locator(".card", has_text="Google Gemini")
    [gemini] = [one for one in walk.status()["providers"] if one["id"] == "gemini"]
    assert len(gemini["pools"]) > card.locator(".bars > li").count()
    card.locator("summary").click()
    bars = card.locator("details .bars > li")
    bars.nth(len(gemini["pools"]) - 1).wait_for()
    assert bars.count() == len(gemini["pools"])
    assert card.locator("details .troubles > li").count() == len(gemini["candidates"]) + len(gemini["keys"])
    card.locator("summary").click()


def a_hidden_tab_follows_nothing(walk: Walk) -> None:
    """The stream is closed while nobody looks, and opened anew for who comes back."""
    hide = "(hidden) => {Object.defineProperty(document, 'hidden', {value: hidden, configurable: true});"
    hide += "document.dispatchEvent(new Event('visibilitychange'));}"
    with walk.page.expect_event("requestfailed", lambda request: request.url.endswith(STREAM)):
        walk.page.evaluate(hide, True)
    with walk.page.expect_response(lambda reply: reply.url.endswith(STREAM)):
        walk.page.evaluate(hide, False)
    walk.next_update()


def _number(text: str) -> float:
    """Return what a number is that was written in little room."""
    units = {"K": 1e3, "M": 1e6}
    return float(text.rstrip("KM").replace(",", "")) * units.get(text[-1], 1)


def routing_changes(walk: Walk) -> None:
    """The switch changes the order of equals, and shows what the gateway says."""
    for label, strategy in (("Random", "random"), ("Balanced", "balanced")):
        walk.page.get_by_text(label, exact=True).click()
        walk.see("#notice", label.lower())
        assert walk.status()["strategy"] == strategy
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
    walk.page.get_by_role("button", name="Try now").click()
    walk.see("#trouble-next", "Trying again")
    walk.page.context.set_offline(False)
    walk.see("#live", "Live")
    assert walk.page.locator("#trouble").is_hidden()
    walk.forgive("ERR_INTERNET_DISCONNECTED")


def a_page_that_could_not_be_loaded_is_tried_again(walk: Walk) -> None:
    """What was lost on the way is told where it would stand, and comes when it is chosen again."""
    script = "**/pages/connect.js"
    walk.page.route(script, lambda route: route.abort())
    walk.turn_to("Connect")
    walk.see("#page-trouble", "The page Connect could not be loaded")
    assert walk.page.locator("#page-overview").is_hidden()
    walk.page.unroute(script)
    walk.turn_to("Connect")
    walk.page.locator("#connect-title").wait_for()
    assert walk.page.locator("#page-trouble").is_hidden()
    walk.turn_to("Overview")
    walk.forgive("ERR_FAILED")


STEPS: tuple[Callable[[Walk], None], ...] = (
    cards_show_every_provider,
    what_is_left_is_told,
    a_provider_fails_and_recovers,
    a_refused_key_says_what_to_do,
    a_card_opens_to_the_whole_provider,
    a_hidden_tab_follows_nothing,
    routing_changes,
    maintenance_is_told,
    the_focus_survives_updates,
    the_keyboard_reaches_everything,
    updates_can_be_paused,
    an_outage_is_told,
    a_page_that_could_not_be_loaded_is_tried_again,
)
