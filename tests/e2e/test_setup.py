"""Clients set up by one command, as people have them: each then asks the gateway, and does as it is told.

`make e2e` installs them into ``clients/agents``; what it cannot install for this machine is skipped.
"""

import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.e2e.test_clients import HERE, prepare, providers, run
from tests.support.live import Live, live

AGENTS = HERE / "agents" / "node_modules"
PROGRAMS = {
    "opencode": AGENTS / "opencode-linux-x64-baseline" / "bin",
    "cn": AGENTS / ".bin",
}
ROOT = Path(__file__).parents[2]
# It asks for a file by the name of the tool, and the simulated model fills in what is in quotes.
TASK = "Use write for this."


@pytest.fixture
async def gateway(tmp_path):
    async with live(tmp_path, providers()) as gateway:
        await prepare(gateway)
        yield gateway


@pytest.fixture
def shell(gateway: Live, tmp_path, capfd):
    """Run commands in an empty project of somebody who has nothing set up yet."""
    home, project = tmp_path / "home", tmp_path / "project"
    for directory in (home, project):
        directory.mkdir()

    async def shell(program: str, *commands: list[str]) -> Path:
        if not (PROGRAMS[program] / program).exists() or shutil.which("node") is None:
            pytest.skip(f"{program} is not there; `make e2e` installs it where it can")
        env = {
            "HOME": str(home),
            "PATH": f"{PROGRAMS[program]}:{os.environ['PATH']}",
            "FREEROUTE_URL": gateway.url,
            "LANG": "C.UTF-8",
        }
        for command in commands:
            ours = {"PYTHONPATH": str(ROOT)} if command[0] == sys.executable else {}
            code, said = await run(command, project, env | ours)
            with capfd.disabled():
                print(f"\n{said}")
            assert code == 0
        return project

    return shell


def freeroute(*words: str) -> list[str]:
    return [sys.executable, "-m", "freeroute", *words]


async def served(gateway: Live) -> set[str]:
    """Return what was asked for, all of which was answered well."""
    requests = (await gateway.status())["requests"]
    assert {request["status"] for request in requests} == {200}
    return {request["model"] for request in requests} - {"spent/openai/gpt-oss-120b"}


async def test_opencode_does_a_task_once_it_is_set_up(gateway, shell):
    project = await shell("opencode", freeroute("setup", "opencode", "--write"), ["opencode", "run", TASK])
    assert any(TASK in path.read_text() for path in project.iterdir() if path.is_file())
    assert {"free-smart"} <= await served(gateway) <= {"free-smart", "free-fast"}


async def test_opencode_does_a_task_when_it_is_run(gateway, shell):
    words = ["run", "--model", "alpha/openai/gpt-oss-120b", "opencode", "--", "run", TASK]
    project = await shell("opencode", freeroute(*words))
    assert any(TASK in path.read_text() for path in project.iterdir() if path.is_file())
    assert await served(gateway) == {"alpha/openai/gpt-oss-120b"}
    assert not (project.parent / "home" / ".config" / "opencode" / "opencode.json").exists()


async def test_continues_command_line_answers_once_it_is_set_up(gateway, shell):
    await shell("cn", freeroute("setup", "continue", "--write"), ["cn", "-p", "Say hello."])
    assert await served(gateway) == {"free-smart"}
