"""Nothing outlives a benchmark, however it ends."""

import asyncio
import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from bench.bare import Bare, bare
from bench.processes import LOOPBACK, ROOT, chat_request, upstream
from tests.support.patience import PATIENCE

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the benchmarks need Linux")

STUBBORN = (
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); signal.pause()"
)
HOLDING = f"""
import sys
from bench.processes import running
with running([sys.executable, "-c", {STUBBORN!r}], frozenset()) as process:
    process.wait()
"""


def children(pid) -> list[int]:
    """Return descriptors of the processes that *pid* runs: readable once they have ended."""
    return [os.pidfd_open(int(one)) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def has_ended(process) -> bool:
    ended, _, _ = select.select([process], [], [], PATIENCE)
    if not ended:
        signal.pidfd_send_signal(process, signal.SIGKILL)
    os.close(process)
    return bool(ended)


@pytest.mark.parametrize(
    ("number", "times"), [(signal.SIGTERM, 2), (signal.SIGINT, 1)]
)  # 2: as `timeout` does
def test_a_bench_that_is_told_to_end_ends_what_it_runs_and_leaves_nothing(number, times, tmp_path):
    command = [sys.executable, "-m", "bench", "kills", "--kills", "1000"]
    # As a shell starts what it puts into the background: without a heed for SIGINT.
    started = ["env", "--ignore-signal=INT", *command]
    env = {"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path)}
    with subprocess.Popen(started, stderr=subprocess.PIPE, cwd=ROOT, env=env) as bench:
        assert bench.stderr is not None
        assert bench.stderr.readline().startswith(b"1/1000")
        ran = children(bench.pid)
        assert ran
        for _ in range(times):
            bench.send_signal(number)
        assert [process for process in ran if not has_ended(process)] == []
        _, told = bench.communicate(timeout=PATIENCE)
    assert bench.returncode == 130
    assert b"Traceback" not in told
    assert list(tmp_path.iterdir()) == []


def test_what_a_bench_runs_ends_with_it_even_if_it_is_killed():
    command = [sys.executable, "-c", HOLDING]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as bench:
        assert bench.stdout is not None
        assert bench.stdout.readline() == b"up\n"
        ran = children(bench.pid)
        bench.kill()
    assert [has_ended(process) for process in ran] == [True]


def test_the_bare_proxy_ends_when_told_though_a_stream_is_open():
    with upstream(events=10_000, pace=0.1, ports=1) as origin, bare(origin) as target:
        assert target.pid is not None
        process = os.pidfd_open(target.pid)
        with socket.create_connection((LOOPBACK, target.port), timeout=PATIENCE) as caller:
            caller.sendall(chat_request(target.port, "m", stream=True))
            assert caller.recv(65536).startswith(b"HTTP/1.1 200")
            os.kill(target.pid, signal.SIGTERM)
            assert has_ended(process)


async def test_a_stream_through_the_bare_proxy_ends_with_its_upstream():
    async def cut(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        writer.close()

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    heard = []

    async def send(message):
        heard.append(message)

    async with await asyncio.start_server(cut, LOOPBACK, 0) as server, asyncio.timeout(PATIENCE):
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ConnectionError):
            await Bare(port)({"path": "/"}, receive, send)
    assert b"".join(message.get("body", b"") for message in heard) == b"first"
