"""What each client needs to ask a gateway: its files, its environment, and what only people can do.

Each function names where the format is described, and when that was read.
"""

import json
from typing import Any

from freeroute.commands.connecting.editing import Form
from freeroute.commands.connecting.files import Edit, was_written
from freeroute.commands.connecting.recipe import Home, Recipe, Variables
from freeroute.commands.connecting.target import Offered, Target
from freeroute.commands.connecting.trees import Path

KEY = "FREEROUTE_API_KEY"
"""The variable from which clients take the key that want none in a file."""


# --- Claude Code -----------------------------------------------------------------------------------------


def _claude_variables(target: Target) -> Variables:
    """https://code.claude.com/docs/en/llm-gateway and /settings, 2026-11: the address goes without /v1."""
    model = target.model.id
    return {
        "ANTHROPIC_BASE_URL": target.url,
        "ANTHROPIC_AUTH_TOKEN": target.sent,
        "ANTHROPIC_MODEL": model,
        "ANTHROPIC_DEFAULT_OPUS_MODEL": model,
        "ANTHROPIC_DEFAULT_SONNET_MODEL": model,
        "ANTHROPIC_DEFAULT_HAIKU_MODEL": target.quick,
    }


def _claude_run(target: Target) -> Variables:
    """/env-vars, seen in 2.1.197: without the first, `env` in a settings file goes before the environment."""
    # A key for Anthropic itself would be sent as well, and be the one that counts.
    ours = {"CLAUDE_CODE_PROVIDER_MANAGED_BY_HOST": "1", "ANTHROPIC_API_KEY": ""}
    return {**_claude_variables(target), **ours}


_CLAUDE_STRONGER: tuple[Path, ...] = (
    ("apiKeyHelper",),
    ("env", "ANTHROPIC_API_KEY"),
    ("env", "CLAUDE_CODE_USE_BEDROCK"),
    ("env", "CLAUDE_CODE_USE_VERTEX"),
    ("env", "CLAUDE_CODE_USE_FOUNDRY"),
)
"""Another key that would be sent, as of /llm-gateway, or another place to ask, of /env-vars and /settings."""


def _claude_files(target: Target, home: Home) -> list[Edit]:
    path = home.place("CLAUDE_CONFIG_DIR", ".claude") / "settings.json"
    values: dict[Path, Any] = {("env", name): value for name, value in _claude_variables(target).items()}
    return [Edit(path, Form.JSON, values, key=target.key, stronger=_CLAUDE_STRONGER)]


# --- Codex CLI -------------------------------------------------------------------------------------------


def _codex_provider(target: Target) -> dict[str, Any]:
    """https://developers.openai.com/codex/config-reference, 2026-11: `responses` is the only wire API."""
    keyed = {"env_key": KEY} if target.key is not None else {}
    return {"name": "freeroute", "base_url": target.v1, "wire_api": "responses", **keyed}


def _codex_files(target: Target, home: Home) -> list[Edit]:
    values: dict[Path, Any] = {
        ("model",): target.model.id,
        ("model_provider",): "freeroute",
        ("model_providers", "freeroute"): _codex_provider(target),
    }
    return [Edit(home.place("CODEX_HOME", ".codex") / "config.toml", Form.TOML, values)]


def _codex_arguments(target: Target) -> list[str]:
    # Each value is read as TOML, for which the strings of JSON are good.
    settings = {"model": target.model.id, "model_provider": "freeroute"}
    settings |= {f"model_providers.freeroute.{name}": one for name, one in _codex_provider(target).items()}
    return [word for name, one in settings.items() for word in ("-c", f"{name}={json.dumps(one)}")]


# --- aider -----------------------------------------------------------------------------------------------


def _aider_files(target: Target, home: Home) -> list[Edit]:
    """https://aider.chat/docs/config/aider_conf.html and /llms/openai-compat.html, aider 0.86."""
    values: dict[Path, Any] = {
        ("model",): f"openai/{target.model.id}",
        ("openai-api-base",): target.v1,
        ("openai-api-key",): target.sent,
        ("show-model-warnings",): False,  # that it does not know what the model costs
    }
    path = home.directory / ".aider.conf.yml"
    return [Edit(path, Form.YAML, values, key=target.key)]


def _aider_variables(target: Target) -> Variables:
    """Its own names go before its file, which goes before OpenAI's names."""
    return {
        "AIDER_MODEL": f"openai/{target.model.id}",
        "AIDER_SHOW_MODEL_WARNINGS": "false",
        "AIDER_OPENAI_API_BASE": target.v1,
        "AIDER_OPENAI_API_KEY": target.sent,
        "OPENAI_API_BASE": target.v1,
        "OPENAI_API_KEY": target.sent,
    }


# --- Continue --------------------------------------------------------------------------------------------


def _continue_files(target: Target, home: Home) -> list[Edit]:
    """https://docs.continue.dev/reference, schema v1; of an older config.json, /reference/yaml-migration."""
    model = {
        "name": "freeroute",
        "provider": "openai",
        "model": target.model.id,
        "apiBase": target.v1,
        "apiKey": target.sent,
        "roles": ["chat", "edit", "apply"],
        "capabilities": ["tool_use", *(["image_input"] if target.model.images else [])],
    }
    directory = home.place("CONTINUE_GLOBAL_DIR", ".continue")
    path, older = directory / "config.yaml", directory / "config.json"
    scaffold = "name: freeroute\nversion: 0.0.1\nschema: v1\n"
    values: dict[Path, Any] = {("models", ("name", "freeroute")): model}
    return [Edit(path, Form.YAML, values, scaffold, key=target.key, older=older)]


# --- opencode --------------------------------------------------------------------------------------------


def _opencode_provider(target: Target) -> dict[str, Any]:
    """https://opencode.ai/docs/providers#custom-provider, opencode 1.18: a model sees if that is said."""

    def model(one: Offered) -> dict[str, Any]:
        sees = {"attachment": True, "modalities": {"input": ["text", "image"], "output": ["text"]}}
        limit = {"context": one.context, "output": one.output}
        return {"name": one.id, "limit": limit, **(sees if one.images else {})}

    return {
        "npm": "@ai-sdk/openai-compatible",
        "name": "freeroute",
        "options": {"baseURL": target.v1, "apiKey": target.sent},
        "models": {one.id: model(one) for one in target.models},
    }


def _opencode_files(target: Target, home: Home) -> list[Edit]:
    """Besides the file that counts, the other one if it was written when that was not there yet."""
    directory = home.place("XDG_CONFIG_HOME", ".config") / "opencode"
    plain, commented = directory / "opencode.json", directory / "opencode.jsonc"
    paths = [commented if commented.exists() else plain]
    if plain not in paths and plain.exists() and was_written(plain):
        paths.append(plain)
    values: dict[Path, Any] = {
        ("provider", "freeroute"): _opencode_provider(target),
        ("model",): f"freeroute/{target.model.id}",
        ("small_model",): f"freeroute/{target.quick}",
    }
    scaffold = '{\n  "$schema": "https://opencode.ai/config.json"\n}\n'
    return [Edit(path, Form.JSON, values, scaffold, key=target.key) for path in paths]


def _opencode_variables(target: Target) -> Variables:
    """What is in this variable is laid over its files."""
    content = {
        "provider": {"freeroute": _opencode_provider(target)},
        "model": f"freeroute/{target.model.id}",
        "small_model": f"freeroute/{target.quick}",
    }
    return {"OPENCODE_CONFIG_CONTENT": json.dumps(content)}


# --- Zed -------------------------------------------------------------------------------------------------


def _zed_files(target: Target, home: Home) -> list[Edit]:
    """https://zed.dev/docs/ai/use-api-access#openai-compatible, 2026-11. It takes no key from the file."""

    def model(one: Offered) -> dict[str, Any]:
        able = {"tools": True, "images": one.images, "parallel_tool_calls": False, "prompt_cache_key": False}
        return {
            "name": one.id,
            "display_name": f"{one.id} (freeroute)",
            "max_tokens": one.context,
            "capabilities": able,
        }

    ours: Path = ("language_models", "openai_compatible", "freeroute")
    values: dict[Path, Any] = {
        ours: {"api_url": target.v1},
        **{(*ours, "available_models", ("name", one.id)): model(one) for one in target.models},
        ("agent", "default_model"): {"provider": "freeroute", "model": target.model.id},
    }
    path = home.place("XDG_CONFIG_HOME", ".config") / "zed" / "settings.json"
    return [Edit(path, Form.JSON, values)]


# --- goose -----------------------------------------------------------------------------------------------


def _goose_files(target: Target, home: Home) -> list[Edit]:
    """https://block.github.io/goose/docs/getting-started/providers#configure-custom-provider, 2026-11."""
    directory = home.place("XDG_CONFIG_HOME", ".config") / "goose"
    provider = {
        "name": "custom_freeroute",
        "engine": "openai",
        "display_name": "freeroute",
        "description": "The free tiers and local models of a freeroute gateway",
        "api_key_env": KEY,
        "base_url": f"{target.v1}/chat/completions",
        "models": [{"name": one.id, "context_limit": one.context} for one in target.models],
        "supports_streaming": True,
        "requires_auth": target.key is not None,
    }
    chosen: dict[Path, Any] = {("GOOSE_PROVIDER",): "custom_freeroute", ("GOOSE_MODEL",): target.model.id}
    return [
        Edit(
            directory / "custom_providers" / "custom_freeroute.json",
            Form.JSON,
            {(name,): value for name, value in provider.items()},
        ),
        Edit(directory / "config.yaml", Form.YAML, chosen),
    ]


def _goose_variables(target: Target) -> Variables:
    return {
        "GOOSE_PROVIDER": "openai",
        "GOOSE_MODEL": target.model.id,
        "OPENAI_HOST": target.url,
        "OPENAI_BASE_PATH": "v1/chat/completions",
        "OPENAI_API_KEY": target.sent,
    }


# --- the others ------------------------------------------------------------------------------------------


def _gemini_variables(target: Target) -> Variables:
    """https://geminicli.com/docs/reference/configuration, Gemini CLI 0.61: it adds /v1beta by itself."""
    return {
        "GOOGLE_GEMINI_BASE_URL": target.url,
        "GEMINI_API_KEY": target.sent,
        "GEMINI_MODEL": target.model.id,
    }


def _gemini_files(target: Target, home: Home) -> list[Edit]:
    """Of an address in the environment it makes a way of signing in that it then refuses: this is the way."""
    path = home.place("GEMINI_CLI_HOME", ".") / ".gemini" / "settings.json"
    return [Edit(path, Form.JSON, {("security", "auth", "selectedType"): "gemini-api-key"})]


def _webui_variables(target: Target) -> Variables:
    """https://docs.openwebui.com/getting-started/env-configuration, 2026-11."""
    return {"OPENAI_API_BASE_URL": target.v1, "OPENAI_API_KEY": target.sent}


def _every_variable(target: Target) -> Variables:
    """What SDKs and tools of each API read."""
    return {
        "OPENAI_BASE_URL": target.v1,
        "OPENAI_API_KEY": target.sent,
        "ANTHROPIC_BASE_URL": target.url,
        "ANTHROPIC_AUTH_TOKEN": target.sent,
        "OLLAMA_HOST": target.url,
        "GOOGLE_GEMINI_BASE_URL": target.url,
        "GEMINI_API_KEY": target.sent,
    }


def _from_the_shell(target: Target) -> list[str]:
    return [f"It takes the key from {KEY}: have that in the environment it starts in."] if target.key else []


_RECIPES = (
    Recipe(
        "claude-code",
        "Claude Code",
        files=_claude_files,
        variables=_claude_run,
        notes=lambda _: ["Where ANTHROPIC_API_KEY is set, unset it: it would be sent instead."],
        program="claude",
        install="npm install -g @anthropic-ai/claude-code",
    ),
    Recipe(
        "codex",
        "Codex CLI",
        files=_codex_files,
        variables=lambda target: {KEY: target.sent},
        arguments=_codex_arguments,
        notes=_from_the_shell,
        program="codex",
        install="npm install -g @openai/codex",
    ),
    Recipe(
        "aider",
        "aider",
        files=_aider_files,
        variables=_aider_variables,
        program="aider",
        install="python -m pip install aider-chat",
    ),
    Recipe("continue", "Continue", files=_continue_files),
    Recipe(
        "cline",
        "Cline",
        notes=lambda target: [
            "Cline keeps its settings inside of VS Code, where nobody else can write them safely. There:",
            "API Provider: OpenAI Compatible",
            f"Base URL: {target.v1}",
            f"API Key: {'the key of your client' if target.key else target.sent}",
            f"Model ID: {target.model.id}",
        ],
    ),
    Recipe(
        "opencode",
        "opencode",
        files=_opencode_files,
        variables=_opencode_variables,
        program="opencode",
        install="npm install -g opencode-ai",
    ),
    Recipe(
        "open-webui",
        "Open WebUI",
        variables=_webui_variables,
        notes=lambda _: [
            "They count for its first start; later: Admin Panel, Settings, Connections.",
            "In a container, localhost is the container: --url names an address that it reaches.",
        ],
    ),
    Recipe(
        "zed",
        "Zed",
        files=_zed_files,
        notes=lambda target: [
            f"Zed takes the key from {KEY} in its environment, or from its settings under LLM Providers"
            + ("." if target.key else f"; it wants some text there, such as {target.sent}."),
        ],
    ),
    Recipe(
        "goose",
        "goose",
        files=_goose_files,
        variables=_goose_variables,
        notes=_from_the_shell,
        program="goose",
        install="see https://block.github.io/goose/docs/getting-started/installation",
    ),
    Recipe(
        "gemini-cli",
        "Gemini CLI",
        files=_gemini_files,
        variables=_gemini_variables,
        notes=lambda _: [
            "It takes the address from its environment alone: start it by `freeroute run gemini-cli`."
        ],
        needs_files=True,
        program="gemini",
        install="npm install -g @google/gemini-cli",
    ),
    # SDKs take these keys before ours, or send them as well.
    Recipe("env", "any program", variables=_every_variable, unset=("ANTHROPIC_API_KEY", "GOOGLE_API_KEY")),
)

RECIPES = {recipe.name: recipe for recipe in _RECIPES}
STARTED = [name for name, recipe in RECIPES.items() if recipe.program is not None or name == "env"]
"""What can be started for one run."""
