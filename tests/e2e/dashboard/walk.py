"""One browser tab on the dashboard, and what it hears and asks."""

from typing import Any

from tests.e2e.dashboard.stage import Stage

ADMIN_KEY = "demo"
STREAM = "/v1/status/events"  # stays open as long as the page is looked at
FAR = 300  # presses of Tab after which something counts as out of reach


class Walk:
    """One browser tab on the dashboard of *stage*; *complaints* fill with what the browser objects to."""

    def __init__(self, page: Any, stage: Stage) -> None:
        self.page = page
        self.stage = stage
        self.url = stage.url
        self.complaints: list[str] = []
        self.foreign: list[str] = []
        self._open: set[Any] = set()
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", self._asked)
        page.on("requestfinished", self._answered)
        page.on("requestfailed", self._answered)

    def _heard(self, message: Any) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)

    def _asked(self, request: Any) -> None:
        if not request.url.startswith((self.url + "/", "data:")):
            self.foreign.append(request.url)
        if not request.url.endswith(STREAM):
            self._open.add(request)

    def _answered(self, request: Any) -> None:
        self._open.discard(request)

    def open(self) -> None:
        """Open the page and wait until it shows the gateway's state."""
        self.page.goto(f"{self.url}/dashboard")
        self.page.locator("#page-overview").wait_for()

    def turn_to(self, name: str) -> None:
        """Open the page that the navigation calls *name*."""
        self.page.locator("#nav").get_by_role("link", name=name, exact=True).click()
        self.page.locator("#nav [aria-current=page]", has_text=name).wait_for()

    def status(self) -> Any:
        """Return what the gateway says at this moment."""
        return self.page.request.get(f"{self.url}/v1/status").json()

    def next_update(self) -> None:
        """Have something happen, and wait until the page was told of it."""
        before = self.page.locator("#live").get_attribute("data-at")
        self.stage.ask("no-such-model")
        self.page.wait_for_function("(at) => document.getElementById('live').dataset.at !== at", arg=before)

    def settle(self) -> None:
        """Wait until everything that the page has asked for is there, and shown."""
        self.page.wait_for_timeout(100)
        while self._open:
            self.page.wait_for_timeout(50)

    def forgive(self, text: str) -> None:
        """Forget complaints that hold *text*: they were provoked."""
        self.complaints[:] = [one for one in self.complaints if text not in one]

    def see(self, selector: str, text: str) -> None:
        """Wait until an element that matches *selector* holds *text*."""
        self.page.locator(selector, has_text=text).first.wait_for()

    def press_on(self, selector: str) -> None:
        """Go on by Tab until the focus is on what *selector* names, and press Enter there."""
        for _ in range(FAR):
            target = self.page.locator(selector).first
            if target.evaluate("(one) => one === document.activeElement"):
                self.page.keyboard.press("Enter")
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"{selector} is not reached by keyboard")

    def expect_silence(self) -> None:
        """Fail if the browser had something to object to, or asked somebody else."""
        assert not self.complaints, self.complaints
        assert not self.foreign, self.foreign
