import errno

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeroute.stores.records.rows import Batch
from freeroute.stores.records.spool import HELD, Spool, SpoolFullError
from tests.support.receipts import row


def batch(number: int, rows: int = 1) -> Batch:
    return Batch("run", number, (row(),) * rows)


def line(number: int, rows: int = 1) -> bytes:
    return msgspec.json.encode(batch(number, rows))


def drained(spool: Spool) -> list[int]:
    numbers = []
    while (found := spool.first()) is not None:
        numbers.append(found.number)
        spool.done()
    return numbers


@pytest.fixture
def spool(tmp_path):
    return Spool(tmp_path / "records.spool")


def test_what_went_in_first_comes_out_first(spool):
    for number in (1, 2, 3):
        spool.append(line(number))
    assert spool.first() == spool.first() == batch(1)
    assert drained(spool) == [1, 2, 3]


def test_a_file_whose_batches_are_settled_is_empty_and_only_its_owner_can_read_it(spool):
    spool.append(line(1))
    assert spool.size() == len(line(1)) + 1
    assert spool.path.stat().st_mode & 0o777 == 0o600
    drained(spool)
    assert spool.size() == 0
    assert spool.path.stat().st_size > 0
    spool.settled()
    assert (spool.size(), spool.path.stat().st_size) == (0, 0)


def test_what_is_done_is_given_again_until_it_is_settled(spool):
    for number in (1, 2, 3):
        spool.append(line(number))
    assert spool.first() == batch(1)
    spool.done()
    spool.settled()
    assert spool.first() == batch(2)
    spool.done()
    spool.again()
    assert drained(spool) == [2, 3]
    spool.settled()
    spool.again()
    assert drained(spool) == []


def test_what_was_done_and_is_not_settled_gives_way_to_what_comes(tmp_path):
    spool = Spool(tmp_path / "records.spool", bound=1_000)
    for number in range(50):
        spool.append(line(number))
        assert drained(spool) == [number]
    assert spool.path.stat().st_size <= 1_000


def test_another_process_finds_what_was_left(spool):
    spool.append(line(1))
    spool.append(line(2))
    assert drained(Spool(spool.path)) == [1, 2]


@pytest.mark.parametrize("torn", [b"[", line(1)[:-9], b"\xff\xfe", b"nonsense\n", b"[" * 100_000, b"\n"])
def test_a_line_that_was_cut_costs_no_other(spool, torn):
    spool.path.write_bytes(line(1) + b"\n" + torn)
    spool.append(line(2))
    assert drained(spool) == [1, 2]


def test_a_full_spool_takes_nothing_more_and_keeps_what_it_has(tmp_path):
    spool = Spool(tmp_path / "records.spool", bound=1_000)
    with pytest.raises(SpoolFullError):
        for number in range(100):
            spool.append(line(number))
    assert drained(spool) == list(range(1_000 // (len(line(0)) + 1)))
    spool.append(line(5))
    assert drained(spool) == [5]


def test_what_is_done_makes_room_while_more_comes(tmp_path):
    spool = Spool(tmp_path / "records.spool", bound=2_000)
    spool.append(line(0))
    for number in range(1, 50):
        spool.append(line(number))
        assert spool.first() == batch(number - 1)
        spool.done()
    assert drained(spool) == [49]


def test_a_file_that_somebody_took_away_is_begun_anew(spool):
    spool.append(line(1))
    spool.append(line(2))
    spool.first()
    spool.done()
    spool.path.unlink()
    assert (spool.first(), spool.size()) == (None, 0)
    spool.append(line(3))
    assert drained(spool) == [3]


def test_what_comes_with_its_batch_is_not_read_again(spool):
    first, second = batch(1), batch(2)
    spool.append(line(1), first)
    spool.append(line(2), second)
    assert spool.first() is first
    spool.done()
    assert spool.first() is second
    spool.again()
    assert drained(spool) == [1, 2]


def test_what_is_at_hand_waits_for_no_thread_that_is_writing(spool):
    spool.append(line(1), batch(1))
    with spool._lock:
        assert spool.at_hand() is None
    assert spool.at_hand() == batch(1)
    spool.path.unlink()
    assert spool.at_hand() == batch(1)


def test_what_is_done_at_once_waits_for_no_thread_that_is_writing(spool):
    for number in (1, 2):
        spool.append(line(number), batch(number))
    assert spool.first() == batch(1)
    with spool._lock:
        assert spool.done_at_once() is None
    assert spool.done_at_once() == len(line(2)) + 1
    assert spool.first() == batch(2)
    assert spool.done_at_once() == 0


def test_only_so_much_is_at_hand_and_the_rest_is_read(spool):
    rows = HELD // len(line(0, 100)) * 100 // 2
    many = [batch(number, rows) for number in range(4)]
    for one in many:
        spool.append(line(one.number, rows), one)
    found = []
    while (one := spool.first()) is not None:
        found.append(one)
        spool.done()
    assert found == many
    assert [one is there for one, there in zip(found, many, strict=True)] == [True, True, False, False]


def test_what_was_at_hand_of_a_file_that_is_gone_is_no_part_of_the_next(spool):
    spool.append(line(1), batch(1))
    spool.append(line(2), batch(2))
    spool.path.unlink()
    spool.append(line(3), batch(3))
    assert drained(spool) == [3]
    spool.path.unlink()
    spool.append(line(4, 3), batch(4, 3))  # longer than what was done
    assert drained(spool) == [4]


def test_a_torn_line_before_what_is_at_hand_is_passed_over(spool):
    spool.path.write_bytes(line(1)[:-9])
    spool.append(line(2), batch(2))
    assert drained(spool) == [2]
    assert spool.strange == 1


def test_a_disk_that_takes_only_a_part_of_a_batch_keeps_none_of_it(spool):
    resource = pytest.importorskip("resource")
    spool.append(line(1))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (spool.size() + 10, hard))
    try:
        with pytest.raises(OSError) as caught:
            spool.append(line(2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.errno == errno.EFBIG
    spool.append(line(3))
    assert drained(spool) == [1, 3]


@given(st.lists(st.sampled_from(("append", "hand", "take", "again", "settle")), max_size=60))
def test_what_is_at_hand_and_what_is_read_come_in_one_order(tmp_path_factory, steps):
    spool = Spool(tmp_path_factory.mktemp("spool") / "records.spool")
    count = done = settled = 0
    for step in steps:
        if step in ("append", "hand"):
            spool.append(line(count), batch(count) if step == "hand" else None)
            count += 1
        elif step == "again":
            spool.again()
            done = settled
        elif step == "settle":
            spool.settled()
            settled = done
        else:
            at_hand, first = spool.at_hand(), spool.first()
            assert first == (batch(done) if done < count else None)
            assert at_hand in (None, first)
            if done < count:
                spool.done()
                done += 1
    assert drained(spool) == list(range(done, count))


@given(st.lists(st.booleans(), max_size=60))
def test_nothing_is_lost_or_doubled_whatever_the_order(tmp_path_factory, steps):
    spool = Spool(tmp_path_factory.mktemp("spool") / "records.spool", bound=4_000)
    given_, taken = [], []
    for number, append in enumerate(steps):
        if append:
            try:
                spool.append(line(number), batch(number))
            except SpoolFullError:
                continue
            given_.append(number)
        elif (found := spool.first()) is not None:
            taken.append(found.number)
            spool.done()
    assert taken + drained(spool) == given_


@pytest.mark.parametrize("is_at_hand", [True, False])
def test_what_comes_after_the_file_was_removed_is_handed_on_though_a_batch_was_being_written(
    tmp_path, is_at_hand
):
    spool = Spool(tmp_path / "spool")
    written, next_one = Batch("run", 1, ()), Batch("a longer name of a run", 2, ())
    spool.append(msgspec.json.encode(written), written if is_at_hand else None)
    assert spool.first() == written
    spool.path.unlink()
    spool.append(msgspec.json.encode(next_one), next_one if is_at_hand else None)
    spool.done()
    assert (spool.first(), spool.strange) == (next_one, 0)
