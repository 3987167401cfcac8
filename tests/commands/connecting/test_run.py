"""Starting clients: their environment, their arguments, their end."""

import json
import signal
import sys
import tomllib

import httpx
import pytest

from freeroute.commands.connecting.recipes import STARTED
from tests.commands.answering import answering
from tests.commands.conftest import process
from tests.commands.connecting.conftest import GATEWAY, MODELS
from tests.support.patience import PATIENCE

PROGRAM = """\
#!{python}
import json, os, signal, sys
print(json.dumps([sys.argv[1:], dict(os.environ)]), flush=True)
if "wait" in sys.argv:
    signal.pause()
sys.exit(7)
"""


@pytest.fixture
def programs(tmp_path):
    """A directory with every client, each of which says how it was started and ends with 7."""
    directory = tmp_path / "bin"
    directory.mkdir()
    for name in ("claude", "codex", "aider", "opencode", "goose", "gemini", "mine"):
        (directory / name).write_text(PROGRAM.format(python=sys.executable))
        (directory / name).chmod(0o755)
    return directory


def started(programs, *words, **env):
    """Return how `freeroute run` ended, and what the program it started saw."""
    settings = programs / ".gemini" / "settings.json"
    settings.parent.mkdir(exist_ok=True)
    settings.write_text('{"security": {"auth": {"selectedType": "gemini-api-key"}}}')
    with answering(models=MODELS) as played:
        given = {"PATH": str(programs), "FREEROUTE_URL": played.url, **env}
        with process("run", *words, directory=programs, env=given) as done:
            out, err = done.communicate(timeout=PATIENCE)
    seen = json.loads(out) if out else None
    return done.returncode, seen, err, played.url


@pytest.mark.parametrize(
    ("client", "variable", "suffix"),
    [
        ("claude-code", "ANTHROPIC_BASE_URL", ""),
        ("aider", "OPENAI_API_BASE", "/v1"),
        ("goose", "OPENAI_HOST", ""),
        ("gemini-cli", "GOOGLE_GEMINI_BASE_URL", ""),
    ],
)
def test_a_client_is_started_with_its_environment_and_its_exit_code_is_ours(
    programs, client, variable, suffix
):
    code, seen, _, url = started(programs, client, "--", "--help", "a b", MINE="1")
    assert code == 7
    words, env = seen
    assert words == ["--help", "a b"]
    assert env[variable] == url + suffix
    assert env["MINE"] == "1"


def test_each_that_can_be_started_is(programs):
    for client in STARTED:
        words = ["mine"] if client == "env" else []
        assert started(programs, client, *words)[0] == 7


def test_codex_and_opencode_get_their_provider_for_this_once(programs):
    _, (words, env), _, url = started(
        programs, "--model", "free", "codex", "exec", "hi", FREEROUTE_API_KEY="k"
    )
    settings = tomllib.loads("\n".join(words[1:-2:2]))
    assert words[-2:] == ["exec", "hi"]
    assert (settings["model"], settings["model_provider"]) == ("free", "freeroute")
    assert settings["model_providers"]["freeroute"]["base_url"] == f"{url}/v1"
    assert env[settings["model_providers"]["freeroute"]["env_key"]] == "k"
    _, (_, env), _, url = started(programs, "opencode")
    content = json.loads(env["OPENCODE_CONFIG_CONTENT"])
    assert content["provider"]["freeroute"]["options"]["baseURL"] == f"{url}/v1"


@pytest.mark.parametrize(
    ("words", "chosen", "quick"), [([], "free-smart", "free-fast"), (["-m", "free"], "free", "free")]
)
def test_claude_code_begins_with_the_model_that_was_chosen(programs, run, gateway, words, chosen, quick):
    told = {"ANTHROPIC_MODEL": chosen, "ANTHROPIC_DEFAULT_HAIKU_MODEL": quick}
    _, (_, env), _, _ = started(programs, *words, "claude-code")
    assert told.items() <= env.items()
    written = json.loads(run("setup", "claude-code", *words).stdout.partition("\n")[2])
    assert told.items() <= written["env"].items()


def test_the_file_of_another_gateway_does_not_overrule_what_a_client_is_started_with(programs):
    _, (words, env), _, url = started(programs, "claude-code", FREEROUTE_API_KEY="fr-secret")
    assert env["CLAUDE_CODE_PROVIDER_MANAGED_BY_HOST"] == "1"
    assert (env["ANTHROPIC_BASE_URL"], env["ANTHROPIC_AUTH_TOKEN"]) == (url, "fr-secret")
    assert words == []  # others see these in `ps`
    _, (words, env), _, url = started(programs, "aider", FREEROUTE_API_KEY="fr-secret")
    assert (env["AIDER_OPENAI_API_BASE"], env["AIDER_OPENAI_API_KEY"]) == (f"{url}/v1", "fr-secret")
    assert words == []


def test_any_command_is_started_with_all_the_variables(programs):
    own = {"ANTHROPIC_API_KEY": "sk-ant-own", "GOOGLE_API_KEY": "AIza-own"}
    code, (words, env), _, url = started(programs, "env", "--", "mine", "-m", "x", **own)
    assert (code, words) == (7, ["-m", "x"])
    assert not own.keys() & env.keys()  # SDKs would send them here
    assert env["OPENAI_BASE_URL"] == f"{url}/v1"
    assert env["ANTHROPIC_BASE_URL"] == env["OLLAMA_HOST"] == url


def test_a_signal_reaches_the_client(programs):
    with answering(models=MODELS) as played:
        env = {"PATH": str(programs), "FREEROUTE_URL": played.url}
        with process("run", "aider", "wait", directory=programs, env=env) as running:
            assert running.stdout is not None
            assert running.stdout.readline()
            running.send_signal(signal.SIGTERM)
            assert running.wait(timeout=PATIENCE) == -signal.SIGTERM


def test_what_cannot_be_started_is_told_with_how_to_get_it(run, gateway, programs, monkeypatch):
    monkeypatch.setenv("PATH", str(programs))
    (programs / "claude").unlink()
    told = run("run", "claude-code")
    assert told.exit_code == 1
    assert "npm install -g @anthropic-ai/claude-code" in told.stderr
    assert "there is no program 'nothing'" in run("run", "env", "nothing").stderr
    assert run("run", "env").exit_code == run("run", "env", "--").exit_code == 2
    assert "`freeroute setup gemini-cli --write`" in run("run", "gemini-cli").stderr
    (programs / "mine").write_text("#!/nowhere/at/all\n")
    assert "cannot be started" in run("run", "env", "mine").stderr
    gateway.get(f"{GATEWAY}/v1/models").mock(side_effect=httpx.ConnectError("refused"))
    assert "start one with `freeroute serve`" in run("run", "aider").stderr
