"""What is counted, refused and recorded is the same, whichever API it is asked in."""

import pytest

from tests.contract.openai import OpenAi
from tests.contract.scene import SMART, Talk, needs
from tests.contract.speaking import Question
from tests.support.asking import HI, ROLE
from tests.support.live import until
from tests.support.provider import either, refusing, reset, silent, sse
from tests.support.serving import RawCaller

CLIENTS = [
    {"name": "alice", "key": "fr-alice", "requests_per_minute": 1},
    {"name": "bob", "key": "fr-bob", "models": ["beta/*"]},
]
ONE_A_MINUTE = {"limits": [{"unit": "requests", "amount": 1, "per": "minute"}]}
FAULT = refusing(b"500 Oops", b'{"error":{"message":"broken"}}')


async def test_a_client_over_its_own_limit_is_told_when_to_come_back(play, speaker, stream):
    talk = Talk(await play(clients=CLIENTS), speaker)
    headers = speaker.key("fr-alice")
    assert (await talk.ask(headers, stream=stream)).text == "Hi"
    talk.scene.clock.advance(20)
    heard = await talk.ask(headers, stream=stream)
    assert talk.status == 429
    assert talk.headers["retry-after"] == "41"
    assert "alice" in (heard.error or "")


async def test_when_all_is_spent_every_api_tells_the_same(play, speaker, stream):
    scene = await play(every=ONE_A_MINUTE)
    talk, other = Talk(scene, speaker), Talk(scene, OpenAi())
    for _ in ("alpha", "beta"):
        assert (await talk.ask(stream=stream)).text == "Hi"
    heard, expected = await talk.ask(stream=stream), await other.ask(stream=stream)
    assert talk.status == other.status == 429
    assert talk.headers["retry-after"] == other.headers["retry-after"]
    assert heard.error == expected.error


async def test_a_fault_of_a_provider_is_not_seen(play, speaker, stream):
    talk = Talk(await play(FAULT), speaker)
    heard = await talk.ask(stream=stream)
    assert (heard.text, heard.error) == ("Hi", None)
    assert talk.headers["x-freeroute-provider"] == "beta"
    assert talk.headers["x-freeroute-trail"] == "alpha/large=fault:500"


async def test_when_nobody_can_answer_that_is_told(play, speaker, stream):
    talk = Talk(await play(FAULT, beta=FAULT), speaker)
    heard = await talk.ask(stream=stream)
    assert talk.status == 502
    assert "all 2 attempts failed" in (heard.error or "")


@pytest.mark.parametrize(("key", "told"), [("fr-nobody", "unknown"), (None, "No key was sent")])
async def test_who_has_no_key_is_not_let_in(play, speaker, stream, key, told):
    talk = Talk(await play(clients=CLIENTS), speaker)
    heard = await talk.ask(speaker.key(key) if key else None, stream=stream)
    assert talk.status == 401
    assert told in (heard.error or "")
    assert not talk.scene.alpha.calls


async def test_a_client_is_kept_to_its_models(play, speaker, stream):
    talk = Talk(await play(clients=CLIENTS), speaker)
    refused = await talk.ask(speaker.key("fr-bob"), stream=stream)
    assert talk.status == 403
    assert "bob may not use model" in (refused.error or "")
    assert (await talk.ask(speaker.key("fr-bob"), stream=stream, model="beta/large")).text == "Hi"


async def test_a_model_that_nobody_has_is_not_found(play, speaker, stream):
    talk = Talk(await play(), speaker)
    heard = await talk.ask(stream=stream, model="larg")
    assert talk.status == 404
    assert "did you mean" in (heard.error or "")


async def test_what_was_asked_is_recorded(play, speaker, stream):
    talk = Talk(await play(clients=CLIENTS), speaker)
    await talk.ask(speaker.key("fr-alice"), stream=stream)
    last = await talk.scene.gateway.last_request()
    assert (last["surface"], last["model"], last["status"]) == (speaker.name, SMART, 200)
    assert last["client"] == "alice"
    assert last["tokens"] == {"prompt": 3, "completion": 2}


async def test_a_stream_that_dies_says_so_at_its_end(play, speaker):
    needs(speaker, "streams", "in-band errors")
    talk = Talk(await play(sse(ROLE, HI, then=reset)), speaker)
    heard = await talk.ask(stream=True)
    assert talk.status == 200
    assert heard.text == "Hi"
    assert "stopped in the middle of its answer" in (heard.error or "")


async def test_a_caller_that_leaves_ends_the_call(play, speaker, stream):
    asked = Question(model=SMART, stream=stream)
    if stream:
        needs(speaker, "streams")
    scene = await play(either(silent, sse(ROLE, HI, then=silent)))
    posted = speaker.post(asked)
    async with RawCaller.to(scene.gateway.url) as caller:
        lines = [f"POST {posted.path} HTTP/1.1", "host: localhost", f"content-length: {len(posted.body)}"]
        lines += [f"{name}: {value}" for name, value in posted.headers.items()]
        await caller.send("\r\n".join([*lines, "", ""]).encode() + posted.body)
        if stream:
            await caller.head()
        else:
            await until(lambda: bool(scene.alpha.busy))
        caller.leave()
        await until(lambda: not scene.alpha.busy)
    await until(lambda: scene.gateway.app.gateway.in_flight == 0)
    last = await scene.gateway.last_request()
    assert (last["surface"], last["code"]) == (speaker.name, "caller_left")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff", b"[" * 100_000])
async def test_what_cannot_be_read_is_refused(play, speaker, stream, body):
    scene = await play()
    posted = speaker.post(Question(stream=stream))
    reply = await scene.gateway.http.post(posted.path, content=body, headers=posted.headers)
    heard = speaker.hear(reply.status_code, reply.headers, reply.content, stream=stream)
    assert reply.status_code == 400
    assert heard.error
    assert not scene.alpha.calls


async def test_a_wrong_wish_is_refused(play, speaker, stream):
    talk = Talk(await play(), speaker)
    heard = await talk.ask({"x-freeroute-max-wait": "soon"}, stream=stream)
    assert talk.status == 400
    assert "x-freeroute-max-wait" in (heard.error or "")
