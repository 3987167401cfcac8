"""Faults of the way there and of HTTP itself: nothing a caller has to know of."""

import pytest

from tests.faults.scene import ANSWER, PROMPT, ROOMY, VAST, Stand, suspect
from tests.support.asking import COUNTED, DONE, HI, ROLE, STOP, WHOLE
from tests.support.live import PATIENT
from tests.support.provider import ANSWERED, ANSWERS, either, raw, reset, silent, sse, whole
from tests.support.servers import Certificates, Peer, Request, serve

UNREACHABLE = Stand((0, 0), "resting", "provider is resting after failures", None, "open")
HASTY = {**PATIENT, "connect": "100ms"}
STREAM = ROLE + HI + STOP + COUNTED + DONE
SSE_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
JSON_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"


# --- no connection -----------------------------------------------------------------------------------------


async def test_a_refused_connection_rests_the_provider_and_costs_no_quota(play, stream, closed_port):
    scene = await play(alpha={"base_url": f"http://127.0.0.1:{closed_port}/v1"})
    assert await scene.moves_on(stream, "unreachable") == UNREACHABLE


async def test_a_name_that_does_not_resolve_rests_the_provider_and_costs_no_quota(play, stream):
    scene = await play(alpha={"base_url": "http://nowhere.invalid/v1"})
    assert await scene.moves_on(stream, "unreachable") == UNREACHABLE
    assert (await scene.gateway.provider("alpha")).told["last_error"]["detail"] == "name does not resolve"


async def test_a_certificate_that_is_not_trusted_gets_no_request(play, stream):
    scene = await play(tls=Certificates().server)
    assert await scene.moves_on(stream, "unreachable") == UNREACHABLE
    assert not scene.alpha.calls
    told = (await scene.gateway.provider("alpha")).told["last_error"]["detail"]
    assert told == "TLS handshake or certificate failed"


async def test_a_server_without_tls_where_tls_is_spoken_gets_no_request(play, stream):
    scene = await play(alpha={"base_url": "https://127.0.0.1:PORT/v1", "timeouts": HASTY})
    assert await scene.moves_on(stream, "unreachable") == UNREACHABLE


# --- no answer ---------------------------------------------------------------------------------------------


async def test_a_connection_reset_before_the_head_counts_as_asked(play, stream):
    scene = await play(raw(then=reset))
    assert await scene.moves_on(stream, "disconnected") == suspect(1, PROMPT)
    assert len(scene.alpha.calls) == 1  # it may have been counted: no second one there


async def test_a_connection_closed_within_the_head_counts_as_asked(play, stream):
    scene = await play(raw(b"HTTP/1.1 200 OK\r\ncontent-ty"))
    assert await scene.moves_on(stream, "disconnected") == suspect(1, PROMPT)


async def test_an_answer_before_the_question_was_read_is_the_answer(play):
    """As proxies refuse what is too large for them."""

    async def hasty(peer: Peer) -> None:
        await peer.read()
        await peer.answer(b"<html>Too Large</html>", status=b"413 Payload Too Large")
        await peer.gone()

    async with serve(hasty) as server:
        scene = await play(alpha={"base_url": server.url("/v1")}, every=ROOMY)
        reply = await scene.ask(messages=VAST)
    assert (reply.by, reply.raw, reply.trail) == ("beta", ANSWERED[False], "alpha/large=too_large:413")
    assert await scene.stands() == Stand((1, 0))


async def test_bytes_after_an_answer_are_nobodys_answer(play, stream):
    """Neither the next call's on the same connection nor anything of this one's."""
    stray = _framed(stream).replace(b"Hi", b"No")
    scene = await play(raw(_framed(stream) + stray, then=silent), ANSWERS)
    for _ in range(3):
        reply = await scene.ask(stream)
        assert (reply.status, reply.by, reply.raw) == (200, "alpha", ANSWERED[stream])
    assert await scene.stands() == Stand((3, 3 * ANSWER))


async def test_a_pooled_connection_that_died_unused_is_replaced_and_costs_nothing(play, stream):
    scene = await play(raw(_framed(stream)))  # closed after each answer, without having said so
    for _ in range(3):
        reply = await scene.ask(stream)
        assert (reply.status, reply.by, reply.raw) == (200, "alpha", ANSWERED[stream])
    assert await scene.stands() == Stand((3, 3 * ANSWER))
    assert len(scene.alpha.calls) == 3


async def test_a_connection_serves_call_after_call(play, stream):
    scene = await play()
    for _ in range(3):
        assert (await scene.ask(stream)).raw == ANSWERED[stream]
    assert scene.servers["alpha"].connections == 1
    assert await scene.stands() == Stand((3, 3 * ANSWER))


# --- HTTP that is none -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"HTTP/1.1 two-hundred OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx-long: " + b"y" * 70_000 + b"\r\ncontent-length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"x-%d: y\r\n" % n for n in range(400)) + b"\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        JSON_HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\nno\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
    ],
    ids=[
        "ssh",
        "no_number",
        "long_head",
        "many_headers",
        "two_lengths",
        "two_framings",
        "no_chunks",
        "upgrade",
    ],
)
async def test_what_is_not_http_as_we_know_it_is_garbage(play, stream, answer):
    scene = await play(raw(answer))
    reply = await scene.ask(stream)
    assert (reply.status, reply.by, reply.raw) == (200, "beta", ANSWERED[stream])
    assert reply.trail.startswith("alpha/large=garbage")
    assert await scene.stands() == suspect(1, PROMPT)


@pytest.mark.parametrize("interim", [b"100 Continue", b"103 Early Hints"])
async def test_interim_answers_are_passed_over(play, stream, interim):
    scene = await play(raw(b"HTTP/1.1 " + interim + b"\r\n\r\n", _framed(stream)))
    await scene.serves(stream)
    assert await scene.stands() == Stand((1, ANSWER))


async def test_a_success_without_content_is_empty_and_moves_on(play, stream):
    scene = await play(raw(b"HTTP/1.1 204 No Content\r\n\r\n"))
    ending = "empty:204" if stream else "garbage:204"
    assert await scene.moves_on(stream, ending) == suspect(1, PROMPT)


async def test_an_answer_of_http_1_0_ends_with_its_connection(play, stream):
    kind, body = (b"text/event-stream", STREAM) if stream else (b"application/json", WHOLE)
    scene = await play(raw(b"HTTP/1.0 200 OK\r\ncontent-type: " + kind + b"\r\n\r\n" + body))
    await scene.serves(stream)
    assert await scene.stands() == Stand((1, ANSWER))


async def test_headers_given_twice_harm_nothing(play, stream):
    twice = (b"content-type: text/plain", b"x-ratelimit-remaining-requests: 5", b"retry-after: 1") * 2
    scene = await play(either(whole(WHOLE, *twice), sse(ROLE, HI, STOP, COUNTED, DONE, headers=twice)))
    await scene.serves(stream)
    assert await scene.stands() == Stand((1, ANSWER))


async def test_cookies_and_headers_of_a_provider_stay_here(play, stream):
    own = (b"set-cookie: a=b; path=/", b"x-internal: 10.0.0.7", b"server: acme", b"x-request-id: theirs")
    scene = await play(either(whole(WHOLE, *own), sse(ROLE, HI, STOP, COUNTED, DONE, headers=own)))
    for _ in range(2):
        reply = await scene.serves(stream)
        assert not {"set-cookie", "x-internal", "server"} & set(reply.headers)
        assert reply.headers["x-request-id"] != "theirs"
    assert ["cookie" in call.headers for call in scene.alpha.calls] == [False, False]
    assert await scene.stands() == Stand((2, 2 * ANSWER))


@pytest.mark.parametrize("status", [b"301 Moved Permanently", b"302 Found", b"307 Temporary Redirect"])
async def test_a_redirect_is_never_followed_and_rests_the_address(play, stream, status):
    async def redirecting(peer: Peer, request: Request) -> None:
        elsewhere = b"location: http://" + request.headers["host"].encode() + b"/elsewhere"
        await peer.answer(b"", elsewhere, status=status)

    scene = await play(redirecting)
    told = "nothing answers at this address: check base_url"
    ending = f"redirected:{status[:3].decode()}"
    assert await scene.moves_on(stream, ending) == Stand((1, 0), "held", told, 300.0)
    assert len(scene.alpha.calls) == 1


def _framed(stream: bool) -> bytes:
    if not stream:
        return JSON_HEAD + b"content-length: %d\r\n\r\n" % len(WHOLE) + WHOLE
    return SSE_HEAD + b"content-length: %d\r\n\r\n" % len(STREAM) + STREAM
