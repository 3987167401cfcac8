"""Keys, switches and addresses entered by the API of a gateway that runs, and what callers see of it."""

import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from freeroute.observe.logs import set_up
from tests.support.live import AS_ADMIN, Live, entry, live

GOOD, BAD = "walrus-good-key-1234", "walrus-bad-key-9876"


@contextlib.asynccontextmanager
async def entered(directory: Path, *, key: str | None = None, **sections: Any) -> AsyncIterator[Live]:
    """Run a gateway whose provider ``alpha`` knows `GOOD` alone, and ``beta`` any demo key."""
    state = directory / "state"
    state.mkdir(exist_ok=True)
    alpha = entry("groq", quality=90) | {"keys": [key or "demo-of-settings"]}
    providers = {"alpha": alpha, "beta": entry("cerebras")}
    async with live(
        directory, providers, state=state, server={"state_dir": str(state)}, **sections
    ) as gateway:
        gateway["groq"].valid_keys.add(GOOD)
        yield gateway


async def call(gateway: Live, method: str, path: str, body: Any = None, status: int = 200) -> Any:
    content = None if body is None else json.dumps(body)
    answer = await gateway.http.request(method, f"/admin{path}", content=content, headers=AS_ADMIN)
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


async def keys(gateway: Live, provider: str = "alpha") -> dict[str, tuple[str, str]]:
    told = await call(gateway, "GET", f"/providers/{provider}")
    return {key["label"]: (key["source"], key["state"]) for key in told["keys"]}


async def test_a_key_is_used_once_it_is_answered_one_call_at_a_time_until_it_has_answered(tmp_path):
    async with entered(tmp_path, key="walrus-refused") as gateway:
        told = await call(gateway, "POST", "/providers/alpha/keys", {"label": "mine", "key": GOOD}, 201)
        assert told | {"created": 0} == {
            "label": "mine", "account": "default", "source": "entered", "enabled": True, "ends_with": "1234",
            "created": 0, "state": "single-flight", "until": None, "reason": None,
        }  # fmt: skip
        assert (await gateway.ask()).by == "alpha"
        assert await keys(gateway) == {"key-1": ("settings", "refused"), "mine": ("entered", "valid")}


async def test_a_refused_key_is_told_and_another_under_its_label_starts_anew(tmp_path):
    async with entered(tmp_path, key="walrus-refused") as gateway:
        await call(gateway, "POST", "/providers/alpha/keys", {"label": "mine", "key": BAD}, 201)
        assert (await gateway.ask()).by == "beta"
        assert await keys(gateway) == {"key-1": ("settings", "refused"), "mine": ("entered", "refused")}
        await call(gateway, "DELETE", "/providers/alpha/keys/mine", status=204)
        assert list(await keys(gateway)) == ["key-1"]
        await call(gateway, "POST", "/providers/alpha/keys", {"label": "mine", "key": GOOD}, 201)
        assert (await gateway.ask()).by == "alpha"


async def test_a_key_is_tested_for_free_and_what_was_asked_is_told(tmp_path):
    async with entered(tmp_path) as gateway:
        for label, key in (("good", GOOD), ("bad", BAD)):
            await call(gateway, "POST", "/providers/alpha/keys", {"label": label, "key": key}, 201)
        good = await call(gateway, "POST", "/providers/alpha/keys/good/test")
        assert (good["verdict"], good["asked"].endswith("/models")) == ("valid", True)
        bad = await call(gateway, "POST", "/providers/alpha/keys/bad/test")
        assert bad["verdict"] == "invalid"
        assert BAD not in str(bad)
        await call(gateway, "POST", "/providers/alpha/keys/none/test", status=404)


async def test_what_is_switched_off_is_asked_no_more_and_seen_everywhere(tmp_path):
    async with entered(tmp_path) as gateway:
        told = await call(gateway, "PATCH", "/providers/alpha", {"enabled": False})
        assert told["enabled"] is False
        assert (await gateway.ask()).by == "beta"
        assert (await gateway.provider("alpha")).told["state"] == "off"
        plan = (await gateway.http.get("/v1/plan", params={"model": "free"})).json()["candidates"]
        assert {one["provider"]: one["reason"] for one in plan} == {
            "beta": None, "alpha": "switched off by an operator",
        }  # fmt: skip
        models = [one["id"] for one in (await gateway.http.get("/v1/models")).json()["data"]]
        assert not [name for name in models if name.startswith("alpha/")]
        refused = await gateway.ask(model="alpha/openai/gpt-oss-120b")
        assert (refused.status, "switched off by an operator" in refused.error["message"]) == (503, True)
        await call(gateway, "PATCH", "/providers/alpha", {"enabled": True})
        assert (await gateway.ask()).by == "alpha"
        await call(gateway, "PATCH", "/models/alpha/openai/gpt-oss-120b", {"enabled": False})
        assert (await gateway.ask()).by == "beta"


async def test_what_was_entered_outlives_a_reload_and_a_restart(tmp_path):
    async with entered(tmp_path) as gateway:
        await call(gateway, "POST", "/providers/alpha/keys", {"label": "mine", "key": GOOD}, 201)
        await call(gateway, "PATCH", "/providers/beta", {"enabled": False})
        await call(gateway, "POST", "/reload")
        assert list(await keys(gateway)) == ["key-1", "mine"]
        assert (await gateway.provider("beta")).told["state"] == "off"
    async with entered(tmp_path) as gateway:
        assert list(await keys(gateway)) == ["key-1", "mine"]
        assert (await gateway.provider("beta")).told["state"] == "off"


async def test_a_provider_of_the_catalogue_goes_on_with_its_first_key(tmp_path):
    async with entered(tmp_path) as gateway:
        before = await call(gateway, "GET", "/providers/mistral")
        assert (before["on"], before["keys"]) == (False, [])
        await call(gateway, "POST", "/providers/mistral/keys", {"label": "mine", "key": GOOD}, 201)
        after = await call(gateway, "GET", "/providers/mistral")
        assert (after["on"], after["why"]) == (True, "a key was entered")
        assert "mistral" in [one["id"] for one in (await gateway.status())["providers"]]


async def test_no_key_follows_a_provider_to_another_host_until_it_is_confirmed(tmp_path):
    async with entered(tmp_path) as gateway:
        await call(gateway, "POST", "/providers/alpha/keys", {"label": "mine", "key": GOOD}, 201)
        there = f"{gateway.simulated.replace('127.0.0.1', 'localhost')}/groq/openai/v1"
        told = await call(gateway, "PATCH", "/providers/alpha", {"base_url": there})
        assert {key["label"]: key["state"] for key in told["keys"]} == {"key-1": "off", "mine": "off"}
        assert all(
            "confirm that it may be sent to http://localhost:" in key["reason"] for key in told["keys"]
        )
        assert (await gateway.ask()).by == "beta"
        await call(gateway, "POST", "/providers/alpha/keys/mine/test", status=409)
        await call(gateway, "PATCH", "/providers/alpha", {"send_keys": ["mine"]})
        assert (await gateway.ask()).by == "alpha"
        assert {label: state for label, (_, state) in (await keys(gateway)).items()} == {
            "key-1": "off", "mine": "valid",
        }  # fmt: skip


async def test_one_change_may_switch_and_move_and_go_back(tmp_path):
    async with entered(tmp_path) as gateway:
        own = (await call(gateway, "GET", "/providers/alpha"))["base_url"]
        there = f"{own}/elsewhere"
        told = await call(gateway, "PATCH", "/providers/alpha", {"enabled": False, "base_url": there})
        assert (told["enabled"], told["base_url"], told["base_url_of_settings"]) == (False, there, own)
        told = await call(gateway, "PATCH", "/providers/alpha", {"enabled": True, "base_url": None})
        assert (told["enabled"], told["base_url"], told["base_url_of_settings"]) == (True, own, None)
        changes = (await call(gateway, "GET", "/audit"))["data"]
        assert [change["what"] for change in reversed(changes)] == [
            "provider.move", "provider.disable", "provider.move", "provider.enable",
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "param"),
    [
        ("POST", "/providers/alpha/keys", {"label": "mine", "key": "env:HOME"}, 400, "key"),
        ("POST", "/providers/alpha/keys", {"label": "mine", "key": "file:/etc/passwd"}, 400, "key"),
        ("POST", "/providers/alpha/keys", {"label": "mine", "key": 5}, 400, "key"),
        ("POST", "/providers/alpha/keys", {"key": GOOD}, 400, "label"),
        ("POST", "/providers/alpha/keys", {"label": "mine", "key": GOOD, "host": "x"}, 400, "host"),
        ("POST", "/providers/alpha/keys", {"label": "key-1", "key": GOOD}, 409, "label"),
        ("POST", "/providers/alpha/keys", {"label": "mine", "key": "demo-of-settings"}, 409, "key"),
        ("POST", "/providers/alfa/keys", {"label": "mine", "key": GOOD}, 404, "provider"),
        ("PATCH", "/providers/alpha/keys/key-1", {"enabled": False}, 409, "label"),
        ("PATCH", "/providers/alpha/keys/none", {"enabled": False}, 404, "label"),
        ("DELETE", "/providers/alpha/keys/none", None, 404, "label"),
        ("PATCH", "/providers/alpha", {}, 400, "enabled"),
        ("PATCH", "/providers/alpha", {"base_url": "http://10.0.0.1/v1"}, 400, "base_url"),
        ("PATCH", "/providers/alpha", {"base_url": None, "send_keys": ["none"]}, 404, "send_keys"),
        ("PATCH", "/models/alpha/none", {"enabled": False}, 404, "model"),
        ("PATCH", "/models/alpha/openai/gpt-oss-120b", {"enabled": "no"}, 400, "enabled"),
        ("GET", "/providers/alfa", None, 404, "provider"),
    ],
)
async def test_what_cannot_be_is_refused_by_name_and_changes_nothing(
    tmp_path, method, path, body, status, param
):
    async with entered(tmp_path) as gateway:
        told = await call(gateway, method, path, body, status)
        assert told["error"]["param"] == param
        assert GOOD not in str(told)
        assert not (tmp_path / "state" / "providers.json").exists()


async def test_a_change_that_cannot_be_written_down_is_not_made(tmp_path):
    async with entered(tmp_path) as gateway:
        (tmp_path / "state" / "audit.jsonl").mkdir()
        told = await call(gateway, "PATCH", "/providers/alpha", {"enabled": False}, 503)
        assert told["error"]["code"] == "audit_unavailable"
        assert (await gateway.ask()).by == "alpha"


async def test_an_entered_key_comes_out_nowhere(tmp_path, capsys):
    async with entered(tmp_path) as gateway:
        gateway.app.scrub = set_up("json", "debug")
        told: list[bytes] = []

        async def see(method: str, path: str, body: Any = None) -> None:
            content = None if body is None else json.dumps(body)
            answer = await gateway.http.request(method, path, content=content, headers=AS_ADMIN)
            told.append(answer.content + repr(answer.headers).encode())

        for label, key in (("good", GOOD), ("bad", BAD)):
            await see("POST", "/admin/providers/alpha/keys", {"label": label, "key": key})
            await see("POST", "/admin/providers/alpha/keys", {"label": label, "key": key})
            await see("POST", "/admin/providers/alpha/keys", {"label": f"{label}-2", "key": key})
            await see("POST", f"/admin/providers/alpha/keys/{label}/test")
            await see("POST", "/admin/providers/alpha/keys", {"label": "x", "key": f"{key} "})
            await see("POST", "/admin/providers/alpha/keys", {"label": key, "kee": key})
        for _ in range(4):
            await gateway.ask()
        await see(
            "PATCH", "/admin/providers/alpha", {"base_url": "http://127.0.0.1:1/v1", "send_keys": ["bad"]}
        )
        await gateway.ask(model="alpha/openai/gpt-oss-120b")
        await see("POST", "/admin/providers/alpha/keys/bad/test")
        for path in ("/admin/providers", "/admin/providers/alpha", "/admin/audit", "/v1/status", "/metrics",
                     "/v1/plan?model=free", "/v1/models"):  # fmt: skip
            await see("GET", path)
        await see("DELETE", "/admin/providers/alpha/keys/bad")
        structlog.get_logger("freeroute").error(f"somebody logs {GOOD}")
    shown = [text.decode(errors="replace") for text in told]
    files = {path.name: path.read_bytes() for path in (tmp_path / "state").iterdir() if path.is_file()}
    out = capsys.readouterr()
    assert "somebody logs [redacted]" in out.err
    for secret in (GOOD, BAD):
        # One name is a key by mistake, and names are said back to who sent them.
        assert [text for text in shown if secret in text and "up to 64" not in text] == []
        assert [name for name, content in files.items() if secret.encode() in content] == []
        assert secret not in out.err + out.out
    assert {"providers.json", "encryption_key", "audit.jsonl"} <= files.keys()


def test_the_log_may_be_told_of_secrets_later():
    with capture_logs():
        scrub = set_up("json", "info", ["first-secret"])
    scrub.hide(["second-secret"])
    assert scrub.clean("first-secret second-secret") == "[redacted] [redacted]"
    scrub.hide(["third-secret"])
    assert scrub.clean("second-secret") == "[redacted]"


async def test_no_key_of_the_gateway_itself_is_entered_for_a_provider(tmp_path):
    async with entered(tmp_path, clients=[{"name": "alice", "key": "fr-alice"}]) as gateway:
        made = await call(gateway, "POST", "/operators", {"name": "ann", "scope": "read"}, 201)
        admin = AS_ADMIN["authorization"].removeprefix("Bearer ")
        for own in (admin, "fr-alice", made["token"]):
            refused = await call(gateway, "POST", "/providers/alpha/keys", {"label": "mine", "key": own}, 400)
            assert refused["error"]["param"] == "key"
            assert own not in refused["error"]["message"]
        assert "mine" not in await keys(gateway)
