"""``freeroute holds`` and ``freeroute maintenance``, asking a gateway."""

import json

import pytest
import respx

GATEWAY = "http://127.0.0.1:3000"
HOLDS = f"{GATEWAY}/admin/holds"
MAINTENANCE = f"{GATEWAY}/admin/maintenance"
HELD = [
    {"id": "key/groq/key-1", "until": None, "reason": "key was refused as invalid"},
    {"id": "model/groq/x", "until": 1_790_000_000.5, "reason": "model is gone at the provider"},
]
OFF = {"on": False, "since": None, "message": None}


@pytest.fixture
def gateway(monkeypatch):
    monkeypatch.setenv("FREEROUTE_ADMIN_KEY", "fa-secret")
    with respx.mock(assert_all_called=False) as router:
        yield router


def test_holds_are_a_table(run, gateway):
    asked = gateway.get(HOLDS).respond(200, json={"data": HELD})
    assert run("holds").stdout.splitlines() == [
        "HOLD            UNTIL (UTC)          REASON",
        "key/groq/key-1  it is lifted         key was refused as invalid",
        "model/groq/x    2026-09-21 14:13:20  model is gone at the provider",
    ]
    assert asked.calls.last.request.headers["authorization"] == "Bearer fa-secret"
    assert json.loads(run("holds", "--json").stdout) == HELD


def test_holds_are_lifted_by_name_or_all_at_once(run, gateway):
    gateway.get(HOLDS).respond(200, json={"data": []})
    one = gateway.delete(f"{HOLDS}/key-model/groq/k%231/org/x").respond(204)
    every = gateway.delete(HOLDS).respond(200, json={"lifted": []})
    assert run("holds", "--lift", "key-model/groq/k#1/org/x").stdout == "nothing is held\n"
    assert (one.call_count, every.call_count) == (1, 0)
    assert run("holds", "--lift-all").exit_code == 0
    assert every.call_count == 1
    assert run("holds", "--lift-all", "--lift", "x").exit_code == 2


def test_an_unknown_hold_is_told(run, gateway):
    error = {"error": {"message": "there is no hold 'x'; did you mean y?"}}
    gateway.delete(f"{HOLDS}/x").respond(404, json=error)
    result = run("holds", "--lift", "x")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "did you mean y?" in result.stderr


def test_maintenance_is_turned_on_and_off_and_shown(run, gateway):
    on = {"on": True, "since": 1_790_000_000.5, "message": "new disks"}
    put = gateway.put(MAINTENANCE).respond(200, json=on)
    told = "maintenance since 2026-09-21 14:13:20 UTC"
    assert run("maintenance", "on", "-m", "new disks").stdout == f"{told}: new disks\n"
    assert json.loads(put.calls.last.request.content) == {"on": True, "message": "new disks"}
    gateway.get(MAINTENANCE).respond(200, json={**on, "message": ""})
    assert run("maintenance").stdout == f"{told}\n"
    put.respond(200, json=OFF)
    assert run("maintenance", "off").stdout == "no maintenance: requests are let in\n"
    assert json.loads(run("maintenance", "off", "--json").stdout) == OFF


@pytest.mark.parametrize("args", [("off", "-m", "x"), ("-m", "x"), ("maybe",)])
def test_nothing_else_is_taken(run, args):
    assert run("maintenance", *args).exit_code == 2
