"""Prompts and answers: whose are kept, how many wait, how they are stored, and when they go."""

import json
import sqlite3
from contextlib import closing

import msgspec
import pytest
from msgspec import structs
from sqlalchemy import select

from freeroute.domain.clients import Client
from freeroute.engine.view import Recording
from freeroute.stores.records import bodies as module
from freeroute.stores.records.bodies import AT_ONCE, WAITING, Bodies, Keeping
from freeroute.stores.records.database import Database
from freeroute.stores.records.queries import stored
from freeroute.stores.records.recorder import Recorder
from freeroute.stores.records.rows import Batch, Body
from freeroute.stores.records.spool import BOUND, Spool
from freeroute.stores.records.tables import bodies, receipts
from freeroute.stores.records.tidying import BODIES_CHUNK
from freeroute.wire.chat import CallContext
from freeroute.wire.decode import decode_chat
from tests.support.clocks import EPOCH, ManualClock
from tests.support.receipts import body, receipt, row

KEEPING = Keeping(keep=3600.0, most=2**20, longest=1000)
ALICE = Client("alice", b"a")


def call(**fields):
    return decode_chat(
        json.dumps({"model": "free", "messages": [{"role": "user", "content": "Why?"}], **fields}).encode()
    )


def context(**given):
    return CallContext(request_id="req_1", received=ManualClock().now(), **given)


def kept(keeping=KEEPING):
    return Bodies(keeping, Recording())


def heard(keeper, text="Because.", **changes):
    """Let *keeper* keep a request that was answered with *text*."""
    transcript = keeper.begin(call(), context())
    transcript.hear([msgspec.json.encode({"choices": [{"index": 0, "message": {"content": text}}]})])
    keeper.keep(receipt(**changes), transcript)


@pytest.mark.parametrize(
    ("fields", "given", "clients", "is_kept"),
    [
        ({}, {}, None, True),
        ({"store": True}, {}, None, True),
        ({"store": None}, {}, None, True),
        ({"store": False}, {}, None, False),
        ({}, {"store": False}, None, False),
        ({"store": True}, {"store": False}, None, False),
        ({}, {"client": ALICE}, {"alice"}, True),
        ({}, {"client": ALICE}, {"bob"}, False),
        ({}, {}, {"alice"}, False),
        ({"store": False}, {"client": ALICE}, {"alice"}, False),
    ],
)
def test_what_is_meant_and_does_not_say_no_is_kept(fields, given, clients, is_kept):
    keeper = kept(structs.replace(KEEPING, clients=clients and frozenset(clients)))
    assert (keeper.begin(call(**fields), context(**given)) is not None) == is_kept


def test_what_is_kept_says_what_its_request_said_and_was_told():
    keeper = kept()
    heard(keeper, request_id="req_7")
    [found] = keeper.taken()
    assert (found.at, found.request_id, found.answer, found.calls, found.cut) == (
        *(EPOCH, "req_7", "Because.", "", False),
    )
    assert json.loads(found.question) == [{"role": "user", "content": "Why?"}]
    assert found.size == len(found.question) + len(found.answer)
    assert len(keeper) == 0


def test_only_so_many_wait_and_what_finds_no_room_is_counted(monkeypatch):
    keeper, text = kept(structs.replace(KEEPING, longest=2**20)), "x" * 2**20
    for _ in range(20):
        heard(keeper, text)
    assert len(keeper) == WAITING // 2**20 - 1
    assert keeper._state.bodies_lost == 20 - len(keeper)
    [taken] = keeper.taken()
    assert taken.size > AT_ONCE
    heard(keeper, text)
    keeper.drop()
    assert (len(keeper), keeper._state.bodies_lost) == (0, 20)


# --- in the database ---------------------------------------------------------------------------------------


async def in_table(database) -> list[Body]:
    columns = [column for column in bodies.columns if column.name != "id"]
    asked = select(*columns).order_by(bodies.c.id)
    found = await database.within(lambda connection: connection.execute(asked).mappings().all())
    return [Body(**one) for one in found]


def test_the_fields_of_a_body_are_the_columns_of_the_table():
    assert Body.__struct_fields__ == tuple(column.name for column in bodies.columns)[1:]


async def test_bodies_are_stored_with_their_batch_once_and_with_or_without_receipts(database):
    both = Batch("run", 1, (row(),), (body(), body(request_id="req_2", cut=True)))
    alone = Batch("run", 2, (), (body(request_id="req_3"),))
    for batch in (both, both, alone, Batch("run", 3, ())):
        await database.write(batch, EPOCH)
    assert [one.request_id for one in await in_table(database)] == ["req_1", "req_2", "req_3"]
    assert (await in_table(database))[0] == body()


async def test_receipts_come_with_what_was_said_where_it_is_kept(database):
    rows = (row(), row(request_id="req_2"), row(at=EPOCH + 1))
    await database.write(Batch("run", 1, rows, (body(),)), EPOCH)

    def read(*, texts):
        return lambda connection: list(stored(connection, EPOCH - 1, EPOCH + 2, texts=texts))

    found = await database.within(read(texts=True))
    assert [(line["request_id"], line["question"], line["answer"], line["cut"]) for line in found] == [
        ("req_1", body().question, "Because.", False),
        ("req_2", None, None, None),
        ("req_1", None, None, None),
    ]
    plain = await database.within(read(texts=False))
    assert not {"question", "answer", "calls", "cut"} & plain[0].keys()


async def test_bodies_go_by_age_and_size_of_their_own_and_take_no_room_of_receipts(database):
    old, new = (body(at=EPOCH - age, size=10_000) for age in (7200, 60))
    await database.write(Batch("run", 1, (row(),), (old,) * (BODIES_CHUNK + 1) + (new,) * 50), EPOCH)
    more = [await database.tidy(EPOCH, 30 * 86400.0, 2**20, KEEPING) for _ in range(2)]
    assert (more, [one.at for one in await in_table(database)]) == ([True, False], [new.at] * 50)
    small = structs.replace(KEEPING, most=300_000)
    await database.write(Batch("run", 2, (), (body(at=EPOCH - 30, size=10_000),) * BODIES_CHUNK), EPOCH)
    while await database.tidy(EPOCH, 30 * 86400.0, 2**20, small):
        pass
    assert {one.at for one in await in_table(database)} <= {EPOCH - 30}
    assert len(await database.within(lambda connection: connection.execute(select(receipts)).all())) == 1


async def test_where_none_are_wanted_any_more_those_there_are_deleted(database):
    await database.write(Batch("run", 1, (row(),), (body(),)), EPOCH)
    assert not await database.tidy(EPOCH, 30 * 86400.0, 2**30)
    assert await in_table(database) == []


# --- on the way there --------------------------------------------------------------------------------------


def recorder(directory, keeper, **changes):
    return Recorder(
        Spool(directory / "records.spool"),
        lambda: Database(None, directory / "records.db"),
        clock=ManualClock(),
        keep=3600.0,
        most=2**30,
        state=keeper._state,
        bodies=keeper,
        begin_after=0.0,
        **changes,
    )


async def test_what_is_kept_is_written_by_the_end_at_the_latest(tmp_path):
    keeper = kept(structs.replace(KEEPING, longest=2**20, most=2**30))
    writing = recorder(tmp_path, keeper)
    for number in range(6):
        writing.saw(receipt(request_id=f"req_{number}"))
        heard(keeper, "x" * 2**20, request_id=f"req_{number}")
    writing.stop()
    await writing.run()
    with closing(sqlite3.connect(tmp_path / "records.db")) as connection:
        assert connection.execute(
            "SELECT count(*) FROM bodies JOIN receipts USING (request_id)"
        ).fetchone() == (6,)
    assert keeper._state == Recording(written=6)


async def test_bodies_leave_half_of_the_spool_to_receipts(tmp_path):
    keeper = kept()
    writing = recorder(tmp_path, keeper)
    (tmp_path / "records.spool").write_bytes(b"\n" * (BOUND // 2 + 1))
    writing.saw(receipt())
    heard(keeper)
    await writing.spool()
    line = (tmp_path / "records.spool").read_bytes().lstrip(b"\n")
    batch = msgspec.json.decode(line, type=Batch)
    assert (batch.count, batch.bodies, keeper._state.bodies_lost) == (1, (), 1)


async def test_a_text_that_cannot_be_written_costs_no_other(tmp_path):
    keeper = kept()
    writing = recorder(tmp_path, keeper)
    keeper._queue.extend([body(), body(answer="\ud800")])
    await writing.spool()
    batch = msgspec.json.decode((tmp_path / "records.spool").read_bytes(), type=Batch)
    assert (batch.bodies, keeper._state.bodies_lost) == ((body(),), 1)


async def test_what_even_the_end_could_not_write_is_counted(tmp_path):
    keeper = kept()
    writing = recorder(tmp_path, keeper)
    (tmp_path / "records.spool").mkdir()
    heard(keeper)
    heard(keeper)
    writing.stop()
    await writing.run()
    assert (len(keeper), keeper._state.failing, keeper._state.bodies_lost) == (0, True, 2)


def test_a_batch_of_a_version_without_bodies_is_read():
    batch = msgspec.json.decode(msgspec.json.encode(["run", 1, [row()]]), type=Batch)
    assert batch == Batch("run", 1, (row(),), ())
    assert module.WAITING < BOUND
