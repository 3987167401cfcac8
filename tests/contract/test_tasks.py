"""What every task other than chat has to keep: the same loop, limits, records and errors, on real sockets."""

import json
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from tests.contract.tasks import SOUND, TASKS, Asked
from tests.faults.scene import Scene
from tests.support.live import until
from tests.support.provider import Reply, closed, error, raw, refusing, reset, silent, sse, whole
from tests.support.serving import RawCaller

CLIENTS = [
    {"name": "alice", "key": "fr-alice", "requests_per_minute": 1},
    {"name": "bob", "key": "fr-bob", "models": ["beta/*"]},
]
FAULT = refusing(b"500 Oops", b'{"error":{"message":"broken"}}')


@pytest.fixture(params=TASKS, ids=lambda task: task.path.rpartition("/v1/")[2])
def task(request) -> Asked:
    return request.param


def able(*capabilities: str, **facts: Any) -> dict[str, Any]:
    return {"models": [{"id": "large", "capabilities": list(capabilities), **facts}]}


class Desk:
    """One caller of a task, and the last reply."""

    def __init__(self, scene: Scene, task: Asked) -> None:
        self.scene = scene
        self.task = task
        self.status = 0
        self.headers: Mapping[str, str] = {}
        self.body = b""

    async def ask(self, headers: dict[str, str] | None = None, **more: Any) -> bytes:
        posted = self.task.post(**more)
        reply = await self.scene.gateway.http.post(
            posted.path, content=posted.body, headers={**posted.headers, **(headers or {})}
        )
        self.status, self.headers, self.body = reply.status_code, reply.headers, reply.content
        return reply.content

    @property
    def error(self) -> dict[str, Any]:
        return json.loads(self.body)["error"]


@pytest.fixture
def desk(play, task):
    async def open_desk(first: Reply | None = None, second: Reply | None = None, **given: Any) -> Desk:
        facts = {**able(task.capability), **given.pop("every", {})}
        scene = await play(first or task.answer, beta=second or task.answer, every=facts, **given)
        return Desk(scene, task)

    return open_desk


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


async def test_what_is_asked_reaches_the_provider_and_what_it_answers_the_caller(desk, task):
    at = await desk()
    assert task.is_told(await at.ask())
    assert at.status == 200
    assert at.headers["x-freeroute-provider"] == "alpha"
    sent = at.scene.alpha.calls[-1]
    assert sent.line == f"POST {task.path} HTTP/1.1"
    assert b'"order"' not in sent.body
    if task.form:
        assert SOUND in sent.body
        assert b'name="model"\r\n\r\nlarge\r\n' in sent.body
    else:
        assert {name: json.loads(sent.body)[name] for name in task.asked} == task.asked


async def test_a_model_is_called_by_the_name_its_provider_has_for_it(desk, task):
    at = await desk()
    await at.ask(model="alpha/large")
    assert b"alpha/large" not in at.scene.alpha.calls[-1].body


async def test_fields_that_nobody_knows_reach_the_provider(desk, task):
    at = await desk()
    assert task.is_told(await at.ask(invented_tomorrow="yes"))
    assert b"invented_tomorrow" in at.scene.alpha.calls[-1].body


async def test_a_fault_of_a_provider_is_not_seen(desk, task):
    at = await desk(FAULT)
    assert task.is_told(await at.ask())
    assert at.headers["x-freeroute-provider"] == "beta"
    assert at.headers["x-freeroute-trail"] == "alpha/large=fault:500"


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (whole(b"<html>hello</html>", kind=b"text/html"), "garbage"),
        (whole(b"{"), "garbage"),
        (whole(b"{}"), "garbage"),
        (whole(error("broken")), "fault"),
        (refusing(b"429 Slow down", error("slow down")), "rate_limited:429"),
        (refusing(b"404 Not Found", error("no such model", "model_not_found")), "model_gone:404"),
        (refusing(b"401 No", error("wrong key")), "key_invalid:401"),
    ],
)
async def test_what_is_no_answer_is_not_passed_on(desk, task, reply, kind):
    at = await desk(reply)
    assert task.is_told(await at.ask())
    assert at.headers["x-freeroute-provider"] == "beta"
    assert at.headers["x-freeroute-trail"].startswith(f"alpha/large={kind}")


async def test_a_request_that_two_providers_refuse_is_refused(desk, task):
    wrong = refusing(b"400 Bad Request", error("that cannot be done"))
    at = await desk(wrong, wrong)
    await at.ask()
    assert at.status == 400
    assert "that cannot be done" in at.error["message"]


async def test_when_nobody_can_answer_that_is_told(desk):
    at = await desk(FAULT, FAULT)
    await at.ask()
    assert (at.status, at.error["code"]) == (502, "upstream_failed")


async def test_when_all_is_spent_it_is_told_when_to_come_back(desk, task):
    limits = [{"unit": "requests", "amount": 1, "per": "minute"}]
    at = await desk(every={"limits": limits})
    for _ in range(2):
        assert task.is_told(await at.ask())
    await at.ask({"x-freeroute-max-wait": "0"})
    assert (at.status, at.error["code"]) == (429, "capacity_exhausted")
    assert 55 <= int(at.headers["retry-after"]) <= 61


async def test_a_client_over_its_own_limit_is_told_when_to_come_back(desk, task):
    at = await desk(clients=CLIENTS)
    assert task.is_told(await at.ask(bearer("fr-alice")))
    await at.ask({**bearer("fr-alice"), "x-freeroute-max-wait": "0"})
    assert (at.status, at.error["code"]) == (429, "rate_limit_exceeded")
    assert "alice" in at.error["message"]


async def test_who_has_no_key_is_not_let_in(desk):
    at = await desk(clients=CLIENTS)
    await at.ask(bearer("fr-nobody"))
    assert at.status == 401
    assert not at.scene.alpha.calls


async def test_a_client_is_kept_to_its_models(desk, task):
    at = await desk(clients=CLIENTS)
    await at.ask(bearer("fr-bob"))
    assert at.status == 403
    assert task.is_told(await at.ask(bearer("fr-bob"), model="beta/large"))


async def test_a_model_for_chat_is_not_asked(desk, task):
    at = await desk(alpha=able("tools"))
    await at.ask(model="alpha/large")
    assert (at.status, at.error["code"]) == (400, "unsupported_capability")
    assert f"no {task.capability}" in at.error["message"]


async def test_its_model_is_never_asked_to_chat(desk, task):
    at = await desk()
    asked = {"model": "large", "messages": [{"role": "user", "content": "Hello!"}]}
    for name, status in (("large", 400), ("free", 503)):
        reply = await at.scene.gateway.http.post("/v1/chat/completions", json={**asked, "model": name})
        assert reply.status_code == status
    assert not at.scene.alpha.calls


async def test_where_nobody_does_it_that_says_who_would(play, task):
    at = Desk(await play(), task)
    await at.ask()
    assert (at.status, at.error["code"]) == (404, "model_not_found")
    assert f"capabilities: [{task.capability}]" in at.error["message"]
    assert not at.scene.alpha.calls


async def test_a_model_that_nobody_has_is_not_found(desk):
    at = await desk()
    await at.ask(model="larg")
    assert at.status == 404
    assert "there is large" in at.error["message"]


async def test_what_was_asked_is_recorded(desk, task):
    at = await desk(clients=CLIENTS)
    await at.ask(bearer("fr-alice"))
    last = await at.scene.gateway.last_request()
    assert (last["surface"], last["model"], last["status"]) == (task.surface, "large", 200)
    assert (last["client"], last["code"]) == ("alice", None)
    assert last["tokens"]["completion"] == 0
    if task.tokens is not None:
        assert last["tokens"]["prompt"] == task.tokens


async def test_a_caller_that_leaves_ends_the_call(desk, task):
    at = await desk(silent)
    posted = task.post()
    async with RawCaller.to(at.scene.gateway.url) as caller:
        lines = [f"POST {posted.path} HTTP/1.1", "host: localhost", f"content-length: {len(posted.body)}"]
        lines += [f"{name}: {value}" for name, value in posted.headers.items()]
        await caller.send("\r\n".join([*lines, "", ""]).encode() + posted.body)
        await until(lambda: bool(at.scene.alpha.busy))
        caller.leave()
        await until(lambda: not at.scene.alpha.busy)
    await until(lambda: at.scene.gateway.app.gateway.in_flight == 0)
    last = await at.scene.gateway.last_request()
    assert (last["surface"], last["code"]) == (task.surface, "caller_left")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff", b"--xyz\r\n\r\n", b"[" * 100_000])
async def test_what_cannot_be_read_is_refused(desk, task, body):
    at = await desk()
    posted = task.post()
    reply = await at.scene.gateway.http.post(posted.path, content=body, headers=posted.headers)
    assert reply.status_code == 400
    assert reply.json()["error"]["message"]
    assert not at.scene.alpha.calls


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (error("broken"), "fault"),
        (error("slow down", "rate_limit_exceeded"), "rate_limited"),
        (b' {"detail": "no"}', "fault"),
        (b'{"status": 1}', "garbage"),
        (b"{}", "garbage"),
        (b"\n<!DOCTYPE html><p>Oops", "garbage"),
        (b"<html>", "garbage"),
        (b"<?xml version='1.0'?><Error/>", "garbage"),
    ],
)
async def test_what_claims_to_be_a_sound_and_is_none_is_not_told(play, body, kind):
    [task] = [task for task in TASKS if task.path.endswith("speech")]
    wrong = whole(body, kind=b"audio/mpeg")
    at = Desk(await play(wrong, beta=task.answer, every=able("speech")), task)
    assert task.is_told(await at.ask())
    assert at.headers["x-freeroute-trail"].startswith(f"alpha/large={kind}")


@pytest.mark.parametrize("body", [b"{\x00\x01", b"<\x00html", b"{", b"<htmlish", b"\n\n"])
async def test_a_sound_may_begin_with_any_byte(play, body):
    [task] = [task for task in TASKS if task.path.endswith("speech")]
    at = Desk(await play(whole(body, kind=b"audio/pcm"), every=able("speech")), task)
    assert await at.ask() == body
    assert at.headers["x-freeroute-provider"] == "alpha"


@pytest.mark.parametrize(
    ("picture", "is_one"),
    [
        ({"b64_json": "iVBORw0KGgo="}, True),
        ({"b64_json": "iVBO\nRw0K"}, True),
        ({"b64_json": "data:image/png;base64,iVBORw0KGgo="}, True),
        ({"b64_json": "AA" * 1000}, True),
        ({"url": "https://pictures.example/1.png"}, True),
        ({"b64_json": None, "url": "data:image/png;base64,AAAA"}, True),
        ({"b64_json": "<html>"}, False),
        ({"b64_json": "{}"}, False),
        ({"b64_json": ""}, False),
        ({"b64_json": "===="}, False),
        ({"b64_json": 5}, False),
        ({"b64_json": "data:image/png;base64,"}, False),
        ({"url": "<html>"}, False),
        ({"url": ""}, False),
        ({"url": {}}, False),
        ({"revised_prompt": "a cat"}, False),
    ],
)
async def test_what_is_no_picture_is_not_told(play, picture, is_one):
    [task] = [task for task in TASKS if task.path.endswith("generations")]
    told = whole(json.dumps({"created": 1, "data": [picture]}).encode())
    at = Desk(await play(told, beta=task.answer, every=able("image_output")), task)
    await at.ask()
    assert at.status == 200
    assert at.headers["x-freeroute-provider"] == ("alpha" if is_one else "beta")


@pytest.mark.parametrize("then", [closed, reset])
async def test_a_sound_that_breaks_off_has_no_end(play, then):
    [task] = [task for task in TASKS if task.path.endswith("speech")]
    head = b"HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\ntransfer-encoding: chunked\r\n\r\n"
    at = Desk(await play(raw(head, b"4\r\nRIFF\r\n", then=then), every=able("speech")), task)
    with pytest.raises(httpx.RemoteProtocolError):
        await at.ask()
    last = await at.scene.gateway.last_request()
    assert (last["status"], last["code"]) == (200, "truncated")


STREAMED = b'event: transcript.text.delta\ndata: {"type":"transcript.text.delta","delta":"Hi"}\n\n'


@pytest.fixture
def heard() -> Asked:
    return next(task for task in TASKS if task.path.endswith("transcriptions"))


async def test_a_stream_of_another_api_travels_as_it_comes(play, heard):
    done = b'event: transcript.text.done\ndata: {"type":"transcript.text.done","text":"Hi"}\n\n'
    at = Desk(await play(sse(STREAMED, done), every=able("transcription")), heard)
    assert await at.ask(stream="true") == STREAMED + done
    assert at.headers["content-type"].startswith("text/event-stream")
    last = await at.scene.gateway.last_request()
    assert (last["status"], last["code"], last["stream"]) == (200, None, True)


async def test_such_a_stream_that_breaks_off_ends_with_an_error(play, heard):
    at = Desk(await play(sse(STREAMED, then=reset), every=able("transcription")), heard)
    body = await at.ask(stream="true")
    assert body.startswith(STREAMED)
    told = body.removeprefix(STREAMED).decode()
    assert told.startswith("\n\nevent: error\ndata: ")
    assert json.loads(told.partition("data: ")[2])["error"]["code"] == "upstream_failed"


async def test_such_a_stream_that_begins_with_an_error_is_not_told(play, heard):
    wrong = b'data: {"error":{"message":"overloaded","code":503}}\n\n'
    at = Desk(await play(sse(wrong), beta=heard.answer, every=able("transcription")), heard)
    assert heard.is_told(await at.ask(stream="true"))
    assert at.headers["x-freeroute-trail"].startswith("alpha/large=")


@pytest.mark.parametrize(
    ("form", "kind"), [("text", "text/plain"), ("srt", "text/plain"), ("vtt", "text/vtt")]
)
async def test_a_transcript_may_be_plain_text(play, heard, form, kind):
    at = Desk(await play(whole(b"Hello!\n", kind=b"text/plain"), every=able("transcription")), heard)
    assert await at.ask(response_format=form) == b"Hello!\n"
    assert at.headers["content-type"] == f"{kind}; charset=utf-8"


async def test_a_transcript_may_begin_as_json_does(play, heard):
    at = Desk(await play(whole(b"{laughs} Hello!", kind=b"text/plain"), every=able("transcription")), heard)
    assert await at.ask(response_format="text") == b"{laughs} Hello!"


async def test_an_error_that_claims_to_be_a_text_is_no_transcript(play, heard):
    told = whole(error("broken"), kind=b"text/plain")
    at = Desk(await play(told, beta=heard.answer, every=able("transcription")), heard)
    await at.ask(response_format="text")
    assert at.headers["x-freeroute-provider"] == "beta"


async def test_what_is_not_to_be_plain_text_is_none(play, heard):
    at = Desk(await play(whole(b"Hello!\n"), beta=heard.answer, every=able("transcription")), heard)
    assert heard.is_told(await at.ask(response_format="verbose_json"))
    assert at.headers["x-freeroute-provider"] == "beta"


@pytest.mark.parametrize(
    ("more", "param"),
    [({"stream": "maybe"}, "stream"), ({"response_format": "mp3"}, "response_format")],
)
async def test_a_wrong_field_of_a_form_is_named(play, heard, more, param):
    at = Desk(await play(every=able("transcription")), heard)
    await at.ask(**more)
    assert (at.status, at.error["param"]) == (400, param)


async def test_a_form_without_a_file_is_refused(play, heard):
    at = Desk(await play(every=able("transcription")), heard)
    posted = heard.post()
    body = posted.body.replace(b'name="file"', b'name="elif"')
    reply = await at.scene.gateway.http.post(posted.path, content=body, headers=posted.headers)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "file")
