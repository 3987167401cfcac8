"""Agents of the command line: where they are, how each takes a task, and how a model is played for it."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from tests.e2e.test_clients import ENVIRONMENTS, HERE
from tests.support.asking import COUNTED, DONE, ROLE, event
from tests.support.provider import Reply, either, sse, whole
from tests.support.servers import Peer, Request

FOUND, MADE = "42 walruses", "There are forty-two of them."
READ, WRITTEN, PICTURE, SCHEMA = "found.txt", "made.txt", "dot.png", "form.json"
FORM = {
    "type": "object",
    "properties": {"animal": {"type": "string"}},
    "required": ["animal"],
    "additionalProperties": False,
}
FILLED = {"animal": "walrus"}
TASK = "Count what was found, and write it down."
DONE_IT = "It is done."
DOT = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)


class Call(NamedTuple):
    """A tool that the model calls."""

    name: str
    arguments: dict[str, Any]


Steps = list[Call | str]


class Agent(NamedTuple):
    """An agent: its *program* in a *folder*, and the *words* before a task that have it ask nobody.

    In a directory, the model takes *steps* for the task. *shows* has it see a picture, *fills* fill a form:
    all words, and the steps of the model; None where an agent does not.
    """

    surface: str
    program: str
    folder: Path
    words: list[str]
    steps: Callable[[Path], Steps]
    shows: tuple[list[str], Steps] | None = None
    fills: tuple[list[str], Steps] | None = None
    env: dict[str, str] = {}


def plays(*steps: Call | str) -> Reply:
    """Take the step that is next by what the conversation brings; what offers no tools asks for a title."""
    calling = any(isinstance(step, Call) for step in steps)

    async def reply(peer: Peer, request: Request) -> None:
        asked = json.loads(request.body)
        if calling:
            at = sum(message["role"] == "tool" for message in asked["messages"])
        else:
            at = int(FOUND in request.body.decode())
        step = "A title" if calling and not asked.get("tools") else steps[min(at, len(steps) - 1)]
        await (_calls(step, f"call_{at}") if isinstance(step, Call) else says(step))(peer, request)

    return reply


def says(text: str) -> Reply:
    """Answer with *text*, whole or in two pieces."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    answer = {"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    pieces = [event({"content": piece}) for piece in (text[:3], text[3:])]
    streamed = sse(ROLE, *pieces, event(finish="stop"), COUNTED, DONE)
    return either(whole(json.dumps(answer).encode()), streamed)


def _calls(call: Call, call_id: str) -> Reply:
    text = json.dumps(call.arguments)
    named = {"index": 0, "id": call_id, "type": "function", "function": {"name": call.name, "arguments": ""}}
    pieces = [text[start : start + 7] for start in range(0, len(text), 7)]
    return sse(
        ROLE,
        event({"reasoning_content": "A tool is wanted."}),
        event({"tool_calls": [named]}),
        *[event({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}) for piece in pieces],
        event(finish="tool_calls"),
        COUNTED,
        DONE,
    )


def _files(read: str, write: str, path: str) -> Callable[[Path], Steps]:
    """Two tools for files, both of which have the name of one in *path*."""

    def steps(work: Path) -> Steps:
        made = {path: str(work / WRITTEN), "content": MADE}
        return [Call(read, {path: str(work / READ)}), Call(write, made), DONE_IT]

    return steps


def _shell(work: Path) -> Steps:
    commands = (f"cat {READ}", f"printf '{MADE}' > {WRITTEN}")
    return [*(Call("exec_command", {"cmd": command}) for command in commands), DONE_IT]


def _edits(work: Path) -> Steps:
    """No tools: it sends the files that are spoken of, and takes what it is to write out of the text."""
    return [f"I have to see {READ} first.", f"{DONE_IT}\n\n{WRITTEN}\n```\n{MADE}\n```"]


_AGENTS = HERE / "agents" / "node_modules"
_LOOK = "What is on it?"
_CLAUDE = ["-p", "--permission-mode", "acceptEdits"]
_CODEX = ["exec", "--skip-git-repo-check"]
_GEMINI = ["--skip-trust", "--yolo", "-p"]

AGENTS = {
    "aider": Agent(
        "openai",
        "aider",
        ENVIRONMENTS / "aider" / "bin",
        ["--yes-always", "--no-auto-commits", "--message"],
        _edits,
        env={"AIDER_ANALYTICS": "false", "AIDER_CHECK_UPDATE": "false", "AIDER_SHOW_RELEASE_NOTES": "false"},
    ),
    "claude-code": Agent(
        "anthropic",
        "claude",
        HERE / "node/node_modules/@anthropic-ai/claude-code-linux-x64",
        _CLAUDE,
        _files("Read", "Write", "file_path"),
        shows=([*_CLAUDE, _LOOK], [Call("Read", {"file_path": PICTURE}), DONE_IT]),
        fills=(
            [*_CLAUDE, "--output-format", "json", "--json-schema", json.dumps(FORM), TASK],
            [Call("StructuredOutput", FILLED), DONE_IT],
        ),
        env={"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1"},
    ),
    "codex": Agent(
        "responses",
        "codex",
        _AGENTS / ".bin",
        [*_CODEX, "--sandbox", "danger-full-access"],
        _shell,
        shows=([*_CODEX, "--image", PICTURE, "--", _LOOK], [DONE_IT]),
        fills=([*_CODEX, "--output-schema", SCHEMA, TASK], [json.dumps(FILLED)]),
    ),
    "continue": Agent(
        "openai", "cn", _AGENTS / ".bin", ["--auto", "-p"], _files("Read", "Write", "filepath")
    ),
    "gemini-cli": Agent(
        "gemini",
        "gemini",
        _AGENTS / ".bin",
        _GEMINI,
        _files("read_file", "write_file", "file_path"),
        shows=([*_GEMINI, f"@{PICTURE} {_LOOK}"], [DONE_IT]),
    ),
    "opencode": Agent(
        "openai",
        "opencode",
        _AGENTS / "opencode-linux-x64-baseline/bin",
        ["run"],
        _files("read", "write", "filePath"),
        shows=(["run", "--file", PICTURE, "--", _LOOK], [DONE_IT]),
    ),
}
