"""The file of clients is changed whole, by one after the other, and never half read."""

import os
import stat
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeroute.domain.catalogue import Limit, Unit, WindowKind
from freeroute.domain.clients import Client, FormerKey, hash_key, rotated
from freeroute.errors import ConfigError
from freeroute.stores.clients_file import ClientsFile

MONTH = Limit(Unit.TOKENS, 1000, 2_592_000.0, window=WindowKind.CALENDAR, span="month")
ALICE = Client(
    "alice",
    hash_key("a"),
    models=("free*",),
    limits=(MONTH,),
    weight=2.0,
    no_train=True,
    expires=1.5,
    max_wait=3.0,
    note="of the *first* team",
    created=1.0,
    revoked=2.0,
    former=(FormerKey(hash_key("old"), 9.0),),
)


def test_clients_are_read_back_as_they_were(tmp_path):
    kept = ClientsFile(tmp_path / "state")
    assert kept.read() == ()
    assert kept.mark() is None
    assert kept.update(lambda clients: (*clients, ALICE)) == (ALICE,)
    assert ClientsFile(tmp_path / "state").read() == (ALICE,)


def test_the_file_is_its_owner_s_alone_and_knows_no_key(tmp_path):
    kept = ClientsFile(tmp_path / "state")
    kept.update(lambda _: (Client("alice", hash_key("fr-secret")),))
    assert stat.S_IMODE(kept.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.path.parent.stat().st_mode) == 0o700
    assert b"fr-secret" not in kept.path.read_bytes()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_what_root_writes_belongs_to_the_owner_of_the_directory(tmp_path):
    os.chown(tmp_path, 12345, 12345)
    kept = ClientsFile(tmp_path)
    for _ in range(2):
        kept.update(lambda _: (ALICE,))
        assert {path.stat().st_uid for path in tmp_path.iterdir()} == {12345}


def test_every_change_leaves_a_mark(tmp_path):
    kept = ClientsFile(tmp_path)
    marks = set()
    for _ in range(5):
        kept.update(lambda _: (ALICE,))
        marks.add(kept.mark())
    assert len(marks) == 5


def test_a_change_that_fails_changes_nothing_and_leaves_nothing_behind(tmp_path):
    kept = ClientsFile(tmp_path)
    kept.update(lambda _: (ALICE,))
    mark = kept.mark()

    def fail(clients):
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        kept.update(fail)
    assert kept.mark() == mark
    assert {path.name for path in tmp_path.iterdir()} == {"clients.json", "clients.json.lock"}


def test_of_changes_at_the_same_time_none_is_lost(tmp_path):
    def add(number):
        ClientsFile(tmp_path).update(lambda clients: (*clients, Client(f"c{number}", b"%d" % number)))

    threads = [threading.Thread(target=add, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {client.name for client in ClientsFile(tmp_path).read()} == {f"c{number}" for number in range(20)}


def test_two_rotations_at_the_same_time_leave_the_key_of_the_later_one(tmp_path):
    kept = ClientsFile(tmp_path)
    kept.update(lambda _: (Client("alice", hash_key("k0")),))

    def turn(key):
        ClientsFile(tmp_path).update(lambda clients: (rotated(clients[0], hash_key(key), 100.0, 0.0),))

    threads = [threading.Thread(target=turn, args=(key,)) for key in ("k1", "k2")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [alice] = kept.read()
    hashes = {alice.key_hash, *(former.key_hash for former in alice.former)}
    assert hashes == {hash_key("k0"), hash_key("k1"), hash_key("k2")}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b'{"format": 1}',
        b'{"format": 1, "clients": [{"name": "a"}]}',
        b'{"format": 1, "clients": [], "more": 1}',
        b'{"format": "1", "clients": []}',
    ],
)
def test_a_damaged_file_lets_nobody_in(tmp_path, content):
    (tmp_path / "clients.json").write_bytes(content)
    with pytest.raises(ConfigError, match=r"clients\.json: is damaged"):
        ClientsFile(tmp_path).read()
    with pytest.raises(ConfigError):
        ClientsFile(tmp_path).update(lambda clients: clients)
    assert (tmp_path / "clients.json").read_bytes() == content


@given(st.binary(max_size=60))
def test_no_content_breaks_the_reader(tmp_path_factory, content):
    directory = tmp_path_factory.getbasetemp() / "any"
    directory.mkdir(exist_ok=True)
    (directory / "clients.json").write_bytes(content)
    with pytest.raises(ConfigError):
        ClientsFile(directory).read()


def test_a_file_of_a_newer_freeroute_is_left_alone(tmp_path):
    (tmp_path / "clients.json").write_text('{"format": 2, "people": []}')
    with pytest.raises(ConfigError, match="newer freeroute"):
        ClientsFile(tmp_path).read()


def test_what_cannot_be_read_or_written_is_named(tmp_path):
    (tmp_path / "clients.json").mkdir()
    with pytest.raises(ConfigError, match=r"clients\.json: cannot be read: "):
        ClientsFile(tmp_path).read()
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"clients\.json: cannot be written: "):
        ClientsFile(tmp_path / "file").update(lambda clients: clients)


def test_a_file_that_cannot_take_its_place_is_not_left_beside_it(tmp_path):
    kept = ClientsFile(tmp_path)

    def meanwhile(clients):
        kept.path.mkdir()
        return clients

    with pytest.raises(ConfigError, match="cannot be written"):
        kept.update(meanwhile)
    assert {path.name for path in tmp_path.iterdir()} == {"clients.json", "clients.json.lock"}
