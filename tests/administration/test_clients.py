"""What may be done with clients, whoever asks for it."""

import threading

import pytest

from freeroute.administration.clients import LIMITS, MOST, TERMS, ClientBook
from freeroute.config.values import MOST as MOST_COUNTED
from freeroute.domain.clients import SETTLING, Client, Roster
from freeroute.errors import ConfigError, Conflict, NotFound
from freeroute.stores.clients_file import ClientsFile
from tests.administration.conftest import SETTINGS
from tests.support.clocks import EPOCH

FULL = {
    "requests_per_minute": 20,
    "tokens_per_minute": 1000,
    "tokens_per_day": 5000,
    "tokens_per_month": 90000,
    "concurrency": 2,
    "models": ["free*"],
    "weight": 2.0,
    "privacy": "no-train",
    "max_wait": "90s",
    "expires": "2027-01-31",
    "note": "the first",
}


def stored(directory) -> dict[str, Client]:
    return {client.name: client for client in ClientsFile(directory / "state").read()}


def opens(directory, key: str) -> bool:
    found = Roster(stored(directory).values()).find(key, EPOCH)
    return isinstance(found, Client)


def test_a_client_is_added_with_its_terms_and_told_without_its_key(clients, notes, tmp_path):
    key, told = clients().add("alice", FULL, notes)
    assert opens(tmp_path, key)
    assert told == {
        "name": "alice",
        "state": "active",
        "from": "added",
        **FULL,
        "max_wait": 90.0,
        "expires": 1801353600.0,
        "created": EPOCH,
        "revoked": None,
        "former_keys": [],
    }
    assert notes.taken == [(None, told)]
    assert clients().show("alice") == told
    assert clients().list() == [told]


def test_what_is_told_can_be_sent_back(clients, notes):
    book = clients()
    _, told = book.add("alice", FULL, notes)
    assert book.amend("alice", {field: told[field] for field in TERMS}, notes) == told


def test_an_amendment_changes_what_it_names_and_a_replacement_everything(clients, notes):
    book = clients()
    _, told = book.add("alice", FULL, notes)
    amended = book.amend("alice", {"tokens_per_day": None, "weight": 3}, notes)
    assert amended == {**told, "tokens_per_day": None, "weight": 3.0}
    assert notes.taken[-1] == (told, amended)
    replaced = book.replace("alice", {"concurrency": 1}, notes)
    assert (replaced["concurrency"], replaced["weight"], replaced["note"]) == (1, 1.0, "")
    assert replaced["created"] == told["created"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("weight", 0),
        ("weight", 1e-320),
        ("weight", 1001),
        *((field, amount) for field in LIMITS for amount in (0, MOST_COUNTED + 1, 10**30, 10**400)),
        ("weight", None),
        ("expires", "soon"),
        ("expires", True),
        ("expires", 1e300),
        ("max_wait", "soon"),
        ("models", "free*"),
        ("privacy", "none"),
        ("note", "a\nb"),
        ("requests_per_minute", 1.5),
        ("key", "sk-mine"),
        ("key_hash", "0" * 64),
        ("name", "other"),
        ("wieght", 1),
    ],
)
def test_a_field_that_is_wrong_is_named_and_nothing_is_changed(clients, notes, tmp_path, field, value):
    book = clients()
    book.add("alice", {"weight": 2}, notes)
    before = stored(tmp_path)
    if value is None:
        assert book.amend("alice", {field: None}, notes)["weight"] == 1.0
        return
    for act in (
        lambda: book.add("bob", {field: value}, notes),
        lambda: book.amend("alice", {field: value}, notes),
        lambda: book.replace("alice", {field: value}, notes),
    ):
        with pytest.raises(ConfigError) as caught:
            act()
        assert caught.value.field == field
        assert "sk-mine" not in str(caught.value)
    assert stored(tmp_path) == before
    assert len(notes.taken) == 1


def test_an_unknown_field_is_told_with_the_one_that_was_meant(clients, notes):
    with pytest.raises(ConfigError, match="did you mean `weight`"):
        clients().add("alice", {"wieght": 1}, notes)


@pytest.mark.parametrize("name", ["", "a b", "-a", "a" * 65, "a\n", None, 7])
def test_a_name_that_is_none_is_refused(clients, notes, name):
    with pytest.raises(ConfigError, match="a name has up to 64") as caught:
        clients().add(name, {}, notes)
    assert caught.value.field == "name"


def test_no_client_has_the_name_of_those_that_are_not_counted_apart(clients, notes):
    with pytest.raises(ConfigError, match="all clients beyond those") as caught:
        clients().add("other", {}, notes)
    assert caught.value.field == "name"


def test_a_name_is_taken_until_its_client_is_revoked(clients, notes, tmp_path):
    book = clients()
    first, _ = book.add("alice", {}, notes)
    with pytest.raises(Conflict, match="there is a client alice already") as caught:
        book.add("alice", {}, notes)
    assert caught.value.param == "name"
    assert book.revoke("alice", notes)["state"] == "revoked"
    second, _ = book.add("alice", {}, notes)
    assert (opens(tmp_path, first), opens(tmp_path, second)) == (False, True)


def test_a_rotation_gives_another_key_and_leaves_the_old_one_for_its_time(clients, notes, tmp_path):
    book = clients()
    old, _ = book.add("alice", {}, notes)
    new, told = book.rotate("alice", "24h", notes)
    assert (opens(tmp_path, old), opens(tmp_path, new)) == (True, True)
    assert told["former_keys"] == [EPOCH + 86400]
    assert notes.taken[-1][0]["former_keys"] == []


@pytest.mark.parametrize("overlap", ["a while", -1, True, "401d", None, float("nan")])
def test_an_overlap_that_is_none_is_refused(clients, notes, overlap):
    book = clients()
    book.add("alice", {}, notes)
    with pytest.raises(ConfigError, match="expected a duration") as caught:
        book.rotate("alice", overlap, notes)
    assert caught.value.field == "overlap"


def test_of_rotations_at_the_same_time_each_key_works_or_is_an_error(clients, notes, tmp_path, clock):
    book = clients()
    book.add("alice", {}, notes)
    keys: list[str] = []
    refused: list[str] = []

    def rotate() -> None:
        try:
            keys.append(book.rotate("alice", 0, lambda before, after: None)[0])
        except Conflict as error:
            refused.append(error.message)

    threads = [threading.Thread(target=rotate) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(keys), len(refused)) == (1, 7)
    assert opens(tmp_path, keys[0])
    assert "got another key just now" in refused[0]
    clock.advance(SETTLING)
    assert opens(tmp_path, book.rotate("alice", 0, notes)[0])


def test_a_revoked_client_gets_no_key(clients, notes):
    book = clients()
    book.add("alice", {}, notes)
    book.revoke("alice", notes)
    with pytest.raises(Conflict, match="alice was revoked"):
        book.rotate("alice", "1h", notes)


def test_the_last_client_can_be_revoked_and_not_removed(clients, notes, tmp_path):
    book = clients()
    book.add("alice", {}, notes)
    with pytest.raises(Conflict, match="alice is the last client"):
        book.remove("alice", notes)
    _, bob = book.add("bob", {}, notes)
    book.remove("bob", notes)
    assert notes.taken[-1] == (bob, None)
    assert set(stored(tmp_path)) == {"alice"}
    clients(SETTINGS).remove("alice", notes)
    assert stored(tmp_path) == {}


def test_clients_of_the_settings_are_shown_and_changed_there(clients, notes):
    book: ClientBook = clients(SETTINGS, {"FREEROUTE_API_KEY": "main"})
    assert [(one["name"], one["from"]) for one in book.list()] == [
        ("default", "FREEROUTE_API_KEY"),
        ("set", "freeroute.yaml"),
    ]
    for name, place in (("set", "freeroute.yaml"), ("default", "FREEROUTE_API_KEY")):
        for act in (
            lambda name=name: book.add(name, {}, notes),
            lambda name=name: book.amend(name, {}, notes),
            lambda name=name: book.rotate(name, 0, notes),
            lambda name=name: book.revoke(name, notes),
            lambda name=name: book.remove(name, notes),
        ):
            with pytest.raises(Conflict, match=f"{name} is a client of the settings, {place}"):
                act()
    assert notes.taken == []


def test_one_that_the_settings_hide_is_told_so(clients, notes):
    clients().add("set", {}, notes)
    assert [(one["name"], one["state"]) for one in clients(SETTINGS).list()] == [
        ("set", "active"),
        ("set", "hidden by the settings"),
    ]


def test_who_is_not_there_is_told_with_the_nearest_names(clients, notes):
    book = clients(SETTINGS)
    book.add("alice", {}, notes)
    for act in (
        lambda: book.show("alic"),
        lambda: book.amend("alic", {}, notes),
        lambda: book.rotate("alic", 0, notes),
        lambda: book.revoke("alic", notes),
        lambda: book.remove("alic", notes),
    ):
        with pytest.raises(NotFound, match=r"there is no client alic; did you mean alice\?"):
            act()
    with pytest.raises(NotFound, match=r"there is no client zzz$"):
        book.show("zzz")


def test_a_note_that_cannot_be_taken_leaves_everything_as_it_was(clients, notes, tmp_path):
    book = clients()
    book.add("alice", {}, notes)
    book.add("bob", {}, notes)
    before = stored(tmp_path)

    def refuse(before, after):
        raise OSError("full")

    for act in (
        lambda: book.add("eve", {}, refuse),
        lambda: book.amend("alice", {"weight": 2}, refuse),
        lambda: book.rotate("alice", 0, refuse),
        lambda: book.revoke("alice", refuse),
        lambda: book.remove("alice", refuse),
    ):
        with pytest.raises((OSError, ConfigError)):
            act()
    assert stored(tmp_path) == before


def test_there_is_a_bound_to_clients(clients, notes, tmp_path):
    many = tuple(Client(f"c{number}", b"%d" % number) for number in range(MOST))
    ClientsFile(tmp_path / "state").update(lambda _: many)
    with pytest.raises(Conflict, match="there are 50000 clients already"):
        clients().add("alice", {}, notes)
    assert notes.taken == []
