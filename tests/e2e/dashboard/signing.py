"""Signing in and out, and what small scopes are told."""

from collections.abc import Callable
from typing import Any

from tests.e2e.dashboard.walk import ADMIN_KEY, Walk

SCOPE = "This needs a token of scope operate; onlooker has scope read."


def a_demo_signs_in_by_itself(walk: Walk) -> None:
    """Whoever opens a demo is signed in, and no key is anywhere in the browser."""
    walk.see("#who", "Signed in as admin")
    kept = "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])"
    assert walk.page.evaluate(kept) == '[{},{},""]'
    [cookie] = walk.page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    assert ADMIN_KEY not in cookie["value"]


def a_wrong_key_is_refused(walk: Walk) -> None:
    """Who has signed out is asked for a key, told that it is wrong, and then gets what was wanted."""
    walk.turn_to("Overview")
    name = walk.page.locator(".card h3").first.inner_text()
    walk.page.get_by_role("button", name="Sign out").click()
    walk.page.get_by_role("button", name="Sign in").wait_for()
    walk.page.get_by_role("button", name=f"Reset {name}", exact=True).click()
    field = walk.page.locator("#dialog-key")
    field.fill("wrong")
    field.press("Enter")
    walk.see("#dialog-error", "This key is unknown")
    assert field.is_visible()
    field.fill(ADMIN_KEY)
    field.press("Enter")
    walk.see("#notice", f"{name} was reset")
    walk.see("#who", "Signed in as admin")
    walk.forgive("401")  # the two refusals just provoked


def an_onlooker_sees_what_is_off_and_why(walk: Walk) -> None:
    """With a token that may read, what changes something is off, and says why."""
    token = _ask(walk, "POST", "/admin/operators", name="onlooker", scope="read")["token"]
    walk.page.get_by_role("button", name="Sign out").click()
    _sign_in(walk, token)
    walk.see("#who", "Signed in as onlooker (read)")
    walk.turn_to("Clients")
    walk.see("#clients-scope", SCOPE)
    button = walk.page.get_by_role("button", name="Add a client")
    assert button.is_disabled()
    assert button.get_attribute("title") == SCOPE
    walk.turn_to("Overview")
    walk.see("#overview-scope", SCOPE)
    for button in walk.page.get_by_role("button", name="Reset ").all():
        assert (button.is_disabled(), button.get_attribute("title")) == (True, SCOPE)
    assert walk.page.get_by_label("Random", exact=True).is_disabled()


def a_session_ends_with_its_token(walk: Walk) -> None:
    """Once the token is revoked nobody is signed in any more, and the page says so by itself."""
    _ask(walk, "DELETE", "/admin/operators/onlooker")
    walk.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # instead of within a minute
    walk.page.get_by_role("button", name="Sign in").wait_for()
    assert walk.page.locator("#who").is_hidden()
    _sign_in(walk, ADMIN_KEY)
    walk.see("#who", "Signed in as admin")


def a_gateway_that_is_back_knows_its_operator_again(walk: Walk) -> None:
    """A demo that has forgotten its sessions is signed in to again once it answers."""
    stream = "**/v1/status/events"
    walk.page.route(stream, lambda route: route.abort())
    walk.page.evaluate("dispatchEvent(new Event('online'))")  # asks anew
    walk.see("#trouble", "does not answer")
    walk.page.context.clear_cookies()
    walk.page.unroute(stream)
    walk.page.locator("#retry").click()
    walk.page.locator("#trouble").wait_for(state="hidden")
    assert _name(walk) == "admin"
    walk.forgive("ERR_FAILED")


def the_panel_asks_for_a_key(walk: Walk) -> None:
    """Where clients are configured nothing is seen before somebody signs in, as a client for example."""
    key = _ask(walk, "POST", "/admin/clients", name="carol", models=["free*"])["key"]
    walk.page.get_by_role("button", name="Sign out").click()
    walk.see("#signin-title", "This gateway asks for a key")
    walk.see("#live", "Needs a key")
    assert walk.page.locator("#pages").is_hidden()
    field = walk.page.locator("#signin-key")
    assert walk.page.evaluate("document.activeElement.id") == "signin-key"
    field.fill("wrong")
    field.press("Enter")
    walk.see("#signin-error", "This key is unknown")
    field.fill(key)
    field.press("Enter")
    walk.see("#who", "Signed in as carol (client)")
    walk.turn_to("Overview")
    walk.see(".card h3", walk.page.locator(".card h3").first.inner_text())
    walk.turn_to("Models")
    walk.see(".models", "You may ask for the names above.")
    walk.forgive("401")


def the_panel_is_not_barred_by_a_dialog(walk: Walk) -> None:
    """Whoever is signed out in the middle of a form can sign in again."""
    token = _ask(walk, "POST", "/admin/operators", name="brief", scope="operate")["token"]
    walk.page.get_by_role("button", name="Sign out").click()
    walk.page.locator("#signin-key").fill(token)
    walk.page.locator("#signin-key").press("Enter")
    walk.see("#who", "Signed in as brief")
    walk.turn_to("Clients")
    walk.page.get_by_role("button", name="Add a client").click()
    _ask(walk, "DELETE", "/admin/operators/brief")
    walk.see("#signin-error", "You were signed out")
    walk.page.locator("#client").wait_for(state="hidden")
    assert walk.page.evaluate("document.activeElement.id") == "signin-key"
    walk.page.keyboard.type(ADMIN_KEY)
    walk.page.keyboard.press("Enter")
    walk.see("#who", "Signed in as admin")
    walk.forgive("401")


def a_client_that_is_revoked_is_signed_out(walk: Walk) -> None:
    """Once its key is revoked, a client sees the panel again, and why."""
    _ask(walk, "POST", "/admin/clients/carol/revoke")
    walk.see("#signin-error", "You were signed out")
    walk.page.locator("#signin-key").fill(ADMIN_KEY)
    walk.page.locator("#signin-key").press("Enter")
    walk.see("#who", "Signed in as admin")
    _ask(walk, "DELETE", "/admin/clients/carol")
    walk.forgive("401")


def _sign_in(walk: Walk, key: str) -> None:
    walk.page.get_by_role("button", name="Sign in").click()
    walk.page.locator("#dialog-key").fill(key)
    walk.page.locator("#dialog-key").press("Enter")
    walk.page.locator("#signin-dialog").wait_for(state="hidden")


def _name(walk: Walk) -> Any:
    """Return who the browser is signed in as, as the gateway tells it."""
    asked = (
        "fetch('/dashboard/session', {headers: {'x-freeroute-dashboard': '1'}}).then((told) => told.json())"
    )
    return walk.page.evaluate(asked)["name"]


def _ask(walk: Walk, method: str, path: str, **body: Any) -> Any:
    headers = {"authorization": f"Bearer {ADMIN_KEY}"}
    reply = walk.page.request.fetch(f"{walk.url}{path}", method=method, data=body or None, headers=headers)
    assert reply.ok, reply.text()
    return reply.json() if reply.text() else None


STEPS: tuple[Callable[[Walk], None], ...] = (
    a_demo_signs_in_by_itself,
    a_wrong_key_is_refused,
    an_onlooker_sees_what_is_off_and_why,
    a_session_ends_with_its_token,
    a_gateway_that_is_back_knows_its_operator_again,
)
# Once there are clients.
KEYED_STEPS: tuple[Callable[[Walk], None], ...] = (
    the_panel_asks_for_a_key,
    a_client_that_is_revoked_is_signed_out,
    the_panel_is_not_barred_by_a_dialog,
)
