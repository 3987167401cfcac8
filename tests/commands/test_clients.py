"""Making keys for clients."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from freeroute.administration.clients import LIMITS
from freeroute.commands.clients import yaml_word
from freeroute.domain.clients import Client, hash_key
from freeroute.stores.clients_file import ClientsFile


def test_a_new_key_comes_with_a_line_that_knows_its_hash_alone(run):
    result = run("clients", "new-key", "alice")
    assert result.exit_code == 0
    (key,) = re.findall(r"^fr-[\w-]{43}$", result.stdout, re.MULTILINE)
    ((entry,),) = [yaml.safe_load(line) for line in result.stdout.splitlines() if "key_hash" in line]
    assert entry == {"name": "alice", "key_hash": hash_key(key).hex()}
    assert result.stdout.count(key) == 1


def test_two_keys_are_never_the_same(run):
    assert run("clients", "new-key", "a").stdout != run("clients", "new-key", "a").stdout


def test_as_json_it_is_data(run):
    found = json.loads(run("clients", "new-key", "alice", "--json").stdout)
    assert found["key_hash"] == hash_key(found["key"]).hex()
    assert yaml.safe_load(found["yaml"]) == [{"name": "alice", "key_hash": found["key_hash"]}]


@pytest.mark.parametrize("name", ["", "a b", "-x", "a/b", "é", "a" * 65, "a\nb"])
def test_a_name_that_the_settings_would_refuse_is_refused_here(run, name):
    result = run("clients", "new-key", "--", name)
    assert result.exit_code == 2
    assert "a name has up to 64 letters" in result.stderr


def test_its_line_is_accepted_by_the_settings(run, tmp_path):
    line = json.loads(run("clients", "new-key", "007", "--json").stdout)["yaml"]
    (tmp_path / "home" / "freeroute.yaml").write_text(f"clients:\n  {line}\n")
    assert run("check", "--no-network").exit_code == 0


@given(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True))
def test_any_name_is_read_back_as_text(name):
    assert yaml.safe_load(f"{{name: {yaml_word(name)}}}") == {"name": name}


# --- clients that are added ------------------------------------------------------------------------------


def added(run, *args) -> str:
    result = run("clients", "add", *args, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)["key"]


def shown(run, name) -> dict[str, Any]:
    return json.loads(run("clients", "show", name, "--json").stdout)


def stored() -> tuple[Client, ...]:
    return ClientsFile(Path.home() / ".local/state/freeroute").read()


def test_an_added_client_is_kept_by_the_hash_of_its_key_alone(run):
    result = run("clients", "add", "alice")
    (key,) = re.findall(r"^fr-[\w-]{43}$", result.stdout, re.MULTILINE)
    [alice] = stored()
    assert (alice.name, alice.key_hash) == ("alice", hash_key(key))
    assert key not in (Path.home() / ".local/state/freeroute/clients.json").read_text()
    for command in ("list", "show alice"):
        assert key not in run("clients", *command.split()).stdout


def test_its_limits_are_those_of_the_settings(run):
    added(
        run,
        *("alice", "--requests-per-minute", "20", "--tokens-per-minute", "1000", "--tokens-per-day", "5000"),
        *("--tokens-per-month", "90000", "--concurrency", "2", "--models", "free*, groq/*", "--privacy"),
        *(
            "no-train",
            "--weight",
            "2",
            "--max-wait",
            "1m",
            "--expires",
            "2099-01-31",
            "--note",
            "the *first*",
        ),
    )
    alice = shown(run, "alice")
    assert {field: alice[field] for field in LIMITS} == {
        "requests_per_minute": 20,
        "tokens_per_minute": 1000,
        "tokens_per_day": 5000,
        "tokens_per_month": 90000,
        "concurrency": 2,
    }
    assert (alice["models"], alice["privacy"], alice["weight"]) == (["free*", "groq/*"], "no-train", 2.0)
    assert (alice["max_wait"], alice["expires"], alice["note"]) == (60.0, 4073500800.0, "the *first*")
    assert (alice["state"], alice["from"]) == ("active", "added")
    text = run("clients", "show", "alice").stdout
    assert "20 requests/minute, 1000 tokens/minute" in text
    assert "2099-01-31 00:00 UTC" in text


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--weight", "0", "clients: weight: expected number >= 0.001"),
        ("--weight", "1e-320", "clients: weight: expected number >= 0.001"),
        (
            "--tokens-per-day",
            f"1{'0' * 309}",
            "clients: tokens_per_day: expected integer <= 1000000000000000",
        ),
        ("--max-wait", "soon", "clients: max_wait: expected a duration such as"),
        ("--expires", "soon", "clients: expires: expected a date such as 2027-01-31"),
        ("--note", "a\nb", "clients: note: holds a line break"),
        ("--requests-per-minute", "0", "0 is not in the range"),
    ],
)
def test_what_the_settings_would_refuse_is_refused_here_and_nobody_is_added(run, option, value, told):
    result = run("clients", "add", "alice", option, value)
    assert result.exit_code == 2
    assert told in result.stderr
    assert stored() == ()


def test_a_name_is_given_once_until_it_is_revoked(run):
    first = added(run, "alice", "--note", "first")
    result = run("clients", "add", "alice")
    assert (result.exit_code, "there is a client alice already" in result.stderr) == (1, True)
    assert run("clients", "revoke", "alice").exit_code == 0
    second = added(run, "alice")
    [alice] = stored()
    assert first != second
    assert (alice.key_hash, alice.note, alice.revoked) == (hash_key(second), "", None)


def test_a_rotation_leaves_the_old_key_for_as_long_as_it_was_told(run):
    old = added(run, "alice")
    new = json.loads(run("clients", "rotate", "alice", "--overlap", "24h", "--json").stdout)["key"]
    [alice] = stored()
    [former] = alice.former
    assert (alice.key_hash, former.key_hash) == (hash_key(new), hash_key(old))
    assert former.until - (alice.created or 0.0) == pytest.approx(86400, abs=60)
    assert "until " in run("clients", "show", "alice").stdout
    result = run("clients", "rotate", "alice")
    assert (result.exit_code, "got another key just now" in result.stderr) == (1, True)
    assert [key.key_hash for key in stored()[0].former] == [hash_key(old)]


def test_a_rotation_that_makes_no_sense_is_refused(run):
    added(run, "alice")
    result = run("clients", "rotate", "alice", "--overlap", "a while")
    assert (result.exit_code, "expected a duration" in result.stderr) == (2, True)
    run("clients", "revoke", "alice")
    result = run("clients", "rotate", "alice")
    assert (result.exit_code, "alice was revoked" in result.stderr) == (1, True)


def test_a_revoked_client_stays_listed_with_its_moment(run):
    added(run, "alice")
    run("clients", "revoke", "alice")
    first = shown(run, "alice")
    run("clients", "revoke", "alice")
    assert shown(run, "alice") == first
    assert first["state"] == "revoked"
    assert first["revoked"] >= first["created"]


def test_other_limits_leave_key_and_rotation_alone(run):
    added(run, "alice", "--requests-per-minute", "20", "--note", "first")
    run("clients", "rotate", "alice", "--overlap", "1h")
    [before] = stored()
    assert run("clients", "change", "alice", "--tokens-per-day", "50").exit_code == 0
    [after] = stored()
    assert [limit.label for limit in after.limits] == ["tokens/day"]
    assert (after.key_hash, after.former, after.created) == (before.key_hash, before.former, before.created)


@pytest.mark.parametrize("command", ["show", "rotate", "revoke", "change"])
def test_a_client_that_is_not_there_is_not_there(run, command):
    result = run("clients", command, "nobody")
    assert (result.exit_code, "there is no client nobody" in result.stderr) == (1, True)


def test_the_list_has_those_of_the_settings_too_and_says_which_count(run):
    assert "whoever reaches the gateway may call it" in run("clients", "list").stdout
    for name in ("alice", "bob", "late"):
        added(run, name, *(["--expires", "2020-01-01"] if name == "late" else []))
    Path("freeroute.yaml").write_text(
        "clients:\n  - {name: alice, key: k, concurrency: 3, models: [free*]}\n"
    )
    told = json.loads(run("clients", "list", "--json").stdout)
    assert [(one["name"], one["state"], one["from"]) for one in told] == [
        ("alice", "active", "freeroute.yaml"),
        ("alice", "hidden by the settings", "added"),
        ("bob", "active", "added"),
        ("late", "expired", "added"),
    ]
    text = run("clients", "list").stdout
    assert "3 concurrency" in text
    assert shown(run, "alice")["from"] == "freeroute.yaml"


@pytest.mark.parametrize("command", ["add", "rotate", "revoke", "change"])
def test_clients_of_the_settings_are_changed_there(run, command, monkeypatch):
    Path("freeroute.yaml").write_text("clients:\n  - {name: alice, key: k}\n")
    monkeypatch.setenv("FREEROUTE_API_KEY", "main")
    assert shown(run, "default")["from"] == "FREEROUTE_API_KEY"
    for name, place in (("alice", "freeroute.yaml"), ("default", "FREEROUTE_API_KEY")):
        result = run("clients", command, name)
        assert result.exit_code == 1
        assert f"{name} is a client of the settings, {place}" in result.stderr
    assert stored() == ()


def test_clients_are_kept_where_the_gateway_of_that_state_directory_finds_them(run, tmp_path):
    run("clients", "add", "alice", "--state-dir", str(tmp_path / "elsewhere"))
    assert [client.name for client in ClientsFile(tmp_path / "elsewhere").read()] == ["alice"]
    assert stored() == ()


def test_a_wide_bind_is_sound_with_clients_that_were_added(run):
    Path("freeroute.yaml").write_text("server: {host: 0.0.0.0}\n")
    assert run("check", "--no-network").exit_code == 2
    added(run, "alice")
    assert run("check", "--no-network").exit_code == 0


def test_a_client_is_forgotten_unless_it_is_the_last(run):
    added(run, "alice")
    result = run("clients", "remove", "alice")
    assert (result.exit_code, "alice is the last client" in result.stderr) == (1, True)
    added(run, "bob")
    assert run("clients", "remove", "alice").stdout == "alice is no client any more.\n"
    assert [client.name for client in stored()] == ["bob"]


def test_what_commands_change_is_in_the_audit(run):
    key = added(run, "alice", "--note", "first")
    run("clients", "revoke", "alice")
    run("clients", "revoke", "nobody")
    path = Path.home() / ".local/state/freeroute/audit.jsonl"
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(one["who"], one["what"], one["target"]) for one in entries] == [
        ("command line", "client.add", "alice"),
        ("command line", "client.revoke", "alice"),
    ]
    assert (entries[0]["after"]["note"], entries[1]["after"]["state"]) == ("first", "revoked")
    assert key not in path.read_text()
    assert hash_key(key).hex() not in path.read_text()
