"""The whole gateway on a real socket, with real sockets between it and simulated providers."""

import asyncio
import contextlib
import datetime as dt
import functools
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec
import uvicorn

from freeroute.app import App
from freeroute.config.entries import read_catalogue
from freeroute.config.load import Overrides, load
from freeroute.config.overlay import Plan, planned
from freeroute.demo import simulation
from freeroute.lifecycle import application
from freeroute.resources import config_dir
from freeroute.surfaces.bounds import Bounds
from freeroute.upstreams.http_transport import HttpTransport
from freeroute.upstreams.simulated.faults import Speed
from freeroute.upstreams.simulated.http import asgi
from freeroute.upstreams.simulated.simulation import SimulatedProvider, Simulation
from freeroute.upstreams.transport import Transport
from tests.support.clocks import ManualClock
from tests.support.patience import PATIENCE
from tests.support.serving import listening, serving

ADMIN = "walrus-of-the-admin"
AS_ADMIN = {"authorization": f"Bearer {ADMIN}"}
# A model that each simulated provider serves, and where its API begins there.
MODELS = {
    "groq": "openai/gpt-oss-120b",
    "cerebras": "gpt-oss-120b",
    "gemini": "gemini-3.5-flash",
    "mistral": "mistral-small-2603",
    "openrouter": "google/gemma-4-31b-it:free",
    "ollama": "llama3.2:3b",
}
# Callers speak to the gateway without TLS; to load the system's authorities takes longer than most tests.
PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
# Longer than any test waits, so that none of them ends what a test waits for; a provider that is to be silent
# gets one of the others.
PATIENT = {"connect": "90s", "first_event": "120s", "between_events": "120s", "total": "240s"}
UNTIL_FIRST_EVENT = PATIENT | {"first_event": "300ms"}
BETWEEN_EVENTS = PATIENT | {"between_events": "300ms"}


class Reply(msgspec.Struct):
    """An answer as the caller got it, *raw* to the byte.

    *events* are a stream's values, *ended* whether it said ``[DONE]``.
    """

    status: int
    headers: httpx.Headers
    raw: bytes
    json: Any = None
    events: list[Any] = []
    ended: bool = False

    @property
    def text(self) -> str:
        """What the model said."""
        if not self.events:
            return self.json["choices"][0]["message"]["content"] or ""
        choices = [choice for event in self.events for choice in event.get("choices", ())]
        return "".join(choice["delta"].get("content") or "" for choice in choices)

    @property
    def error(self) -> Any:
        """The error of an answer, or the one a stream ends with; None for a good one."""
        return self.events[-1].get("error") if self.events else self.json.get("error")

    @property
    def trail(self) -> str:
        """The failed hops, as the header tells them."""
        return self.headers.get("x-freeroute-trail", "")

    @property
    def by(self) -> str | None:
        """The provider that answered."""
        return self.headers.get("x-freeroute-provider")


class Cold:
    """A transport that makes no connection before it is needed: who counts them counts those of calls."""

    def __init__(self, transport: Transport) -> None:
        self.open = transport.open
        self.close = transport.close


class Live:
    """A gateway that runs, and the providers behind it. *tasks* are those that run as long as it does."""

    def __init__(
        self,
        app: App,
        url: str,
        world: Simulation,
        caller: httpx.AsyncClient,
        clock: ManualClock,
        simulated: str,
        asgi: Any,
    ) -> None:
        self.app = app
        self.asgi = asgi
        self.url = url
        self.world = world
        self.http = caller
        self.clock = clock
        self.simulated = simulated
        self.tasks = asyncio.all_tasks()

    def __getitem__(self, name: str) -> SimulatedProvider:
        """Return the simulated provider called *name*."""
        return self.world.providers[name]

    async def calls(self, name: str) -> list[Any]:
        """Return what the simulated provider *name* saw, as it tells over HTTP."""
        told = (await self.http.get(f"{self.simulated}/_calls/{name}")).json()
        assert told["open"] == 0
        return told["calls"]

    async def script(self, name: str, *faults: Any) -> None:
        """Tell the simulated provider *name* how its coming calls end."""
        answer = await self.http.post(f"{self.simulated}/_script/{name}", json={"faults": faults})
        assert answer.status_code == 200, answer.text

    async def ask(
        self,
        text: str = "Hello!",
        *,
        stream: bool = False,
        headers: dict[str, str] | None = None,
        **fields: Any,
    ) -> Reply:
        """Ask for a chat completion and read the answer to its end."""
        body = question(text, stream=stream, **fields)
        answer = await self.http.post("/v1/chat/completions", json=body, headers=headers)
        if not answer.headers["content-type"].startswith("text/event-stream"):
            return Reply(answer.status_code, answer.headers, answer.content, json=answer.json())
        data = [_data(event) for event in answer.text.split("\n\n") if event.startswith("data: ")]
        events = [msgspec.json.decode(one) for one in data if one != "[DONE]"]
        ended = data[-1:] == ["[DONE]"]
        return Reply(answer.status_code, answer.headers, answer.content, events=events, ended=ended)

    async def status(self) -> Any:
        """Return what the gateway says of itself."""
        return (await self.http.get("/v1/status", headers=AS_ADMIN)).json()

    async def metrics(self) -> str:
        """Return what there is to scrape."""
        return (await self.http.get("/metrics", headers=AS_ADMIN)).text

    async def provider(self, name: str) -> "Shown":
        """Return what the gateway says of a provider."""
        told = await self.status()
        return Shown(next(one for one in told["providers"] if one["id"] == name), told["now"])

    async def reset(self, name: str) -> None:
        """Close the breakers of a provider and lift its holds."""
        answer = await self.http.post(f"/v1/status/providers/{name}/reset", headers=AS_ADMIN)
        assert answer.status_code == 200

    async def last_request(self) -> Any:
        """Return what the gateway keeps of the last request."""
        return (await self.status())["requests"][0]


class Shown:
    """One provider as ``/v1/status`` shows it."""

    def __init__(self, told: Any, now: float) -> None:
        self.told = told
        self._now = now

    @property
    def used(self) -> Any:
        """What is taken of its requests and of its tokens, as a pair."""
        used = {pool["label"]: pool["used"] for pool in self.told["pools"]}
        return used["requests/minute"], used["tokens/minute"]

    @property
    def states(self) -> list[str]:
        """The state of each candidate."""
        return [one["state"] for one in self.told["candidates"]]

    @property
    def held(self) -> list[tuple[str, float | None]]:
        """Why each candidate is not used, if it is not, and for how many seconds (None: for good)."""
        return [(one["reason"], self._in(one["back_at"])) for one in self.told["candidates"] if one["reason"]]

    @property
    def keys(self) -> list[str]:
        """The state of each key."""
        return [key["state"] for key in self.told["keys"]]

    @property
    def breaker(self) -> str:
        """The state of the breaker over the whole provider."""
        return self.told["breaker"]["state"]

    def _in(self, at: float | None) -> float | None:
        return None if at is None else round(at - self._now, 1)


def question(text: str = "Hello!", **fields: Any) -> dict[str, Any]:
    """Return a small chat request."""
    return {"model": "free", "messages": [{"role": "user", "content": text}], "max_tokens": 8} | fields


def entry(kind: str = "groq", *, quality: int = 50, **given: Any) -> dict[str, Any]:
    """Return the settings of a provider that is simulated as *kind*; the better model is asked first."""
    model = {"id": MODELS[kind], "quality": quality, "speed": {"tokens_per_second": 2000}}
    model |= given.pop("model", {})
    limits = [
        {"unit": "requests", "amount": 100, "per": "minute"},
        {"unit": "tokens", "amount": 50_000, "per": "minute"},
    ]
    plain = {"like": kind, "keys": ["demo-1"], "models": [model], "limits": limits, "timeouts": PATIENT}
    if "base_url" not in given:
        given["base_url"] = f"SIMULATED/{kind}"
    return plain | given


def pair(first: str = "groq", second: str = "cerebras", **of_first: Any) -> dict[str, Any]:
    """Return two providers, ``alpha`` and ``beta``; alpha is asked first."""
    return {"alpha": entry(first, quality=90, **of_first), "beta": entry(second)}


@contextlib.asynccontextmanager
async def live(
    directory: Path,
    providers: dict[str, Any],
    *,
    state: Path | None = None,
    wrapped: Callable[[Transport], Transport] = lambda transport: transport,
    bounds: Bounds | None = None,
    **sections: Any,
) -> AsyncIterator[Live]:
    """Run a gateway with *providers* and further *sections* of its settings, all from a file.

    Windows, holds and breakers follow a clock that is moved by hand; time-outs are real. With *state*, a
    directory, it remembers and records there. *wrapped* puts something around what speaks to providers;
    *bounds* are those of callers' connections.
    """
    clock = ManualClock()
    world = simulation(clock, seed=7)
    for one in world.providers.values():
        one.speed = Speed(0.0, 0.0)
    async with contextlib.AsyncExitStack() as stack:
        simulated = await stack.enter_async_context(listening(_plain(world)))
        written = msgspec.json.encode(_settings(providers, sections, simulated, world))
        (directory / "freeroute.yaml").write_bytes(written)  # JSON is YAML, and written in no time
        app = App(_reader(directory), transport=wrapped(Cold(HttpTransport())), clock=clock, demo=False)
        if state is not None:
            app.remember(state, "this boot")
            app.record(state)
        app.trace({})
        asgi = application(app, ADMIN, lambda on: None)
        url = await stack.enter_async_context(serving(asgi, bounds))
        client = httpx.AsyncClient(base_url=url, timeout=PATIENCE, verify=PLAIN)
        caller = await stack.enter_async_context(client)
        yield Live(app, url, world, caller, clock, simulated, asgi)


def _plain(world: Simulation) -> uvicorn.Config:
    return uvicorn.Config(asgi(world), http="httptools", ws="none", lifespan="on", log_config=None)


def _settings(
    providers: dict[str, Any], sections: dict[str, Any], simulated: str, world: Simulation
) -> dict[str, Any]:
    for one in providers.values():
        prefix, _, kind = one["base_url"].partition("/")
        if prefix == "SIMULATED":
            one["base_url"] = f"{simulated}/{kind}{world.providers[kind].dialect.base_path}"
    quiet = {"discovery": {"env": False, "local": False}, "routing": {"probes": 0, "max_wait": 0}}
    return {**quiet, **sections, "providers": providers}


def _reader(directory: Path) -> Callable[[], Plan]:
    def read() -> Plan:
        settings = load(Overrides(), {}, directory, directory)
        return planned(settings, _catalogue(), dt.date(2026, 11, 1))

    return read


@functools.cache
def _catalogue() -> Any:
    """Return the entries that come with the product; reading them takes longer than most tests."""
    return read_catalogue(config_dir() / "providers")


def _data(event: str) -> str:
    return "\n".join(line.removeprefix("data: ") for line in event.split("\n"))


async def alone() -> None:
    """Wait until no task runs besides the one that waits: what was let go of is closed behind whoever did."""
    ours = {asyncio.current_task()}
    await until(lambda: asyncio.all_tasks() <= ours)


async def until(condition: Callable[[], bool], patience: float = PATIENCE) -> None:
    """Let the loop turn until *condition* holds; fail rather than wait for ever."""
    async with asyncio.timeout(patience):
        while not condition():  # noqa: ASYNC110 - looked at from outside, with nothing to wait for
            await asyncio.sleep(0)
