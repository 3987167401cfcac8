"""Whole answers: whether a body is one, what it took, and why it ended."""

from collections.abc import Callable, Collection
from typing import Any

from freeroute.domain.outcome import Kind, Outcome
from freeroute.domain.usage import Usage, believed
from freeroute.upstreams.complaints import is_list_of_errors, read_complaint
from freeroute.wire.answers import (
    Piece,
    error_in,
    estimated_usage,
    is_finished,
    is_meaningful,
    text_size,
    usage_in,
    usage_of,
    with_finish,
)
from freeroute.wire.strict import inspect_whole


def failure_in(
    body: bytes,
    piece: Piece | None,
    judge: Callable[[Any], Outcome],
    *,
    status: int,
    silent: Collection[str],
    says_why: bool,
) -> Outcome | None:
    """Return why *body* of a 2xx, which reads as *piece*, is no answer; None if it is one.

    *judge* is asked about an error inside. *silent* are the finishes that explain why there is nothing to
    read; unless it *says_why*, an answer may lack its finish.
    """
    if piece is None:
        if is_list_of_errors(body):
            return judge(body)
        return Outcome(Kind.GARBAGE, status, "not a chat completion")
    if error := error_in(piece):
        return judge(error)
    if piece.choices is None:
        said = read_complaint(body)
        if piece.object == "error" or said.message or said.codes:
            return judge(body)
        return Outcome(Kind.GARBAGE, status, "not a chat completion")
    if not is_meaningful(piece) and piece.finish not in silent:
        return Outcome(Kind.EMPTY, status, "an answer without content")
    if says_why and not is_finished(piece):
        return Outcome(Kind.TRUNCATED, status, "an answer without a finish")
    return None


def usage_of_whole(piece: Piece, prompt: int, *, thinks: bool) -> Usage:
    """Return what the answer *piece* to *prompt* tokens took, as told if that can be true.

    A model that *thinks* may hide its thoughts.
    """
    told, size = usage_of(usage_in(piece)), text_size(piece)
    return estimated_usage(prompt, size) if told is None else believed(told, prompt, size, thinks=thinks)


def finished(body: bytes, piece: Piece, usage: Usage, bound: int | None) -> tuple[bytes, Piece]:
    """Return the answer *body*, which reads as *piece*, with a finish for whatever lacks it.

    Only the *bound* in tokens can have cut it, if its *usage* reached that.
    """
    if is_finished(piece):
        return body, piece
    is_full = bound is not None and not usage.estimated and usage.completion >= bound
    body = with_finish(body, "length" if is_full else "stop")
    return body, inspect_whole(body) or piece
