"""Lists for a terminal and for programs."""

import json

import pytest

from freeroute.commands.tables import listed

FOUND = [{"name": "alice", "note": "of the\nteam"}, {"name": "bob", "note": ""}]


def told(found, *, as_json=False) -> str:
    return listed(found, ["NAME", "NOTE"], lambda one: [one["name"], one["note"]], "Nobody.", as_json=as_json)


def test_what_is_found_has_a_line_each_under_a_head():
    assert told(FOUND) == "NAME   NOTE\nalice  of the team\nbob"


def test_nothing_is_told_in_words():
    assert told([]) == "Nobody."


@pytest.mark.parametrize("found", [FOUND, []])
def test_programs_get_the_same_shape_whether_there_is_anything_or_not(found):
    assert json.loads(told(found, as_json=True)) == found
