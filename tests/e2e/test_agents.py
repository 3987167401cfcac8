"""Agents of the command line, each set up by one command, at a task of two steps over a model that is played.

`make e2e` installs them; what it cannot install for this machine is skipped.
"""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from freeroute.commands.connecting.recipes import RECIPES, STARTED
from tests.e2e.agents import (
    AGENTS,
    DONE_IT,
    DOT,
    FILLED,
    FORM,
    FOUND,
    MADE,
    PICTURE,
    READ,
    SCHEMA,
    TASK,
    WRITTEN,
    plays,
)
from tests.faults.scene import nothing_is_left, played
from tests.support.asking import ROLE, event
from tests.support.live import live, until
from tests.support.pages import PAGES, blocks, section
from tests.support.provider import PlayedProvider, Reply, error, refusing, silent, sse
from tests.support.servers import Peer, Request, Server, serve

ROOT = Path(__file__).parents[2]
FREEROUTE = [sys.executable, "-m", "freeroute"]
TIMEOUT = 120  # seconds for one run, on a slow machine
MODEL = {"id": "large", "quality": 90, "capabilities": ["tools", "images", "reasoning", "json_schema"]}
# As documentation shows it, besides `freeroute setup` and `freeroute run`.
SHOWN = {"claude-code": "Claude Code", "codex": "Codex CLI"}
# As people have it: after `freeroute setup`, unless its files alone do not do, and by `freeroute run`.
WAYS = [(name, "setup") for name in AGENTS if not RECIPES[name].needs_files]
WAYS += [(name, "run") for name in AGENTS if name in STARTED]


class Desk:
    """An agent at work: a gateway before a model that is played, the agent's home, and a project."""

    def __init__(self, name: str, server: Server, provider: PlayedProvider, directory: Path) -> None:
        self.agent, self.name = AGENTS[name], name
        self.server, self.provider = server, provider
        self.home, self.work = directory / "home", directory / "work"
        for one in (self.home, self.work):
            one.mkdir()
        (self.work / READ).write_text(FOUND)
        (self.work / PICTURE).write_bytes(DOT)
        (self.work / SCHEMA).write_text(json.dumps(FORM))

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator["Desk"]:
        """Run the gateway."""
        settings = played(self.server.url("/v1"), ["alpha-key"], 90) | {"models": [MODEL]}
        async with live(self.home.parent, {"alpha": settings}) as self.gateway:
            self.env = {
                "HOME": str(self.home),
                "PATH": f"{self.agent.folder}:{os.environ['PATH']}",
                "LANG": "C.UTF-8",
                "FREEROUTE_URL": self.gateway.url,
                "PYTHONPATH": str(ROOT),
                **self.agent.env,
            }
            yield self
            await nothing_is_left(self.gateway, [self.provider], [self.server])

    async def command(self, words: list[str], way: str = "run") -> list[str]:
        """Return what starts the agent with *words*, after `freeroute setup` or by `freeroute run`."""
        recipe = RECIPES[self.name]
        once = way == "run" and self.name in STARTED
        if not once or recipe.needs_files:
            await self.run([*FREEROUTE, "setup", self.name, "--write"])
        return [*FREEROUTE, "run", self.name, "--", *words] if once else [self.agent.program, *words]

    async def run(self, command: list[str], ended: tuple[int, ...] = (0,)) -> str:
        """Run *command* in the project; return what it says."""
        async with self.running(command) as process, asyncio.timeout(TIMEOUT):
            said, _ = await process.communicate()
        assert process.returncode in ended, said.decode()
        return said.decode()

    @contextlib.asynccontextmanager
    async def running(self, command: list[str]) -> AsyncIterator[asyncio.subprocess.Process]:
        """Run *command* as a group of processes, and end what is left of it."""
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=self.work,
            env=self.env,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()

    def asked(self) -> list[Any]:
        """Return what the model was asked."""
        return [json.loads(call.body) for call in self.provider.calls]

    async def served(self) -> None:
        """Check that all of it came by the API that the agent speaks, and was served."""
        requests = (await self.gateway.status())["requests"]
        assert {(one["surface"], one["status"]) for one in requests} == {(self.agent.surface, 200)}
        assert {one["model"] for one in requests} <= {"free-smart", "free-fast"}


@pytest.fixture
async def desk(tmp_path):
    async with contextlib.AsyncExitStack() as stack:

        async def desk(name: str, *replies: Reply) -> Desk:
            agent = AGENTS[name]
            if not (agent.folder / agent.program).exists() or shutil.which("node") is None:
                pytest.skip(f"{agent.program} is not there; `make e2e` installs it where it can")
            provider = PlayedProvider(*replies)
            server = await stack.enter_async_context(serve(provider))
            desk = Desk(name, server, provider, tmp_path)
            if not replies:
                provider.answer(plays(*agent.steps(desk.work)))
            await stack.enter_async_context(desk.open())
            if name == "aider":  # it adds files that git knows
                await desk.run(["sh", "-c", "git init -q && git add ."])
            return desk

        yield desk


async def does_the_task(desk: Desk, said: str) -> None:
    assert DONE_IT in said
    assert (desk.work / WRITTEN).read_text().strip() == MADE
    first, *_, last = [json.dumps(asked) for asked in desk.asked()]
    assert FOUND not in first
    assert FOUND in last
    await desk.served()


@pytest.mark.parametrize(("name", "way"), WAYS)
async def test_it_does_a_task_of_two_steps(desk, name, way):
    at = await desk(name)
    said = await at.run(await at.command([*at.agent.words, TASK], way))
    await does_the_task(at, said)


@pytest.mark.parametrize("name", SHOWN)
async def test_it_does_a_task_of_two_steps_as_documentation_has_it(desk, name):
    at = await desk(name)
    shown = section(PAGES["docs/clients.md"], SHOWN[name]).replace("http://localhost:3000", at.gateway.url)
    [lines] = blocks(shown, "sh")
    told = dict(word.split("=", 1) for word in lines.split() if "=" in word)
    for settings in blocks(shown, "toml"):
        (at.home / ".codex").mkdir()
        (at.home / ".codex/config.toml").write_text(settings)
    at.env |= told
    await does_the_task(at, await at.run([at.agent.program, *at.agent.words, TASK]))


@pytest.mark.parametrize(("name", "given"), [(name, one.shows) for name, one in AGENTS.items() if one.shows])
async def test_the_model_sees_a_picture(desk, name, given):
    words, steps = given
    at = await desk(name, plays(*steps))
    assert DONE_IT in await at.run(await at.command(words))
    assert any("data:image/png;base64," in json.dumps(asked) for asked in at.asked())
    await at.served()


@pytest.mark.parametrize(("name", "given"), [(name, one.fills) for name, one in AGENTS.items() if one.fills])
async def test_the_model_fills_a_form(desk, name, given):
    words, steps = given
    at = await desk(name, plays(*steps))
    said = await at.run(await at.command(words))
    assert json.dumps(FILLED) in said.replace('":"', '": "')
    assert any(json.dumps(FORM["properties"]) in json.dumps(asked) for asked in at.asked())
    await at.served()


@pytest.mark.parametrize("name", AGENTS)
async def test_a_refusal_is_told_in_the_words_of_the_gateway(desk, name):
    at = await desk(name, refusing(b"400 Bad Request", error("walruses cannot be counted")))
    said = await at.run(await at.command([*at.agent.words, TASK]), ended=(0, 1))
    assert "walruses cannot be counted" in said


@pytest.mark.parametrize("name", AGENTS)
async def test_interrupting_it_ends_the_providers_work(desk, name):
    begun = asyncio.Event()

    async def begins(peer: Peer, request: Request) -> None:
        if TASK in request.body.decode():
            begun.set()
        await sse(ROLE, event({"content": "I begin."}), then=silent)(
            peer, request
        )  # which fails if nobody leaves

    at = await desk(name, begins)
    async with at.running(await at.command([*at.agent.words, TASK])) as process, asyncio.timeout(TIMEOUT):
        await begun.wait()
        os.killpg(process.pid, signal.SIGINT)
        await until(lambda: not at.provider.busy)
