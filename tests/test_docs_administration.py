"""The calls on the page of administration do what it says, one after the other, on a gateway."""

import shlex
from pathlib import Path

from tests.support.live import ADMIN, Live, entry, live
from tests.support.pages import PAGES, blocks

CALLS = [
    line
    for text in blocks(PAGES["docs/administration.md"], "sh")
    for line in text.splitlines()
    if line.startswith("curl")
]


async def call(gateway: Live, line: str) -> int:
    """Do what curl would, and return the status."""
    words = shlex.split(line.replace("$FREEROUTE_ADMIN_KEY", ADMIN).replace("$TOKEN", ADMIN))[1:]
    given = {option: words[words.index(option) + 1] for option in ("-X", "-d", "-H") if option in words}
    [url] = [word for word in words if word.startswith("http://localhost:3000")]
    name, _, value = given["-H"].partition(": ")
    method = given.get("-X", "POST" if "-d" in given else "GET")
    path = url.removeprefix("http://localhost:3000")
    reply = await gateway.http.request(method, path, headers={name: value}, content=given.get("-d"))
    return reply.status_code


async def test_every_call_of_the_page_succeeds(tmp_path: Path):
    assert len(CALLS) >= 9
    groq = entry("groq")
    del groq["like"]
    state = {"state_dir": str(tmp_path / "state")}
    async with live(tmp_path, {"groq": groq}, server=state) as gateway:
        gateway.app.gateway.standing.hold(("key", "groq", "key-1"), gateway.clock.now().mono + 60, "refused")
        for line in CALLS:
            # This gateway has no database of records.
            records = 503 if "/admin/usage" in line or "/admin/receipts" in line else 200
            assert await call(gateway, line) in {200, 201, 204, records}, line
