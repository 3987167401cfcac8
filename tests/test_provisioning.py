"""What the settings say and what was entered, together and in step."""

from datetime import date
from pathlib import Path

import pytest
from msgspec import structs
from structlog.testing import capture_logs

from freeroute.config.load import Overrides, load
from freeroute.config.overlay import Plan, planned
from freeroute.domain.overlay import Address
from freeroute.errors import ConfigError, Unavailable
from freeroute.provisioning import Provisioning
from freeroute.stores.keysafe import KeySafe
from freeroute.stores.sealing import new_key
from tests.support.providers import book, quiet

SECRET = "gsk_entered-secret-1234"
ONE = "providers: {one: {base_url: 'https://one.example', keys: [k], models: [{id: m}]}}"
TWO = ONE.replace("one", "two")


def plan(directory: Path, text: str = ONE) -> Plan:
    (directory / "freeroute.yaml").write_text(text)
    return planned(load(Overrides(), {}, directory, directory), {}, date(2026, 11, 21))


def opened(directory: Path) -> tuple[Provisioning, KeySafe]:
    safe = KeySafe(directory / "state", None)
    book(plan(directory), safe).add_key("one", "mine", SECRET, quiet)
    provisioning = Provisioning(plan(directory))
    provisioning.open(safe)
    return provisioning, safe


def labels(provisioning: Provisioning) -> dict[str, list[str]]:
    found = provisioning.assembly.catalogue.providers
    return {name: [key.label for key in provider.keys if key.enabled] for name, provider in found.items()}


async def test_what_was_entered_lies_over_the_settings_and_over_others_after_them(tmp_path):
    provisioning, _ = opened(tmp_path)
    assert labels(provisioning) == {"one": ["key-1", "mine"]}
    provisioning.give(plan(tmp_path, TWO))
    assert labels(provisioning) == {"two": ["key-1"]}


async def test_a_change_is_seen_at_the_next_look_and_only_then(tmp_path):
    provisioning, safe = opened(tmp_path)
    assert not await provisioning.look()
    book(plan(tmp_path), safe).switch("one", quiet, on=False)
    assert provisioning.off == frozenset()
    assert await provisioning.look()
    assert provisioning.off == {"one"}
    assert not await provisioning.look()


async def test_without_a_place_nothing_is_entered(tmp_path):
    provisioning = Provisioning(plan(tmp_path))
    assert not await provisioning.look()
    with pytest.raises(Unavailable, match="no state directory"):
        _ = provisioning.safe


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.write_text("{")])
async def test_a_file_that_is_gone_or_damaged_changes_nothing(tmp_path, spoil):
    provisioning, safe = opened(tmp_path)
    spoil(safe.path)
    with capture_logs() as logs:
        assert not await provisioning.look()
        assert not await provisioning.look()
    assert labels(provisioning) == {"one": ["key-1", "mine"]}
    assert [log["log_level"] for log in logs] == ["error"]


async def test_a_damaged_file_ends_the_start(tmp_path):
    _, safe = opened(tmp_path)
    safe.path.write_text("{")
    with pytest.raises(ConfigError, match=r"providers\.json: is damaged"):
        Provisioning(plan(tmp_path)).open(safe)


async def test_keys_that_open_no_more_are_used_as_they_were_and_switches_count(tmp_path):
    provisioning, safe = opened(tmp_path)
    kept = safe.key_path.read_text()
    safe.key_path.write_text(new_key())
    book(plan(tmp_path), safe).switch("one", quiet, on=False)
    with capture_logs() as logs:
        assert await provisioning.look()
    assert labels(provisioning) == {"one": ["key-1", "mine"]}
    assert provisioning.off == {"one"}
    [problem] = [log["reason"] for log in logs if log["log_level"] == "error"]
    assert "sealed with another encryption key" in problem
    safe.key_path.write_text(kept)
    assert await provisioning.look()
    assert provisioning.laid.problems == ()


async def test_a_file_that_does_not_open_sends_no_known_key_anywhere_else(tmp_path):
    provisioning, safe = opened(tmp_path)
    safe.key_path.unlink()

    def forged(overlay, _):
        key = structs.replace(overlay.keys[0], origin="https://evil.example")
        return overlay.with_key(key).at("one", Address("https://evil.example", ()))

    safe.update(forged)
    assert await provisioning.look()
    assert labels(provisioning) == {"one": []}


async def test_a_start_without_the_encryption_key_goes_on_once_it_is_back(tmp_path):
    _, safe = opened(tmp_path)
    kept = safe.key_path.read_text()
    safe.key_path.unlink()
    provisioning = Provisioning(plan(tmp_path))
    with capture_logs() as logs:
        provisioning.open(safe)
    assert labels(provisioning) == {"one": ["key-1"]}
    assert [log["event"] for log in logs] == ["what was entered needs an operator"]
    assert SECRET not in str(logs)
    safe.key_path.touch(mode=0o600)
    safe.key_path.write_text(kept)
    assert await provisioning.look()
    assert labels(provisioning) == {"one": ["key-1", "mine"]}
