"""What may be done with operators' tokens, whoever asks for it."""

import stat

import pytest

from freeroute.administration.operators import MOST
from freeroute.domain.operators import Operator, Scope, Tokens
from freeroute.errors import ConfigError, Conflict, NotFound
from freeroute.stores.operators_file import OperatorsFile
from tests.support.clocks import EPOCH


def holder(directory, token: str):
    return Tokens(OperatorsFile(directory / "state").read()).find(token, EPOCH)


def test_an_operator_is_given_a_token_of_which_only_the_hash_is_kept(operators, notes, tmp_path):
    terms = {"scope": "operate", "expires": "2027-01-31", "note": "night shift"}
    token, told = operators.add("ann", terms, notes)
    found = holder(tmp_path, token)
    assert isinstance(found, Operator)
    assert (found.name, found.scope) == ("ann", Scope.OPERATE)
    assert told == {
        "name": "ann",
        "scope": "operate",
        "state": "active",
        "created": EPOCH,
        "expires": 1801353600.0,
        "revoked": None,
        "note": "night shift",
    }
    assert notes.taken == [(None, told)]
    assert operators.list() == [told]
    path = tmp_path / "state" / "operators.json"
    assert token not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert OperatorsFile(tmp_path / "state").mark() is not None


def test_a_token_that_is_revoked_opens_nothing_and_stays_listed(operators, notes, tmp_path):
    token, told = operators.add("ann", {"scope": "read"}, notes)
    revoked = operators.revoke("ann", notes)
    assert not isinstance(holder(tmp_path, token), Operator)
    assert revoked == {**told, "state": "revoked", "revoked": EPOCH}
    assert operators.revoke("ann", notes) == revoked
    assert operators.list() == [revoked]
    assert notes.taken[1] == (told, revoked)


def test_a_name_is_taken_until_its_token_is_revoked(operators, notes):
    operators.add("ann", {"scope": "read"}, notes)
    with pytest.raises(Conflict, match="there is an operator ann already"):
        operators.add("ann", {"scope": "admin"}, notes)
    operators.revoke("ann", notes)
    operators.add("ann", {"scope": "admin", "expires": None}, notes)
    assert [(one["name"], one["scope"]) for one in operators.list()] == [("ann", "admin")]


@pytest.mark.parametrize("name", ["admin", "metrics"])
def test_the_names_of_the_keys_are_taken(operators, notes, name):
    with pytest.raises(Conflict, match="choose another"):
        operators.add(name, {"scope": "read"}, notes)


@pytest.mark.parametrize(
    ("name", "terms", "field", "told"),
    [
        ("command line", {"scope": "read"}, "name", "a name has up to 64"),
        (None, {"scope": "read"}, "name", "a name has up to 64"),
        ("ann", {}, "scope", "is required"),
        ("ann", {"scope": "root"}, "scope", "expected one of read, operate, admin"),
        ("ann", {"scope": []}, "scope", "expected one of read, operate, admin"),
        ("ann", {"scope": "read", "expires": "soon"}, "expires", "expected a date"),
        ("ann", {"scope": "read", "expires": "2020-01-31"}, "expires", "is past"),
        ("ann", {"scope": "read", "note": "a\nb"}, "note", "holds a line break"),
        ("ann", {"scope": "read", "token": "mine"}, "token", "unknown field"),
    ],
)
def test_a_field_that_is_wrong_is_named(operators, notes, name, terms, field, told):
    with pytest.raises(ConfigError, match=told) as caught:
        operators.add(name, terms, notes)
    assert caught.value.field == field
    assert operators.list() == notes.taken == []


def test_who_is_not_there_is_told_with_the_nearest_names(operators, notes):
    operators.add("ann", {"scope": "read"}, notes)
    with pytest.raises(NotFound, match=r"there is no operator anne; did you mean ann\?"):
        operators.revoke("anne", notes)
    with pytest.raises(NotFound, match=r"there is no operator zzz$"):
        operators.revoke("zzz", notes)


def test_of_too_many_the_one_that_was_revoked_first_is_forgotten(operators, notes, tmp_path):
    many = tuple(Operator(f"o{number}", Scope.READ, b"%d" % number) for number in range(MOST))
    OperatorsFile(tmp_path / "state").update(lambda _: many)
    with pytest.raises(Conflict, match="1000 operators already: revoke one"):
        operators.add("ann", {"scope": "read"}, notes)
    operators.revoke("o7", notes)
    operators.add("ann", {"scope": "read"}, notes)
    names = {one["name"] for one in operators.list()}
    assert (len(names), "o7" in names, "ann" in names) == (MOST, False, True)
