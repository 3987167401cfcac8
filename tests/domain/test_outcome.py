"""What an ending means: what comes next and whose fault it was."""

import pytest

from freeroute.domain.outcome import Blame, Kind, Next, Outcome, blamed, droppable, judge
from freeroute.domain.usage import Usage, tokens_in


@pytest.mark.parametrize(
    ("kind", "then", "fault"),
    [
        (Kind.SERVED, Next.SERVE, Blame.NOBODY),
        (Kind.GARBAGE, Next.CANDIDATE, Blame.PROVIDER),
        (Kind.EMPTY, Next.CANDIDATE, Blame.PROVIDER),
        (Kind.RATE_LIMITED, Next.CANDIDATE, Blame.NOBODY),
        (Kind.NO_CAPACITY, Next.CANDIDATE, Blame.NOBODY),
        (Kind.KEY_INVALID, Next.KEY, Blame.KEY),
        (Kind.NO_CREDIT, Next.KEY, Blame.KEY),
        (Kind.FORBIDDEN, Next.CANDIDATE, Blame.MODEL),
        (Kind.MODEL_GONE, Next.CANDIDATE, Blame.MODEL),
        (Kind.MISGENERATED, Next.AGAIN, Blame.NOBODY),
        (Kind.NONCONFORMING, Next.CANDIDATE, Blame.MODEL),
        (Kind.REJECTED, Next.PROVIDER, Blame.REQUEST),
        (Kind.CONTEXT_TOO_LONG, Next.ROOMIER, Blame.REQUEST),
        (Kind.TOO_LARGE, Next.CANDIDATE, Blame.REQUEST),
        (Kind.FILTERED, Next.STOP, Blame.REQUEST),
        (Kind.LOADING, Next.CANDIDATE, Blame.NOBODY),
        (Kind.CROWDED, Next.CANDIDATE, Blame.NOBODY),
        (Kind.FAULT, Next.CANDIDATE, Blame.PROVIDER),
        (Kind.UNREACHABLE, Next.CANDIDATE, Blame.PROVIDER),
        (Kind.DISCONNECTED, Next.CANDIDATE, Blame.PROVIDER),
        (Kind.STALE, Next.AGAIN, Blame.NOBODY),
        (Kind.TIMED_OUT, Next.CANDIDATE, Blame.PROVIDER),
        (Kind.TRUNCATED, Next.CANDIDATE, Blame.PROVIDER),
        (Kind.STALLED, Next.CANDIDATE, Blame.PROVIDER),
        (Kind.OUTRUN, Next.SERVE, Blame.NOBODY),
        (Kind.DIVERGED, Next.CANDIDATE, Blame.NOBODY),
        (Kind.REDIRECTED, Next.CANDIDATE, Blame.NOBODY),
        (Kind.CALLER_LEFT, Next.STOP, Blame.NOBODY),
        (Kind.CALLER_STALLED, Next.CANDIDATE, Blame.NOBODY),
        (Kind.INTERNAL, Next.STOP, Blame.NOBODY),
        (Kind.SHUTTING_DOWN, Next.STOP, Blame.NOBODY),
    ],
)
def test_every_ending_has_a_sequel_and_a_culprit(kind, then, fault):
    assert judge(Outcome(kind)) is then
    assert blamed(Outcome(kind)) is fault


def test_the_table_above_leaves_no_ending_out():
    listed = 32
    assert len(Kind) == listed
    assert judge(Outcome(Kind.BAD_PARAMETER)) is Next.CANDIDATE
    assert blamed(Outcome(Kind.BAD_PARAMETER)) is Blame.REQUEST


@pytest.mark.parametrize(
    "param",
    [
        "tools",
        "tool_choice",
        "functions",
        "function_call",
        "response_format",
        "n",
        "logprobs",
        "stop",
        "max_tokens",
        "messages",
        "modalities",
        "audio",
        "prediction",
        "web_search_options",
    ],
)
def test_what_a_caller_relies_on_is_never_dropped(param):
    assert not droppable(param)
    assert judge(Outcome(Kind.BAD_PARAMETER, param=param)) is Next.CANDIDATE


@pytest.mark.parametrize("param", ["seed", "user", "logit_bias", "reasoning_effort", "invented_tomorrow"])
def test_what_changes_nothing_may_be_dropped(param):
    assert droppable(param)
    assert judge(Outcome(Kind.BAD_PARAMETER, param=param)) is Next.WITHOUT


def test_tokens_of_a_text_nobody_kept_are_rounded_up():
    assert tokens_in(0) == 0 or tokens_in(0) == 1
    assert tokens_in(360) >= 100
    assert Usage(3, 4).total == 7
