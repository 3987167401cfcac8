"""An operator at work on a gateway that serves: over real sockets, with its state and records on disk."""

import json

import pytest

from freeroute.upstreams.simulated.faults import Speed
from tests.support.live import AS_ADMIN, live, pair, question, until


async def admin(gateway, method, path, **given):
    return await gateway.http.request(method, path, headers=AS_ADMIN, **given)


async def test_maintenance_lets_a_stream_finish_and_nobody_in_until_it_is_ended_in_another_run(tmp_path):
    async with live(tmp_path, pair(), state=tmp_path) as gateway:
        gateway["groq"].speed = Speed(0.0, 100.0)
        body = question(stream=True, max_tokens=100)
        async with gateway.http.stream("POST", "/v1/chat/completions", json=body) as answer:
            assert answer.status_code == 200
            lines = answer.aiter_lines()
            await anext(lines)
            reply = await admin(gateway, "PUT", "/admin/maintenance", json={"on": True, "message": "disks"})
            assert reply.json()["on"] is True
            refused = await gateway.ask()
            assert (refused.status, refused.error["code"]) == (503, "maintenance")
            assert (refused.headers["retry-after"], "disks" in refused.error["message"]) == ("60", True)
            assert [line async for line in lines if line][-1] == "data: [DONE]"
        assert (await gateway.http.get("/readyz")).status_code == 503
        assert (await gateway.http.get("/livez")).status_code == 200
        assert "freeroute_maintenance 1.0" in await gateway.metrics()
        assert (await gateway.http.get("/v1/models")).status_code == 200
        audit = (await admin(gateway, "GET", "/admin/audit")).json()["data"]
        assert [(entry["who"], entry["what"]) for entry in audit] == [("admin", "maintenance.set")]
    async with live(tmp_path, pair(), state=tmp_path) as gateway:
        assert (await gateway.ask()).status == 503
        await admin(gateway, "PUT", "/admin/maintenance", json={"on": False})
        assert (await gateway.ask()).status == 200
    async with live(tmp_path, pair(), state=tmp_path) as gateway:
        assert (await gateway.ask()).status == 200


async def test_what_is_lifted_is_gone_after_a_restart_too(tmp_path):
    async with live(tmp_path, pair(), state=tmp_path) as gateway:
        await gateway.script("groq", 401)
        assert (await gateway.ask(model="free-smart")).by == "beta"
        [held] = (await admin(gateway, "GET", "/admin/holds")).json()["data"]
        assert (held["scope"], held["provider"], held["since"]) == ("key", "alpha", gateway.clock.now().wall)
        assert (await admin(gateway, "DELETE", f"/admin/holds/{held['id']}")).status_code == 204
    async with live(tmp_path, pair(), state=tmp_path) as gateway:
        assert (await admin(gateway, "GET", "/admin/holds")).json() == {"data": []}
        assert (await gateway.ask(model="free-smart")).by == "alpha"


async def test_receipts_and_usage_of_a_running_gateway_are_read_over_http(tmp_path):
    async with live(tmp_path, pair(), state=tmp_path) as gateway:
        for _ in range(3):
            await gateway.ask(model="alpha/openai/gpt-oss-120b")
        recording = gateway.app.gateway.recording
        assert recording is not None
        await until(lambda: recording.written == 3)
        page = (await admin(gateway, "GET", "/admin/receipts?limit=2&outcome=served")).json()
        assert [line["provider"] for line in page["data"]] == ["alpha", "alpha"]
        rest = (await admin(gateway, "GET", f"/admin/receipts?limit=2&after={page['next']}")).json()
        assert (len(rest["data"]), rest["next"]) == (1, None)
        ids = [line["request_id"] for line in (*page["data"], *rest["data"])]
        told = await admin(gateway, "GET", "/admin/receipts?format=jsonl")
        assert [json.loads(line)["request_id"] for line in told.text.splitlines()] == ids
        usage = (await admin(gateway, "GET", "/admin/usage?by=provider,day")).json()
        assert [(line["provider"], line["requests"]) for line in usage["data"]] == [("alpha", 3)]


@pytest.mark.parametrize("path", ["usage", "receipts", "receipts?format=csv"])
async def test_records_that_cannot_be_read_are_a_503_and_requests_are_served(tmp_path, path):
    (tmp_path / "records.db").mkdir()
    async with live(tmp_path, pair(), state=tmp_path) as gateway:
        reply = await admin(gateway, "GET", f"/admin/{path}")
        assert (reply.status_code, reply.json()["error"]["code"]) == (503, "records_unavailable")
        assert (await gateway.ask()).status == 200
