"""Tokens: what a call used, and what it is expected to use."""

from msgspec import Struct

from freeroute.domain.tokenizers import OTHER, TOKENIZERS, Sizes, sizes_of

# Of an answer nobody keeps the text: prose runs at about four bytes a token in every common tokenizer, code
# and JSON lower.
BYTES_PER_TOKEN = 3.6
# What chat templates put around a message.
TOKENS_PER_MESSAGE = 4
# What one image part costs where nothing better is known (a 1024 px tile at OpenAI and Gemini).
TOKENS_PER_IMAGE = 800
DEFAULT_OUTPUT = 300
# The longest token of any vocabulary is 128 blanks (o200k), so an answer has at least so many tokens.
LONGEST_TOKEN = 128
# Told figures may be so many times the estimate, and so many tokens beyond: what providers put around a
# prompt, what they look up for it, and thoughts that nobody is shown are counted too. Own design: as far off
# as a told limit may be, and as much as a large context holds.
BEYOND_ESTIMATE = 100
BEYOND_SIGHT = 1_000_000
# An answer without thoughts that may be hidden has only its text, in few bytes a token at worst, and perhaps
# an image or sound. Own design: eight times the estimate is less than half a byte a token.
BEYOND_TEXT = 8
BESIDE_TEXT = 20_000


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
    """What a call is expected to take: prompt tokens, and the output bound the caller named, if any.

    *prompt* is by the tokenizers that nobody measured, *sizes* by each of ``tokenizers.TOKENIZERS``, while it
    is not known who will count it.
    """

    prompt: int
    max_output: int | None = None
    sizes: Sizes | None = None

    def prompt_of(self, tokenizer: int) -> int:
        """Return the prompt's tokens by the *tokenizer* at that place of ``tokenizers.TOKENIZERS``."""
        sizes = self.sizes
        return self.prompt if sizes is None or tokenizer == OTHER else sizes.of(tokenizer)

    def every(self) -> tuple[int, ...]:
        """Return the prompt by each of them; the same by all, if nothing is known of its text."""
        return (self.prompt,) * len(TOKENIZERS) if self.sizes is None else self.sizes.every()

    def longer(self, tokens: int) -> "Demand":
        """Return the same with so many *tokens* more in the prompt."""
        sizes = None if self.sizes is None else self.sizes.longer(tokens)
        return Demand(self.prompt + tokens, self.max_output, sizes)


def demand_of(text: bytes, messages: int, images: int, max_output: int | None = None) -> Demand:
    """Estimate what a prompt of *text* (UTF-8) in *messages* with *images* takes."""
    sizes = sizes_of(text, messages * TOKENS_PER_MESSAGE + images * TOKENS_PER_IMAGE)
    return Demand(sizes.anew(OTHER), max_output, sizes)


def tokens_in(text_bytes: int) -> int:
    """Estimate the tokens of *text_bytes* of UTF-8 that nobody kept."""
    return round(text_bytes / BYTES_PER_TOKEN + 0.5)


def is_common(told: Usage, text_bytes: int) -> bool:
    """Say whether *told* can be true of an answer of *text_bytes* whatever else is known: nearly all can.

    Its bounds are the least of those that `believed` sets.
    """
    return (
        0 < told.prompt <= BEYOND_SIGHT
        and -(-text_bytes // LONGEST_TOKEN) <= told.completion <= BESIDE_TEXT
        and told.cached <= told.prompt
        and told.reasoning <= told.completion
    )


def believed(told: Usage, prompt: int, text_bytes: int, *, thinks: bool = False) -> Usage:
    """Return *told* itself if it can be true of about *prompt* tokens and an answer of *text_bytes*.

    Otherwise what cannot be is estimated, and the whole is marked as that; more cached than the prompt has
    and more thoughts than the output has are left out. A model that *thinks* may hide thoughts, and tell of
    none.
    """
    if is_common(told, text_bytes):
        return told
    told = _without_impossible_parts(told)
    output = tokens_in(text_bytes) if text_bytes else 0
    least = -(-text_bytes // LONGEST_TOKEN)
    hides = thinks or told.reasoning > 0
    most = _most(output) if hides else output * BEYOND_TEXT + BESIDE_TEXT
    is_prompt = 0 < told.prompt <= _most(prompt)
    is_output = least <= told.completion <= most
    if is_prompt and is_output:
        return told
    return Usage(
        prompt=told.prompt if is_prompt else prompt,
        completion=told.completion if is_output else output,
        reasoning=told.reasoning if is_output else 0,
        cached=told.cached if is_prompt else 0,
        estimated=True,
    )


def _without_impossible_parts(told: Usage) -> Usage:
    if told.cached <= told.prompt and told.reasoning <= told.completion:
        return told
    cached = told.cached if told.cached <= told.prompt else 0
    reasoning = told.reasoning if told.reasoning <= told.completion else 0
    return Usage(told.prompt, told.completion, reasoning, cached, told.estimated)


def _most(estimate: int) -> int:
    return estimate * BEYOND_ESTIMATE + BEYOND_SIGHT
