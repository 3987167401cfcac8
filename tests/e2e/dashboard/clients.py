"""The page of clients."""

from collections.abc import Callable
from typing import Any

from tests.e2e.dashboard.walk import ADMIN_KEY, Walk


def clients_come_and_go(walk: Walk) -> None:
    """An operator adds a client, is shown its key once, and rotates, revokes and removes with a yes."""
    walk.turn_to("Clients")
    for name in ("alice", "bob"):
        walk.page.get_by_role("button", name="Add a client").click()
        form = walk.page.locator("#client")
        form.get_by_label("Name", exact=True).fill(name)
        form.get_by_label("Requests per minute").fill("20")
        form.get_by_label("Models", exact=True).fill("free*, groq/*")
        form.get_by_role("button", name="Add", exact=True).click()
        _take_key(walk, name)
        walk.see("#clients tr", name)
    walk.page.get_by_role("button", name="New key: alice").click()
    walk.page.get_by_role("button", name="Make the key").click()
    _take_key(walk, "alice")
    walk.see("#clients tr", "former key works until")
    walk.page.get_by_role("button", name="Revoke: alice").click()
    walk.page.locator("#ask-yes").click()
    walk.see("#clients tr", "Revoked")
    walk.page.get_by_role("button", name="Remove: alice").click()
    walk.page.keyboard.press("Escape")
    walk.see("#clients tr", "alice")
    walk.page.get_by_role("button", name="Remove: alice").click()
    walk.page.locator("#ask-yes").click()
    walk.page.locator("#clients tr", has_text="alice").wait_for(state="detached")
    assert walk.page.evaluate("document.activeElement.className") == "scroll"  # around the table


def a_name_is_found_letter_by_letter(walk: Walk) -> None:
    """The field to find a client by keeps the focus while somebody types."""
    walk.page.evaluate("location.hash = 'clients/b'")
    field = walk.page.get_by_label("Find clients")
    field.focus()
    field.press("End")
    walk.page.keyboard.type("ob")
    assert field.input_value() == "bob"
    walk.page.evaluate("location.hash = 'clients'")


def a_key_that_comes_late_is_shown(walk: Walk) -> None:
    """Whoever cancels before the gateway answers is shown the key of the client that was made."""
    held: list[Any] = []

    def hold(route: Any) -> None:
        if route.request.method == "POST":
            held.append(route)
        else:
            route.continue_()

    walk.page.route("**/admin/clients", hold)
    walk.page.get_by_role("button", name="Add a client").click()
    form = walk.page.locator("#client")
    form.get_by_label("Name", exact=True).fill("late")
    form.get_by_role("button", name="Add", exact=True).click()
    while not held:
        walk.page.wait_for_timeout(50)
    form.get_by_role("button", name="Cancel").click()
    walk.page.get_by_role("button", name="Add a client").click()
    held[0].continue_()
    _take_key(walk, "late")
    walk.page.unroute("**/admin/clients")
    assert form.is_visible()  # the one that was opened since
    form.get_by_role("button", name="Cancel").click()
    walk.see("#clients tr", "late")


def limits_are_changed(walk: Walk) -> None:
    """The form shows what holds for a client, and changes what was changed in it alone."""
    walk.turn_to("Clients")
    held = _client(walk, "bob")
    walk.page.get_by_role("button", name="Change: bob").click()
    form = walk.page.locator("#client")
    assert form.get_by_label("Name", exact=True).is_disabled()
    assert form.get_by_label("Models", exact=True).input_value() == "free*, groq/*"
    form.get_by_label("Requests per minute").fill("")
    form.get_by_label("Tokens per day").fill("500000")
    form.get_by_role("button", name="Change", exact=True).click()
    walk.see("#notice", "bob was changed")
    walk.see("#clients tr", "tokens/day")
    assert _client(walk, "bob") == held | {"requests_per_minute": None, "tokens_per_day": 500_000}


def use_is_told_by_model_and_leads_to_the_requests(walk: Walk) -> None:
    """What a client used is told by provider and model, with a way to its requests."""
    walk.turn_to("Clients")
    walk.page.get_by_role("button", name="New key: bob").click()
    walk.page.get_by_role("button", name="Make the key").click()
    key = _take_key(walk, "bob")
    reply = walk.page.request.post(
        f"{walk.url}/v1/chat/completions",
        data={"model": "free-fast", "messages": [{"role": "user", "content": "Hello!"}]},
        headers={"authorization": f"Bearer {key}"},
    )
    assert reply.ok, reply.text()
    row = walk.page.locator("#clients tr", has_text="bob")
    row.locator("summary", has_text="1 request,").click()
    assert reply.headers["x-freeroute-provider"] in row.inner_text()
    row.get_by_role("link", name="Its requests").click()
    walk.page.locator("#nav [aria-current=page]", has_text="Requests").wait_for()


def recipes_ask_for_a_key_now(walk: Walk) -> None:
    """With a client, the page Connect leaves room for its key, and shows none."""
    walk.turn_to("Connect")
    walk.see("article", "Bearer YOUR-KEY")
    assert "not-needed" not in walk.page.locator("#pages").inner_text()


def _client(walk: Walk, name: str) -> Any:
    """Return what the gateway says of the client *name*."""
    told = walk.page.request.get(
        f"{walk.url}/admin/clients/{name}", headers={"authorization": f"Bearer {ADMIN_KEY}"}
    )
    return told.json()


def a_wrong_field_is_named(walk: Walk) -> None:
    """The gateway's words about a name stand in the form, and the focus is on the field."""
    walk.turn_to("Clients")
    walk.page.get_by_role("button", name="Add a client").click()
    field = walk.page.locator("#client").get_by_label("Name", exact=True)
    field.fill("not a name")
    field.press("Enter")
    walk.see("#client-error", "a name has up to 64 letters")
    assert field.get_attribute("aria-invalid") == "true"
    field.fill("named")
    models = walk.page.locator("#client").get_by_label("Models", exact=True)
    models.fill("x" * 300)
    models.press("Enter")
    walk.see("#client-error", "Models: ")
    assert models.get_attribute("aria-invalid") == "true"
    walk.page.keyboard.press("Escape")
    walk.forgive("400")


def a_small_scope_is_told(walk: Walk) -> None:
    """With a token that may read, changes are off and say why."""
    walk.turn_to("Clients")
    reply = walk.page.request.post(
        f"{walk.url}/admin/operators",
        data={"name": "reader", "scope": "read"},
        headers={"authorization": f"Bearer {ADMIN_KEY}"},
    )
    assert reply.ok, reply.text()
    walk.page.get_by_role("button", name="Sign out").click()
    walk.page.locator("#signin-key").fill(reply.json()["token"])
    walk.page.locator("#signin-key").press("Enter")
    walk.see("#clients-scope", "reader has scope read")
    assert walk.page.get_by_role("button", name="Add a client").is_disabled()
    assert walk.page.get_by_role("button", name="Revoke: bob").is_disabled()
    walk.turn_to("Overview")
    walk.see("#overview-scope", "reader has scope read")
    assert walk.page.get_by_role("button", name="Reset ").first.is_disabled()


def _take_key(walk: Walk, name: str) -> str:
    """Return the key of *name* that is shown, and is gone when its dialog is."""
    walk.see("#once-title", name)
    field = walk.page.locator("#once-value")
    key: str = field.input_value()
    assert key.startswith("fr-")
    for _ in range(4):  # a browser asked that often closes other dialogs
        walk.page.keyboard.press("Escape")
    assert field.is_visible()
    walk.page.get_by_role("button", name="I have kept it").click()
    field.wait_for(state="hidden")
    assert field.input_value() == ""
    return key


STEPS: tuple[Callable[[Walk], None], ...] = (
    clients_come_and_go,
    a_name_is_found_letter_by_letter,
    a_key_that_comes_late_is_shown,
    limits_are_changed,
    use_is_told_by_model_and_leads_to_the_requests,
    recipes_ask_for_a_key_now,
    a_wrong_field_is_named,
    a_small_scope_is_told,
)
