"""Walk through the dashboard of a running demo in a real browser: what a test of files cannot see.

    freeroute demo
    python tests/e2e/dashboard.py --url http://127.0.0.1:3000 --screenshots /tmp/shots

It needs Playwright for Python and a Chromium; neither is a dependency of freeroute. ``--axe`` takes
axe-core's axe.min.js to check the page against WCAG as well. A demo is good for one walk: it leaves a client.
"""

import argparse
import importlib
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ADMIN_KEY = "demo"
WCAG = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
VIEWS = {
    "desktop-light": (1440, 900, "light"),
    "desktop-dark": (1440, 900, "dark"),
    "phone-light": (390, 844, "light"),
    "phone-dark": (390, 844, "dark"),
    "narrow": (320, 700, "light"),
}


class Walk:
    """One browser tab on the dashboard at *url*; *complaints* fill with what the browser objects to."""

    def __init__(self, page: Any, url: str) -> None:
        self.page = page
        self.url = url.rstrip("/")
        self.complaints: list[str] = []
        self.foreign: list[str] = []
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", self._asked)

    def _heard(self, message: Any) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)

    def _asked(self, request: Any) -> None:
        if not request.url.startswith((self.url + "/", "data:")):
            self.foreign.append(request.url)

    def open(self) -> None:
        """Open the page and wait until it shows the gateway's state."""
        self.page.goto(f"{self.url}/dashboard")
        self.page.locator("#board").wait_for()

    def status(self) -> Any:
        """Return what the gateway says at this moment."""
        return self.page.request.get(f"{self.url}/v1/status").json()

    def next_update(self) -> None:
        """Wait for the page's next answer from the gateway."""
        with self.page.expect_response(f"{self.url}/v1/status"):
            pass

    def see(self, selector: str, text: str) -> None:
        """Wait until an element that matches *selector* holds *text*."""
        self.page.locator(selector, has_text=text).first.wait_for()


def cards_show_every_provider(walk: Walk) -> None:
    """Each provider that is on has a card with its name and a state in words."""
    walk.see("#live", "Live, signed in")
    on = [one["name"] for one in walk.status()["providers"] if one["state"] != "no-key"]
    assert on, "the demo has no provider"
    assert walk.page.locator(".card h3").all_inner_texts() == on
    assert all(walk.page.locator(".card .state").all_inner_texts())


def a_request_appears(walk: Walk) -> None:
    """A finished request shows up by itself, with who answered."""
    reply = walk.page.request.post(
        f"{walk.url}/v1/chat/completions",
        data={"model": "free-fast", "messages": [{"role": "user", "content": "Hello!"}]},
    )
    assert reply.ok, reply.text()
    walk.page.locator(f'#requests tr[title="Request {reply.headers["x-request-id"]}"]').wait_for()
    walk.see("#requests .what", "free-fast")


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


def a_wrong_admin_key_is_refused(walk: Walk) -> None:
    """Without a key the page asks for it, says when it is wrong, and then does what was wanted."""
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
    walk.complaints[:] = [
        one for one in walk.complaints if "401" not in one
    ]  # the two refusals just provoked


def the_keyboard_reaches_everything(walk: Walk) -> None:
    """The skip link comes first, and Tab reaches the switch and every button of every card."""
    walk.page.reload()
    walk.page.locator("#board").wait_for()
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
    walk.complaints[:] = [one for one in walk.complaints if "ERR_INTERNET_DISCONNECTED" not in one]


def clients_come_and_go(walk: Walk) -> None:
    """An operator adds a client, is shown its key once, and rotates, revokes and removes with a yes."""
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
    walk.page.get_by_role("button", name="Add a client").click()
    field = walk.page.get_by_label("Name", exact=True)
    field.fill("not a name")
    field.press("Enter")
    walk.see("#client-error", "a name has up to 64 letters")
    assert field.get_attribute("aria-invalid") == "true"
    walk.page.keyboard.press("Escape")
    walk.complaints[:] = [one for one in walk.complaints if "400" not in one]


def a_small_scope_is_told(walk: Walk) -> None:
    """With a token that may read, changes are off and say why; a refused one keeps the token."""
    reply = walk.page.request.post(
        f"{walk.url}/admin/operators",
        data={"name": "reader", "scope": "read"},
        headers={"authorization": f"Bearer {ADMIN_KEY}"},
    )
    assert reply.ok, reply.text()
    walk.page.get_by_role("button", name="Admin key").click()
    walk.page.locator("#admin-key").fill(reply.json()["token"])
    walk.page.locator("#admin-key").press("Enter")
    walk.see("#clients-scope", "reader has scope read")
    assert walk.page.get_by_role("button", name="Add a client").is_disabled()
    assert walk.page.get_by_role("button", name="Revoke: bob").is_disabled()
    walk.page.get_by_role("button", name="Reset ").first.click()
    walk.see("#notice", "reader has scope read")
    walk.see("#live", "signed in")
    walk.complaints[:] = [one for one in walk.complaints if "403" not in one]


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
    cards_show_every_provider,
    a_request_appears,
    routing_changes,
    maintenance_is_told,
    the_focus_survives_updates,
    a_wrong_admin_key_is_refused,
    the_keyboard_reaches_everything,
    updates_can_be_paused,
    an_outage_is_told,
    clients_come_and_go,  # from here on the gateway asks for keys
    a_wrong_field_is_named,
    a_small_scope_is_told,
)


def look(browser: Any, url: str, view: str, axe: str, into: Path | None) -> None:
    """Open one view: nothing overflows, nothing breaks a WCAG rule; keep a picture of it."""
    width, height, scheme = VIEWS[view]
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    walk = Walk(context.new_page(), url)
    walk.open()
    walk.see("#clients tr", "bob")
    walk.complaints[:] = [one for one in walk.complaints if "401" not in one]  # before the demo gave its key
    overflow = walk.page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert overflow <= 0, f"{view}: {overflow} px too wide"
    if into:
        walk.page.screenshot(path=str(into / f"{view}.png"), full_page=True)
    if axe:
        walk.page.evaluate(f"{axe}\n;0")
        found = walk.page.evaluate("(tags) => axe.run(document, {runOnly: tags})", list(WCAG))["violations"]
        assert not found, [(one["id"], [node["target"] for node in one["nodes"]]) for one in found]
    assert not walk.complaints, walk.complaints
    assert not walk.foreign, walk.foreign
    context.close()


def run(url: str, chromium: str, axe: str = "", into: Path | None = None) -> None:
    """Do every step and open every view; an AssertionError or a timeout says what failed."""
    assert urlsplit(url).hostname in {"127.0.0.1", "localhost", "::1"}, "the demo listens on loopback only"
    playwright = importlib.import_module("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        # Chromium's sandbox does not start for root, which is who containers and CI jobs run as.
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        walk = Walk(browser.new_page(), url)
        walk.page.set_default_timeout(15_000)
        walk.open()
        for step in STEPS:
            step(walk)
            print(f"ok  {(step.__doc__ or '').splitlines()[0]}")
        assert not walk.complaints, walk.complaints
        assert not walk.foreign, walk.foreign
        for view in VIEWS:
            look(browser, url, view, axe, into)
            print(f"ok  {view}")
        browser.close()


def find_chromium() -> str | None:
    """Return the path of a Chromium on this machine."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def main() -> int:
    """Read the arguments and walk."""
    parser = argparse.ArgumentParser(description="Walk through the dashboard of a running demo.")
    parser.add_argument("--url", default="http://127.0.0.1:3000")
    parser.add_argument("--chromium", default=find_chromium())
    parser.add_argument("--screenshots", type=Path, help="a directory for pictures of each view")
    parser.add_argument("--axe", type=Path, help="axe-core's axe.min.js")
    chosen = parser.parse_args()
    if not chosen.chromium:
        parser.error("no Chromium found; name one with --chromium")
    if chosen.screenshots:
        chosen.screenshots.mkdir(parents=True, exist_ok=True)
    run(chosen.url, chosen.chromium, chosen.axe.read_text() if chosen.axe else "", chosen.screenshots)
    return 0


if __name__ == "__main__":
    sys.exit(main())
