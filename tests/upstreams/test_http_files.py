"""The transport where no more files may be open: a lack of ours, and a turn to wait for."""

import asyncio
import resource
import socket

import pytest

from freeroute.engine.ports import Dispatch
from freeroute.open_files import SPARE
from freeroute.upstreams.http_transport import HttpTransport
from freeroute.upstreams.transport import Deadlines, NoFileLeft
from tests.support.exchanges import SHORT, answers, ask, cancelled, whole
from tests.support.files import no_file_left
from tests.support.patience import PATIENCE
from tests.support.servers import serve


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_what_cannot_be_dialled_for_a_lack_of_files_is_told_so_and_was_not_sent(transport, host):
    """A name cannot even be looked up, which systems tell as all sorts of things."""
    dispatch, within = Dispatch(), Deadlines(pool=SHORT)
    async with serve(answers) as server:
        url = f"http://{host}:{server.port}/"
        with no_file_left(), pytest.raises(NoFileLeft):
            await transport.open("POST", url, [], b"", within, dispatch=dispatch)
        assert dispatch.unsent
        assert server.connections == 0
        assert await whole(await transport.open("POST", url, [], b"", within)) == b"ok"


async def test_whoever_finds_no_file_waits_for_one(transport):
    async with serve(answers) as server:
        with no_file_left():
            calls = [asyncio.ensure_future(ask(transport, server, pool=PATIENCE)) for _ in range(3)]
            done, _ = await asyncio.wait(calls, timeout=SHORT)
            assert not done
        assert [await whole(exchange) for exchange in await asyncio.gather(*calls)] == [b"ok"] * 3


async def test_a_connection_that_only_waits_for_its_next_use_makes_way(transport):
    with socket.create_server(("127.0.0.1", 0)) as other:  # which takes nobody in, and needs no file for it
        other.settimeout(PATIENCE)
        async with serve(answers) as server:
            await whole(await ask(transport, server))
            with no_file_left():
                url = f"http://127.0.0.1:{other.getsockname()[1]}/"
                call = asyncio.ensure_future(transport.open("GET", url, [], b"", Deadlines(pool=PATIENCE)))
                await server.finished()
            caller, _ = await asyncio.get_running_loop().run_in_executor(None, other.accept)
            caller.close()
            await cancelled(call)


async def test_connections_that_wait_leave_callers_their_share_of_the_files(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda which: (SPARE / 2 + 4, SPARE))
    transport = HttpTransport()
    async with serve(answers) as first, serve(answers) as second, serve(answers) as third:
        for server in (first, second, third):
            await whole(await ask(transport, server))
        await first.finished()
        assert (len(second.running), len(third.running)) == (1, 1)
        await transport.close()


async def test_whoever_leaves_while_there_is_no_file_holds_up_nobody(transport):
    async with serve(answers) as server:
        with no_file_left():
            leaving, staying = (asyncio.ensure_future(ask(transport, server, pool=PATIENCE)) for _ in "ab")
            await asyncio.wait([leaving, staying], timeout=SHORT)
            await cancelled(leaving)
        assert await whole(await staying) == b"ok"


async def test_trust_that_could_not_be_read_is_read_again(certificates, tmp_path, monkeypatch):
    """OpenSSL says nothing of a bundle that it could not open, and trusts nobody."""
    bundle = tmp_path / "ca.pem"
    bundle.write_bytes(certificates.authority)
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    transport = HttpTransport()
    async with serve(answers, certificates.server) as server:
        with no_file_left(), pytest.raises(NoFileLeft):
            await ask(transport, server, pool=SHORT)
        assert await whole(await ask(transport, server)) == b"ok"
    await transport.close()


async def test_nothing_is_warmed_where_there_is_no_file(transport, certificates):
    async with serve(answers, certificates.server) as server:
        with no_file_left():
            await transport.warm(f"https://localhost:{server.port}/")
        assert server.connections == 0
