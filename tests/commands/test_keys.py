"""Entering provider keys by command."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from freeroute.stores.sealing import new_key
from tests.commands.conftest import ROOT, process, url_of
from tests.commands.test_serving_clients import comes_about
from tests.support.patience import PATIENCE

SECRET = "gsk_walrus-of-the-command-1234"
SETTINGS = "discovery: {env: false, local: false}\n"


def state() -> Path:
    return Path.home() / ".local/state/freeroute"


def added(run, *args, secret=SECRET):
    result = run("keys", "add", *(args or ("groq", "mine")), input=f"{secret}\n")
    assert result.exit_code == 0, result.stderr
    return result


def listed(run, *args) -> list[dict[str, object]]:
    result = run("keys", "list", "--offline", "--json", *args)
    assert result.exit_code == 0, result.stderr
    found: list[dict[str, object]] = json.loads(result.stdout)
    return found


def test_a_key_is_read_from_standard_input_and_never_shown(run):
    result = added(run)
    assert re.search(r"^groq +mine +default +entered +…1234 +unknown", result.stdout, re.MULTILINE)
    [key] = listed(run)
    assert (key["provider"], key["label"], key["source"], key["ends_with"]) == (
        "groq",
        "mine",
        "entered",
        "1234",
    )
    for path in state().iterdir():
        assert SECRET not in path.read_text()
    for command in (["keys", "list", "--offline"], ["check", "--no-network"], ["models", "--offline"]):
        told = run(*command)
        assert told.exit_code == 0
        assert SECRET not in told.output
    assert "groq/" in run("models", "--offline").stdout


def test_a_key_is_no_argument(run):
    result = run("keys", "add", "groq", "mine", SECRET)
    assert result.exit_code == 2
    assert run("keys", "add", "groq", "mine", input="").exit_code == 2


@pytest.mark.parametrize(
    ("args", "secret", "told"),
    [
        (("groq", "mine"), "env:GROQ_API_KEY", "belong into the settings file"),
        (("groq", "mine"), "two words", "holds a character that no key has"),
        (("groq", "a b"), SECRET, "label: up to 64"),
        (("grok", "mine"), SECRET, "did you mean groq"),
        (("cloudflare", "mine"), SECRET, "CLOUDFLARE_ACCOUNT_ID"),
    ],
)
def test_what_cannot_be_entered_is_told_in_a_line(run, args, secret, told):
    result = run("keys", "add", *args, input=secret)
    assert result.exit_code == 1
    assert told in result.stderr
    assert SECRET not in result.output
    assert not (state() / "providers.json").exists()


def test_keys_are_disabled_enabled_and_removed(run):
    added(run)
    assert "off" in run("keys", "disable", "groq", "mine").stdout
    assert listed(run)[0]["reason"] == "switched off by an operator"
    assert json.loads(run("keys", "enable", "groq", "mine", "--json").stdout)["enabled"] is True
    assert run("keys", "remove", "groq", "mine").stdout == "groq: mine is removed.\n"
    assert listed(run) == []
    assert "No key." in run("keys", "list", "--offline").stdout
    assert run("keys", "remove", "groq", "mine").exit_code == 1


def test_keys_of_the_environment_are_listed_and_changed_there(run, monkeypatch):
    monkeypatch.setenv("GROQ_API_KEY", "gsk_of-the-environment")
    added(run)
    added(run, "gemini", "mine")
    assert [(key["provider"], key["label"], key["source"]) for key in listed(run)] == [
        ("groq", "key-1", "environment"), ("groq", "mine", "entered"), ("gemini", "mine", "entered"),
    ]  # fmt: skip
    assert [key["label"] for key in listed(run, "groq")] == ["key-1", "mine"]
    assert "it is changed there" in run("keys", "disable", "groq", "key-1").stderr


def test_every_change_is_written_down_by_the_name_of_the_command_line(run):
    added(run)
    run("keys", "disable", "groq", "mine")
    run("keys", "rekey")
    run("keys", "remove", "groq", "mine")
    lines = [json.loads(line) for line in (state() / "audit.jsonl").read_text().splitlines()]
    assert [(line["who"], line["what"], line["target"]) for line in lines] == [
        ("command line", "key.add", "groq/mine"),
        ("command line", "key.disable", "groq/mine"),
        ("command line", "key.rekey", "all"),
        ("command line", "key.remove", "groq/mine"),
    ]


def test_rekeying_changes_the_encryption_key_and_nothing_else(run):
    added(run)
    before = (state() / "encryption_key").read_text()
    assert run("keys", "rekey").stdout == "1 key is sealed with the new encryption key.\n"
    assert (state() / "encryption_key").read_text() != before
    assert listed(run)[0]["state"] == "unknown"
    added(run, "groq", "other", secret="gsk_another-walrus")
    assert "2 keys are sealed" in run("keys", "rekey").stdout


def test_a_wrong_encryption_key_is_told_and_entering_refused(run, monkeypatch):
    added(run)
    (state() / "encryption_key").unlink()
    monkeypatch.setenv("FREEROUTE_ENCRYPTION_KEY", new_key())
    assert listed(run)[0]["reason"] == "locked: the encryption key is missing or another one"
    assert "sealed with another encryption key" in run("check", "--no-network").stdout
    refused = run("keys", "add", "groq", "other", input="gsk_another-walrus")
    assert (refused.exit_code, "bring that one back" in refused.stderr) == (1, True)
    assert run("keys", "rekey").exit_code == 2
    disabled = run("keys", "disable", "groq", "mine")
    assert (disabled.exit_code, "sealed with another" in disabled.stderr) == (1, True)
    monkeypatch.setenv("FREEROUTE_ENCRYPTION_KEY", "hunter2hunter2")
    nonsense = run("check", "--no-network")
    assert (nonsense.exit_code, "FREEROUTE_ENCRYPTION_KEY: expected 32 bytes" in nonsense.stderr) == (2, True)
    assert "hunter2" not in nonsense.stderr


def test_a_key_that_nobody_can_be_asked_about_for_free_is_unknown(run):
    text = "providers: {mine: {base_url: 'https://m.example/v1', keys: [k], models: [{id: m}]}}"
    (Path.home() / "freeroute.yaml").write_text(text)
    result = run("keys", "test", "mine", "key-1")
    assert result.exit_code == 0
    assert "key-1 is unknown: there is no call that tells" in result.stdout
    assert "Asked: nobody" in result.stdout
    found = json.loads(run("keys", "test", "mine", "key-1", "--json").stdout)
    assert (found["verdict"], found["asked"]) == ("unknown", None)
    assert run("keys", "test", "mine", "key-9").exit_code == 1


def test_a_running_gateway_goes_by_every_change_without_a_restart(run):
    home = Path.home()
    (home / "freeroute.yaml").write_text(SETTINGS)
    with process("serve", "--port", "0", directory=home) as started:
        url = url_of(started)

        def keys() -> list[dict[str, str]]:
            found = run("keys", "list", "--url", url, "--json")
            assert found.exit_code == 0, found.stderr
            told: list[dict[str, str]] = json.loads(found.stdout)
            return told

        def become(wanted: list[tuple[str, str]]) -> bool:
            return comes_about(lambda: [(key["provider"], key["state"]) for key in keys()] == wanted)

        assert keys() == []
        added(run)
        assert become([("groq", "single-flight")])
        told = httpx.get(f"{url}/v1/status", timeout=PATIENCE).json()
        assert [one["id"] for one in told["providers"]] == ["groq"]
        run("keys", "disable", "groq", "mine")
        assert become([("groq", "off")])
        run("keys", "enable", "groq", "mine")
        assert become([("groq", "single-flight")])
        assert run("keys", "rekey").exit_code == 0
        added(run, "gemini", "mine")
        assert become([("groq", "single-flight"), ("gemini", "single-flight")])
        started.terminate()
        _, logged = started.communicate(timeout=PATIENCE)
    assert SECRET not in logged
    assert "needs an operator" not in logged


def test_two_commands_at_once_lose_nothing():
    env = {"PATH": os.environ["PATH"], "HOME": str(Path.home()), "PYTHONPATH": str(ROOT)}
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "freeroute", "keys", "add", "groq", f"key-of-{number}"],
            cwd=Path.home(), env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(3)
    ]  # fmt: skip
    for number, one in enumerate(running):
        _, told = one.communicate(f"gsk_secret-number-{number}", timeout=PATIENCE)
        assert one.returncode == 0, told
    kept = json.loads((state() / "providers.json").read_text())["overlay"]["keys"]
    assert sorted(key["label"] for key in kept) == ["key-of-0", "key-of-1", "key-of-2"]


def test_no_key_of_the_gateway_itself_is_entered_for_a_provider(run):
    client = json.loads(run("clients", "add", "alice", "--json").stdout)["key"]
    operator = json.loads(run("operators", "add", "ann", "--scope", "read", "--json").stdout)["token"]
    admin = "fa-of-the-state-directory"
    (state() / "admin_key").write_text(f"{admin}\n")
    for own, whose in ((client, "client alice"), (operator, "operator ann"), (admin, "the admin key")):
        result = run("keys", "add", "groq", "mine", input=own)
        assert result.exit_code != 0
        assert whose in result.stderr
        assert own not in result.stderr
    assert not (state() / "providers.json").exists()
    added(run)
