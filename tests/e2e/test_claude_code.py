"""Claude Code itself, without its screen, at a task of two steps, over a model that is played."""

import asyncio
import contextlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.faults.scene import played
from tests.support.asking import COUNTED, DONE, ROLE, event
from tests.support.live import Live, live
from tests.support.pages import PAGES, blocks, section
from tests.support.provider import PlayedProvider, refusing, sse
from tests.support.servers import serve

COMMAND = Path(__file__).parent / "clients/node/node_modules/@anthropic-ai/claude-code/cli-wrapper.cjs"
PATIENCE = 120  # seconds for one task, on a slow machine
MODEL = {"id": "large", "quality": 90, "capabilities": ["tools", "reasoning"]}
QUIET = {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1"}


def calling(name: str, **arguments: Any) -> list[bytes]:
    text = json.dumps(arguments)
    named = {"index": 0, "id": "call_1", "type": "function", "function": {"name": name, "arguments": ""}}
    pieces = [text[at : at + 7] for at in range(0, len(text), 7)]
    return [
        event({"tool_calls": [named]}),
        *[event({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}) for piece in pieces],
        event(finish="tool_calls"),
    ]


WRITES = sse(
    ROLE,
    event({"reasoning_content": "A file is wanted."}),
    event({"content": "I write it."}),
    *calling("Bash", command="printf 42 > answer.txt && cat answer.txt", description="Write the file"),
    COUNTED,
    DONE,
)
DONE_IT = sse(
    ROLE, event({"content": "It is "}), event({"content": "written."}), event(finish="stop"), COUNTED, DONE
)


@contextlib.asynccontextmanager
async def gateway(path: Path, provider: PlayedProvider):
    async with serve(provider) as server:
        settings = {"alpha": played(server.url("/v1"), ["alpha-key"], 90) | {"models": [MODEL]}}
        async with live(path, settings) as gateway:
            yield gateway


def environment(gateway: Live) -> dict[str, str]:
    """Return what the documentation has people set."""
    [shown] = blocks(section(PAGES["docs/clients.md"], "Claude Code"), "sh")
    lines = [line.removeprefix("export ") for line in shown.splitlines() if line.startswith("export ")]
    told = dict(line.split("=", 1) for line in lines)
    return {name: value.replace("http://localhost:3000", gateway.url) for name, value in told.items()}


async def run(gateway: Live, home: Path, *words: str) -> list[Any]:
    """Run the command in a directory of its own; return what it tells, line by line."""
    node = shutil.which("node")
    if node is None or not COMMAND.exists():
        pytest.skip("Node.js or Claude Code is not there; `make e2e` installs its package")
    env = {"HOME": str(home), "PATH": f"{Path(node).parent}:/usr/bin:/bin", **QUIET, **environment(gateway)}
    asked = ["-p", *words, "--output-format", "stream-json", "--verbose", "--allowedTools", "Bash"]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        node,
        str(COMMAND),
        *asked,
        cwd=home,
        env=env,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=pipe,
        stderr=pipe,
    )
    try:
        async with asyncio.timeout(PATIENCE):
            said, complaint = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert said, complaint.decode()
    return [json.loads(line) for line in said.splitlines()]


async def test_it_does_a_task_in_two_steps(tmp_path):
    provider = PlayedProvider(WRITES, DONE_IT)
    home = tmp_path / "home"
    home.mkdir()
    async with gateway(tmp_path, provider) as there:
        told = await run(there, home, "Write 42 to answer.txt")
        requests = (await there.status())["requests"]
    result = told[-1]
    assert (result["type"], result["is_error"], result["result"]) == ("result", False, "It is written.")
    assert (home / "answer.txt").read_text() == "42"
    assert {(one["surface"], one["status"]) for one in requests} == {("anthropic", 200)}
    last = json.loads(provider.calls[-1].body)["messages"]
    [called] = [message["tool_calls"][0]["function"]["name"] for message in last if message.get("tool_calls")]
    assert called == "Bash"
    assert [message["content"] for message in last if message["role"] == "tool"] == ["42"]


async def test_a_refusal_is_told_in_our_words(tmp_path):
    provider = PlayedProvider(refusing(b"400 Bad Request", b'{"error":{"message":"cannot be"}}'))
    home = tmp_path / "home"
    home.mkdir()
    async with gateway(tmp_path, provider) as there:
        result = (await run(there, home, "Hello"))[-1]
    assert (result["is_error"], result["api_error_status"]) == (True, 400)
    assert "cannot be" in result["result"]
