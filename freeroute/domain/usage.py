"""Tokens: what a call used, and what it is expected to use."""

from msgspec import Struct

# English prose runs at about four bytes a token in every common tokenizer; code and other scripts run
# lower. Over-estimating costs a little room, under-estimating a refused call, so round up.
BYTES_PER_TOKEN = 3.6
TOKENS_PER_MESSAGE = 4
# What one image part costs where nothing better is known (a 1024 px tile at OpenAI and Gemini).
TOKENS_PER_IMAGE = 800
DEFAULT_OUTPUT = 300


class Usage(Struct, frozen=True):
    """Tokens one answer took; *estimated* where the provider gave no figure."""

    prompt: int = 0
    completion: int = 0
    reasoning: int = 0
    cached: int = 0
    estimated: bool = False

    @property
    def total(self) -> int:
        """Return prompt and completion together."""
        return self.prompt + self.completion

    def __add__(self, other: "Usage") -> "Usage":
        """Return what two calls took together."""
        return Usage(
            prompt=self.prompt + other.prompt,
            completion=self.completion + other.completion,
            reasoning=self.reasoning + other.reasoning,
            cached=self.cached + other.cached,
            estimated=self.estimated or other.estimated,
        )


class Demand(Struct, frozen=True):
    """What a call is expected to take: prompt tokens, and the output bound the caller named, if any."""

    prompt: int
    max_output: int | None = None


def tokens_in(text_bytes: int, messages: int = 0, images: int = 0) -> int:
    """Estimate the tokens of *text_bytes* of UTF-8 in *messages* with *images*."""
    text = round(text_bytes / BYTES_PER_TOKEN + 0.5)
    return text + messages * TOKENS_PER_MESSAGE + images * TOKENS_PER_IMAGE
