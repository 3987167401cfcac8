"""What the dashboard's page Connect shows: code is run as it stands, settings are read as tools read them."""

import ast
import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from freeroute.commands.connecting.recipe import Home
from freeroute.commands.connecting.recipes import RECIPES
from freeroute.commands.connecting.target import Offered, Target, ask
from freeroute.commands.running import Running
from freeroute.resources import dashboard_dir
from tests.commands.answering import answering
from tests.commands.connecting.conftest import entry
from tests.e2e.test_clients import ENVIRONMENTS, HERE, providers, run
from tests.support.live import AS_ADMIN, live

NODE = shutil.which("node")
AWKWARD = 'it\'s/"odd" $HOME `id` \\n ü'
KEY = "fr-walrus-of-alice"
pytestmark = pytest.mark.skipif(NODE is None, reason="Node.js is not there, which reads the page's script")


def recipes(
    directory: Path,
    address: str,
    model: str = "free-smart",
    key: str = "not-needed",
    known: dict[str, Any] | None = None,
):
    """Return what the page shows, by its id: the code of each step; *known* is the entry of the model."""
    script = directory / "recipes.mjs"
    script.write_text((dashboard_dir() / "recipes.js").read_text())
    told = {"known": known} if known is not None else {}
    facts = json.dumps({"address": address, "model": model, "key": key, **told})
    program = f"import {{ recipes }} from {json.dumps(script.as_uri())};"
    program += f"console.log(JSON.stringify(recipes({facts})));"
    said = subprocess.run(
        [str(NODE), "--input-type=module", "--eval", program], capture_output=True, check=True, timeout=60
    )
    return {one["id"]: [step["code"] for step in one["steps"]] for one in json.loads(said.stdout)}


def words(code: str, program: str, *variables: str) -> list[str]:
    """Return the words that *program* gets when a shell runs *code*, and the values of *variables* there."""
    told = " ".join(['"$@"', *(f'"${name}"' for name in variables)])
    shell = f"{program}() {{ printf '%s\\0' {told}; }}\n{code}"
    said = subprocess.run(["sh", "-c", shell], capture_output=True, check=True, timeout=60)
    return said.stdout.decode().split("\0")[:-1]


def commands(name: str, code: str) -> tuple[list[str], Path] | None:
    """Return what runs *code* of the recipe *name*, and where; None where that is not installed."""
    match name:
        case "curl" if shutil.which("curl"):
            return ["sh", "-c", code.replace("curl ", "curl --fail-with-body --silent ", 1)], HERE
        case "openai-python":
            return [sys.executable, "-c", code], HERE
        case "openai-node" if (HERE / "node" / "node_modules").exists():
            return [str(NODE), "--input-type=module", "--eval", code], HERE / "node"
        case "langchain" if (ENVIRONMENTS / "langchain").exists():
            return [str(ENVIRONMENTS / "langchain" / "bin" / "python"), "-c", code], HERE
    return None


@pytest.mark.parametrize("key", ["not-needed", KEY])
@pytest.mark.parametrize("name", ["curl", "openai-python", "openai-node", "langchain"])
async def test_code_runs_as_it_stands(tmp_path, name, key):
    clients = [{"name": "alice", "key": KEY}] if key == KEY else []
    async with live(tmp_path, providers(), clients=clients) as gateway:
        [*_, code] = recipes(tmp_path, f"{gateway.url}/v1", key=key)[name]
        wanted = commands(name, code)
        if wanted is None:
            pytest.skip(f"{name} is not installed; `make e2e` does it")
        ended, said = await run(*wanted, {"HOME": str(tmp_path), "PATH": os.environ["PATH"]})
        assert ended == 0, said
        assert "simulated" in said, said
        status = await gateway.http.get("/v1/status", headers=AS_ADMIN)
        [request] = status.json()["requests"]
        assert (request["model"], request["status"]) == ("free-smart", 200)
        assert request["client"] == ("alice" if clients else "-")


@pytest.mark.parametrize("model", ["free-smart", "openrouter/google/gemma-4-31b-it:free", AWKWARD])
@pytest.mark.parametrize("address", ["http://127.0.0.1:3000/v1", "https://gateway.example/some%20path/v1"])
def test_whatever_a_model_is_called_tools_read_the_same(tmp_path, model, address):
    shown = recipes(tmp_path, address, model, KEY)
    [curl] = shown["curl"]
    said = words(curl, "curl")
    assert said[0] == f"{address}/chat/completions"
    assert f"Authorization: Bearer {KEY}" in said
    assert json.loads(said[-1])["model"] == model
    for name in ("openai-python", "langchain"):
        texts = {
            node.value for node in ast.walk(ast.parse(shown[name][-1])) if isinstance(node, ast.Constant)
        }
        assert {address, model, KEY} <= texts
    [settings] = shown["continue"]
    [entry] = yaml.safe_load(settings)["models"]
    assert (entry["model"], entry["apiBase"], entry["apiKey"]) == (model, address, KEY)
    [settings] = shown["opencode"]
    read = json.loads(settings)
    assert read["provider"]["freeroute"]["options"] == {"baseURL": address, "apiKey": KEY}
    assert list(read["provider"]["freeroute"]["models"]) == [model]
    assert read["model"] == f"freeroute/{model}"
    assert shown["cline"] == [address, KEY, model]
    [aider] = shown["aider"]
    said = words(aider, "aider", "OPENAI_API_BASE", "OPENAI_API_KEY")
    assert said == ["--model", f"openai/{model}", address, KEY]
    settings, codex = shown["codex"]
    read = tomllib.loads(settings)
    assert (read["model"], read["model_provider"]) == (model, "freeroute")
    assert read["model_providers"]["freeroute"]["base_url"] == address
    assert words(codex, "codex", "GATEWAY_KEY") == [KEY]
    [webui] = shown["open-webui"]
    webui = webui.replace("open-webui", "open_webui")  # a name that every shell takes for a function
    assert words(webui, "open_webui", "OPENAI_API_BASE_URL", "OPENAI_API_KEY") == ["serve", address, KEY]
    [claude] = shown["claude-code"]
    read = ("ANTHROPIC_BASE_URL", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_MODEL")
    assert words(claude, "claude", *read) == [address.removesuffix("/v1"), KEY, model]


def as_setup_writes(target: Target, home: Path) -> tuple[Any, Any]:
    """Return what `freeroute setup` makes of *target* for opencode, and the model that it gives Continue."""
    [edit] = RECIPES["continue"].files(target, Home(home, {}))
    [model] = edit.values.values()
    return json.loads(RECIPES["opencode"].variables(target)["OPENCODE_CONFIG_CONTENT"]), model


def as_shown(shown: dict[str, list[str]]) -> tuple[Any, Any]:
    [opencode], [settings] = shown["opencode"], shown["continue"]
    [model] = yaml.safe_load(settings)["models"]
    return json.loads(opencode), model


@pytest.mark.parametrize(
    "known",
    [
        entry("groq/m", 32_000, 2_000),
        entry("groq/m", 1_000_001, takes=["text", "image"]),
        entry("groq/m", None, takes=["image"]),
    ],
    ids=["text alone", "pictures", "unknown sizes"],
)
def test_clients_are_told_of_a_model_what_setup_tells_them(tmp_path, known):
    with answering(models={"data": [known]}) as played:
        target = ask(Running(played.url, {}), KEY, known["id"], every=False)
    shown = recipes(tmp_path, target.v1, known["id"], KEY, known)
    assert as_shown(shown) == as_setup_writes(target, tmp_path)


def test_of_a_model_that_is_not_listed_clients_are_told_what_setup_supposes(tmp_path):
    free = Offered("free")
    target = Target("http://127.0.0.1:3000", KEY, free, free.id, (free,))
    assert as_shown(recipes(tmp_path, target.v1, free.id, KEY)) == as_setup_writes(target, tmp_path)


def test_every_recipe_has_something_to_copy(tmp_path):
    shown = recipes(tmp_path, "http://127.0.0.1:3000/v1")
    assert all(shown.values())
