"""The page of keys: those of providers, and the tokens of operators."""

from collections.abc import Callable

from tests.e2e.dashboard.walk import ADMIN_KEY, Walk

SECRET = "gsk_walrus-of-the-dashboard-wxyz"


def a_key_is_added_and_its_end_alone_is_shown(walk: Walk) -> None:
    """An operator adds a provider's key, which is used at once and never shown again."""
    walk.turn_to("Keys")
    walk.page.get_by_role("button", name="Add a key: Groq").click()
    form = walk.page.locator("#provider-key")
    link = form.get_by_role("link", name="Get a key from Groq")
    assert link.get_attribute("rel") == "noreferrer"
    walk.page.locator("#provider-key-label:focus").fill("mine")
    form.get_by_label("Key", exact=True).fill(SECRET)
    assert form.get_by_label("Key", exact=True).get_attribute("type") == "password"
    form.get_by_role("button", name="Add", exact=True).click()
    walk.see("#notice", "The key mine was added")
    walk.see(".key", "…wxyz")
    walk.see(".key", "Not proven")
    assert form.get_by_label("Key", exact=True).input_value() == ""
    assert SECRET not in walk.page.content()


def a_key_that_is_there_is_refused_in_the_form(walk: Walk) -> None:
    """What the gateway has against a key stands in the form, beside its field."""
    walk.turn_to("Keys")
    walk.page.get_by_role("button", name="Add a key: Groq").click()
    form = walk.page.locator("#provider-key")
    form.get_by_label("Label").fill("other")
    form.get_by_label("Key", exact=True).fill(SECRET)
    form.get_by_label("Key", exact=True).press("Enter")
    walk.see("#provider-key-error", "this key is there as mine")
    assert form.get_by_label("Key", exact=True).get_attribute("aria-invalid") == "true"
    walk.page.keyboard.press("Escape")
    walk.forgive("409")


def a_key_is_tested_switched_and_removed(walk: Walk) -> None:
    """A test tells its verdict in words; a key goes off and on, and is removed with a yes alone."""
    walk.turn_to("Keys")
    key = walk.page.locator(".key", has_text="mine")
    key.get_by_role("button", name="Test: Groq, mine").click()
    walk.see(".key", "No verdict")
    key.get_by_role("button", name="Switch off: Groq, mine").click()
    walk.see(".key .state", "Off")
    key.get_by_role("button", name="Switch on: Groq, mine").click()
    walk.see("#notice", "Groq, mine is on")
    key.get_by_role("button", name="Remove: Groq, mine").click()
    walk.page.keyboard.press("Escape")
    assert key.is_visible()
    key.get_by_role("button", name="Remove: Groq, mine").click()
    walk.page.locator("#ask-yes").click()
    key.wait_for(state="detached")


def a_provider_that_is_off_goes_on_with_its_first_key(walk: Walk) -> None:
    """Whoever is asked nothing yet is found below, and has a card once there is a key."""
    walk.turn_to("Keys")
    walk.page.get_by_text("could have a key").click()
    walk.page.get_by_role("button", name="Add a key: NVIDIA NIM").click()
    form = walk.page.locator("#provider-key")
    form.get_by_label("Label").fill("first")
    form.get_by_label("Key", exact=True).fill("nvapi-walrus-of-the-dashboard")
    form.get_by_role("button", name="Add", exact=True).click()
    walk.see(".keys .card", "NVIDIA NIM")
    walk.page.get_by_role("button", name="Remove: NVIDIA NIM, first").click()
    walk.page.locator("#ask-yes").click()
    walk.page.locator(".keys .card", has_text="NVIDIA NIM").wait_for(state="detached")


def a_refused_key_says_what_to_do(walk: Walk) -> None:
    """A key that its provider refuses shows up as that by itself, with the remedy; as good once it is."""
    walk.turn_to("Keys")
    card = walk.page.locator(".keys .card", has=walk.page.get_by_role("heading", name="Mistral"))
    card.get_by_text("key-1").wait_for()
    walk.stage.steer("mistral", always=401)
    walk.stage.ask("mistral/mistral-small-2603")
    card.get_by_text("Refused", exact=True).wait_for()
    assert "Make a new one there" in card.inner_text()
    assert card.get_attribute("data-tone") == "bad"
    walk.stage.steer("mistral", always=None)
    walk.page.request.post(
        f"{walk.url}/v1/status/providers/mistral/reset", headers={"authorization": f"Bearer {ADMIN_KEY}"}
    )
    assert walk.stage.ask("mistral/mistral-small-2603").is_success
    card.get_by_text("Valid", exact=True).wait_for()


def operators_come_and_go(walk: Walk) -> None:
    """An operator gets a token that is shown once and good for its scope, until it is revoked."""
    walk.turn_to("Keys")
    walk.page.get_by_role("button", name="Add an operator").click()
    form = walk.page.locator("#operator")
    form.get_by_label("Name").fill("ann")
    form.get_by_label("May").select_option("operate")
    form.get_by_role("button", name="Add", exact=True).click()
    walk.see("#once-title", "The token of ann")
    token = walk.page.locator("#once-value").input_value()
    walk.page.keyboard.press("Escape")
    assert walk.page.locator("#once").is_visible()
    walk.page.get_by_role("button", name="I have kept it").click()
    assert walk.page.locator("#once-value").input_value() == ""
    assert whoami(walk, token) == "operate"
    walk.see("#operators tr", "ann")
    walk.page.get_by_role("button", name="Revoke: ann").click()
    walk.page.locator("#ask-yes").click()
    walk.page.locator("#operators tr", has_text="ann").filter(has_text="Revoked").wait_for()
    assert whoami(walk, token) is None


def whoami(walk: Walk, token: str) -> str | None:
    """Return the scope that *token* has; None if it opens nothing."""
    told = walk.page.request.get(f"{walk.url}/admin/whoami", headers={"authorization": f"Bearer {token}"})
    scope: str | None = told.json().get("scope") if told.ok else None
    return scope


def locked_keys_are_told(walk: Walk) -> None:
    """What was entered and cannot be used is told on top, with what to do."""
    telling = (
        '{"data": [], "problems": ["the keys in providers.json are sealed with another encryption key"]}'
    )
    walk.page.route("**/admin/providers", lambda route: route.fulfill(body=telling))
    walk.turn_to("Overview")
    walk.turn_to("Keys")
    walk.see(".banner[role=alert]", "sealed with another encryption key")
    walk.page.unroute("**/admin/providers")
    walk.turn_to("Overview")
    walk.turn_to("Keys")
    walk.page.locator(".banner[role=alert]", has_text="sealed").wait_for(state="detached")


STEPS: tuple[Callable[[Walk], None], ...] = (
    a_key_is_added_and_its_end_alone_is_shown,
    a_key_that_is_there_is_refused_in_the_form,
    a_key_is_tested_switched_and_removed,
    a_provider_that_is_off_goes_on_with_its_first_key,
    a_refused_key_says_what_to_do,
    operators_come_and_go,
    locked_keys_are_told,
)
