"""What the benchmarks refuse before they measure anything."""

import math

import pytest

from bench import loading, turns
from bench.__main__ import main
from bench.capacity import command as capacity
from bench.kills import command as kills
from bench.options import number, whole, writable
from bench.profile import command as profile
from bench.soak import command as soak

# Each numeric option, the least and the most of it.
NUMBERS = [
    (main, "--seconds", 0.1, 3600),
    (main, "--leave", 0, 100),
    (turns.main, "--seconds", 0.1, 600),
    (profile.main, "--seconds", 1, 600),
    (soak.main, "--minutes", 2, 1440),
    (soak.main, "--rate", 25, 5000),
    (capacity.main, "--seconds", 10, 3600),
]
COUNTS = [
    (main, "--streams", 1, 1600),
    (main, "--starts", 1, 1000),
    (turns.main, "--rounds", 1, 1000),
    (loading.main, "--rounds", 1, 1000),
    (kills.main, "--kills", 1, 10000),
    (kills.main, "--callers", 1, 1000),
    (capacity.main, "--parallel", 1, 13),
]
FILES = [
    (main, "--json"),
    (capacity.main, "--json"),
    (capacity.main, "--markdown"),
    (profile.main, "--svg"),
]


def beyond(least, most):
    """Return values outside of the range, and close to it."""
    return [least - 1, math.nextafter(least, -math.inf), math.nextafter(most, math.inf), most * 10]


def refused(command, arguments, capsys) -> str:
    with pytest.raises(SystemExit) as ended:
        command(arguments)
    assert ended.value.code == 2
    out, told = capsys.readouterr()
    assert not out
    return told.splitlines()[-1]


@pytest.mark.parametrize(("command", "option", "least", "most"), NUMBERS)
def test_a_number_out_of_its_range_is_refused_and_its_range_told(command, option, least, most, capsys):
    for value in (*beyond(least, most), math.nan, math.inf, "many", ""):
        told = refused(command, [f"{option}={value}"], capsys)
        assert f"argument {option}: '{value}' is not a number from {least:g} to {most:g}" in told


@pytest.mark.parametrize(("command", "option", "least", "most"), COUNTS)
def test_a_count_out_of_its_range_is_refused_and_its_range_told(command, option, least, most, capsys):
    for value in (least - 1, -5, most + 1, 10**30, "1.5", "nan", "inf", "many", ""):
        told = refused(command, [f"{option}={value}"], capsys)
        assert f"argument {option}: '{value}' is not a whole number from {least} to {most}" in told


@pytest.mark.parametrize(("command", "option", "least", "most"), [*NUMBERS, *COUNTS])
def test_the_help_tells_the_range(command, option, least, most, capsys):
    with pytest.raises(SystemExit) as ended:
        command(["--help"])
    assert not ended.value.code
    told = " ".join(capsys.readouterr().out.split())
    assert f"from {least:g} to {most:g}" in told


@pytest.mark.parametrize(("command", "option"), FILES)
def test_a_file_that_could_not_be_written_in_the_end_is_refused_at_once(command, option, tmp_path, capsys):
    inside = tmp_path / "nowhere" / "found.json"
    assert f"there is no directory {inside.parent}" in refused(command, [option, str(inside)], capsys)
    assert "is a directory" in refused(command, [option, str(tmp_path)], capsys)
    assert "name too long" in refused(command, [option, str(tmp_path / ("x" * 300))], capsys)
    (tmp_path / "file").touch()
    assert "there is no directory" in refused(command, [option, str(tmp_path / "file" / "x")], capsys)


def test_what_is_least_and_what_is_most_is_taken():
    assert [whole(1, 1600)(text) for text in ("1", "1600")] == [1, 1600]
    assert [number(0.1, 3600)(text) for text in ("0.1", "3600", "1e1")] == [0.1, 3600.0, 10.0]


def test_a_file_that_is_there_or_can_be_made_is_taken_and_not_touched(tmp_path):
    there, new = tmp_path / "there", tmp_path / "new"
    there.write_text("of the last run")
    assert [writable(str(path)) for path in (there, new)] == [there, new]
    assert there.read_text() == "of the last run"
    assert not new.exists()
