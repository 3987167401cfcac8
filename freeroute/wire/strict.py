"""OpenAI's own form of answers, to the letter: read so first, since what has it can travel as it came."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from freeroute.domain.usage import BESIDE_TEXT, BEYOND_SIGHT, LONGEST_TOKEN, Usage
from freeroute.wire.answers import Choice, Piece, Said, inspect

Finish = Literal["stop", "length", "tool_calls", "content_filter", "function_call"]
ServiceTier = Literal["auto", "default", "flex", "scale", "priority"]


class _TopLogprob(Struct):
    token: str
    logprob: float
    bytes: list[int] | None = None


class _TokenLogprob(_TopLogprob, kw_only=True):
    top_logprobs: list[_TopLogprob]


class Logprobs(Struct):
    """What the tokens of a choice were worth."""

    content: list[_TokenLogprob] | None
    refusal: list[_TokenLogprob] | None = None


class OlderLogprobs(Struct):
    """The same in OpenAI's older completions: lists that go side by side."""

    tokens: list[str]
    token_logprobs: list[float | None] | None = None
    top_logprobs: list[dict[str, float] | None] | None = None
    text_offset: list[int] | None = None


class _Called(Struct):
    name: str
    arguments: str


class _CalledPart(Struct):
    name: str | None = None
    arguments: str | None = None


class _Call(Struct):
    id: str
    type: Literal["function"]
    function: _Called


class _CallPart(Struct):
    index: int
    id: str | None = None
    type: Literal["function"] | None = None
    function: _CalledPart | None = None


class _Delta(Said):
    role: Literal["developer", "system", "user", "assistant", "tool"] | None = None
    content: str | None = None
    refusal: str | None = None
    # Beside the strict type, they stay values: repairs read and write them.
    tool_calls: list[dict[str, Any]] | None = None
    function_call: _CalledPart | None = None


class _Message(Said, kw_only=True):
    role: Literal["assistant"]
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    function_call: _Called | None = None


class _ChunkChoice(Choice, kw_only=True):
    index: int
    delta: _Delta
    finish_reason: Finish | None = None
    logprobs: Logprobs | None = None


class _WholeChoice(Choice, kw_only=True):
    index: int
    message: _Message
    finish_reason: Finish
    logprobs: Logprobs | None = None


class _Strict(Piece, kw_only=True):
    id: str
    created: int
    model: str
    usage: dict[str, Any] | None = None
    service_tier: ServiceTier | None = None
    system_fingerprint: str | None = None


class Chunk(_Strict, kw_only=True):
    """A chunk of a stream."""

    object: Literal["chat.completion.chunk"]
    choices: Sequence[_ChunkChoice]


class Whole(_Strict, kw_only=True):
    """A whole answer."""

    object: Literal["chat.completion"]
    choices: Sequence[_WholeChoice]


# Of what most answers consist of, the collector need not know: it refers to nothing that refers back.
class _WordsAlone(_Delta, kw_only=True, gc=False):
    reasoning_content: str | None = None
    reasoning: None = None
    refusal: None = None
    tool_calls: None = None
    function_call: None = None
    audio: None = None
    images: None = None


class _Speaking(_ChunkChoice, kw_only=True, gc=False):
    delta: _WordsAlone
    message: None = None
    finish_reason: None = None
    error: None = None
    text: None = None


class Words(Chunk, kw_only=True, gc=False):
    """What most of a stream consists of: a chunk with the next words of one choice, and nothing else.

    What it may not have is typed so: to be decoded is all the checking that it needs.
    """

    choices: tuple[_Speaking]
    usage: None = None
    error: None = None
    x_groq: None = None

    @property
    def index(self) -> int:
        """Return the index of the choice."""
        return self.choices[0].index

    @property
    def text(self) -> str:
        """Return the generated text."""
        said = self.choices[0].delta
        return (said.content or "") + (said.reasoning_content or "")

    @property
    def size(self) -> int:
        """Return how many bytes of generated text it holds."""
        text = self.text
        return len(text) if text.isascii() else len(text.encode())


_Count = Annotated[int, Meta(ge=0)]


class _PromptDetails(Struct, gc=False):
    audio_tokens: _Count | None = None
    cache_write_tokens: _Count | None = None
    cached_tokens: _Count | None = None
    image_tokens: _Count | None = None
    text_tokens: _Count | None = None


class _CompletionDetails(Struct, gc=False):
    accepted_prediction_tokens: _Count | None = None
    audio_tokens: _Count | None = None
    reasoning_tokens: _Count | None = None
    rejected_prediction_tokens: _Count | None = None
    text_tokens: _Count | None = None


class _Usage(Struct, gc=False):
    prompt_tokens: _Count
    completion_tokens: _Count
    total_tokens: _Count
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None


class _Text(Struct, gc=False):
    """A message that is text and nothing else."""

    role: Literal["assistant"]
    content: Annotated[str, Meta(min_length=1)]
    refusal: None = None
    reasoning: None = None
    reasoning_content: None = None
    tool_calls: None = None
    function_call: None = None
    audio: None = None
    images: None = None


class _TextChoice(Struct, gc=False):
    index: int
    message: _Text
    finish_reason: Literal["stop", "length", "content_filter"]
    logprobs: Logprobs | None = None
    delta: None = None
    error: None = None
    text: None = None


class _TextUsage(_Usage, gc=False):
    """What nobody doubts, by the bounds of ``usage.is_common``: to be decoded is most of the checking."""

    prompt_tokens: Annotated[int, Meta(gt=0, le=BEYOND_SIGHT)]
    completion_tokens: Annotated[int, Meta(ge=0, le=BESIDE_TEXT)]
    estimated: Literal[False] | None = None


class _TextAnswer(Struct, gc=False):
    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: tuple[_TextChoice]
    usage: _TextUsage
    error: None = None
    service_tier: ServiceTier | None = None
    system_fingerprint: str | None = None


class Plain(Struct, frozen=True, gc=False):
    """What an answer of text says: why it ended, and the tokens it tells of."""

    finish: str
    usage: Usage


_TEXT = msgspec.json.Decoder(_TextAnswer)
_CHUNK = msgspec.json.Decoder(Chunk)
_WHOLE = msgspec.json.Decoder(Whole)
_WORDS = msgspec.json.Decoder(Words)


def words_in(payload: bytes) -> Words | None:
    """Return the chunk *payload* if it brings words and nothing else."""
    try:
        return _WORDS.decode(payload)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def inspect_chunk(payload: bytes) -> Piece | None:
    """Return what the chunk *payload* says, a ``Chunk`` if it has the form; None if it is no answer."""
    try:
        return _CHUNK.decode(payload)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return inspect(payload)


def inspect_whole(body: bytes) -> Piece | None:
    """Return what the whole answer *body* says, a ``Whole`` if it has the form; None if it is no answer."""
    try:
        return _WHOLE.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return inspect(body)


def plain_text(body: bytes) -> Plain | None:
    """Return what the whole answer *body* says if it is one text in OpenAI's form, as nearly all are.

    There is no error in it, nothing to mend and nothing to repair, and its usage is believed whatever else is
    known, so that nobody has to look for that.
    """
    try:
        answer = _TEXT.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    usage, choice = answer.usage, answer.choices[0]
    text, prompt, completion = choice.message.content, usage.prompt_tokens, usage.completion_tokens
    if prompt + completion != usage.total_tokens or text.isspace():
        return None
    if (len(text) if text.isascii() else len(text.encode())) > LONGEST_TOKEN * completion:
        return None
    reasoning = cached = 0
    if (thoughts := usage.completion_tokens_details) is not None:
        reasoning = thoughts.reasoning_tokens or 0
    if (given := usage.prompt_tokens_details) is not None:
        cached = given.cached_tokens or 0
    if reasoning > completion or cached > prompt:
        return None
    return Plain(choice.finish_reason, Usage(prompt, completion, reasoning, cached))


def has_form(piece: Piece) -> bool:
    """Say whether *piece*, read by one of the above, is OpenAI's form in every field that OpenAI knows."""
    if not isinstance(piece, Chunk | Whole):
        return False
    if piece.usage is not None and not is_usage(piece.usage):
        return False
    call = _CallPart if isinstance(piece, Chunk) else _Call
    return all(_are_calls(choice.said, call) for choice in piece.choices)


def _are_calls(said: Said | None, call: type[Struct]) -> bool:
    calls = said.tool_calls if said is not None else None
    return not calls or fits(calls, list[call])  # type: ignore[valid-type]


def is_usage(raw: Any) -> bool:
    """Say whether *raw* is a usage object as OpenAI's are, its total too; more fields than those are fine."""
    return fits(raw, _Usage) and raw["total_tokens"] == raw["prompt_tokens"] + raw["completion_tokens"]


def fits(raw: Any, form: Any) -> bool:
    """Say whether the decoded JSON *raw* has the *form*."""
    try:
        msgspec.convert(raw, form)
    except (msgspec.ValidationError, RecursionError):
        return False
    return True
