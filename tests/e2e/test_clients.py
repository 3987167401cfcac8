"""The clients that people use, each in an environment of its own, against the whole gateway on real sockets.

`make e2e` makes the environments from the locks in ``clients/``. What a client's tests say is shown as it is.
"""

import asyncio
import shutil
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.support.live import ADMIN, Live, entry, live, until
from tests.support.pages import PAGES, blocks, section

HERE = Path(__file__).parent / "clients"
ENVIRONMENTS = Path(sys.prefix) / "clients"
# Each is in tests of its own, and under this heading in the documentation.
PYTHON = {
    "anthropic": "Anthropic for Python",
    "genai": "Google Gen AI",
    "instructor": "instructor",
    "langchain": "LangChain",
    "langchain_anthropic": "LangChain with Anthropic's API",
    "llamaindex": "LlamaIndex",
    "llm": "llm",
    "mcp": "MCP",
    "ollama": "Ollama for Python",
    "pydantic_ai": "pydantic-ai",
}
NODE = {"openai": "OpenAI for JavaScript", "ai-sdk": "AI SDK", "anthropic": "Anthropic for JavaScript"}
TIMEOUT = 600  # seconds for all tests of one client, on a slow machine
ABLE = {"capabilities": ["tools", "images", "json_object", "json_schema"]}
# Nobody here is to meet a limit by chance: the clock of the gateway stands still.
ROOMY = [{"unit": "requests", "amount": 10_000, "per": "minute"}]


def providers():
    """``alpha`` and ``beta`` serve ``free``; the others speak in their own ways when asked by name.

    ``spent`` allows one call a day.
    """
    pair = {
        "alpha": entry("groq", quality=90, model=ABLE, limits=ROOMY),
        "beta": entry("cerebras", model=ABLE, limits=ROOMY),
    }
    shy = ABLE | {"auto": False}
    kinds = ("gemini", "mistral", "openrouter")
    once = [{"unit": "requests", "amount": 1, "per": "day"}]
    others = {f"my-{kind}": entry(kind, model=shy, limits=ROOMY) for kind in kinds}
    vectors = {"id": "gemini-embedding-001", "capabilities": ["embeddings"], "max_inputs": 2}
    makers = {"makes-vectors": entry("gemini", model=vectors, limits=ROOMY)}
    return pair | others | makers | {"spent": entry("groq", model=shy, limits=once)}


async def prepare(gateway: Live) -> None:
    """Let the simulated providers count nothing, since no minute ends here, and spend what is to be spent."""
    for provider in gateway.world.providers.values():
        provider.models = {name: replace(model, rules=()) for name, model in provider.models.items()}
        provider.account_rules = ()
    assert (await gateway.ask(model="spent/openai/gpt-oss-120b")).status == 200


async def run(command: list[str], cwd: Path, env: dict[str, str]) -> tuple[int, str]:
    """Run *command*; return how it ended and what it said."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *command, cwd=cwd, env=env, stdout=pipe, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(TIMEOUT):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, said.decode(errors="replace")


def examples(heading: str, language: str, gateway: Live) -> list[str]:
    """Return the code that the documentation shows under *heading*, for this *gateway*."""
    shown = blocks(section(PAGES["docs/clients.md"], heading), language)
    return [code.replace("http://localhost:3000", gateway.url) for code in shown]


@pytest.fixture
async def gateway(tmp_path):
    async with live(tmp_path, providers()) as gateway:
        await prepare(gateway)
        yield gateway


@pytest.fixture
def try_out(gateway, tmp_path, capfd):
    """Run a client's commands and show what they say; nothing may fail, and nothing stay behind."""
    where = {"GATEWAY_URL": gateway.url, "SIMULATED_URL": gateway.simulated, "ADMIN_KEY": ADMIN}
    env = {"HOME": str(tmp_path), "LANG": "C.UTF-8", **where}

    async def try_out(commands: list[list[str]], cwd: Path = HERE) -> None:
        for command in commands:
            code, said = await run(command, cwd, env)
            with capfd.disabled():
                print(f"\n{said}")
            assert code == 0
        assert (await gateway.status())["totals"]["served"] > 0
        await until(lambda: gateway.app.gateway.in_flight == 0)

    return try_out


def test_every_client_that_has_tests_is_tried():
    assert sorted(PYTHON) == sorted(file.stem.removeprefix("with_") for file in HERE.glob("with_*.py"))
    assert sorted(NODE) == sorted(file.name.partition(".")[0] for file in HERE.glob("node/*.test.mjs"))


@pytest.mark.parametrize("name", PYTHON)
async def test_a_python_client(name, gateway, try_out):
    python = ENVIRONMENTS / name / "bin" / "python"
    if not python.exists():
        pytest.skip(f"{python} is not there; `make e2e` makes it")
    tests = [str(python), "-m", "pytest", f"with_{name}.py"]
    shown = [[str(python), "-c", code] for code in examples(PYTHON[name], "python", gateway)]
    await try_out([tests, *shown])


async def test_the_example_of_openais_python_client(gateway, try_out):
    # Its tests are part of the suite.
    [code] = examples("OpenAI for Python", "python", gateway)
    await try_out([[sys.executable, "-c", code]])


@pytest.mark.parametrize("name", NODE)
async def test_a_client_for_node(name, gateway, try_out):
    node = shutil.which("node")
    if node is None or not (HERE / "node" / "node_modules").exists():
        pytest.skip("Node.js or the packages are not there; `make e2e` installs the packages")
    tests = [node, "--test", "--test-reporter=spec", f"{name}.test.mjs"]
    shown = [[node, "--input-type=module", "--eval", code] for code in examples(NODE[name], "ts", gateway)]
    await try_out([tests, *shown], HERE / "node")
