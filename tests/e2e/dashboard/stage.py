"""A demo whose providers do as they are told: what the dashboard is tried on, and what pictures of it show.

    python -m tests.e2e.dashboard.stage

It prints where the gateway and its providers listen, in a line of JSON, and runs until it is ended. The demo
itself keeps its providers inside; these also listen, for orders: ``POST /_script/groq {"always": 503}``.
"""

import asyncio
import contextlib
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import httpx
import uvicorn
from msgspec import Struct

from freeroute.app import ServeOptions, build
from freeroute.clock import Now, boot_id
from freeroute.config.load import Overrides
from freeroute.demo import ADMIN_KEY
from freeroute.domain.outcome import Kind
from freeroute.domain.receipt import AttemptNote, Likeness, Receipt
from freeroute.domain.tasks import Task
from freeroute.domain.usage import Usage
from freeroute.lifecycle import application
from freeroute.observe.logs import set_up
from freeroute.stores.state_dir import StateDir
from freeroute.upstreams.simulated.http import asgi
from freeroute.upstreams.simulated.simulation import Simulation
from tests.support.serving import listening, serving

PATIENCE = 30.0  # seconds until it listens, or has ended
DAYS = 30
DAILY = 90  # requests a day, on average
CLIENTS = ("alice", "bob", "ci")
MODELS = (
    ("groq", "openai/gpt-oss-120b"),
    ("gemini", "gemini-3.5-flash"),
    ("cerebras", "gpt-oss-120b"),
    ("mistral", "mistral-small-2603"),
    ("openrouter", "qwen/qwen3.8-27b:free"),
)
AS_ADMIN = {"authorization": f"Bearer {ADMIN_KEY}"}


class Stage(Struct, frozen=True):
    """Where the gateway and its providers listen."""

    url: str
    simulated: str

    def steer(self, provider: str, **orders: Any) -> None:
        """Tell the simulated *provider* how to answer: ``always=503``, ``always=None``, ``faults=[429]``."""
        httpx.post(f"{self.simulated}/_script/{provider}", json=orders).raise_for_status()

    def ask(self, model: str, text: str = "Hello!", key: str | None = None, **fields: Any) -> httpx.Response:
        """Ask *model*, whatever comes of it."""
        body = {"model": model, "messages": [{"role": "user", "content": text}], **fields}
        headers = {"authorization": f"Bearer {key}"} if key else {}
        return httpx.post(f"{self.url}/v1/chat/completions", json=body, headers=headers, timeout=PATIENCE)

    def add_client(self, name: str, **terms: Any) -> str:
        """Let a client in; returns its key."""
        reply = httpx.post(f"{self.url}/admin/clients", json={"name": name, **terms}, headers=AS_ADMIN)
        return str(reply.raise_for_status().json()["key"])


@contextlib.contextmanager
def staged(*, history: bool = False) -> Iterator[Stage]:
    """Run one in a process of its own; with *history*, it has answered for a month."""
    command = [sys.executable, "-m", "tests.e2e.dashboard.stage", *(["--history"] if history else [])]
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log) as process,
    ):
        try:
            line = cast("Any", process.stdout).readline()
            if not line:
                log.seek(0)
                raise RuntimeError(f"the gateway did not start: {log.read().decode(errors='replace')}")
            yield Stage(**json.loads(line))
        finally:
            process.terminate()
            process.wait(PATIENCE)


def past(now: Now) -> Iterator[Receipt]:
    """Give the receipts of a month that ends *now*: more by day than by night, and a provider's bad day."""
    chance = random.Random(7)
    for number in range(DAYS * DAILY):
        age = (number + chance.random()) * 86400.0 / DAILY
        at = Now(now.mono - age, now.wall - age)
        if chance.random() < (0.55 if 8 <= at.wall % 86400 / 3600 < 19 else 0.1):
            yield _receipt(number, at, chance)


def _receipt(number: int, at: Now, chance: random.Random) -> Receipt:
    provider, model = chance.choices(MODELS, (9, 6, 4, 3, 2))[0]
    bad_day = provider == "groq" and 9 < number / DAILY < 11
    if bad_day:
        provider, model = MODELS[2]
    prompt, completion = int(chance.lognormvariate(6, 1)), int(chance.lognormvariate(5, 0.8))
    first, total = chance.uniform(0.15, 0.6), chance.uniform(0.8, 4.0)
    served = AttemptNote(provider, model, "key-1", Kind.SERVED, total, 200, first_event=first)
    failed = AttemptNote(*MODELS[0], "key-1", Kind.FAULT, 0.3, 503, "HTTP 503")
    lost = chance.random() < (0.2 if bad_day else 0.01)
    like = Likeness(
        surface="openai",
        task=Task.CHAT,
        client=chance.choices(CLIENTS, (5, 3, 2))[0],
        created=None,
        asked=chance.choice(("free", "free-fast", "free-smart")),
        asked_known=True,
        stream=True,
        status=502 if lost else 200,
        code="upstream_failed" if lost else None,
        provider=None if lost else provider,
        model=None if lost else model,
        key=None if lost else "key-1",
        caller_left=False,
    )
    return Receipt(
        like=like,
        request_id=f"req_{number:024x}",
        at=at,
        attempts=(failed,) if lost else (failed, served) if bad_day else (served,),
        usage=None if lost else Usage(prompt, completion),
        finish=None if lost else "stop",
        queued=0.0,
        overhead=0.001,
        first_event=None if lost else first,
        total=total,
    )


async def play(directory: Path, *, history: bool) -> None:
    """Serve until cancelled."""
    app = build(ServeOptions(overrides=Overrides(), demo=True), {}, directory)
    state = StateDir(app.settings.state_dir)
    app.remember(state.path, boot_id())
    app.record(state.path)
    if history and app.recorder is not None:
        for receipt in past(app.clock.now()):
            app.recorder.saw(receipt)
    world = asgi(cast("Simulation", app.transport))
    plain = uvicorn.Config(world, http="httptools", ws="none", lifespan="on", log_config=None)
    try:
        async with (
            serving(application(app, ADMIN_KEY, lambda on: None)) as url,
            listening(plain) as simulated,
        ):
            print(json.dumps({"url": url, "simulated": simulated}), flush=True)
            await asyncio.Event().wait()
    finally:
        state.close()


def main() -> None:
    """Serve until the process is ended."""
    set_up("console", "error", [])
    with tempfile.TemporaryDirectory(prefix="freeroute-stage-") as directory:
        asyncio.run(play(Path(directory), history="--history" in sys.argv))


if __name__ == "__main__":
    main()
