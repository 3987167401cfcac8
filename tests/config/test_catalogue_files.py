"""The files in config/providers: complete, consistent, and able to start a gateway."""

import re
from datetime import date
from pathlib import Path

import msgspec
import pytest
from msgspec import structs

from freeroute.config.assembly import assemble
from freeroute.config.entries import models_of, or_else, read_catalogue
from freeroute.config.load import Overrides, load
from freeroute.config.provider_specs import KeySpec, ProviderSpec
from freeroute.config.providers import provider_of
from freeroute.config.schema import Where
from freeroute.domain.catalogue import Catalogue, Limit, Privacy, Scope, Unit, WindowKind
from freeroute.domain.resolve import Names, Target
from freeroute.resources import config_dir

DIRECTORY = config_dir() / "providers"
TODAY = date(2026, 11, 21)
ENTRIES = read_catalogue(DIRECTORY)
REMOTE = [name for name, spec in ENTRIES.items() if spec.status != "local"]
LOCAL = [name for name, spec in ENTRIES.items() if spec.status == "local"]
CAPABILITIES = {
    "tools", "images", "audio", "video", "files", "json_object", "json_schema", "reasoning", "embeddings",
    "dimensions", "rerank", "completions", "transcription",
}  # fmt: skip


@pytest.fixture
def everything(tmp_path: Path) -> Catalogue:
    """All providers of the catalogue, listed with a key each."""
    settings = load(Overrides(), {"CLOUDFLARE_ACCOUNT_ID": "abc"}, tmp_path, tmp_path)
    listed = {name: ProviderSpec(keys=(KeySpec(key="k"),)) for name in REMOTE}
    return assemble(structs.replace(settings, providers=listed), ENTRIES, TODAY).catalogue


def test_every_limit_can_be_saved(everything):
    limits = {pool.limit for candidate in everything.candidates for pool in candidate.pools}
    for limit in limits:
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(limit), type=Limit) == limit


def test_the_catalogue_holds_the_providers_it_should():
    assert set(REMOTE) == {
        "groq", "gemini", "nvidia", "openrouter", "mistral", "cloudflare", "cohere", "ovh", "kilo", "llm7",
        "zai", "requesty", "huggingface", "aion", "ollama-cloud", "cerebras",
    }  # fmt: skip
    assert LOCAL == ["ollama", "llamacpp", "lmstudio", "vllm"]
    assert list(ENTRIES)[:4] == ["groq", "gemini", "nvidia", "openrouter"]


@pytest.mark.parametrize("name", ENTRIES)
def test_a_file_is_complete(name):
    spec = ENTRIES[name]
    for field in ("name", "status", "rank", "base_url", "privacy", "terms", "as_of"):
        assert getattr(spec, field), field
    date.fromisoformat(or_else(spec.as_of, ""))
    for retired in or_else(spec.retired, {}).values():
        date.fromisoformat(retired)
    if name in REMOTE:
        assert spec.source
        assert spec.signup_url
        assert models_of(spec)
        assert spec.env or spec.env_named or spec.keyless
        assert or_else(spec.base_url, "").startswith("https://")
    else:
        assert (spec.engine, spec.privacy) == (name, Privacy.LOCAL)
        assert or_else(spec.base_url, "").startswith("http://127.0.0.1:")
        assert not spec.env


@pytest.mark.parametrize("name", ENTRIES)
def test_a_file_tells_editors_its_schema_and_says_what_it_is(name):
    first, second, *_ = (DIRECTORY / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    assert first == "# yaml-language-server: $schema=../provider.schema.json"
    assert second.startswith("# ")


@pytest.mark.parametrize("name", REMOTE)
def test_models_are_described(name):
    for model in models_of(ENTRIES[name]):
        assert set(or_else(model.capabilities, ())) <= CAPABILITIES, model.id
        assert model.quality, model.id
        assert model.speed, model.id
        for limit in or_else(model.limits, ()):
            assert limit.confidence != "configured", model.id


@pytest.mark.parametrize("name", ENTRIES)
def test_limits_say_how_sure_they_are(name):
    for limit in or_else(ENTRIES[name].limits, ()):
        assert limit.confidence != "configured"


@pytest.mark.parametrize("name", REMOTE)
def test_every_entry_resolves(name, everything):
    provider = everything.providers[name]
    assert provider.keys[0].secret == "k"
    assert "{" not in provider.base_url
    assert not set(provider.retired) & {m.id for m in provider.models if m.enabled}


def test_every_retired_model_that_is_still_listed_is_off_after_its_day(everything, tmp_path):
    settings = load(Overrides(), {"GEMINI_API_KEY": "k"}, tmp_path, tmp_path)
    later = provider_of("gemini", ENTRIES["gemini"], settings, Where("gemini.yaml"), date(2027, 5, 7))
    off = {model.id for model in later.models if not model.enabled}
    assert off == {"gemini-3.1-flash-lite"}


def test_the_same_weights_have_the_same_quality_everywhere(everything):
    by_family: dict[str, set[float]] = {}
    for candidate in everything.candidates:
        by_family.setdefault(candidate.model.family, set()).add(candidate.model.quality)
    assert {family: values for family, values in by_family.items() if len(values) > 1} == {}


def test_the_tiers_stand_in_the_published_order(everything):
    quality = {c.model.family: c.model.quality for c in everything.candidates}
    order = [
        "gemini-3.8-flash", "gemini-3.5-flash", "deepseek-v4-pro", "qwen3.5-397b-a17b", "qwen3.8-27b",
        "nemotron-3-ultra-550b-a55b", "mistral-medium-3-5", "gpt-oss-120b", "gemma-4-31b", "gpt-oss-20b",
    ]  # fmt: skip
    assert [quality[family] for family in order] == sorted((quality[f] for f in order), reverse=True)
    assert min(quality["gemini-3.5-flash"], quality["deepseek-v4-flash"], quality["kimi-k3"]) >= 80
    assert 60 <= quality["gpt-oss-120b"] < 80
    assert 40 <= quality["gpt-oss-20b"] < 60


def test_families_join_what_providers_call_differently(everything):
    target = Names(everything).resolve("gpt-oss-120b")
    assert isinstance(target, Target)
    assert {c.provider.id for c in target.candidates} == {
        "groq", "cloudflare", "ovh", "huggingface", "ollama-cloud", "cerebras",
    }  # fmt: skip


def test_only_unambiguous_variables_switch_a_provider_on():
    automatic = {name for spec in ENTRIES.values() for name in or_else(spec.env, ())}
    named = {name for spec in ENTRIES.values() for name in or_else(spec.env_named, ())}
    assert {"GROQ_API_KEY", "GEMINI_API_KEY", "NVIDIA_API_KEY", "OPENROUTER_API_KEY"} <= automatic
    assert {
        "HF_TOKEN", "GOOGLE_API_KEY", "CLOUDFLARE_API_TOKEN", "CEREBRAS_API_KEY",
        "OVH_AI_ENDPOINTS_ACCESS_TOKEN",
    } <= named  # fmt: skip
    assert not automatic & named


def test_the_groq_counters_are_as_published(everything):
    groq = everything.providers["groq"]
    assert [(li.unit, li.amount, li.span, li.window, li.scope) for li in groq.limits] == [
        (Unit.REQUESTS, 30, "minute", WindowKind.SLIDING, Scope.MODEL),
        (Unit.REQUESTS, 1000, "day", WindowKind.BUCKET, Scope.MODEL),
        (Unit.TOKENS, 8000, "minute", WindowKind.BUCKET, Scope.MODEL),
        (Unit.TOKENS, 200000, "day", WindowKind.BUCKET, Scope.MODEL),
    ]
    assert groq.precharge.output


def test_geminis_day_ends_at_midnight_pacific(everything):
    days = [li for m in everything.providers["gemini"].models for li in m.limits if li.span == "day"]
    assert {(li.window, li.tz) for li in days} == {(WindowKind.CALENDAR, "America/Los_Angeles")}


def test_a_limit_in_neurons_or_dollars_has_prices_to_count_with(everything):
    for candidate in everything.candidates:
        units = {pool.limit.unit for pool in candidate.pools}
        assert Unit.NEURONS not in units or candidate.model.neurons is not None, candidate.id
        assert Unit.USD not in units or candidate.model.price is not None, candidate.id


def test_nothing_probes_where_a_failed_call_costs_a_small_day(everything):
    for provider in everything.providers.values():
        daily = [li.amount for li in provider.limits if li.unit is Unit.REQUESTS and li.span == "day"]
        if provider.failed_calls_count or (daily and min(daily) < 250):
            assert not provider.probes, provider.id


def test_no_candidate_of_the_catalogue_has_two_counters_of_one_name(everything):
    for candidate in everything.candidates:
        names = [pool.id for pool in candidate.pools]
        assert len(names) == len(set(names)), candidate.id


def test_the_example_settings_are_valid(tmp_path):
    settings = load(Overrides(config=str(config_dir() / "freeroute.example.yaml")), {}, tmp_path, tmp_path)
    assembly = assemble(settings, ENTRIES, TODAY)
    assert set(assembly.catalogue.providers) == {"groq", "spare"}
    assert "workstation" in {server.id for server in assembly.local}
    assert [client.name for client in settings.clients] == ["alice"]


def test_the_example_settings_show_every_section_and_default():
    text = (config_dir() / "freeroute.example.yaml").read_text(encoding="utf-8")
    defaults = load(Overrides(), {}, Path("/nowhere"), Path("/nowhere"))
    for section in ("server", "discovery", "routing", "logging", "storage", "traces"):
        for field in getattr(defaults, section).__struct_fields__:
            assert re.search(rf"^  {field}: ", text, re.MULTILINE), field
