"""Codex CLI, run without a terminal, does a task in two steps by a model that is played.

It is tried where the program is there: `codex` on the path, or where CODEX says.
"""

import asyncio
import json
import os
import shutil

import pytest

from tests.faults.conftest import log, play
from tests.support.asking import COUNTED, DONE, ROLE, event
from tests.support.pages import PAGES, blocks, section
from tests.support.provider import sse

__all__ = ["log", "play"]

CODEX = os.environ.get("CODEX") or shutil.which("codex")
TIMEOUT = 120  # seconds for one run, on a slow machine
ABLE = {
    "models": [{"id": "large", "quality": 90, "capabilities": ["tools", "reasoning"], "context": 200_000}]
}
THOUGHT = event({"reasoning_content": "First I write it."})

pytestmark = pytest.mark.skipif(CODEX is None, reason="codex is not installed")


def runs(call_id: str, command: str):
    """Answer with a call of Codex's shell, its arguments in two pieces."""
    arguments = json.dumps({"cmd": command})
    named = {"index": 0, "id": call_id, "type": "function"}
    pieces = [
        event({"tool_calls": [named | {"function": {"name": "exec_command", "arguments": arguments[:9]}}]}),
        event({"tool_calls": [{"index": 0, "function": {"arguments": arguments[9:]}}]}),
    ]
    return sse(ROLE, THOUGHT, *pieces, event(finish="tool_calls"), COUNTED, DONE)


def says(text: str):
    return sse(ROLE, event({"content": text}), event(finish="stop"), COUNTED, DONE)


async def test_it_does_a_task_of_two_steps(play, tmp_path):
    scene = await play(
        runs("call_1", "echo from the first step > made.txt"),
        runs("call_2", "cat made.txt"),
        says("It is done."),
        alpha=ABLE,
    )
    home, work = tmp_path / "codex", tmp_path / "work"
    for directory in (home, work):
        directory.mkdir()
    [settings] = blocks(section(PAGES["docs/clients.md"], "Codex CLI"), "toml")
    (home / "config.toml").write_text(settings.replace("http://localhost:3000", scene.gateway.url))
    assert CODEX is not None
    process = await asyncio.create_subprocess_exec(
        *[
            CODEX,
            "exec",
            "--skip-git-repo-check",
            "--sandbox",
            "danger-full-access",
            "Write a file and show it.",
        ],
        cwd=work,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "CODEX_HOME": str(home),
            "GATEWAY_KEY": "not-needed",
        },
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(TIMEOUT):
        told, _ = await process.communicate()
    assert process.returncode == 0, told.decode()
    assert "It is done." in told.decode()
    assert (work / "made.txt").read_text() == "from the first step\n"
    last = json.loads(scene.providers["alpha"].calls[-1].body)["messages"]
    assert "from the first step" in last[-1]["content"]
    assert [one["role"] for one in last[-4:]] == ["assistant", "tool", "assistant", "tool"]
    request = await scene.gateway.last_request()
    assert (request["surface"], request["status"]) == ("responses", 200)
    assert len(scene.providers["alpha"].calls) == 3
    assert not scene.providers["beta"].calls
