"""What an ending means: what to do next, whose fault it was, and what to remember."""

from enum import Enum, StrEnum

from msgspec import Struct


class Kind(StrEnum):
    """How an attempt ended."""

    SERVED = "served"
    GARBAGE = "garbage"  # 2xx, but not an answer: HTML, broken JSON, an unknown shape
    EMPTY = "empty"  # 2xx without content, reasoning, refusal or tool call
    RATE_LIMITED = "rate_limited"  # our own quota
    NO_CAPACITY = "no_capacity"  # theirs: our counters stand
    KEY_INVALID = "key_invalid"
    NO_CREDIT = "no_credit"  # 402, or a quota of zero
    FORBIDDEN = "forbidden"
    MODEL_GONE = "model_gone"
    BAD_PARAMETER = "bad_parameter"
    MISGENERATED = "misgenerated"  # tool_use_failed, json_validate_failed
    NONCONFORMING = "nonconforming"  # an answer that does not fit the schema it was asked for
    REJECTED = "rejected"  # any other 400
    CONTEXT_TOO_LONG = "context_too_long"
    TOO_LARGE = "too_large"  # 413 by tokens per minute
    FILTERED = "filtered"
    CROWDED = "crowded"  # ours: no connection to there was free, and nothing was sent
    LOADING = "loading"
    FAULT = "fault"  # 5xx, 408, 425, 529
    UNREACHABLE = "unreachable"  # refused, DNS, TLS: the whole provider
    DISCONNECTED = "disconnected"  # reset before an answer
    STALE = "stale"  # a pooled connection died unused: nothing was counted
    TIMED_OUT = "timed_out"
    TRUNCATED = "truncated"  # ended before, or after, the first event without a finish
    STALLED = "stalled"  # silent after the first event
    OUTRUN = "outrun"  # asked beside another candidate, which spoke first
    DIVERGED = "diverged"  # was to go on with an answer, and began another one
    REDIRECTED = "redirected"
    CALLER_LEFT = "caller_left"
    CALLER_STALLED = "caller_stalled"  # read nothing for so long that we, or its provider, gave it up
    INTERNAL = "internal_error"  # the gateway itself failed, in words of the error its caller gets
    SHUTTING_DOWN = "shutting_down"  # cut short by a gateway that stops, in words of the error as well


class Blame(Enum):
    """Whose fault an ending was."""

    REQUEST = "request"
    KEY = "key"
    MODEL = "model"
    PROVIDER = "provider"
    NOBODY = "nobody"


class Next(Enum):
    """What the attempt loop does after an ending."""

    SERVE = "serve"
    CANDIDATE = "candidate"  # the next best candidate
    KEY = "key"  # another key of the same provider first; does not use up an attempt
    AGAIN = "again"  # the same candidate once more
    WITHOUT = "without"  # the same candidate without the named parameter
    PROVIDER = "provider"  # one other provider, to see whether it agrees
    ROOMIER = "roomier"  # a candidate with a larger context
    STOP = "stop"  # tell the caller


class Outcome(Struct, frozen=True):
    """How one attempt ended, as the adapter saw it.

    *retry_after* is in seconds; *window* the span a 429 names (minute ... month); *scope* what a hold is laid
    on where the answer says (a ``catalogue.Scope`` value or ``provider``); *counted* whether the provider may
    have counted the call; *lasting* whether *param* is refused whatever it says, rather than for its value or
    its company; *choices* the ``n`` that was refused as too many; *context* the window in tokens that an
    overflow names. *detail* is printable and free of secrets and prompts; *request_error* may be shown to the
    caller.
    """

    kind: Kind
    status: int | None = None
    detail: str = ""
    code: str | None = None
    param: str | None = None
    retry_after: float | None = None
    window: str | None = None
    scope: str | None = None
    unit: str | None = None
    counted: bool = True
    lasting: bool = True
    choices: int | None = None
    context: int | None = None
    request_error: str | None = None


INTERNAL = Outcome(Kind.INTERNAL, detail="the gateway failed")
STOPPED = Outcome(Kind.SHUTTING_DOWN, detail="the gateway shut down")

PREFILL = "messages[-1]"
"""What a refusal of an answer that the caller began (a last message of the assistant's) names."""

IN_MESSAGES = "messages[]."
"""Begins what stands for a member of each message, which has no name of its own among the fields."""

# A parameter whose loss changes nothing the caller relies on. Never tools, tool_choice, response_format,
# n, logprobs, stop, sound, searching or an output bound: those go to a candidate that honours them.
DROPPABLE = frozenset(
    {
        "presence_penalty",
        "frequency_penalty",
        "seed",
        "logit_bias",
        "user",
        "parallel_tool_calls",
        "reasoning_effort",
        "stream_options",
    }
)
BINDING = frozenset(
    {
        "model",
        "messages",
        PREFILL,
        "stream",
        "tools",
        "tool_choice",
        "functions",
        "function_call",
        "response_format",
        "n",
        "logprobs",
        "top_logprobs",
        "stop",
        "max_tokens",
        "max_completion_tokens",
        "temperature",
        "top_p",
        "modalities",
        "audio",
        "prediction",
        "web_search_options",
        # What other tasks are about.
        "dimensions",
        "documents",
        "file",
        "input",
        "prompt",
        "query",
        "size",
        "suffix",
        "top_n",
        "voice",
    }
)


# What a model refuses by its mere presence: once it did, calls that carry them go elsewhere. Of others
# (tools, temperature, an output bound) a refusal may mean one caller's value only. Own design.
FEATURES = frozenset({"logprobs", "n", "prediction", "web_search_options", PREFILL})


def many(choices: int) -> str:
    """Return what a refusal of so many *choices* goes by among features; of more it is one as well."""
    return f"n={choices}"


def droppable(param: str) -> bool:
    """Say whether *param* may be dropped to get an answer: those listed and fields unknown to OpenAI."""
    return param in DROPPABLE or param not in BINDING


_BLAME = {
    Kind.KEY_INVALID: Blame.KEY,
    Kind.NO_CREDIT: Blame.KEY,
    Kind.FORBIDDEN: Blame.MODEL,
    Kind.MODEL_GONE: Blame.MODEL,
    Kind.NONCONFORMING: Blame.MODEL,
    Kind.BAD_PARAMETER: Blame.REQUEST,
    Kind.REJECTED: Blame.REQUEST,
    Kind.CONTEXT_TOO_LONG: Blame.REQUEST,
    Kind.TOO_LARGE: Blame.REQUEST,
    Kind.FILTERED: Blame.REQUEST,
    Kind.GARBAGE: Blame.PROVIDER,
    Kind.EMPTY: Blame.PROVIDER,
    Kind.FAULT: Blame.PROVIDER,
    Kind.UNREACHABLE: Blame.PROVIDER,
    Kind.DISCONNECTED: Blame.PROVIDER,
    Kind.TIMED_OUT: Blame.PROVIDER,
    Kind.TRUNCATED: Blame.PROVIDER,
    Kind.STALLED: Blame.PROVIDER,
}


def blamed(outcome: Outcome) -> Blame:
    """Say whose fault *outcome* was; only a provider's faults feed its breaker."""
    return _BLAME.get(outcome.kind, Blame.NOBODY)


_NEXT = {
    Kind.SERVED: Next.SERVE,
    Kind.OUTRUN: Next.SERVE,
    Kind.KEY_INVALID: Next.KEY,
    Kind.NO_CREDIT: Next.KEY,
    Kind.MISGENERATED: Next.AGAIN,
    Kind.STALE: Next.AGAIN,
    Kind.REJECTED: Next.PROVIDER,
    Kind.CONTEXT_TOO_LONG: Next.ROOMIER,
    Kind.FILTERED: Next.STOP,
    Kind.CALLER_LEFT: Next.STOP,
    Kind.INTERNAL: Next.STOP,
    Kind.SHUTTING_DOWN: Next.STOP,
}


def judge(outcome: Outcome) -> Next:
    """Say what comes after *outcome*, before the loop's own bounds are applied."""
    if outcome.kind is Kind.BAD_PARAMETER:
        return Next.WITHOUT if outcome.param and droppable(outcome.param) else Next.CANDIDATE
    return _NEXT.get(outcome.kind, Next.CANDIDATE)
