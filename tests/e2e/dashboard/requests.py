"""The page of requests."""

from collections.abc import Callable

from tests.e2e.dashboard.walk import Walk


def a_request_appears(walk: Walk) -> None:
    """A finished request shows up by itself, with who answered."""
    walk.turn_to("Requests")
    reply = walk.page.request.post(
        f"{walk.url}/v1/chat/completions",
        data={"model": "free-fast", "messages": [{"role": "user", "content": "Hello!"}]},
    )
    assert reply.ok, reply.text()
    walk.page.locator(f'#requests tr[title="Request {reply.headers["x-request-id"]}"]').wait_for()
    walk.see("#requests .what", "free-fast")


STEPS: tuple[Callable[[Walk], None], ...] = (a_request_appears,)
