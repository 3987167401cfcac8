"""A gateway that stops ends what outlasts its grace with an error in the words of each API."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from msgspec import structs

from tests.contract.openai import OpenAi
from tests.contract.scene import SMART, needs
from tests.contract.speaking import Posted, Question
from tests.faults.scene import Scene
from tests.support.asking import HI, ROLE, event
from tests.support.live import until
from tests.support.provider import raw, silent, sse
from tests.support.serving import RawCaller, stopping

SPEAKS = {"models": [{"id": "large", "capabilities": ["speech"]}]}
Stop = Callable[[], Awaitable[None]]


def written(posted: Posted, length: int | None = None) -> bytes:
    length = len(posted.body) if length is None else length
    lines = [f"POST {posted.path} HTTP/1.1", "host: localhost", f"content-length: {length}"]
    lines += [f"{name}: {value}" for name, value in posted.headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + posted.body


@contextlib.asynccontextmanager
async def asking(scene: Scene, posted: Posted, missing: int = 0) -> AsyncIterator[tuple[RawCaller, Stop]]:
    """Ask a gateway without a grace, on a connection of its own; so many bytes never come."""
    gateway = scene.gateway
    served = stopping(gateway.asgi, gateway.app.gateway.cut_short)
    async with served as (url, stop), RawCaller.to(url) as caller:
        await caller.send(written(posted, len(posted.body) + missing))
        yield caller, stop


async def ended(scene: Scene, log: Callable[[], str], status: int) -> None:
    """Check that the receipt tells the truth, and that the log is calm."""
    last = await scene.gateway.last_request()
    assert (last["status"], last["code"]) == (status, "shutting_down")
    assert [note["kind"] for note in last["attempts"]] == ["shutting_down"]
    told = log()
    assert told.count("the grace is over") == 1
    assert "caller_left" not in told
    assert "ASGI" not in told
    assert "Traceback" not in told


def unchunked(raw: bytes) -> bytes:
    """Return the body that came in chunks; fails if it is not complete."""
    body = b""
    while size := int(raw[: raw.index(b"\r\n")], 16):
        at = raw.index(b"\r\n") + 2
        body += raw[at : at + size]
        raw = raw[at + size + 2 :]
    assert raw == b"0\r\n\r\n"
    return body


async def test_a_whole_call_that_outlasts_the_grace_gets_an_error_to_try_again(play, speaker, log):
    scene = await play(silent)
    async with asking(scene, speaker.post(Question(model=SMART))) as (caller, stop):
        await until(lambda: bool(scene.alpha.busy))
        await stop()
        answer = await caller.answer()
        assert await caller.closed()
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    heard = speaker.hear(answer.status, answer.headers, answer.body, stream=False)
    assert "The gateway is shutting down" in (heard.error or "")
    await ended(scene, log, 503)


async def test_a_stream_that_has_not_begun_by_the_end_of_the_grace_gets_it_too(play, speaker, log):
    needs(speaker, "streams")
    scene = await play(silent)
    async with asking(scene, speaker.post(Question(model=SMART, stream=True))) as (caller, stop):
        await until(lambda: bool(scene.alpha.busy))
        await stop()
        assert (await caller.answer()).status == 503
    await ended(scene, log, 503)


async def test_a_stream_that_outlasts_the_grace_ends_with_an_error_and_its_end(play, speaker, log):
    needs(speaker, "streams", "in-band errors")
    scene = await play(sse(ROLE, HI, then=silent))
    async with asking(scene, speaker.post(Question(model=SMART, stream=True))) as (caller, stop):
        status, headers = await caller.head()
        await stop()
        told = unchunked(await caller.reader.read())
    heard = speaker.hear(status, headers, told, stream=True)
    assert (heard.text, heard.ended) == ("Hi", True)
    assert "The gateway is shutting down" in (heard.error or "")
    await ended(scene, log, 200)


async def test_sound_that_outlasts_the_grace_is_cut_for_it_has_no_words_for_an_error(play, log):
    head = b"HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\ntransfer-encoding: chunked\r\n\r\n"
    scene = await play(raw(head, b"4\r\nRIFF\r\n", then=silent), every=SPEAKS)
    body = b'{"model":"alpha/large","input":"Hello!","voice":"v"}'
    spoken = Posted("/v1/audio/speech", body)
    async with asking(scene, spoken) as (caller, stop):
        status, _ = await caller.head()
        await stop()
        assert (status, await caller.reader.read()) == (200, b"4\r\nRIFF\r\n")
    await ended(scene, log, 200)


async def test_a_caller_that_reads_nothing_holds_up_no_stop(play, log):
    async def flood(peer, request) -> None:
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n", ROLE)
        while True:
            await peer.send(event({"content": "x" * 65_000}))

    scene = await play(flood)
    asked = OpenAi().post(Question(model=SMART, stream=True, limit=4_000_000))
    async with asking(scene, asked) as (caller, stop):
        await caller.head()
        caller.stop_reading()
        await until(lambda: scene.alpha.busy == 1)
        async with asyncio.timeout(2):
            await stop()
    await ended(scene, log, 200)


async def test_a_body_that_is_still_coming_is_waited_for_no_longer(play, speaker, log):
    scene = await play()
    posted = speaker.post(Question(model=SMART))
    posted = structs.replace(posted, headers={**posted.headers, "expect": "100-continue"})
    async with asking(scene, posted, missing=1) as (caller, stop):
        await caller.reader.readuntil(b" 100 Continue\r\n\r\n")
        await stop()
        answer = await caller.answer()
    assert answer.status == 503
    heard = speaker.hear(answer.status, answer.headers, answer.body, stream=False)
    assert "The gateway is shutting down" in (heard.error or "")
    last = await scene.gateway.last_request()
    assert (last["status"], last["code"], last["attempts"]) == (503, "shutting_down", [])
    assert "Traceback" not in log()


async def test_what_waits_behind_an_answer_is_not_begun_any_more(play, log):
    scene = await play(silent)
    posted = OpenAi().post(Question(model=SMART))
    async with asking(scene, posted) as (caller, stop):
        await caller.send(written(posted))
        await until(lambda: bool(scene.alpha.busy))
        await stop()
        assert (await caller.answer()).status == 503
        assert await caller.closed()
    assert len(scene.alpha.calls) == 1
    await ended(scene, log, 503)


async def test_a_stop_within_the_grace_says_nothing(play, log):
    scene = await play()
    async with asking(scene, OpenAi().post(Question(model=SMART))) as (caller, stop):
        assert (await caller.answer()).status == 200
        await stop()
    assert "the grace is over" not in log()
