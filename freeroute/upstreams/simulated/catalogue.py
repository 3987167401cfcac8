"""The six simulated providers: their models, their published limits, their usual speed."""

from collections.abc import Sequence

from msgspec import Struct

from freeroute.upstreams.simulated.cerebras import Cerebras
from freeroute.upstreams.simulated.faults import Speed
from freeroute.upstreams.simulated.gemini import Gemini
from freeroute.upstreams.simulated.groq import Groq
from freeroute.upstreams.simulated.limits import Rule
from freeroute.upstreams.simulated.mistral import Mistral
from freeroute.upstreams.simulated.ollama import Ollama
from freeroute.upstreams.simulated.openrouter import OpenRouter
from freeroute.upstreams.simulated.shapes import Dialect, Model

PACIFIC = "America/Los_Angeles"


class Offer(Struct, frozen=True):
    """One provider: how it talks, what it serves, what it limits for the whole account."""

    dialect: Dialect
    models: Sequence[Model]
    account_rules: Sequence[Rule] = ()


_GROQ = (
    Rule("requests", 30, "minute"),
    Rule("requests", 1_000, "day", "bucket"),
    Rule("tokens", 8_000, "minute", "bucket"),
    Rule("tokens", 200_000, "day", "bucket"),
)
_CEREBRAS = (
    Rule("requests", 5, "minute", "bucket"),
    # No hourly or daily number of requests is published, yet headers name one: what the minute adds up to.
    Rule("requests", 300, "hour", "bucket"),
    Rule("requests", 7_200, "day", "bucket"),
    Rule("tokens", 30_000, "minute", "bucket"),
    Rule("tokens", 1_000_000, "hour", "bucket"),
    Rule("tokens", 1_000_000, "day", "bucket"),
)
_MISTRAL = (
    Rule("requests", 60, "minute"),
    Rule("tokens", 50_000, "minute"),
    Rule("tokens", 1_000_000_000, "month", "calendar"),
)
_OPENROUTER = (
    Rule("requests", 20, "minute", account_wide=True),
    Rule("requests", 50, "day", "calendar", account_wide=True),
)


def _gemini(minute: int, day: int, tokens: int = 250_000) -> tuple[Rule, ...]:
    return (
        Rule("requests", minute, "minute"),
        Rule("requests", day, "day", "calendar", PACIFIC),
        Rule("input_tokens", tokens, "minute"),
    )


def _models(*rows: tuple[str, float, float, int, int], rules: Sequence[Rule] = ()) -> list[Model]:
    return [
        Model(name, rules, context, most, Speed(first, rate)) for name, first, rate, context, most in rows
    ]


def _gemini_models() -> list[Model]:
    flash = [
        (name, 0.6, 220.0, 1_048_576, 65_536)
        for name in ("gemini-3.8-flash", "gemini-3.7-flash", "gemini-3.6-flash", "gemini-3.5-flash")
    ]
    lite = [
        (name, 0.35, 350.0, 1_048_576, 65_536) for name in ("gemini-3.5-flash-lite", "gemini-3.1-flash-lite")
    ]
    gemma = [(name, 0.8, 60.0, 262_144, 32_768) for name in ("gemma-4-31b-it", "gemma-4-26b-a4b-it")]
    return [
        *_models(*flash, rules=_gemini(5, 20)),
        *_models(*lite, rules=_gemini(15, 500)),
        *_models(("gemini-2.5-flash-lite", 0.35, 350.0, 1_048_576, 65_536), rules=_gemini(10, 20)),
        *_models(*gemma, rules=_gemini(30, 14_400, 15_000)),
        *_models(("gemini-embedding-001", 0.4, 1_000.0, 2_048, 1), rules=_gemini(100, 1_000, 30_000)),
    ]


def offers() -> list[Offer]:
    """Return all six, with fresh values: limits as published in autumn 2026."""
    groq = _models(
        ("openai/gpt-oss-120b", 0.2, 500.0, 131_072, 65_536),
        ("openai/gpt-oss-20b", 0.15, 1_000.0, 131_072, 65_536),
        ("qwen/qwen3.8-27b", 0.25, 400.0, 131_072, 16_384),
        rules=_GROQ,
    )
    cerebras = _models(
        ("gpt-oss-120b", 0.25, 3_000.0, 65_536, 40_960),
        ("gemma-4-31b", 0.25, 1_500.0, 65_536, 32_768),
        rules=_CEREBRAS,
    )
    mistral = _models(
        ("mistral-small-2603", 0.3, 150.0, 256_000, 32_768),
        ("mistral-medium-3-5", 0.4, 90.0, 256_000, 32_768),
        ("mistral-large-2512", 0.5, 60.0, 256_000, 32_768),
        ("codestral-2508", 0.3, 180.0, 128_000, 32_768),
        ("ministral-14b-2512", 0.25, 150.0, 256_000, 32_768),
        ("ministral-8b-2512", 0.2, 200.0, 256_000, 32_768),
        ("ministral-3b-2512", 0.2, 250.0, 256_000, 32_768),
        ("mistral-embed", 0.2, 1_000.0, 8_192, 1),
        rules=_MISTRAL,
    )
    openrouter = _models(
        ("nvidia/nemotron-3-ultra-550b-a55b:free", 1.5, 40.0, 1_000_000, 65_536),
        ("nvidia/nemotron-3-super-120b-a12b:free", 1.2, 60.0, 262_144, 262_144),
        ("qwen/qwen3.8-27b:free", 1.0, 60.0, 262_144, 235_000),
        ("google/gemma-4-31b-it:free", 1.0, 50.0, 262_144, 32_768),
        ("google/gemma-4-26b-a4b-it:free", 0.9, 70.0, 262_144, 32_768),
        ("thinkingmachines/inkling:free", 1.2, 50.0, 1_000_000, 262_144),
        ("poolside/laguna-s-2.1:free", 1.0, 60.0, 262_144, 32_768),
    )
    ollama = _models(("llama3.2:3b", 0.4, 30.0, 4_096, 4_096), ("gemma3:1b", 0.2, 60.0, 4_096, 4_096))
    return [
        Offer(Groq(), groq),
        Offer(Gemini(), _gemini_models()),
        Offer(Cerebras(), cerebras),
        Offer(Mistral(), mistral),
        Offer(OpenRouter(), openrouter, _OPENROUTER),
        Offer(Ollama(), ollama),
    ]
