"""The page of clients."""

from collections.abc import Callable

from tests.e2e.dashboard.walk import ADMIN_KEY, Walk


def clients_come_and_go(walk: Walk) -> None:
    """An operator adds a client, is shown its key once, and rotates, revokes and removes with a yes."""
    walk.turn_to("Clients")
    for name in ("alice", "bob"):
        walk.page.get_by_role("button", name="Add a client").click()
        walk.page.get_by_label("Name", exact=True).fill(name)
        walk.page.get_by_label("Requests per minute").fill("20")
        walk.page.get_by_label("Models", exact=True).fill("free*, groq/*")
        walk.page.get_by_role("button", name="Add", exact=True).click()
        _take_key(walk, name)
        walk.see("#clients tr", name)
    for verb, button, seen in (
        ("New key", "Make the key", "former key works until"),
        ("Revoke", "Revoke", "Revoked"),
    ):
        walk.page.get_by_role("button", name=f"{verb}: alice").click()
        walk.page.locator("#sure-dialog").get_by_role("button", name=button).click()
        if verb == "New key":
            _take_key(walk, "alice")
        walk.see("#clients tr", seen)
    walk.page.get_by_role("button", name="Remove: alice").click()
    walk.page.keyboard.press("Escape")
    walk.see("#clients tr", "alice")
    walk.page.get_by_role("button", name="Remove: alice").click()
    walk.page.locator("#sure-do").click()
    walk.page.locator("#clients tr", has_text="alice").wait_for(state="detached")


def a_wrong_field_is_named(walk: Walk) -> None:
    """The gateway's words about a name stand in the form, and the focus is on the field."""
    walk.turn_to("Clients")
    walk.page.get_by_role("button", name="Add a client").click()
    field = walk.page.get_by_label("Name", exact=True)
    field.fill("not a name")
    field.press("Enter")
    walk.see("#client-error", "a name has up to 64 letters")
    assert field.get_attribute("aria-invalid") == "true"
    walk.page.keyboard.press("Escape")
    walk.forgive("400")


def a_small_scope_is_told(walk: Walk) -> None:
    """With a token that may read, changes are off and say why; a refused one keeps the token."""
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
    walk.page.get_by_role("button", name="Reset ").first.click()
    walk.see("#notice", "reader has scope read")
    walk.see("#who", "Signed in as reader (read)")
    walk.forgive("403")


def _take_key(walk: Walk, name: str) -> None:
    """Find the key of *name* shown, and that it is gone when its dialog is."""
    walk.see("#key-title", name)
    field = walk.page.locator("#key-value")
    assert field.input_value().startswith("fr-")
    walk.page.keyboard.press("Escape")
    assert field.is_visible()
    walk.page.get_by_role("button", name="I have kept it").click()
    field.wait_for(state="hidden")
    assert field.input_value() == ""


STEPS: tuple[Callable[[Walk], None], ...] = (
    clients_come_and_go,
    a_wrong_field_is_named,
    a_small_scope_is_told,
)
