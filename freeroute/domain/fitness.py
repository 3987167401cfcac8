"""Which candidates could serve a call at all: what it needs, whatever the time. Pure."""

from freeroute.clock import Now
from freeroute.domain.catalogue import Candidate, Privacy
from freeroute.domain.selection import Fit, Need, Reason
from freeroute.domain.standing import Standing


def unfit(candidate: Candidate, need: Need, standing: Standing) -> str | None:
    """Return why *candidate* can never serve *need*, whatever the time; None if it can."""
    provider, model = candidate.provider, candidate.model
    if (need.only and provider.id not in need.only) or provider.id in need.ignore:
        return "excluded by the request"
    if need.no_train and provider.privacy not in (Privacy.NO_TRAIN, Privacy.LOCAL):
        return f"privacy is {provider.privacy.value}, no-train is required"
    missing = need.capabilities - model.capabilities
    if model.emulates(need.capabilities):
        missing -= {"json_schema"}
    if missing:
        return f"no {', '.join(sorted(missing))}"
    if need.remote_images and not provider.quirks.remote_images:
        return "takes images as base64 data only"
    context = standing.context(candidate)
    if context is not None and need.demand.prompt + (need.demand.max_output or 1) > context:
        return f"context of {context} tokens is too small"
    return None


def eligible(need: Need, standing: Standing) -> tuple[list[tuple[int, Candidate]], list[Reason]]:
    """Split the candidates of *need* into those able to serve it, with their target's place, and the rest."""
    fit: list[tuple[int, Candidate]] = []
    rest: list[Reason] = []
    seen: set[str] = set()
    for group, target in enumerate(need.targets):
        for candidate in target.candidates:
            if candidate.id in seen:
                continue
            seen.add(candidate.id)
            why = unfit(candidate, need, standing)
            if why is None:
                fit.append((group, candidate))
            else:
                rest.append(Reason(candidate, "unfit", why))
    return fit, rest


def willing(need: Need, fit: Fit, standing: Standing, now: Now) -> Fit:
    """Return *fit* without models that refused a feature of *need* lately, unless all of them did."""
    if not need.features:
        return fit
    return [entry for entry in fit if not standing.refused(entry[1], need.features, now)] or fit
