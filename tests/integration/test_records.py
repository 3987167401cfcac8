"""A disk that is full under a gateway that runs: requests are served, and what happened is told and kept."""

import sqlite3
from contextlib import closing

from tests.support.disks import full
from tests.support.live import live, pair, until

ROOM = 16 * 1024  # bytes: enough for 21 receipts in the spool, and for no batch in SQLite's log


async def test_a_full_disk_costs_no_request_and_no_receipt_and_is_told(tmp_path):
    state = tmp_path / "state"
    state.mkdir()
    async with live(tmp_path, pair(), state=state) as gateway:
        recorder = gateway.app.recorder
        assert recorder is not None
        assert (await gateway.ask()).status == 200
        await until(lambda: recorder.state.written == 1)
        with full(ROOM):
            for stream in (False, True) * 10:
                assert (await gateway.ask(stream=stream)).status == 200
                gateway.clock.advance(30.0)
            await until(lambda: recorder.state.failing)
            ready = await gateway.http.get("/readyz")
            assert (ready.status_code, ready.json()["records"]) == (200, "not written")
            assert "\nfreeroute_records_failing 1.0\n" in await gateway.metrics()
        await until(lambda: not recorder.state.failing and recorder.state.written == 21)
        assert "records" not in (await gateway.http.get("/readyz")).json()
        assert "\nfreeroute_records_lost_total 0.0\n" in await gateway.metrics()
    with closing(sqlite3.connect(state / "records.db")) as records:
        assert records.execute("SELECT count(*), count(DISTINCT request_id) FROM receipts").fetchone() == (
            21,
            21,
        )
        assert records.execute("SELECT sum(requests) FROM usage_hourly").fetchone() == (21,)
