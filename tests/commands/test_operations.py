"""``freeroute holds``, ``limits``, ``switch`` and ``maintenance``, asking a gateway."""

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


LIMITS = f"{GATEWAY}/admin/limits"
LIMITED = {
    "data": [
        {"id": "groq/a/requests/day", "used": 12.5, "limit": 1000.0, "published": 14400.0, "learned": True}
        | {"source": "header", "age": 130.0},
        {"id": "groq/a/tokens/day", "used": 0, "limit": None, "published": None, "learned": False}
        | {"source": "unknown", "age": 0.0},
    ],
    "models": [
        {"id": "groq/x", "context": 8192, "refuses": ["logprobs"], "spared": {"many": 1.5}}
        | {"overlong": [{"tokens": 90, "until": 2.5}]},
        {"id": "groq/y", "context": None, "refuses": ["seed"], "spared": {}, "overlong": []},
    ],
}


def test_limits_are_a_table_beside_what_was_published(run, gateway):
    gateway.get(LIMITS).respond(200, json=LIMITED)
    told = [
        "LIMIT                USED  OF     PUBLISHED  SOURCE",
        "groq/a/requests/day  12.5  1,000  14,400     header, 2 min ago",
        "groq/a/tokens/day    0     ?      ?          unknown",
        "groq/x: context 8,192, refuses logprobs, refuses many, prompts like one of 90 tokens are too long",
        "groq/y: refuses seed",
    ]
    assert run("limits").stdout.splitlines() == told
    assert [line.split()[0] for line in run("limits", "--learned").stdout.splitlines()[1:2]] == [
        "groq/a/requests/day"
    ]
    assert json.loads(run("limits", "--json").stdout) == LIMITED
    gateway.get(LIMITS).respond(200, json={"data": [], "models": []})
    assert run("limits").stdout == "there are no such limits\n"


def test_what_was_learned_is_forgotten_by_name_or_all_at_once(run, gateway):
    gateway.get(LIMITS).respond(200, json=LIMITED)
    one = gateway.delete(f"{LIMITS}/learned/groq/a/requests/day").respond(200, json={"forgotten": []})
    every = gateway.delete(f"{LIMITS}/learned").respond(200, json={"forgotten": []})
    assert run("limits", "--forget", "groq/a/requests/day").exit_code == 0
    assert (one.call_count, every.call_count) == (1, 0)
    assert run("limits", "--forget-all").exit_code == 0
    assert every.call_count == 1
    assert run("limits", "--forget-all", "--forget", "x").exit_code == 2


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


PROVIDERS = f"{GATEWAY}/admin/providers"
SWITCHED = [
    {"id": "groq", "enabled": True, "models_off": ["openai/gpt-oss-120b"]},
    {"id": "gemini", "enabled": False, "models_off": []},
]


def test_what_is_off_is_listed(run, gateway):
    gateway.get(PROVIDERS).respond(200, json={"data": SWITCHED})
    assert run("switch").stdout == "gemini is off\ngroq/openai/gpt-oss-120b is off\n"
    assert json.loads(run("switch", "--json").stdout) == ["gemini", "groq/openai/gpt-oss-120b"]
    gateway.get(PROVIDERS).respond(200, json={"data": []})
    assert run("switch").stdout == "nothing is off\n"


def test_a_provider_or_a_model_is_switched(run, gateway):
    gateway.get(PROVIDERS).respond(200, json={"data": []})
    provider = gateway.patch(f"{PROVIDERS}/groq").respond(200, json={})
    model = gateway.patch(f"{GATEWAY}/admin/models/groq/openai/gpt%231").respond(200, json={})
    assert run("switch", "groq", "off").exit_code == 0
    assert run("switch", "groq/openai/gpt#1", "on").exit_code == 0
    asked = [json.loads(route.calls.last.request.content) for route in (provider, model)]
    assert asked == [{"enabled": False}, {"enabled": True}]
    assert run("switch", "groq").exit_code == 2
    assert run("switch", "groq", "maybe").exit_code == 2


def test_no_command_for_a_terminal_is_sent_or_printed(run, gateway):
    gateway.get(MAINTENANCE).respond(
        200, json={"on": True, "since": 1_790_000_000.0, "message": "a\x1b]0;owned\x07b"}
    )
    gateway.get(HOLDS).respond(200, json={"data": [{"id": "x", "until": None, "reason": "a\x1b[2Jb"}]})
    for command in ("maintenance", "holds"):
        printed = run(command).stdout
        assert printed.replace("\n", "").isprintable()
    result = run("maintenance", "on", "--message", "a\x1b[2J")
    assert result.exit_code == 2
    assert "--message holds a line break or another control character" in result.stderr
