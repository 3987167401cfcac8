"""Every change that was written down is found again, in files of a bounded size."""

import os
import resource
import stat
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeroute.domain.audit import Entry, Wanted
from freeroute.errors import ConfigError
from freeroute.stores.audit_file import FORMER, LONGEST, AuditFile


def entry(at: float, who: str = "ann") -> Entry:
    return Entry(at, who, "client.change", "alice", {"weight": 1.0}, {"weight": at})


def times(file: AuditFile, **wanted: object) -> list[float]:
    return [one.at for one in file.newest(Wanted(**{"limit": 1000} | wanted))]  # type: ignore[arg-type]


def test_what_was_written_is_read_newest_first(tmp_path):
    file = AuditFile(tmp_path / "state")
    assert file.newest(Wanted()) == []
    for at in (1.0, 2.0, 3.0):
        file.append(entry(at))
    assert AuditFile(tmp_path / "state").newest(Wanted()) == [entry(3.0), entry(2.0), entry(1.0)]
    assert times(file, limit=2) == [3.0, 2.0]
    assert times(file, since=2.0, until=3.0) == [2.0]
    file.append(entry(4.0, "ben"))
    assert times(file, who="ben") == [4.0]


def test_the_files_are_their_owner_s_alone(tmp_path):
    AuditFile(tmp_path).append(entry(1.0))
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_what_root_writes_belongs_to_the_owner_of_the_directory(tmp_path):
    os.chown(tmp_path, 12345, 12345)
    AuditFile(tmp_path).append(entry(1.0))
    assert {path.stat().st_uid for path in tmp_path.iterdir()} == {12345}


def test_files_are_bounded_and_the_oldest_goes_first(tmp_path):
    file = AuditFile(tmp_path, bound=1000)
    for at in range(200):
        file.append(entry(float(at)))
    files = [path for path in tmp_path.iterdir() if path.suffix != ".lock"]
    assert len(files) == 1 + FORMER
    assert all(path.stat().st_size <= 1000 for path in files)
    found = times(file)
    assert found == [float(at) for at in range(199, 199 - len(found), -1)]
    assert len(found) > 4 * 5


@given(cut=st.integers(0, 400), more=st.integers(0, 3))
def test_a_line_that_was_cut_off_costs_that_line_alone(tmp_path_factory, cut, more):
    directory = tmp_path_factory.mktemp("cut")
    file = AuditFile(directory)
    for at in range(4):
        file.append(entry(float(at)))
    content = file.path.read_bytes()
    cut = min(cut, len(content))
    file.path.write_bytes(content[:cut])
    whole = content[:cut].count(b"\n") + (content[cut : cut + 1] == b"\n")
    for at in range(10, 10 + more):
        file.append(entry(float(at)))
    assert times(file) == [*map(float, range(9 + more, 9, -1)), *map(float, range(whole - 1, -1, -1))]


@given(st.binary(max_size=200))
def test_nothing_in_the_file_breaks_the_reader(tmp_path_factory, content):
    directory = tmp_path_factory.mktemp("any")
    file = AuditFile(directory)
    file.path.write_bytes(content)
    file.append(entry(1.0))
    assert times(file)[0] == 1.0


def test_of_changes_at_the_same_time_none_is_lost(tmp_path):
    def write(number):
        AuditFile(tmp_path, bound=2000).append(entry(float(number)))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(times(AuditFile(tmp_path))) == [float(number) for number in range(20)]


def test_a_change_too_long_for_a_line_is_kept_without_its_details(tmp_path):
    file = AuditFile(tmp_path)
    file.append(Entry(1.0, "ann", "client.change", "alice", None, "x" * LONGEST))
    [kept] = file.newest(Wanted())
    assert (kept.who, kept.after) == ("ann", "left out")


def test_what_cannot_be_read_or_written_is_named(tmp_path):
    (tmp_path / "audit.jsonl").mkdir()
    with pytest.raises(ConfigError, match=r"audit\.jsonl: cannot be read: "):
        AuditFile(tmp_path).newest(Wanted())
    with pytest.raises(ConfigError, match=r"audit\.jsonl: cannot be written: "):
        AuditFile(tmp_path).append(entry(1.0))


def test_a_full_disk_leaves_no_half_a_line(tmp_path):
    file = AuditFile(tmp_path)
    file.append(entry(1.0))
    size = file.path.stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, before[1]))
    try:
        with pytest.raises(ConfigError, match="cannot be written"):
            file.append(entry(2.0))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert file.path.stat().st_size == size
