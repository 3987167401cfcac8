"""What simulated providers do wrong when told to, and at what pace they do it right."""

import asyncio
import math

import msgspec
import pytest

from freeroute.upstreams.simulated.faults import Fault, Speed, parse_fault
from freeroute.upstreams.transport import (
    Deadlines,
    Disconnected,
    NameNotFound,
    Phase,
    Refused,
    TimedOut,
    TlsFailed,
    Truncated,
)
from tests.support.simulation import BRIEF, World, hear

ALL = ["groq", "gemini", "cerebras", "mistral", "openrouter", "ollama"]


@pytest.fixture
def world() -> World:
    return World()


# --- the script ----------------------------------------------------------------------------------------


async def test_a_script_is_used_up_one_call_at_a_time_before_what_is_always(world):
    groq = world["groq"]
    groq.always(503)
    groq.script([None, 500, "ok", Fault("status", status=529)])
    assert [(await world.ask("groq")).status for _ in range(5)] == [200, 500, 200, 529, 503]
    groq.always(None)
    assert (await world.ask("groq")).status == 200
    assert [call.fault for call in groq.calls] == [None, "status", None, "status", "status", None]


async def test_a_script_does_not_touch_the_list_of_models(world):
    world["groq"].script([500])
    assert (await world.get(world.base("groq") + "/models")).status == 200
    assert (await world.ask("groq")).status == 500


@pytest.mark.parametrize("wrong", ["resett", Fault, True])
def test_a_misspelt_fault_is_refused(wrong):
    with pytest.raises((ValueError, TypeError)):
        parse_fault(wrong() if callable(wrong) else wrong)


def test_faults_are_read_from_json_strictly():
    fault = msgspec.json.decode(b'{"kind": "cut", "after": 2}', type=Fault)
    assert fault == Fault("cut", after=2)
    for wrong in (b'{"kind": "cut", "afetr": 2}', b'{"kind": "none"}'):
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(wrong, type=Fault)
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"first_token": -1}', type=Speed)


# --- below HTTP ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("kind", "error"),
    [("refused", Refused), ("tls", TlsFailed), ("dns", NameNotFound), ("reset", Disconnected)],
)
async def test_a_connection_fails_as_the_real_transport_would_say(world, kind, error, stream):
    world["groq"].script([kind])
    with pytest.raises(error):
        await world.begin("groq", stream=stream)
    call = world["groq"].calls[-1]
    assert (call.status, call.aborted, len(world["groq"].open)) == (0, False, 0)


@pytest.mark.parametrize("name", ALL)
async def test_a_hang_lasts_until_the_first_byte_is_overdue(world, name):
    world[name].script(["hang"])
    with pytest.raises(TimedOut) as raised:
        await world.begin(name, deadlines=BRIEF)
    assert raised.value.phase is Phase.FIRST_BYTE
    assert world[name].calls[-1].aborted
    assert not world[name].open


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("kind", ["hang_after_head", "stall"])
async def test_silence_after_the_head_is_an_idle_timeout(world, kind, stream):
    world["groq"].script([kind])
    exchange = await world.begin("groq", stream=stream, deadlines=BRIEF)
    assert exchange.status == 200
    with pytest.raises(TimedOut) as raised:
        await hear(exchange)
    assert raised.value.phase is Phase.IDLE
    assert world["groq"].calls[-1].aborted
    with pytest.raises(Disconnected):
        await exchange.next()


@pytest.mark.parametrize("kind", ["hang", "hang_after_head", "stall"])
async def test_the_time_for_the_answer_ends_every_wait_unless_it_is_lifted(world, kind):
    world["groq"].script([kind, kind])
    with pytest.raises(TimedOut) as raised:
        await hear(await world.begin("groq", deadlines=Deadlines(answer=0.01)))
    assert raised.value.phase is Phase.ANSWER
    if kind == "hang":
        return
    exchange = await world.begin("groq", deadlines=Deadlines(answer=0.01, idle=0.02))
    exchange.answer_by = math.inf
    with pytest.raises(TimedOut) as raised:
        await hear(exchange)
    assert raised.value.phase is Phase.IDLE


async def test_the_total_deadline_ends_a_stream_that_is_not_silent(world):
    world["groq"].speed = Speed(0.0, 200.0)
    exchange = await world.begin("groq", stream=True, deadlines=Deadlines(total=0.02))
    with pytest.raises(TimedOut) as raised:
        await hear(exchange)
    assert raised.value.phase is Phase.TOTAL


async def test_the_total_deadline_stands_still_while_nobody_reads(world):
    world["groq"].speed = Speed(0.0, 50.0)
    exchange = await world.begin("groq", stream=True, deadlines=Deadlines(total=0.01))
    await exchange.next()
    await asyncio.sleep(0.2)
    assert await exchange.next()
    with pytest.raises(TimedOut) as raised:
        await hear(exchange)
    assert raised.value.phase is Phase.TOTAL


@pytest.mark.parametrize("name", ALL)
async def test_a_cut_stream_just_ends_after_its_tokens(world, name):
    world[name].script([Fault("cut", after=4)])
    heard = await world.ask(name, stream=True)
    assert "[DONE]" not in heard.data
    assert not any(choice.get("finish_reason") for event in heard.events for choice in event["choices"])
    assert heard.text == "This is a simulated"
    assert world[name].calls[-1].generated == 4


async def test_a_cut_json_answer_is_shorter_than_announced(world):
    world["groq"].script(["cut"])
    exchange = await world.begin("groq")
    part = await exchange.next()
    assert len(part) < int(dict(exchange.headers)[b"content-length"])
    with pytest.raises(Truncated):
        await exchange.next()


# --- in HTTP -------------------------------------------------------------------------------------------

TEXTS = {
    "groq": {"payment": 402, "forbidden": 403, "model_gone": 404, "capacity": 498, "context_too_long": 400},
    "gemini": {"payment": 402, "forbidden": 403, "model_gone": 404, "capacity": 503, "context_too_long": 400},
    "cerebras": {
        "payment": 402,
        "forbidden": 403,
        "model_gone": 404,
        "capacity": 429,
        "context_too_long": 400,
    },
    "mistral": {
        "payment": 402,
        "forbidden": 403,
        "model_gone": 404,
        "capacity": 429,
        "context_too_long": 400,
    },
    "openrouter": {
        "payment": 402,
        "forbidden": 403,
        "model_gone": 404,
        "capacity": 429,
        "context_too_long": 400,
    },
    "ollama": {"payment": 402, "forbidden": 403, "model_gone": 404, "capacity": 503, "context_too_long": 400},
}


@pytest.mark.parametrize(("name", "kind"), [(name, kind) for name in ALL for kind in TEXTS[name]])
async def test_a_scripted_refusal_has_the_providers_status_and_shape(world, name, kind):
    world[name].script([kind])
    heard = await world.ask(name)
    assert heard.status == TEXTS[name][kind]
    error = heard.json[0]["error"] if name == "gemini" else heard.json.get("error", heard.json)
    assert isinstance(error, dict)
    assert error["message"]
    assert (await world.ask(name)).status == 200


async def test_capacity_does_not_look_like_a_quota(world):
    world["mistral"].script(["capacity"])
    world["openrouter"].script(["capacity"])
    world["cerebras"].script(["capacity"])
    assert (await world.ask("mistral")).json["code"] == "3505"
    assert (await world.ask("openrouter")).json["error"]["metadata"]["provider_name"]
    assert (await world.ask("cerebras")).json["code"] == "queue_exceeded"


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("scope", ["minute", "day"])
async def test_a_scripted_429_names_its_span_and_spends_nothing(world, name, scope):
    world[name].script([Fault("rate_limit", scope=scope, retry_after=25.0)])
    heard = await world.ask(name, stream=True)
    assert heard.status == 429
    says = {
        "groq": f"per {scope}",
        "gemini": f"Per{scope.title()}Per",
        "cerebras": f"per {scope}",
        "mistral": "1300",
        "openrouter": "per-min" if scope == "minute" else "per-day",
        "ollama": "too many requests",
    }
    assert says[name] in heard.body.decode()
    if name == "groq":
        assert heard.rates["retry-after"] == "25"
        assert (heard.rates["x-ratelimit-remaining-requests"] == "0") is (scope == "day")
    assert (await world.ask(name)).status == 200


@pytest.mark.parametrize("name", ALL)
async def test_a_bad_key_can_be_scripted(world, name):
    world[name].script(["invalid_key"])
    assert (await world.ask(name)).status == (400 if name == "gemini" else 401)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", ALL)
async def test_noise_comes_with_status_200(world, name, stream):
    world[name].script(["garbage", "html"])
    garbage = await world.ask(name, stream=stream)
    page = await world.ask(name, stream=stream)
    assert garbage.status == page.status == 200
    with pytest.raises(UnicodeDecodeError):
        garbage.body.decode()
    assert page.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", ALL)
async def test_an_empty_answer_finishes_without_a_word(world, name, stream):
    world[name].script(["empty"])
    heard = await world.ask(name, stream=stream)
    assert (heard.status, heard.text) == (200, "")
    values = heard.events if stream else [heard.json]
    finishes = [choice.get("finish_reason") for value in values for choice in value["choices"]]
    assert "stop" in finishes


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", ALL)
async def test_an_answer_can_lack_its_choices(world, name, stream):
    world[name].script(["no_choices"])
    heard = await world.ask(name, stream=stream)
    assert all(value["choices"] == [] for value in (heard.events if stream else [heard.json]))


@pytest.mark.parametrize("name", ALL)
async def test_an_error_hides_in_a_200(world, name):
    world[name].script(["error_in_200", Fault("error_in_200", after=2)])
    whole = await world.ask(name)
    streamed = await world.ask(name, stream=True)
    assert whole.status == streamed.status == 200
    # Whatever the shape of its errors: this is no completion.
    assert "choices" not in whole.json
    assert b"error" in whole.body
    assert b"error" in streamed.body
    assert "[DONE]" not in streamed.data
    assert b'" is"' in streamed.body
    assert b'" a"' not in streamed.body


async def test_openrouter_ends_a_broken_stream_with_finish_reason_error(world):
    world["openrouter"].script(["error_in_200"])
    last = (await world.ask("openrouter", stream=True)).events[-1]
    assert (last["choices"][0]["finish_reason"], last["error"]["code"]) == ("error", 502)


@pytest.mark.parametrize("name", ALL)
async def test_the_content_filter_refuses_or_empties(world, name):
    world[name].script(["content_filter"])
    heard = await world.ask(name)
    if name in ("gemini", "ollama"):
        assert heard.json["choices"][0]["finish_reason"] == "content_filter"
    else:
        assert heard.status == (403 if name == "openrouter" else 400)


# --- pace and leaving ----------------------------------------------------------------------------------


async def test_nothing_comes_before_its_time(world):
    loop = asyncio.get_running_loop()
    world["groq"].speed = Speed(0.01, 1000.0)
    for stream in (False, True):
        began = loop.time()
        exchange = await world.begin("groq", stream=stream, max_tokens=11)
        head = loop.time() - began
        await hear(exchange)
        assert loop.time() - began >= 0.0199
        # A stream's head comes with the first token, a JSON answer's after the last.
        assert head >= (0.0099 if stream else 0.0199)


async def test_openrouter_comments_come_before_the_first_token_is_due(world):
    world["openrouter"].script([Fault("slow", first_token=30.0)])
    exchange = await world.begin("openrouter", stream=True)
    assert await exchange.next() == b": OPENROUTER PROCESSING\n\n"
    exchange.abort()


async def test_a_slow_first_token_is_late_for_the_deadline(world):
    world["groq"].script([Fault("slow", first_token=5.0)])
    with pytest.raises(TimedOut):
        await world.begin("groq", stream=True, deadlines=BRIEF)


async def test_a_reader_who_leaves_stops_the_answer_and_pays_for_what_was_made(world):
    groq = world["groq"]
    groq.speed = Speed(0.0, 0.0)
    groq.script([Fault("stall", after=5)])
    exchange = await world.begin("groq", stream=True, max_tokens=500)
    await exchange.next()
    assert len(groq.open) == 1
    exchange.abort()
    exchange.abort()
    call = groq.calls[-1]
    assert (call.aborted, call.generated, call.tokens, len(groq.open)) == (True, 5, 7, 0)
    rule = next(rule for rule in groq.models[call.model].rules if rule.metric == "tokens")
    assert groq.ledger().window(rule, call.model).used(world.clock.now()) == 7


async def test_leaving_after_the_last_byte_is_not_an_abort(world):
    exchange = await world.begin("groq", stream=True)
    await exchange.next()
    exchange.abort()
    assert not world["groq"].calls[-1].aborted


@pytest.mark.parametrize("phase", ["head", "body"])
async def test_cancelling_is_aborting(world, phase):
    world["groq"].script(["hang" if phase == "head" else "hang_after_head"])

    async def read() -> None:
        await hear(await world.begin("groq", stream=True))

    task = asyncio.ensure_future(read())
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(world["groq"].open) == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not world["groq"].open
    assert world["groq"].calls[-1].aborted


async def test_many_callers_share_the_slot_of_ollama_in_turn(world):
    heard = await asyncio.gather(*(world.ask("ollama", stream=True) for _ in range(5)))
    assert [one.status for one in heard] == [200] * 5


async def test_ollama_turns_callers_away_when_its_queue_is_full(world):
    world["ollama"].dialect.queue = 1
    first = await world.begin("ollama", stream=True)
    second = asyncio.ensure_future(world.ask("ollama"))
    await asyncio.sleep(0)
    assert (await world.ask("ollama")).status == 503
    first.abort()
    assert (await second).status == 200
