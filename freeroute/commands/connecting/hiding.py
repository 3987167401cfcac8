"""Keys taken out of what is shown of a client's files: that may be pasted anywhere."""

import re

HIDDEN = "YOUR-KEY"
"""Stands for a key."""

# What stands beside a name that ends so is a key; but not if it is the name of a variable, or a number.
_NAMED = re.compile(
    r"""((?:key|token|secret|password|authorization)["']?\s*[:=]\s*["']?(?:bearer\s+)?)"""
    r"""(?!["'\s,}]|(?-i:[A-Z_]+)["']?(?:[\s,}]|$)|(?:[\d.]+|not-needed|null|true|false)\b)[^"'\s,}]+""",
    re.IGNORECASE,
)
# Keys that tell themselves by how they begin, whatever they stand beside.
_TELLING = re.compile(r"\b(?:(?:sk|pk|fr|fo|gsk|csk|nvapi|xai|ghp|hf)[-_][\w-]{8,}|AIza[\w-]{30,})")


def without_keys(text: str, known: str | None) -> str:
    """Return *text* without the key that is *known*, and without what looks like another."""
    text = text.replace(known, HIDDEN) if known else text
    return _TELLING.sub(HIDDEN, _NAMED.sub(rf"\1{HIDDEN}", text))
