"""A small catalogue, and what settings come to over it."""

from datetime import date
from pathlib import Path

import pytest

from freeroute.config.assembly import Assembly, assemble
from freeroute.config.entries import read_catalogue
from freeroute.config.load import Overrides, Settings, load
from freeroute.config.overlay import Plan
from freeroute.config.overlay import planned as lay_out
from freeroute.stores.keysafe import KeySafe

TODAY = date(2026, 11, 21)

CATALOGUE = {
    "groq": """
name: Groq
rank: 1
base_url: https://api.groq.example/openai/v1
env: [GROQ_API_KEY]
key_check: /models
privacy: no-train
terms: {summary: One account., training: None.}
headers: {x-app: freeroute}
precharge: {output: true, default: 1024}
quirks: {message_name: false}
errors: [{status: 498, kind: no_capacity}]
timeouts: {first_event: 10s}
limits:
  - {unit: requests, amount: 30, per: minute, scope: model, confidence: documented}
models:
  - {id: openai/gpt-oss-120b, quality: 68, capabilities: [tools], speed: {first_token: 200ms}}
  - {id: openai/gpt-oss-20b, auto: false}
  - {id: old-model}
  - {id: soon-gone, retires: 2026-12-01}
retired: {old-model: 2026-08-16}
""",
    "gemini": """
rank: 2
base_url: https://gemini.example/v1
env: [GEMINI_API_KEY]
env_named: [GOOGLE_API_KEY]
privacy: trains
models: [{id: gemini-3.5-flash}]
""",
    "cloudflare": """
rank: 3
base_url: https://cf.example/{CF_ACCOUNT}/v1
key_check: https://cf.example/{CF_ACCOUNT}/check
variables: [CF_ACCOUNT]
env_named: [CF_TOKEN]
models: [{id: "@cf/gemma"}]
""",
    "ovh": """
rank: 4
base_url: https://ovh.example/v1
keyless: true
env_named: [OVH_TOKEN]
models: [{id: gpt-oss-120b}]
""",
    "ollama": """
rank: 101
name: Ollama
engine: ollama
base_url: http://127.0.0.1:11434/v1
privacy: local
limits: [{unit: concurrency, amount: 1, scope: model}]
""",
}


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """Return a directory to load settings from, with a home in it."""
    (tmp_path / "home").mkdir()
    return tmp_path


def read(here: Path, text: str | None = None, env: dict[str, str] | None = None, **flags) -> Settings:
    """Return what is loaded where the file of settings says *text*."""
    if text is not None:
        (here / "freeroute.yaml").write_text(text, encoding="utf-8")
    return load(Overrides(**flags), env or {}, here, here / "home")


@pytest.fixture
def built(tmp_path: Path):
    catalogue = tmp_path / "providers"
    catalogue.mkdir()
    for name, text in CATALOGUE.items():
        (catalogue / f"{name}.yaml").write_text(text)

    def build(text: str = "", env: dict[str, str] | None = None) -> Assembly:
        (tmp_path / "freeroute.yaml").write_text(text)
        settings = load(Overrides(), env or {}, tmp_path, tmp_path)
        return assemble(settings, read_catalogue(catalogue), TODAY)

    return build


@pytest.fixture
def planned(tmp_path: Path, built):
    """Return what settings come to, with all that is needed to lay something over it."""

    def build(text: str = "", env: dict[str, str] | None = None) -> Plan:
        built(text, env)
        settings = load(Overrides(), env or {}, tmp_path, tmp_path)
        return lay_out(settings, read_catalogue(tmp_path / "providers"), TODAY)

    return build


@pytest.fixture
def safe(tmp_path: Path) -> KeySafe:
    """Return a place to keep what is entered."""
    return KeySafe(tmp_path / "state", None)
