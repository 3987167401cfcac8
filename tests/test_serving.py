"""A gateway in a process of its own, from its start until it has stopped."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.asking import HI, ROLE
from tests.support.live import until
from tests.support.patience import PATIENCE
from tests.support.provider import PlayedProvider, either, silent, sse
from tests.support.servers import serve
from tests.support.serving import HI as HELLO
from tests.support.serving import STREAM, RawCaller, post

ROOT = Path(__file__).parents[1]
# Without a grace, and otherwise as `freeroute serve` does.
SERVE = """
from freeroute.app import ServeOptions
from freeroute.commands.serve import stop_at_sigterm
from freeroute.config.load import Overrides
from freeroute.serving import serve

stop_at_sigterm()
wanted = ServeOptions(overrides=Overrides(port=0, log_format="json"))
serve(wanted, lambda started: print(started.url, flush=True), lambda *local: None, grace=0)
"""
SETTINGS = """
discovery: {{env: false, local: false}}
providers:
  own: {{base_url: {url}, keys: [sk-own], models: [{{id: m}}]}}
"""


@contextlib.asynccontextmanager
async def gateway(directory: Path) -> AsyncIterator[Process]:
    """Run a gateway with the settings in *directory*; it is ended on the way out."""
    env = {"PATH": os.environ["PATH"], "HOME": str(directory), "PYTHONPATH": str(ROOT)}
    started = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVE, cwd=directory, env=env, stdout=PIPE, stderr=PIPE
    )
    try:
        yield started
    finally:
        if started.returncode is None:
            started.kill()
            await started.communicate()


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
@pytest.mark.parametrize(("asked", "status"), [(HELLO, 503), (STREAM, 200)], ids=["whole", "streamed"])
async def test_a_stop_tells_the_caller_and_the_log_that_it_was_the_gateway(tmp_path, asked, status):
    provider = PlayedProvider(either(silent, sse(ROLE, HI, then=silent)))
    async with serve(provider) as server, asyncio.timeout(PATIENCE):
        (tmp_path / "freeroute.yaml").write_text(SETTINGS.format(url=server.url("/v1")))
        async with gateway(tmp_path) as started:
            assert started.stdout is not None
            url = (await started.stdout.readline()).decode().strip().replace("localhost", "127.0.0.1")
            async with RawCaller.to(url) as caller:
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
