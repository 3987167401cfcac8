"""A gateway in a process of its own, from its start until it has stopped."""

import asyncio
import json
import signal
import sys

import pytest

from tests.support.asking import HI, ROLE
from tests.support.live import until
from tests.support.patience import PATIENCE
from tests.support.processes import gateway, url_of
from tests.support.provider import PlayedProvider, either, silent, sse
from tests.support.servers import serve
from tests.support.serving import HI as HELLO
from tests.support.serving import STREAM, RawCaller, post


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
@pytest.mark.parametrize(("asked", "status"), [(HELLO, 503), (STREAM, 200)], ids=["whole", "streamed"])
async def test_a_stop_tells_the_caller_and_the_log_that_it_was_the_gateway(tmp_path, asked, status):
    provider = PlayedProvider(either(silent, sse(ROLE, HI, then=silent)))
    async with (
        asyncio.timeout(PATIENCE),
        serve(provider) as server,
        gateway(tmp_path, server.url("/v1")) as started,
    ):
        async with RawCaller.to(await url_of(started)) as caller:
            await caller.send(post(asked))
            told = await caller.reader.readuntil(HI) if asked is STREAM else b""
            await until(lambda: provider.busy == 1)
            started.send_signal(signal.SIGTERM)
            told += await caller.reader.read()
        _, log = await started.communicate()
    assert told.startswith(b"HTTP/1.1 %d " % status)
    assert b"The gateway is shutting down" in told
    assert started.returncode == 0
    lines = [json.loads(line) for line in log.splitlines()]
    [request] = [line for line in lines if line["event"] == "request"]
    assert (request["status"], request["code"]) == (status, "shutting_down")
    assert [line["event"] for line in lines].count("answers cut short, the grace is over") == 1
