"""More callers than there is room for: who makes way, who is told, and what is counted and logged of it."""

import asyncio
import math
import socket

import msgspec
import pytest
from structlog.testing import capture_logs
from uvicorn.server import ServerState

from freeroute.surfaces.bounds import Bounds
from freeroute.surfaces.crowd import AT_THE_DOOR, HEARING, RESTED, TELL_AGAIN, Crowd, TurnedAway
from freeroute.surfaces.http import Request
from freeroute.surfaces.protocol import BoundedProtocol
from freeroute.surfaces.server import server_config
from tests.support.serving import HEAD
from tests.support.virtual import LoopClock, run
from tests.support.wires import Wire

ASK = HEAD + b"\r\n"
HELD = ASK.replace(b"/livez", b"/held")
UNFINISHED = ASK.replace(b"GET", b"POST").replace(b"\r\n\r\n", b"\r\ncontent-length: 9\r\n\r\n") + b"some"

pytestmark = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="nobody counts files there")


class Caller(Wire):
    """A caller and the server's end of its connection, which may lie on a socket."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self.protocol = protocol
        self.opened: socket.socket | None = None
        protocol.connection_made(self)

    def get_extra_info(self, name, default=None):
        return getattr(self, "opened", None) if name == "socket" else default

    async def sends(self, data: bytes) -> None:
        """Have *data* come, and be answered if it can be."""
        self.protocol.data_received(data)
        await asyncio.sleep(1)

    @property
    def status(self) -> int:
        """The status of the one answer that came."""
        return int(b"".join(self.written).split(b" ", 2)[1])


class Room:
    """A server with room for *most* callers, and for some more at its *door*."""

    def __init__(self, most: float, door: int = 1) -> None:
        self.counted: list[str] = []
        self.gate = asyncio.Event()
        self.callers: list[Caller] = []
        self.state = ServerState()
        self.config = server_config(self.app, crowd=Crowd(most + door, LoopClock(), self.counted.append))
        self.config.load()

    async def app(self, scope, receive, send):
        """Answer at ``/held`` once the gate is open, at once anywhere else."""
        if scope["path"] == "/held":
            await self.gate.wait()
        await Request(scope, receive, send).reply(200, b"served")

    async def comes(self, said: bytes = b"") -> Caller:
        """Return one more caller, a second later; who was closed until then is gone."""
        await asyncio.sleep(1)
        caller = self.enters()
        if said:
            await caller.sends(said)
        return caller

    def enters(self) -> Caller:
        """Return one more caller at once."""
        self.leave()
        given = {"config": self.config, "server_state": self.state, "app_state": {}}
        caller = Caller(self.config.http_protocol_class(**given))
        self.callers.append(caller)
        return caller

    def leave(self) -> None:
        """Let the server hear of connections that it has closed."""
        for caller in [one for one in self.callers if one.is_closing()]:
            self.callers.remove(caller)
            caller.protocol.connection_lost(None)


def test_who_has_been_idle_for_longest_makes_way_first():
    async def session():
        room = Room(4)
        silent = await room.comes()
        asked, again, late = [await room.comes(ASK) for _ in range(3)]
        await again.sends(ASK)
        closed = []
        for _ in range(4):
            before = [one for one in room.callers if not one.is_closing()]
            await room.comes(HELD)
            closed += [one for one in before if one.is_closing()]
        assert closed == [silent, asked, late, again]
        assert room.counted == ["idle"] * 4

    run(session())


def test_who_asked_again_since_the_last_look_makes_way_after_those_who_did_not():
    async def session():
        room = Room(3)
        first, second, third = [await room.comes(ASK) for _ in range(3)]
        await room.comes(HELD)
        assert first.is_closing()
        await second.sends(ASK)
        await room.comes(HELD)
        assert third.is_closing()
        assert not second.is_closing()
        await room.comes(HELD)
        assert second.is_closing()

    run(session())


@pytest.mark.parametrize(
    "said",
    [HELD, UNFINISHED, HELD.replace(b"/held", b"/livez") + HEAD, HEAD],
    ids=["answered", "sends a body", "sends the next head", "sends a head"],
)
def test_who_is_in_the_middle_of_something_stays_and_who_comes_is_told(said):
    async def session():
        room = Room(1)
        caller = await room.comes(said)
        told = await room.comes(ASK)
        assert not caller.is_closing()
        assert told.status == 503
        head, _, body = b"".join(told.written).partition(b"\r\n\r\n")
        assert b"\r\nretry-after: 1\r\n" in head
        assert msgspec.json.decode(body)["error"]["code"] == "crowded"
        await told.sends(ASK)
        assert len(told.written) == 1
        assert room.counted == ["new"]
        caller.protocol.connection_lost(None)
        room.callers.remove(caller)
        assert (await room.comes(ASK)).status == 200

    run(session())


@pytest.mark.parametrize("said", [HEAD, ASK + HEAD, b"\r\n"], ids=["first head", "next head", "no head"])
def test_a_head_that_takes_long_makes_way_as_if_nothing_were_sent(said):
    async def session():
        room = Room(2)
        slow, held = await room.comes(said), await room.comes(HELD)
        assert (await room.comes(ASK)).status == 503
        await asyncio.sleep(Bounds().slow_head_seconds)
        assert (await room.comes(ASK)).status == 200
        assert slow.is_closing()
        assert not held.is_closing()

    run(session())


def test_who_was_refused_makes_way_though_it_has_not_left():
    async def session():
        room = Room(1)
        refused = await room.comes(b"no request\r\n\r\n")
        assert refused.status == 400
        assert not refused.is_closing()
        assert (await room.comes(ASK)).status == 200
        assert refused.is_closing()

    run(session())


def test_whoever_has_just_come_or_just_asked_is_not_yet_idle():
    async def session():
        room = Room(2)
        asked = room.enters()
        asked.protocol.data_received(ASK)
        await asyncio.sleep(RESTED / 4)
        new = room.enters()
        await asyncio.sleep(RESTED / 4)
        assert isinstance(room.enters().protocol, TurnedAway)
        await asyncio.sleep(RESTED)
        assert isinstance(room.enters().protocol, BoundedProtocol)
        assert (asked.is_closing(), new.is_closing()) == (True, False)

    run(session())


def test_who_has_not_read_its_answer_is_not_idle():
    async def session():
        room = Room(1)
        caller = await room.comes(ASK)
        caller.unread = 100
        assert (await room.comes(ASK)).status == 503
        caller.unread = 0
        assert (await room.comes(ASK)).status == 200
        assert caller.is_closing()

    run(session())


def test_whose_request_lies_there_unread_is_not_idle():
    async def session():
        room = Room(1)
        ours, theirs = socket.socketpair()
        with ours, theirs:
            caller = await room.comes(ASK)
            caller.opened = ours
            theirs.send(ASK)
            assert (await room.comes(ASK)).status == 503
            assert not caller.is_closing()
            ours.recv(len(ASK))
            assert (await room.comes(ASK)).status == 200
            assert caller.is_closing()

    run(session())


def test_the_door_has_room_for_some_and_the_first_of_them_goes_for_the_next(monkeypatch):
    async def session():
        room = Room(3 * AT_THE_DOOR, AT_THE_DOOR)
        for _ in range(3 * AT_THE_DOOR):
            await room.comes(HELD)
        told, *others = [await room.comes() for _ in range(AT_THE_DOOR)]
        assert not told.is_closing()
        next_one = await room.comes()
        assert told.is_closing()
        assert told.status == 503
        others[0].close()  # by itself
        room.leave()
        await room.comes()
        assert not any(caller.is_closing() for caller in (*others[1:], next_one))
        assert room.counted == ["new"] * (AT_THE_DOOR + 2)

    monkeypatch.setattr("freeroute.surfaces.crowd.HEARING", 1_000.0)
    run(session())


def test_who_says_nothing_at_the_door_is_told_and_let_go_of_after_a_while():
    async def session():
        room = Room(1)
        await room.comes(HELD)
        told = await room.comes()
        await asyncio.sleep(HEARING - 1)
        assert not told.is_closing()
        await asyncio.sleep(2)
        assert told.is_closing()
        assert told.status == 503

    run(session())


def test_the_log_tells_of_it_once_in_a_while_and_how_many_it_were():
    async def session():
        room = Room(1)
        await room.comes(HELD)
        for _ in range(3):
            await room.comes()
        await asyncio.sleep(TELL_AGAIN)
        await room.comes()
        await room.comes()

    with capture_logs() as lines:
        run(session())
    assert [line["connections"] for line in lines] == [1, 3]
    assert {line["event"] for line in lines} == {"callers are turned away: there are too few files"}


def test_where_nobody_counts_files_all_are_let_in():
    async def session():
        room = Room(math.inf)
        callers = [await room.comes() for _ in range(20)]
        assert not any(caller.is_closing() for caller in callers)
        assert not room.counted
        for caller in callers:
            caller.protocol.connection_lost(None)

    run(session())


@pytest.mark.parametrize("files", [0, 1, 2, 4])
def test_however_few_files_there_are_one_caller_is_let_in_and_one_is_told(files):
    async def session():
        room = Room(files, door=0)
        assert (await room.comes(HELD)).protocol in room.state.connections
        assert (await room.comes(ASK)).status in {200, 503}

    run(session())
