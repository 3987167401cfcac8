"""Usage and receipts over HTTP: what may be asked, in which form, and what is said when there is nothing."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from msgspec import structs

from freeroute.engine.records import ReceiptsWanted, UsageWanted
from freeroute.errors import RecordsUnavailable
from freeroute.surfaces.access import Policy
from freeroute.surfaces.admin.records import AHEAD
from freeroute.surfaces.guard import Guard
from freeroute.surfaces.litestar_app import build_asgi
from tests.support.administration import FakeRecords, administration
from tests.support.clocks import EPOCH, ManualClock
from tests.support.gateways import FakeLive

Ask = Callable[..., Any]
WEEK_AGO = EPOCH - 7 * 86400


@pytest.fixture
def records() -> FakeRecords:
    return FakeRecords()


@pytest.fixture
def serve(gateway, tmp_path) -> Callable[[FakeRecords | None], Any]:
    def serve(records: FakeRecords | None) -> Any:
        needs = structs.replace(administration(), records=records)
        return build_asgi(
            gateway,
            Guard(Policy(admin_key="boss"), ManualClock()),
            live=FakeLive(),
            reload=gateway.reload,
            render=gateway.render,
            dashboard=tmp_path,
            administration=needs,
            clock=ManualClock(),
        )

    return serve


@pytest.fixture
def ask(serve, records) -> Ask:
    return asker(serve(records))


def asker(app: Any) -> Ask:
    async def ask(path: str, method: str = "GET") -> httpx.Response:
        transport, headers = httpx.ASGITransport(app), {"authorization": "Bearer boss"}
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.request(method, path, headers=headers)

    return ask


async def test_usage_is_by_provider_over_a_week_unless_told_otherwise(ask, records):
    reply = await ask("/admin/usage")
    line = {"client": "alice", "requests": 1}
    assert reply.json() == {"since": 0, "until": 3600, "data": [line]}
    await ask("/admin/usage?by=day,client,client,model&since=30d&client=alice")
    await ask("/admin/usage?by=hour")
    await ask("/admin/usage?by=model,minute&since=1h")
    assert records.asked == [
        UsageWanted(WEEK_AGO, ("provider",)),
        UsageWanted(EPOCH - 30 * 86400, ("client", "model"), 86400, "alice"),
        UsageWanted(WEEK_AGO, (), 3600),
        UsageWanted(EPOCH - 3600, ("model",), 60),
    ]


async def test_usage_is_a_file_of_csv_on_demand(ask):
    reply = await ask("/admin/usage?format=csv")
    assert reply.text == "client,requests\nalice,1\n"
    assert reply.headers["content-type"] == "text/csv; charset=utf-8"
    assert reply.headers["content-disposition"] == 'attachment; filename="usage.csv"'


async def test_receipts_are_a_page_with_the_mark_of_the_next(ask, records):
    reply = await ask("/admin/receipts")
    assert reply.json() == {"data": [{"request_id": "r1"}], "next": "1-1"}
    await ask("/admin/receipts?since=2d&until=1d&client=bob&outcome=failed&order=oldest&after=1-1&limit=1000")
    await ask(f"/admin/receipts?id={'x' * 128}")
    assert records.asked == [
        ReceiptsWanted(WEEK_AGO, EPOCH + AHEAD, 100),
        ReceiptsWanted(EPOCH - 2 * 86400, EPOCH - 86400, 1000, False, "bob", "failed", "1-1"),
        ReceiptsWanted(WEEK_AGO, EPOCH + AHEAD, 100, request_id="x" * 128),
    ]


@pytest.mark.parametrize(
    ("form", "content_type"),
    [("jsonl", "application/jsonl; charset=utf-8"), ("csv", "text/csv; charset=utf-8")],
)
async def test_receipts_are_a_file_of_all_of_them_in_pieces(ask, records, form, content_type):
    reply = await ask(f"/admin/receipts?format={form}")
    assert (reply.text, reply.headers["content-type"]) == ("one\ntwo\n", content_type)
    assert reply.headers["content-disposition"] == f'attachment; filename="receipts.{form}"'
    await ask(f"/admin/receipts?format={form}&limit=5000")
    assert [wanted.most for wanted in records.asked] == [None, 5000]


async def test_a_file_of_nothing_is_empty_and_heads_have_no_body(ask, records):
    assert (await ask("/admin/receipts?format=csv", "HEAD")).content == b""
    records.pieces = []
    reply = await ask("/admin/receipts?format=csv")
    assert (reply.status_code, reply.content) == (200, b"")


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("usage?by=key", "by"),
        ("usage?by=hour,day", "by"),
        ("usage?since=soon", "since"),
        ("usage?format=xml", "format"),
        ("usage?format=jsonl", "format"),
        ("usage?client=a%00b", "client"),
        ("usage?client=" + "x" * 65, "client"),
        ("receipts?outcome=good", "outcome"),
        ("receipts?id=" + "x" * 129, "id"),
        ("receipts?order=random", "order"),
        ("receipts?limit=0", "limit"),
        ("receipts?limit=1001", "limit"),
        ("receipts?format=csv&limit=all", "limit"),
        ("receipts?until=never", "until"),
    ],
)
async def test_what_cannot_be_asked_is_said_by_its_name(ask, records, query, param):
    reply = await ask(f"/admin/{query}")
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)
    assert records.asked == []


@pytest.mark.parametrize("path", ["usage", "usage?format=csv", "receipts", "receipts?format=jsonl"])
async def test_a_database_that_is_gone_is_told_as_such_in_every_form(ask, records, path):
    records.broken = RecordsUnavailable("The records' database does not answer in time.")
    reply = await ask(f"/admin/{path}")
    assert (reply.status_code, reply.json()["error"]["code"]) == (503, "records_unavailable")


@pytest.mark.parametrize("path", ["usage", "receipts", "receipts?format=csv"])
async def test_where_nothing_is_stored_that_is_said(serve, path):
    reply = await asker(serve(None))(f"/admin/{path}")
    assert reply.status_code == 503
    assert "storage.records" in reply.json()["error"]["message"]


async def sent_by(app: Any, *, stays: bool) -> list[dict[str, Any]]:
    """Return what *app* sends to a caller of a file that stays to its end, or leaves at once."""
    sent: list[dict[str, Any]] = []
    messages: list[dict[str, Any]] = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        if stays and not messages:
            await asyncio.Event().wait()
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)
        await asyncio.sleep(0)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/admin/receipts",
        "raw_path": b"/admin/receipts",
        "query_string": b"format=jsonl",
        "headers": [(b"host", b"localhost"), (b"authorization", b"Bearer boss")],
        "client": ("127.0.0.1", 1),
        "server": ("localhost", 80),
    }
    await app(scope, receive, send)
    return sent


def is_whole(sent: list[dict[str, Any]]) -> bool:
    return sent[-1].get("more_body") is False


async def test_a_caller_that_leaves_a_file_stops_the_reading_of_it(serve, records):
    records.pieces = [b"x"] * 1000
    sent = await sent_by(serve(records), stays=False)
    assert len(sent) < 20
    assert not is_whole(sent)


async def test_a_file_that_breaks_off_has_no_end_for_its_caller_to_see(serve, records):
    assert is_whole(await sent_by(serve(records), stays=True))
    records.pieces.append(RecordsUnavailable("The records' database does not answer in time."))
    sent = await sent_by(serve(records), stays=True)
    assert [message["type"] for message in sent] == ["http.response.start"] + ["http.response.body"] * 2
    assert not is_whole(sent)
