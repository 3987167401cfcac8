"""A head that comes again is known, and nothing but the time it takes tells whether it was."""

import asyncio
import itertools
import re
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from litestar.types import Receive, Send
from msgspec import structs

from freeroute.domain.clients import Client, hash_key
from freeroute.errors import ApiError
from freeroute.surfaces.access import Access, Policy
from freeroute.surfaces.bounds import Bounds
from freeroute.surfaces.guard import Guard
from freeroute.surfaces.http import BodyBounds, CallerLeft, Request
from freeroute.surfaces.known import KEPT, known_head
from freeroute.surfaces.routes import Route, answering
from freeroute.surfaces.sent import keys_in
from tests.support.clocks import EPOCH, ManualClock
from tests.support.virtual import run
from tests.support.wires import Wire, connected

LINES = b"host: localhost\r\nauthorization: Bearer fr-a\r\n"
BOB = Client("bob", hash_key("sk-bob"))
_OWN_ID = re.compile(rb"req_[0-9a-f]{24}")


def asked(body: bytes = b"{}", *, lines: bytes = LINES, length: bytes | None = None) -> bytes:
    """Return a POST with *lines* in its head, whose length need not be that of its *body*."""
    told = b"%d" % len(body) if length is None else length
    return b"POST /v1/a%%20b?c=d HTTP/1.1\r\n%bContent-Length: %b\r\nx-end: 1\r\n\r\n%b" % (lines, told, body)


async def mirror(scope, receive, send):
    """Tell all that a request says, once its body is there."""
    told = {name: scope[name] for name in ("method", "path", "raw_path", "query_string", "http_version")}
    told |= {"headers": scope["headers"], "state": scope["state"].setdefault("seen", len(scope["state"]))}
    request = Request(scope, receive, send)
    try:
        body = await request.body(BodyBounds())
    except ApiError as error:
        await request.refuse(error)
    except CallerLeft:
        pass
    else:
        await reflect(request, told, body)


async def reflect(request, told, body):
    told |= {"body": body, "fields": request.headers, "key": request.of_head(keys_in).sent}
    await request.reply(200, msgspec.json.encode({name: repr(value) for name, value in told.items()}))


def transcript(reads: list[tuple[bytes, bool]], bounds: Bounds, app=mirror) -> tuple[object, ...]:
    """Return all that becomes of a connection on which these *reads* come, some of which are waited for."""

    async def session() -> tuple[object, ...]:
        wire = Wire()
        protocol, state = await connected(app, wire, bounds)
        for read, waits in reads:
            if wire.is_closing():
                break
            protocol.data_received(read)
            if waits:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.01)
        written = [_OWN_ID.sub(b"", each) for each in wire.written]
        stands = (wire.closed, wire.reading, state.total_requests, len(state.tasks), len(protocol.pipeline))
        await asyncio.sleep(40)  # who waits for more gives up
        ended = (wire.closed, [_OWN_ID.sub(b"", each) for each in wire.written[len(written) :]])
        protocol.connection_lost(None)
        await asyncio.sleep(0.01)
        return (*written, stands, ended, len(state.tasks))

    return run(session())


def test_a_head_that_comes_again_is_not_parsed_again():
    async def session():
        wire = Wire()
        protocol, state = await connected(mirror, wire)
        for body in (b"first", b"more"):
            protocol.data_received(asked(body))
            await asyncio.sleep(1)
        del protocol.parser
        for read in (asked(b"second one"), asked(b"third")[:-3], b"ird", asked(b"")):
            protocol.data_received(read)
            await asyncio.sleep(1)
        assert state.total_requests == len(wire.written) == 5
        return wire.written

    written = run(session())
    for body, reply in zip((b"first", b"more", b"second one", b"third", b""), written, strict=True):
        told = msgspec.json.decode(reply.partition(b"\r\n\r\n")[2])
        assert told["body"] == repr(body)
        assert f"(b'content-length', b'{len(body)}')" in told["headers"]
        assert f"b'content-length': b'{len(body)}'" in told["fields"]
        assert told["state"] == "0"


def test_what_is_found_in_a_head_is_found_once_for_all_that_are_the_same():
    found = []

    async def app(scope, receive, send):
        request = Request(scope, receive, send)
        assert request.of_head(lambda_of) == b"Bearer fr-a"
        await request.reply(200, b"{}")

    def lambda_of(headers):
        found.append(headers[b"content-length"])
        return headers[b"authorization"]

    same = [(asked(b"a" * size), True) for size in range(5)]
    transcript(same, Bounds(), app)
    assert found == [b"0", b"1"]
    other = [(asked(lines=b"x-other: %d\r\n" % size + LINES), True) for size in range(3)]
    transcript([*same, *other, *same], Bounds(), app)
    assert len(found) == 2 + 2 + 3 + 1


def test_what_a_key_opens_is_looked_up_with_each_request_of_a_head_that_is_known():
    clock = ManualClock()
    alice = Client("alice", hash_key("sk-alice"), expires=EPOCH + 60)
    door = Guard(Policy(clients=(alice, BOB)), clock)
    callers = []

    async def tell(request):
        callers.append(request.caller.client)
        await request.reply(200, b"{}")

    route = Route("/v1/a b", {"POST": tell}, Access.CLIENT)

    async def session():
        wire = Wire()
        answer = answering(route, door)
        protocol, _ = await connected(lambda *given: answer(Request(*given)), wire)

        async def asks(key: bytes = b"sk-alice") -> int:
            protocol.data_received(asked(lines=b"host: a\r\nauthorization: Bearer " + key + b"\r\n"))
            await asyncio.sleep(1)
            return int(wire.written[-1].split()[1])

        assert [await asks() for _ in range(4)] == [200] * 4
        revoked = structs.replace(alice, revoked=EPOCH)
        door.policy = Policy(clients=(revoked, BOB))
        assert await asks() == 401
        limited = structs.replace(alice, weight=2.0)
        door.policy = Policy(clients=(limited, BOB))
        assert await asks() == 200
        door.policy = Policy(clients=(structs.replace(limited, key_hash=hash_key("sk-new")), BOB))
        assert [await asks(), await asks(b"sk-new!"), await asks(b"sk-bob")] == [401, 401, 200]
        door.policy = Policy(clients=(alice,))
        assert [await asks(), await asks(), await asks()] == [200] * 3
        clock.advance(61)
        assert await asks() == 401
        return [alice] * 4 + [limited, BOB] + [alice] * 3

    assert run(session()) == callers


def test_who_says_something_else_each_time_is_not_listened_to_for_long():
    async def session():
        protocol, _ = await connected(mirror, Wire())
        known = []
        for number in range(6):
            protocol.data_received(asked(lines=b"x-trace: %d\r\n" % number + LINES))
            known.append(protocol._known is not None)
            await asyncio.sleep(1)
        return known

    assert run(session()) == [False, True, True, True, True, False]


@pytest.mark.parametrize(
    "head",
    [
        asked(lines=LINES + b"transfer-encoding: chunked\r\n"),
        asked(lines=LINES + b"Expect: 100-continue\r\n"),
        asked(lines=LINES + b"upgrade: h2c\r\n"),
        asked(lines=LINES + b"accept: a\r\naccept: b\r\n"),
        asked(lines=LINES + b"x-long: " + b"a" * 2000 + b"\r\n"),
        asked(length=b""),
        asked(length=b"x"),
        b"\r\n" + asked(),
        b"\r\n\r\n" + asked(),
        asked().replace(b"x-end: 1\r\n", b""),
        b"",
    ],
)
def test_an_unusual_head_is_not_known_again(head):
    headers = [
        (name.lower(), value)
        for name, _, value in (line.partition(b": ") for line in head.strip().split(b"\r\n")[1:-2])
    ]
    if b"x-end" not in head:
        headers.append((b"x-end", b"1"))
    assert known_head(head, headers, dict(headers), Bounds()) is None


_HEADS = st.one_of(
    st.just(LINES),
    st.sampled_from(
        [
            LINES.replace(b"fr-a", b"fr-b"),
            LINES.replace(b"fr-a", b"FR-A"),
            LINES.replace(b"host", b"Host"),
            LINES + b"x-trace: 1\r\n",
            LINES + b"X-Api-Key: fr-a\r\n",
            LINES + b"Content-Length: 2\r\n",
            LINES + b"connection: close\r\n",
            LINES + b"connection: keep-alive\r\n",
            LINES + b"connection: upgrade\r\nupgrade: h2c\r\n",
            LINES + b"upgrade: websocket\r\n",
            LINES + b"expect: 100-continue\r\n",
            LINES + b"transfer-encoding: chunked\r\n",
            LINES + b"x-fold: a\r\n b\r\n",
            LINES + b"x-fold: a\r\n\tContent-Length: 3\r\n",
            LINES + b"x-long: " + b"a" * 1500 + b"\r\n",
            LINES + b"x-longer: " + b"a" * 3000 + b"\r\n",
            LINES.replace(b"\r\n", b"\n"),
            LINES.replace(b"\r\n", b"\r"),
        ]
    ),
)
_BODIES = st.one_of(
    st.sampled_from(
        [b"{}", b"", asked(), asked(lines=b""), b"\r\n\r\n", b"2\r\n{}\r\n0\r\n\r\n", b"a" * 3000]
    ),
    st.binary(max_size=20),
)
_LENGTHS = st.sampled_from(
    [
        *(b"0", b"1", b"2", b"3", b"150", b"02", b"00000000000000000002", b"99999999999999"),
        *(b"18446744073709551616", b"", b"+2", b"-2", b" 2", b"2 ", b"2 3", b"2,2", b"0x2", b"2\n", b"2\r"),
        *(b"2\r\nContent-Length: 2", b"2\r\n 2"),
    ]
)
_ASKED = st.one_of(
    st.builds(asked),
    st.builds(asked, _BODIES),
    st.builds(asked, _BODIES, lines=_HEADS),
    st.builds(lambda body, length: asked(body, length=length), _BODIES, _LENGTHS),
    st.sampled_from(
        [
            b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\n\r\n",
            b"\r\n",
            b"\r",
            asked(b"").replace(b"HTTP/1.1", b"HTTP/1.0"),
            asked().replace(b"/v1/", b"http://other/v1/"),
            asked().replace(b"POST", b"PUT"),
            asked().replace(b"\r\n", b"\n"),
        ]
    ),
)


@st.composite
def reads(draw) -> list[tuple[bytes, bool]]:
    """Return what a caller sends, most of it alike, one by one or together, whole or cut anywhere."""
    sent = [(asked(), True), (asked(), True)]
    for _ in range(draw(st.integers(1, 5))):
        data = draw(_ASKED) if draw(st.integers(0, 2)) == 2 else asked(draw(_BODIES))
        cuts = draw(st.one_of(st.just([]), st.lists(st.integers(1, len(data)), max_size=3)))
        places = [0, *sorted(cuts), len(data)]
        pieces = [data[a:b] for a, b in itertools.pairwise(places) if a < b]
        if draw(st.integers(0, 3)) == 0:  # together with what was sent before
            sent[-1] = (sent[-1][0] + pieces.pop(0), sent[-1][1])
        sent += [(each, draw(st.integers(0, 3)) > 0) for each in pieces]
    return sent


@settings(max_examples=200, deadline=None)
@given(reads())
def test_a_connection_that_knows_heads_does_what_one_does_that_parses_them_all(given):
    assert transcript(given, Bounds()) == transcript(given, Bounds(known_bytes=0))


@settings(max_examples=100, deadline=None)
@given(reads(), st.integers(0, 60), st.integers(3, 6))
def test_its_bounds_are_the_same(given, more, headers):
    head_bytes = len(asked(b"")) - 40 + more
    bounds = Bounds(head_bytes=head_bytes, headers=headers, linger_bytes=1000, behind=2)
    parsing = Bounds(head_bytes=head_bytes, headers=headers, linger_bytes=1000, behind=2, known_bytes=0)
    assert transcript(given, bounds) == transcript(given, parsing)


def hasty(scope, receive, send):
    """Answer before the body is there."""
    return Request(scope, receive, send).reply(200, b"{}")


@settings(max_examples=100, deadline=None)
@given(reads())
def test_a_body_that_nobody_reads_makes_no_difference(given):
    assert transcript(given, Bounds(), hasty) == transcript(given, Bounds(known_bytes=0), hasty)


def test_a_scope_without_what_was_found_before_is_looked_at_each_time():
    scope: Any = {"type": "http", "method": "GET", "headers": [(b"x-api-key", b"a")]}
    request = Request(scope, cast("Receive", None), cast("Send", None))
    assert KEPT not in request.scope
    assert request.of_head(keys_in).sent == "a"
