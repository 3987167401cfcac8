"""A gateway is followed: its changes are merged, and it is waited for."""

import json
from typing import Any

import httpx
import pytest

from freeroute.commands.overview import Seen
from freeroute.commands.running import Failed, Running
from freeroute.commands.watching import Watch, follow, merged
from tests.commands.told import GATEWAY, NOW, REQUEST, TOLD
from tests.support import virtual
from tests.support.virtual import LoopClock


def test_changes_are_merged_as_they_are_told():
    known = {**TOLD, "providers": [{"id": "a", "n": 1}, {"id": "b", "n": 1}], "clients": [{"id": "alice"}]}
    change = {
        "now": NOW + 1,
        "providers": [{"id": "b", "n": 2}, {"id": "c", "n": 1}],
        "requests": [{"id": "r"}],
    }
    new = merged(known, {**change, "ids": {"providers": ["c", "b"]}})
    assert new["providers"] == [{"id": "c", "n": 1}, {"id": "b", "n": 2}]
    assert (new["now"], new["clients"], new["totals"]) == (NOW + 1, [{"id": "alice"}], TOLD["totals"])
    assert new["requests"] == [{"id": "r"}, REQUEST]
    assert len(merged(known, {"requests": [REQUEST] * 99})["requests"]) == 55
    assert merged(known, {"now": NOW})["providers"] == known["providers"]


def stream(*told: tuple[str, Any], **given: Any) -> httpx.Response:
    text = "".join(f"event: {name}\ndata: {json.dumps(value)}\n\n" for name, value in told)
    return httpx.Response(200, text=f": hello\n\n{text}", **given)


def followed(*answers: httpx.Response | Exception) -> tuple[list[str], list[Seen]]:
    """Follow a gateway that answers so, the last one refusing; gives what was asked, and each news of it."""
    asked: list[str] = []
    news: list[Seen] = []
    waiting = [*answers, httpx.Response(401, json={"error": {"message": "The key is wrong."}})]

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        found = waiting.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    class Noting(Watch):
        def told(self, status):
            super().told(status)
            news.append(self.seen())

        def away(self, why):
            super().away(why)
            news.append(self.seen())

    async def follow_it() -> None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url=GATEWAY) as client:
            await follow(Running(GATEWAY, {}), client, Noting(GATEWAY, LoopClock()))

    with pytest.raises(Failed, match="The key is wrong"):
        virtual.run(follow_it())
    return asked, news


EVENTS = "/v1/status/events"
LIVE: dict[str, Any] = {**TOLD, "clients": []}


def test_a_stream_is_followed_and_asked_for_again_at_its_end():
    change = {"now": NOW + 1, "totals": {**TOLD["totals"], "requests": 1235}}
    asked, news = followed(stream(("status", LIVE), ("change", change)), stream(("status", LIVE)))
    assert asked == [EVENTS] * 3
    assert [one.status["totals"]["requests"] for one in news if one.status] == [1234, 1235, 1235, 1234, 1234]
    assert [bool(one.trouble) for one in news] == [False, False, True, False, True]


def test_a_gateway_without_a_stream_is_asked_now_and_then():
    nothing = httpx.Response(404, json={"error": {"message": "There is no such route."}})
    status = httpx.Response(200, json=TOLD)
    asked, news = followed(nothing, status, status, httpx.Response(503, text="busy"), status)
    assert asked == [EVENTS, *["/v1/status"] * 5]
    assert [one.trouble for one in news] == ["", "", "it answers with status 503", ""]


def test_a_gateway_that_goes_away_or_speaks_strangely_is_waited_for():
    refused = httpx.ConnectError("refused")
    odd = [stream(("change", {"now": NOW})), httpx.Response(200, text="data: {\n\n"), stream(("status", []))]
    asked, news = followed(refused, httpx.ReadTimeout("silent"), *odd, stream(("status", LIVE)))
    assert asked == [EVENTS] * 7
    assert [one.trouble for one in news][:2] == [
        f"no gateway answers at {GATEWAY}; start one with `freeroute serve` or name it with --url",
        f"{GATEWAY} does not answer in time",
    ]
    assert [one.trouble for one in news][2:5] == ["what it tells cannot be read"] * 3


def test_countdowns_go_by_the_gateways_clock():
    _, news = followed(stream(("status", LIVE)))
    assert news[0].now == pytest.approx(NOW)
