"""Many at once, some of whom leave: nothing of theirs stays, and nobody gets another's answer."""

import asyncio
import random
from typing import Any

import msgspec
import pytest

from freeroute.upstreams.simulated.faults import Speed
from tests.support.live import MODELS, Live, entry, question, until
from tests.support.patience import PATIENCE
from tests.support.serving import RawCaller, post

CALLERS = 100
WORDS = 40
LIMITS = [
    {"unit": "requests", "amount": 1000, "per": "minute"},
    {"unit": "tokens", "amount": 1_000_000, "per": "minute"},
    {"unit": "concurrency", "amount": 200},
]


def providers() -> dict[str, Any]:
    kinds = ("mistral", "openrouter", "gemini")
    return {f"p-{kind}": entry(kind, limits=LIMITS) for kind in kinds}


def without_limits(gateway: Live) -> None:
    """Let the simulated providers take anything: this is about the calls, not about quota."""
    for kind in MODELS:
        provider = gateway[kind]
        provider.account_rules = ()
        provider.models = {
            name: msgspec.structs.replace(one, rules=()) for name, one in provider.models.items()
        }
        provider.speed = Speed(0.02, 400.0)
        provider.answer_tokens = (WORDS, WORDS)


async def read(caller: RawCaller, events: int) -> list[bytes]:
    """Read so many events, or all up to the end of the stream."""
    told: list[bytes] = []
    while len(told) < events:
        line = (await caller.reader.readuntil(b"\n")).strip()
        if line == b"data: [DONE]":
            break
        if line.startswith(b"data: "):
            told.append(line.removeprefix(b"data: "))
    return told


async def one(gateway: Live, number: int, leaves_after: int | None) -> str | None:
    """Ask for a stream and read it; leave after so many events (0: before the answer begins)."""
    async with RawCaller.to(gateway.url) as caller:
        asked = question(f"Say {number}", stream=True, max_tokens=WORDS)
        await caller.send(post(msgspec.json.encode(asked)))
        if leaves_after == 0:
            await until(lambda: gateway.app.gateway.in_flight > 0)
        else:
            status, _ = await caller.head()
            assert status == 200
            events = await read(caller, leaves_after or 10_000)
            if leaves_after is None:
                deltas = [msgspec.json.decode(event)["choices"][0]["delta"] for event in events]
                return "".join(delta.get("content") or "" for delta in deltas)
        caller.leave()
    return None


async def alone(gateway: Live, number: int) -> set[str]:
    """Return what each provider says to caller *number* when nobody else asks."""
    fields: dict[str, Any] = {"max_tokens": WORDS, "stream": True}
    return {
        (await gateway.ask(f"Say {number}", model=f"{name}/{MODELS[name[2:]]}", **fields)).text
        for name in providers()
    }


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_hundred_streams_some_of_which_are_left_leave_nothing_behind(run, seed):
    gateway = await run(providers())
    without_limits(gateway)
    rng = random.Random(seed)
    leaving = [rng.choice([None, None, 0, 1, rng.randint(2, WORDS - 5)]) for _ in range(CALLERS)]
    before = asyncio.all_tasks()
    async with asyncio.timeout(PATIENCE):
        told = await asyncio.gather(*(one(gateway, number, after) for number, after in enumerate(leaving)))
    await until(lambda: gateway.app.gateway.in_flight == 0)
    await until(lambda: not any(gateway[kind].open for kind in MODELS))
    await until(lambda: asyncio.all_tasks() <= before)

    for name in providers():
        shown = await gateway.provider(name)
        [in_flight] = [pool["used"] for pool in shown.told["pools"] if pool["label"] == "concurrency"]
        assert (in_flight, shown.states) == (0, ["healthy"])
    calls = [call for kind in MODELS for call in gateway[kind].calls]
    stayed = [number for number, after in enumerate(leaving) if after is None]
    assert sum(not call.aborted for call in calls) >= len(stayed)
    for kind in MODELS:
        gateway[kind].speed = Speed(0.0, 0.0)
    for number in stayed[:10]:
        assert told[number] in await alone(gateway, number)  # its own answer, whole and in order
