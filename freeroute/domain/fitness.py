"""Which candidates could serve a call at all: what it needs, whatever the time. Pure."""

import re
from collections.abc import Collection
from typing import Any

from freeroute.clock import Now
from freeroute.domain.catalogue import Candidate, Model, Privacy, Quirks
from freeroute.domain.estimates import GENEROUS
from freeroute.domain.needs import Fit, Need, Reason
from freeroute.domain.outcome import DROPPABLE, FEATURES, IN_MESSAGES, PREFILL, many
from freeroute.domain.patterns import by_pattern
from freeroute.domain.standing import Standing
from freeroute.domain.tasks import APART, DIMENSIONS

_PLAIN_NAME = re.compile(r"\w+", re.ASCII).fullmatch


def unfit(candidate: Candidate, need: Need, standing: Standing, now: Now, share: float = 1.0) -> str | None:
    """Return why *candidate* can never serve *need*, whatever its state; None if it can.

    Its prompt is taken for this *share* of what was estimated.
    """
    return barred(candidate, need) or unable(candidate, need, standing, now, share)


def barred(candidate: Candidate, need: Need) -> str | None:
    """Return why *candidate* serves no call of the kind of *need*, however small it is; None if it may."""
    provider, model = candidate.provider, candidate.model
    if (need.only and provider.id not in need.only) or provider.id in need.ignore:
        return "excluded by the request"
    if need.no_train and provider.privacy not in (Privacy.NO_TRAIN, Privacy.LOCAL):
        return f"privacy is {provider.privacy.value}, no-train is required"
    missing = need.capabilities - model.capabilities
    if missing and model.emulates(need.capabilities):
        missing -= {"json_schema"}
    if missing:
        return f"no {', '.join(sorted(missing))}"
    if not model.talks and not need.capabilities & APART:
        return "no model for chat"
    return _another_length(model, need)


def unable(candidate: Candidate, need: Need, standing: Standing, now: Now, share: float) -> str | None:
    """Return why *candidate*, which is not barred from calls like *need*, cannot serve this one, or None.

    Its prompt is taken for this *share* of what was estimated.
    """
    if need.tools or need.features or need.parameters or need.remote_images:  # as few calls do
        why = _unserved(candidate, need, standing)
        if why is not None:
            return why
    context = candidate.model.context
    if standing.lessons.tell_of(candidate.name):
        context = standing.context(candidate)
        if standing.overlong(candidate, need.demand, now):
            return f"context of {context or 'unknown'} tokens was too small for such a prompt"
    if context is None:
        return None
    # The longest of several texts is no shorter than what is an even part of them.
    longest = standing.likely(candidate, need.demand) / need.texts
    if share * longest + (need.demand.max_output or 1) > context:
        return f"context of {context} tokens is too small"
    return None


def _unserved(candidate: Candidate, need: Need, standing: Standing) -> str | None:
    """Return what *need* asks for beside an answer that *candidate* does not do, or None."""
    quirks = candidate.provider.quirks
    if need.tools and (why := _too_much(quirks, need.tools)):
        return why
    if (need.features or need.parameters) and (lost := _lost(candidate, need, standing)):
        return f"does not take {', '.join(lost)}"
    if need.remote_images and not quirks.remote_images:
        return "takes images as base64 data only"
    return None


def _another_length(model: Model, need: Need) -> str | None:
    """Return why the vectors of *model* cannot be as long as *need* says; None if they can."""
    if need.dimensions is None or model.dimensions == need.dimensions:
        return None
    if need.resized:
        return None if DIMENSIONS in model.capabilities else "vectors of another length, or of an unknown one"
    return None if model.dimensions is None else f"vectors of {model.dimensions} dimensions"


def _too_much(quirks: Quirks, tools: Collection[str]) -> str | None:
    """Return why a provider of these *quirks* does not take *tools*, by name; None if it does."""
    if quirks.max_tools is not None and len(tools) > quirks.max_tools:
        return f"takes {quirks.max_tools} tools at most"
    if quirks.plain_tool_names and not all(map(_PLAIN_NAME, tools)):
        return "takes tools with names of letters, digits and underscores only"
    return None


def _lost(candidate: Candidate, need: Need, standing: Standing) -> list[str]:
    """Return what *need* asks for that would not reach the model of *candidate*, or only changed."""
    quirks = candidate.provider.quirks
    lost = {name for name in need.features - {PREFILL} if not takes(quirks, name)}
    if need.parameters:
        lost.update(standing.dropped(candidate).intersection(need.parameters))
        lost.update(n for n, value in need.parameters.items() if not _honours(candidate, n, value))
    return sorted(lost)


def takes(quirks: Quirks, name: str) -> bool:
    """Say whether a provider of these *quirks* is sent the field *name* at all."""
    if name in quirks.drops:
        return False
    return quirks.accepts is None or not {name, quirks.renames.get(name)}.isdisjoint(quirks.accepts)


def left_out(candidate: Candidate) -> frozenset[str]:
    """Return the fields that *candidate* is known not to take, and that requests with them lose there."""
    quirks = candidate.provider.quirks
    lost = {name for name in DROPPABLE if not takes(quirks, name)}
    members = () if quirks.message_name else (f"{IN_MESSAGES}name",)
    return frozenset(lost.union(quirks.drops, members)) - FEATURES - {"stream_options"}


def held_to(candidate: Candidate) -> dict[str, tuple[float, float] | tuple[str, ...]]:
    """Return what values of fields are changed into at *candidate*: a range, or the efforts it knows."""
    quirks = candidate.provider.quirks
    efforts = by_pattern(candidate.model.id, quirks.efforts)
    known = {"reasoning_effort": tuple(efforts)} if efforts and takes(quirks, "reasoning_effort") else {}
    return {**quirks.clamps, **known}


def _honours(candidate: Candidate, name: str, value: Any) -> bool:
    quirks = candidate.provider.quirks
    if name == "reasoning_effort":
        efforts = by_pattern(candidate.model.id, quirks.efforts)
        return takes(quirks, name) and (efforts is None or value in efforts)
    if name in quirks.clamps and isinstance(value, (int, float)):
        low, high = quirks.clamps[name]
        return takes(quirks, name) and low <= value <= high
    return takes(quirks, name)


def eligible(need: Need, standing: Standing, now: Now) -> tuple[list[tuple[int, Candidate]], list[Reason]]:
    """Split the candidates of *need* into those able to serve it, with their target's place, and the rest.

    If there is none, those count as able whose context is too small by the estimate alone: it may be wrong,
    and then a refused call costs less than a prompt refused that would have fit.
    """
    fit, rest = _split(need, standing, now, 1.0)
    return (fit, rest) if fit else _split(need, standing, now, GENEROUS)


def _split(
    need: Need, standing: Standing, now: Now, share: float
) -> tuple[list[tuple[int, Candidate]], list[Reason]]:
    fit: list[tuple[int, Candidate]] = []
    rest: list[Reason] = []
    seen: set[str] = set()
    found: dict[str, str | None] = {}  # by model: its keys are all alike in this
    for group, target in enumerate(need.targets):
        for candidate in target.candidates:
            if candidate.id in seen:
                continue
            seen.add(candidate.id)
            name = candidate.name
            if name not in found:
                found[name] = unfit(candidate, need, standing, now, share)
            if (why := found[name]) is None:
                fit.append((group, candidate))
            else:
                rest.append(Reason(candidate, "unfit", why))
    return fit, rest


def willing(need: Need, fit: Fit, standing: Standing, now: Now) -> Fit:
    """Return *fit* without models that refused a feature of *need* lately, unless all of them did."""
    if not need.features:
        return fit
    features = asked_features(need)
    return [entry for entry in fit if not standing.refused(entry[1], features, now)] or fit


def asked_features(need: Need) -> frozenset[str]:
    """Return the features of *need* under the names that models refuse them by."""
    return need.features.union(many(count) for count in range(2, need.choices + 1))
