"""Setting clients up: what is asked, what is printed, what is written."""

import json
import tomllib
from pathlib import Path

import httpx
import pytest

from freeroute.commands.connecting.recipes import RECIPES
from tests.commands.conftest import ROOT
from tests.commands.connecting.conftest import GATEWAY, MODELS, entry


@pytest.mark.parametrize("client", RECIPES)
def test_everything_is_printed_with_the_address_and_a_model_that_is_there(run, gateway, client):
    told = run("setup", client)
    assert told.exit_code == 0
    assert GATEWAY in told.stdout or client == "gemini-cli"
    if client not in {
        "env",
        "open-webui",
        "gemini-cli",
    }:  # they find the models themselves, or are told later
        assert "free-smart" in told.stdout
    assert list(Path.home().iterdir()) == []


def test_what_is_written_is_merged_and_taken_back(run, gateway):
    path = Path.home() / ".codex" / "config.toml"
    path.parent.mkdir()
    path.write_text('model = "gpt" # mine\n')
    diff = run("setup", "codex", "--dry-run").stdout
    assert '-model = "gpt" # mine' in diff
    assert '+model = "free-smart" # mine' in diff
    assert path.read_text() == 'model = "gpt" # mine\n'
    assert f"wrote {path}" in run("setup", "codex", "--write").stdout
    settings = tomllib.loads(path.read_text())
    assert settings["model_providers"]["freeroute"]["base_url"] == f"{GATEWAY}/v1"
    assert f"nothing to change in {path}" in run("setup", "codex", "--write").stdout
    assert f"nothing to change in {path}" in run("setup", "codex", "--dry-run").stdout
    assert run("setup", "codex", "--undo").stdout == f"brought back {path}\n"
    assert path.read_text() == 'model = "gpt" # mine\n'
    assert "nothing to take back" in run("setup", "codex", "--undo").stdout


def test_a_client_of_several_files_gets_all_of_them_or_none(run, gateway):
    directory = Path.home() / ".config" / "goose"
    directory.mkdir(parents=True)
    (directory / "config.yaml").write_text("a: [1\n")
    told = run("setup", "goose", "--write")
    assert told.exit_code == 2
    assert "config.yaml: line 2, column 1: this is not valid YAML; nothing was changed" in told.stderr
    assert [path.name for path in directory.iterdir()] == ["config.yaml"]
    (directory / "config.yaml").unlink()
    assert run("setup", "goose", "--write").exit_code == 0
    assert run("setup", "goose", "--undo").stdout.count("removed ") == 2


def test_undoing_several_files_undoes_all_of_them_or_none(run, gateway):
    directory = Path.home() / ".config" / "goose"
    run("setup", "goose", "--write")
    provider = directory / "custom_providers" / "custom_freeroute.json"
    (directory / "config.yaml").write_text("a: [1\n")
    told = run("setup", "goose", "--undo")
    assert told.exit_code == 2
    assert (told.stdout, "this is not valid YAML" in told.stderr) == ("", True)
    assert provider.exists()


def test_a_copy_that_is_gone_is_told_by_undoing(run, gateway):
    path = Path.home() / ".codex" / "config.toml"
    path.parent.mkdir()
    path.write_text("a = 1\n")
    run("setup", "codex", "--write")
    path.with_name("config.toml.before-freeroute").unlink()
    told = run("setup", "codex", "--undo")
    assert (told.exit_code, "the copy of what it was is gone" in told.stdout) == (0, True)
    assert "nothing to take back" in run("setup", "codex", "--undo").stdout


def test_what_stays_after_undoing_is_told_and_is_no_success(run, gateway):
    path = Path.home() / ".claude" / "settings.json"
    path.parent.mkdir()
    path.write_text('{"theme": "dark"}')
    run("setup", "claude-code", "--write", "--key", "fr-secret")
    path.write_text(path.read_text().replace("free-smart", "mine").replace("dark", "fr-secret"))
    for words, said in ((["--undo", "--dry-run"], "would take"), (["--undo"], "took")):
        told = run("setup", "claude-code", *words)
        assert told.exit_code == 1
        assert told.stdout == f"{said} what is ours out of {path}\n"
        assert f"{path}: env.ANTHROPIC_MODEL stays: somebody else set it since" in told.stderr
        assert f"{path}: a key that was written stays" in told.stderr
    assert path.stat().st_mode & 0o777 == 0o600
    assert set(json.loads(path.read_text())["env"].values()) == {"mine"}


def test_a_file_that_is_gone_is_said_to_come_back(run, gateway):
    path = Path.home() / ".codex" / "config.toml"
    path.parent.mkdir()
    path.write_text("a = 1\n")
    run("setup", "codex", "--write")
    path.unlink()
    assert run("setup", "codex", "--undo").stdout == f"brought back {path}\n"
    assert path.read_text() == "a = 1\n"


def test_settings_that_go_before_what_is_written_are_named_and_it_is_no_success(run, gateway):
    path = Path.home() / ".claude" / "settings.json"
    path.parent.mkdir()
    env = {"ANTHROPIC_API_KEY": "sk-ant-own", "CLAUDE_CODE_USE_BEDROCK": "1", "CLAUDE_CODE_USE_VERTEX": "0"}
    path.write_text(json.dumps({"apiKeyHelper": "./key.sh", "env": env}, indent=2))
    for words in (["--write"], ["--write"], ["--dry-run"]):
        told = run("setup", "claude-code", *words)
        assert told.exit_code == ("--write" in words)
        for place in ("apiKeyHelper", "env.ANTHROPIC_API_KEY", "env.CLAUDE_CODE_USE_BEDROCK"):
            assert f"{path}: {place} goes before what is written" in told.stderr
        assert "`freeroute run claude-code`" in told.stderr
        assert "VERTEX" not in told.stderr
        assert "sk-ant-own" not in told.stderr
        assert "Claude Code asks" not in told.stdout
    assert json.loads(path.read_text())["env"]["ANTHROPIC_API_KEY"] == "sk-ant-own"


def test_a_file_of_continue_is_not_begun_beside_an_older_one(run, gateway):
    directory = Path.home() / ".continue"
    directory.mkdir()
    (directory / "config.json").write_text('{"models": []}')
    for words in (["--write"], ["--dry-run"]):
        told = run("setup", "continue", *words)
        assert told.exit_code == 2
        assert f"instead of {directory / 'config.json'}, all of it" in told.stderr
    assert run("setup", "continue").exit_code == 0
    assert [path.name for path in directory.iterdir()] == ["config.json"]
    (directory / "config.yaml").write_text("name: Mine\n")
    assert run("setup", "continue", "--write").exit_code == 0
    assert run("setup", "continue", "--undo").exit_code == 0


def test_a_dry_run_writes_nothing_whatever_stands_beside_it(run, gateway):
    path = Path.home() / ".codex" / "config.toml"
    for words in (["--write", "--dry-run"], ["--dry-run", "--write"], ["--dry-run"]):
        assert '+model = "free-smart"' in run("setup", "codex", *words).stdout
        assert not path.exists()
    run("setup", "codex", "--write", "--key", "fr-secret")
    for words in (["--undo", "--dry-run"], ["--dry-run", "--undo"]):
        assert run("setup", "codex", *words).stdout == f"would remove {path}\n"
        assert path.exists()
    run("setup", "codex", "--undo")
    path.write_text("a = 1\n")
    run("setup", "codex", "--write")
    assert run("setup", "codex", "--undo", "--dry-run").stdout == f"would bring back {path}\n"
    told = run("setup", "codex", "--write", "--undo")
    assert (told.exit_code, "give one of them" in told.stderr) == (2, True)


@pytest.mark.parametrize(
    ("text", "told"), [('{"apiKeyHelper": "pass show it"}', True), ('{"env": {}}', False), ("{", False)]
)
def test_what_would_send_another_key_beside_is_told(run, gateway, text, told):
    path = Path.home() / ".claude" / "settings.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    shown = run("setup", "claude-code")
    assert shown.exit_code == 0
    assert (f"{path}: apiKeyHelper goes before what is written: take it out" in shown.stderr) is told


def test_a_dry_run_shows_no_key_of_before_either(run, gateway):
    path = Path.home() / ".claude" / "settings.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"env": {"ANTHROPIC_API_KEY": "sk-ant-api03-secret"}}')
    run("setup", "claude-code", "--write", "--key", "fr-first-secret")
    shown = run("setup", "claude-code", "--dry-run", "--key", "another").stdout
    assert shown.count('"YOUR-KEY"') >= 2
    assert not [key for key in ("fr-first-secret", "another", "sk-ant-api03-secret") if key in shown]


def test_files_are_where_their_variables_say(run, gateway, monkeypatch, tmp_path):
    for client, variable, name in [
        ("claude-code", "CLAUDE_CONFIG_DIR", "settings.json"),
        ("codex", "CODEX_HOME", "config.toml"),
        ("continue", "CONTINUE_GLOBAL_DIR", "config.yaml"),
        ("zed", "XDG_CONFIG_HOME", "zed/settings.json"),
        ("opencode", "XDG_CONFIG_HOME", "opencode/opencode.json"),
    ]:
        monkeypatch.setenv(variable, str(tmp_path / client))
        assert run("setup", client, "--write").exit_code == 0
        assert (tmp_path / client / name).exists()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "other"))
    there = tmp_path / "other" / "opencode" / "opencode.jsonc"
    there.parent.mkdir(parents=True)
    there.write_text("{} // mine")
    run("setup", "opencode", "--write")
    assert "freeroute" in there.read_text()


@pytest.mark.parametrize("again", [True, False])
def test_opencode_is_taken_back_where_it_was_written_also_if_another_file_counts_since(run, gateway, again):
    directory = Path.home() / ".config" / "opencode"
    run("setup", "opencode", "--write")
    (directory / "opencode.jsonc").write_text("{} // mine")
    if again:
        run("setup", "opencode", "--write")
        assert "freeroute" in (directory / "opencode.jsonc").read_text()
    assert f"removed {directory / 'opencode.json'}\n" in run("setup", "opencode", "--undo").stdout
    assert {path.name: path.read_text() for path in directory.iterdir()} == {"opencode.jsonc": "{} // mine"}


def test_a_key_is_sent_and_written_but_not_shown(run, gateway, monkeypatch):
    monkeypatch.setenv("FREEROUTE_API_KEY", "fr-secret")
    for words in (["setup", "aider"], ["setup", "aider", "--dry-run"], ["setup", "aider", "--write"]):
        told = run(*words)
        assert "fr-secret" not in told.stdout + told.stderr
    path = Path.home() / ".aider.conf.yml"
    assert '"fr-secret"' in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    assert {call.request.headers["authorization"] for call in gateway.calls} == {"Bearer fr-secret"}
    # Shells read this, and nobody else.
    assert "OPENAI_API_KEY=fr-other" in run("setup", "env", "--key", "fr-other").stdout
    assert gateway.calls.last.request.headers["authorization"] == "Bearer fr-other"


@pytest.mark.parametrize("client", [name for name in RECIPES if name != "env"])
@pytest.mark.parametrize("key", ["fr-secret", "fr-se'c\"ret"])
def test_no_client_but_a_shell_is_shown_the_key(run, gateway, client, key):
    told = run("setup", client, "--key", key)
    assert told.exit_code == 0
    assert "fr-se" not in told.stdout + told.stderr
    if client in {"open-webui", "aider", "claude-code", "opencode", "continue"}:
        assert "YOUR-KEY" in told.stdout


def test_codex_and_goose_take_the_key_from_the_environment(run, gateway):
    for client in ("codex", "goose", "zed"):
        told = run("setup", client, "--key", "fr-secret")
        assert "fr-secret" not in told.stdout
        assert "FREEROUTE_API_KEY" in told.stdout + told.stderr


@pytest.mark.parametrize(
    ("words", "chosen"),
    [([], "free-smart"), (["--model", "groq/m"], "groq/m"), (["-m", "some-family"], "some-family")],
)
def test_a_model_is_chosen_and_any_name_that_means_one_will_do(run, gateway, words, chosen):
    gateway.get(f"{GATEWAY}/v1/models/some-family").respond(json=entry("groq/m"))
    settings = json.loads(run("setup", "opencode", *words).stdout.partition("\n")[2])
    assert settings["model"] == f"freeroute/{chosen}"
    assert next(iter(settings["provider"]["freeroute"]["models"])) == chosen
    assert len(settings["provider"]["freeroute"]["models"]) == (3 if not words else 4)


def test_every_model_is_offered_if_that_is_wanted(run, gateway):
    settings = json.loads(run("setup", "opencode", "--all-models").stdout.partition("\n")[2])
    assert set(settings["provider"]["freeroute"]["models"]) == {one["id"] for one in MODELS["data"]}


def test_what_the_gateway_does_not_have_is_told(run, gateway):
    error = {"error": {"message": "model 'x' does not exist; did you mean free?", "code": "model_not_found"}}
    gateway.get(f"{GATEWAY}/v1/models/x").respond(404, json=error)
    told = run("setup", "claude-code", "--write", "--model", "x")
    assert (told.exit_code, "did you mean free?" in told.stderr) == (1, True)
    gateway.get(f"{GATEWAY}/v1/models").respond(json={"data": []})
    assert "has no model yet" in run("setup", "claude-code").stderr
    gateway.get(f"{GATEWAY}/v1/models").mock(side_effect=httpx.ConnectError("refused"))
    told = run("setup", "claude-code", "--write")
    assert told.exit_code == 1
    assert "start one with `freeroute serve`" in told.stderr
    assert list(Path.home().iterdir()) == []


def test_no_client_is_pointed_at_a_model_that_does_not_chat(run, gateway):
    vectors = entry("gemini/vectors", gives="embeddings")
    gateway.get(f"{GATEWAY}/v1/models").respond(json={"data": [*MODELS["data"], vectors]})
    gateway.get(f"{GATEWAY}/v1/models/vectors").respond(json=vectors)
    for name in ("gemini/vectors", "vectors"):
        for words in (["setup", "-m", name, "claude-code", "--write"], ["run", "-m", name, "env", "sh"]):
            told = run(*words)
            assert (told.exit_code, told.stdout) == (1, "")
            assert f"{name} does not chat; take one that does, such as free-smart" in told.stderr
    gateway.get(f"{GATEWAY}/v1/models").respond(json={"data": [vectors]})
    assert "has no model yet to chat with" in run("setup", "claude-code").stderr
    assert list(Path.home().iterdir()) == []


def test_no_client_is_pointed_at_a_name_that_nothing_stands_behind(run, gateway):
    empty = [entry(name, None, meta=True, available=False) for name in ("free", "free-fast", "free-smart")]
    gateway.get(f"{GATEWAY}/v1/models").respond(json={"data": empty})
    for words in ([], ["--write"], ["-m", "free"]):
        told = run("setup", "claude-code", *words)
        assert (told.exit_code, told.stdout) == (1, "")
        assert "give it a key of a provider" in told.stderr
    spent = entry("groq/m", available=False, back_at=2e9)
    gateway.get(f"{GATEWAY}/v1/models").respond(json={"data": [*empty, spent]})
    assert "groq/m" in run("setup", "claude-code").stdout
    told = run("setup", "claude-code", "-m", "free")
    assert (told.exit_code, "`freeroute explain free` says why" in told.stderr) == (1, True)


def test_undoing_asks_no_gateway(run, gateway):
    run("setup", "claude-code", "--write")
    gateway.get(f"{GATEWAY}/v1/models").mock(side_effect=httpx.ConnectError("refused"))
    assert run("setup", "claude-code", "--undo").exit_code == 0
    assert list((Path.home() / ".claude").iterdir()) == []


def test_a_client_without_a_file_says_what_to_do_instead(run, gateway):
    told = run("setup", "cline", "--write")
    assert told.exit_code == 1
    assert "`freeroute setup cline` says what to do" in told.stderr
    assert f"Base URL: {GATEWAY}/v1" in run("setup", "cline").stdout


@pytest.mark.parametrize(
    ("shell", "line", "gone"),
    [
        ("sh", "export OPENAI_API_KEY='it'\"'\"'s \\x'", "unset {}"),
        ("fish", "set -gx OPENAI_API_KEY 'it\\'s \\\\x'", "set -e {}"),
        ("powershell", "$env:OPENAI_API_KEY = 'it''s \\x'", "Remove-Item Env:{} -ErrorAction Ignore"),
    ],
)
def test_variables_are_written_so_that_a_shell_reads_them_whole(run, gateway, shell, line, gone):
    told = run("setup", "env", "--shell", shell, "--key", "it's \\x").stdout
    assert line in told.splitlines()
    assert told.splitlines()[:2] == [gone.format(name) for name in ("ANTHROPIC_API_KEY", "GOOGLE_API_KEY")]
    assert told.count("\n") == 9


def test_the_dashboard_says_the_same():
    recipes = (ROOT / "dashboard" / "recipes.js").read_text()
    for said in (
        "OPENAI_API_BASE",
        "openai/${model}",
        "~/.continue/config.yaml",
        "~/.config/opencode/opencode.json",
        "@ai-sdk/openai-compatible",
        "OPENAI_API_BASE_URL",
    ):
        assert said in recipes
