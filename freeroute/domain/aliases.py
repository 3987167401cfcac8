"""Names that are always there, those that nothing has, and what is meant by them."""

from collections.abc import Mapping

Aliases = Mapping[str, str | None]
"""Patterns of names that nothing has, and the name that each stands for; None for none. The first counts."""

BUILT_IN = {"free": "free", "free-fast": "fast", "free-smart": "smart"}
"""The meta-models that are always there, and their strategies."""

MODEL_ALIASES: Aliases = {
    "auto": "free",
    "fast": "free-fast",
    "smart": "free-smart",
    "claude-*haiku*": "free-fast",
    "claude-*": "free-smart",
    "gpt-5*mini*": "free-fast",
    "gpt-5*nano*": "free-fast",
    "gpt-5*": "free-smart",
}
"""Short forms, and what Claude Code and Codex ask for by themselves. Own design: no free tier has models of
these names; the small ones do errands on which somebody waits."""
