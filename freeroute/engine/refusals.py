"""The errors a request can end with after choosing or trying: why, and when it would work."""

import math
from collections.abc import Sequence
from typing import Any

from freeroute.clock import Now
from freeroute.domain.catalogue import Candidate
from freeroute.domain.fitness import eligible
from freeroute.domain.needs import Fit, Need, Reason
from freeroute.domain.outcome import Kind, Outcome
from freeroute.domain.plans import obstacles, summary
from freeroute.domain.receipt import AttemptNote
from freeroute.domain.standing import Standing
from freeroute.engine.course import Course
from freeroute.engine.ports import SOON
from freeroute.engine.view import Maintenance
from freeroute.errors import (
    ApiError,
    CapacityExhausted,
    ContentFiltered,
    ContextTooLong,
    InMaintenance,
    InvalidRequest,
    LoopDetected,
    NoProvider,
    Unavailable,
    UnsupportedCapability,
    UpstreamFailed,
    UpstreamTimeout,
)

BACK_AFTER = 60
"""Seconds after which callers may ask again during maintenance: nobody knows when it ends. Own design."""

# A body lists this many candidates at most: the nearest first.
LISTED = 100
# Obstacles that end when quota is back.
_QUOTA = frozenset({"quota", "spent"})
# What a provider does not offer: if none of those asked does, asking again later would not help.
ABOUT_REQUEST = frozenset({Kind.BAD_PARAMETER, Kind.TOO_LARGE})


def in_maintenance(maintenance: Maintenance) -> ApiError:
    """Return the error for a request that comes during *maintenance*."""
    told = maintenance.message or "try again later"
    return InMaintenance(f"This gateway is in maintenance: {told}", retry_after=BACK_AFTER)


def nothing_fits(need: Need, course: Course, standing: Standing, now: Now, *, any_provider: bool) -> ApiError:
    """Return the error for a request that no candidate of its targets could ever serve."""
    asked = course.asked
    if any_provider and not any(target.candidates for target in need.targets):
        return NoProvider(
            f"{asked}: no model that is switched on belongs to it; `freeroute models` lists what there is, "
            "and meta_models in the settings say what belongs to a name of your own"
        )
    if not any_provider:
        return NoProvider(
            f"{asked}: no provider is switched on. Set a key such as GROQ_API_KEY, start Ollama, "
            "or run with --keyless or --demo"
        )
    _, reasons = eligible(need, standing, now)
    told = f"{asked}: no configured model can serve this request: {summary(reasons)}"
    metadata = {"candidates": _lines(reasons, Now(0.0, 0.0), course)}
    too_small = [reason.candidate for reason in reasons if reason.text.startswith("context of")]
    if too_small:  # looked at last: all else fits
        numbers = _overflow(need, too_small, standing)
        told = f"{asked}: {_told(numbers) if numbers else 'such a prompt was too long wherever it was sent'}"
        return ContextTooLong(told, param="messages", metadata={**metadata, **numbers})
    return UnsupportedCapability(told, metadata=metadata)


def _overflow(need: Need, candidates: Sequence[Candidate], standing: Standing) -> dict[str, Any]:
    """Return the numbers of a prompt that is too long, by the largest context; none where no limit
    that is known explains it.
    """
    roomiest = max(candidates, key=lambda candidate: standing.context(candidate) or math.inf)
    context, output = standing.context(roomiest), need.demand.max_output
    prompt = standing.likely(roomiest, need.demand)
    seems_to_fit = context is not None and prompt + (output or 1) <= context
    if context is None or (seems_to_fit and context == roomiest.model.context):
        return {}
    return {"prompt_tokens": prompt, "max_tokens": output, "context_length": context}


def _told(numbers: dict[str, Any]) -> str:
    prompt, output, context = numbers["prompt_tokens"], numbers["max_tokens"], numbers["context_length"]
    more = f" and {output} more are asked for" if output else ""
    if prompt + (output or 1) <= context:  # the provider counts more than we do
        seems = f"the prompt has about {prompt} tokens by our estimate{more}, and more by the provider's"
        return f"{seems}; the largest context is {context} tokens"
    return f"the prompt has about {prompt} tokens{more}; the largest context is {context} tokens"


def refused_by_upstream(outcome: Outcome, course: Course, overflow: dict[str, Any] | None = None) -> ApiError:
    """Return the error for a request that providers refuse as such, with the numbers of an *overflow*."""
    text = outcome.request_error or outcome.detail or "the provider refused the request"
    metadata = {"attempts": attempts_told(course.notes), **(overflow or {})}
    if overflow:
        text = f"{text}: {_told(overflow)}"
    match outcome.kind:
        case Kind.FILTERED:
            return ContentFiltered(text, metadata=metadata)
        case Kind.CONTEXT_TOO_LONG | Kind.TOO_LARGE:
            return ContextTooLong(text, param="messages", metadata=metadata)
        case _:
            return InvalidRequest(text, param=outcome.param, metadata=metadata)


def misfitted(outcome: Outcome, course: Course) -> ApiError:
    """Return the error for a request whose answers do not fit the schema it asked for."""
    told = f"no answer fits the schema asked for: {outcome.detail}"
    return UpstreamFailed(told, metadata={"attempts": attempts_told(course.notes)})


def gave_up(
    course: Course,
    need: Need,
    fit: Fit,
    standing: Standing,
    now: Now,
    turn_at: float | None = None,
) -> ApiError:
    """Return the error for a request whose attempts are over, or that could not make any.

    *turn_at* (mono) is when its turn would have come, those who wait before it included.
    """
    if course.rejected is not None:
        return refused_by_upstream(course.rejected, course)
    reasons = obstacles(need, fit, standing, now)
    metadata: dict[str, Any] = {
        "attempts": attempts_told(course.notes),
        "candidates": _lines(reasons, now, course),
    }
    back_at = min((reason.back_at for reason in reasons if reason.kind in _QUOTA), default=math.inf)
    if back_at < math.inf:
        wait = max((turn_at or 0.0) - now.mono, back_at - now.mono, 0.0)
        if wait == math.inf:  # the waiting room is full
            wait = max(back_at - now.mono, 0.0)
        told = f"all {len(fit)} candidates are out of quota or failing; the first is back in {wait:.0f} s"
        return CapacityExhausted(told, metadata=metadata, retry_after=wait)
    if course.too_long is not None:
        numbers = _overflow(need, [candidate for _, candidate in fit], standing)
        return refused_by_upstream(course.too_long, course, numbers)
    if course.refused is not None and all(note.kind in ABOUT_REQUEST for note in course.notes):
        return refused_by_upstream(course.refused, course)
    if course.notes:
        return _all_failed(course, metadata)
    if not reasons:  # there was room, but others were quicker each time
        told = f"others took what {len(fit)} candidates had to give"
        return CapacityExhausted(told, metadata=metadata, retry_after=1.0)
    told = f"none of {len(fit)} candidates can be used: {summary(reasons)}"
    if all(reason.kind in _QUOTA for reason in reasons):
        return ContextTooLong(told, param="messages", metadata=metadata)
    return NoProvider(told, metadata=metadata)


def _all_failed(course: Course, metadata: dict[str, Any]) -> ApiError:
    if all(note.status == LoopDetected.status for note in course.notes):
        told = "whatever was asked is a gateway that leads back to one the request came from: take it out"
        return LoopDetected(told, metadata=metadata)
    if all(note.kind is Kind.TIMED_OUT for note in course.notes):
        return UpstreamTimeout(f"{_all_of(course)} timed out", metadata=metadata)
    if all(note.kind is Kind.CROWDED for note in course.notes):
        where = ", ".join(dict.fromkeys(note.provider for note in course.notes))
        told = f"as many calls to {where} are under way as freeroute makes at a time, or may open files for"
        return Unavailable(told, metadata=metadata, retry_after=SOON)
    if course.misfit is not None and all(note.kind is Kind.NONCONFORMING for note in course.notes):
        return misfitted(course.misfit, course)
    last = course.notes[-1]
    where = f"at {last.provider}: {last.kind.value}"
    told = f"{_all_of(course)} failed{'; the last' if len(course.notes) > 1 else ','} {where}"
    return UpstreamFailed(told, metadata=metadata)


def _all_of(course: Course) -> str:
    count = len(course.notes)
    return "the only attempt" if count == 1 else f"all {count} attempts"


def attempts_told(notes: Sequence[AttemptNote]) -> list[dict[str, Any]]:
    """Return *notes* as an error body shows them."""
    return [
        {
            "provider": note.provider,
            "model": note.model,
            "kind": note.kind.value,
            "status": note.status,
            "seconds": round(note.seconds, 3),
        }
        for note in notes[-LISTED:]
    ]


def _lines(reasons: Sequence[Reason], now: Now, course: Course) -> list[dict[str, Any]]:
    """Return why candidates cannot be used. Clients are not told which keys there are."""
    labels = course.context.client is None
    return [_line(reason, now, labels=labels) for reason in reasons[:LISTED]]


def _line(reason: Reason, now: Now, *, labels: bool) -> dict[str, Any]:
    known = reason.back_at < math.inf
    return {
        "provider": reason.candidate.provider.id,
        "model": reason.candidate.model.id,
        "key": reason.candidate.key.label if labels else None,
        "reason": reason.text,
        "back_in": round(max(reason.back_at - now.mono, 0.0), 1) if known else None,
    }
