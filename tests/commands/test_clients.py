"""Making keys for clients."""

import json
import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from freeroute.commands.clients import yaml_word
from freeroute.domain.clients import hash_key


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
