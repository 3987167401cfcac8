"""Operators on a gateway over real sockets: what they change counts at once, and no secret stays anywhere."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from freeroute.stores.clients_file import ClientsFile
from tests.support.live import AS_ADMIN, Live, live, pair


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Live]:
    state = tmp_path / "state"
    async with live(tmp_path, pair(), server={"state_dir": str(state)}) as gateway:
        gateway.app.enrolment.open(ClientsFile(state))
        yield gateway


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


async def test_what_is_changed_counts_from_the_moment_it_is_answered(gateway):
    http = gateway.http
    assert (await gateway.ask()).status == 200
    made = await http.post(
        "/admin/clients", headers=AS_ADMIN, json={"name": "alice", "requests_per_minute": 2}
    )
    alice = bearer(made.json()["key"])
    assert (await gateway.ask()).status == 401
    assert (await gateway.ask(headers=alice)).headers["x-ratelimit-limit-requests"] == "2"
    await http.patch("/admin/clients/alice", headers=AS_ADMIN, json={"requests_per_minute": 9})
    assert (await gateway.ask(headers=alice)).headers["x-ratelimit-limit-requests"] == "9"
    made = await http.post("/admin/operators", headers=AS_ADMIN, json={"name": "ann", "scope": "read"})
    ann = bearer(made.json()["token"])
    assert (await http.get("/v1/status", headers=ann)).status_code == 200
    assert (await http.post("/admin/clients/alice/revoke", headers=ann)).status_code == 403
    assert (await http.delete("/admin/operators/ann", headers=AS_ADMIN)).status_code == 204
    assert (await http.get("/v1/status", headers=ann)).status_code == 401
    await http.post("/admin/clients/alice/revoke", headers=AS_ADMIN)
    assert (await gateway.ask(headers=alice)).status == 401


async def test_a_client_that_is_added_anew_starts_afresh_and_is_shown_nothing_of_the_former(gateway):
    http = gateway.http
    for _ in range(2):
        made = await http.post(
            "/admin/clients", headers=AS_ADMIN, json={"name": "alice", "requests_per_minute": 1}
        )
        alice = bearer(made.json()["key"])
        told = (await http.get("/v1/key", headers=alice)).json()["data"]["freeroute"]
        assert (told["requests"], told["use"], told["limits"][0]["remaining"]) == (0, [], 1)
        seen = (await http.get("/v1/status", headers=alice)).json()
        assert (seen["requests"], seen["totals"]["requests"]) == ([], 0)
        assert [(await gateway.ask(headers=alice)).status for _ in range(2)] == [200, 429]
        await http.post("/admin/clients/alice/revoke", headers=AS_ADMIN)
        gateway.clock.advance(1)


async def test_of_two_rotations_at_the_same_time_one_gives_a_key_that_works(gateway):
    http = gateway.http
    old = (await http.post("/admin/clients", headers=AS_ADMIN, json={"name": "alice"})).json()["key"]
    replies = await asyncio.gather(
        *(http.post("/admin/clients/alice/rotate", headers=AS_ADMIN) for _ in range(4))
    )
    assert sorted(reply.status_code for reply in replies) == [200, 409, 409, 409]
    [key] = [reply.json()["key"] for reply in replies if reply.status_code == 200]
    assert (await http.get("/v1/key", headers=bearer(key))).status_code == 200
    assert (await http.get("/v1/key", headers=bearer(old))).status_code == 401


async def test_with_overlap_every_rotation_gives_a_key_that_works(gateway):
    http = gateway.http
    await http.post("/admin/clients", headers=AS_ADMIN, json={"name": "alice"})
    body = {"overlap": "1h"}
    replies = await asyncio.gather(
        *(http.post("/admin/clients/alice/rotate", headers=AS_ADMIN, json=body) for _ in range(4))
    )
    for reply in replies:
        assert (await http.get("/v1/key", headers=bearer(reply.json()["key"]))).status_code == 200


async def test_a_change_that_the_disk_refuses_is_told_and_not_made(gateway, tmp_path):
    http = gateway.http
    await http.post("/admin/clients", headers=AS_ADMIN, json={"name": "alice"})
    (tmp_path / "state" / "audit.jsonl").rename(tmp_path / "audit")
    (tmp_path / "state" / "audit.jsonl").mkdir()
    reply = await http.post("/admin/clients", headers=AS_ADMIN, json={"name": "bob"})
    assert (reply.status_code, reply.json()["error"]["code"]) == (503, "audit_unavailable")
    names = [one["name"] for one in (await http.get("/admin/clients", headers=AS_ADMIN)).json()["data"]]
    assert names == ["alice"]


async def test_no_key_and_no_token_stays_anywhere(gateway, tmp_path):
    http = gateway.http
    with capture_logs() as logs:
        made = [
            await http.post("/admin/clients", headers=AS_ADMIN, json={"name": "alice"}),
            await http.post("/admin/clients/alice/rotate", headers=AS_ADMIN, json={"overlap": "1h"}),
            await http.post("/admin/operators", headers=AS_ADMIN, json={"name": "ann", "scope": "read"}),
        ]
        secrets = [*(one.json().get("key") or one.json()["token"] for one in made), "fo-a-wrong-secret"]
        told = []
        for secret in secrets:
            for path in ("/v1/key", "/admin/reload", "/admin/clients/alice", "/admin/clients"):
                told.append(await http.post(path, headers=bearer(secret), json={"key": secret}))
                told.append(await http.get(path, headers=bearer(secret)))
        paths = ("/admin/audit", "/admin/clients", "/admin/operators", "/v1/status", "/metrics")
        told += [await http.get(path, headers=AS_ADMIN) for path in paths]
        told.append(await http.post("/admin/clients", headers=AS_ADMIN, json={"name": secrets[0] + " "}))
    assert all(reply.status_code == 200 for reply in told[-6:-1])
    kept = {path.name: path.read_text() for path in (tmp_path / "state").iterdir() if path.is_file()}
    assert {"audit.jsonl", "clients.json", "operators.json"} <= set(kept)
    for secret in secrets:
        assert not any(secret in reply.text for reply in told)
        assert secret not in str(kept)
        assert secret not in str(logs)
