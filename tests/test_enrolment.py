"""Clients of the settings and clients that were added, together and in step."""

import asyncio
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from freeroute.domain.clients import Client
from freeroute.enrolment import Enrolment
from freeroute.errors import ConfigError
from freeroute.stores.clients_file import ClientsFile
from freeroute.stores.followed import PAUSE, watch

SET = Client("set", b"s")
ADDED = Client("added", b"a")
MORE = Client("more", b"m")


def opened(directory: Path, *clients: Client) -> tuple[Enrolment, ClientsFile]:
    store = ClientsFile(directory)
    store.update(lambda _: clients)
    enrolment = Enrolment([SET])
    enrolment.open(store)
    return enrolment, store


def names(enrolment: Enrolment) -> list[str]:
    return [client.name for client in enrolment.clients]


async def test_those_of_the_settings_come_first_and_those_added_follow(tmp_path):
    enrolment, _ = opened(tmp_path, ADDED)
    assert names(enrolment) == ["set", "added"]
    enrolment.give([MORE])
    assert names(enrolment) == ["more", "added"]


async def test_a_change_is_seen_at_the_next_look_and_only_then(tmp_path):
    enrolment, store = opened(tmp_path, ADDED)
    assert not await enrolment.look()
    store.update(lambda clients: (*clients, MORE))
    assert await enrolment.look()
    assert names(enrolment) == ["set", "added", "more"]
    assert not await enrolment.look()


async def test_without_a_store_there_is_nothing_to_look_at():
    assert not await Enrolment([SET]).look()


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.write_text("{")])
async def test_a_file_that_is_gone_or_damaged_lets_nobody_in_or_out(tmp_path, spoil):
    enrolment, store = opened(tmp_path, ADDED)
    spoil(store.path)
    with capture_logs() as logs:
        assert not await enrolment.look()
        assert not await enrolment.look()
    assert names(enrolment) == ["set", "added"]
    assert [log["log_level"] for log in logs] == ["error"]
    store.path.unlink(missing_ok=True)
    store.update(lambda _: (MORE,))
    assert await enrolment.look()
    assert names(enrolment) == ["set", "more"]


async def test_a_damaged_file_ends_the_start(tmp_path):
    (tmp_path / "clients.json").write_text("{")
    with pytest.raises(ConfigError, match=r"clients\.json"):
        Enrolment([SET]).open(ClientsFile(tmp_path))


async def test_a_name_that_the_settings_have_too_is_told(tmp_path):
    with capture_logs() as logs:
        enrolment, _ = opened(tmp_path, Client("set", b"other"), ADDED)
    assert names(enrolment) == ["set", "added"]
    assert [log["clients"] for log in logs if log["log_level"] == "warning"] == [("set",)]


async def test_whoever_watches_is_told_of_each_change(tmp_path):
    enrolment, store = opened(tmp_path, ADDED)
    changed = asyncio.Event()
    watching = asyncio.create_task(watch(enrolment.look, changed.set, pause=0.0))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not changed.is_set()
    store.update(lambda _: ())
    await changed.wait()
    assert names(enrolment) == ["set"]
    watching.cancel()
    assert PAUSE < 1.0
