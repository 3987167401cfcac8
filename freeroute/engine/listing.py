"""What callers can ask for: the models, and the plan for one of them. Built on demand, read-only."""

import math
from typing import Any

from freeroute.domain import plans
from freeroute.domain.catalogue import Candidate, Model
from freeroute.domain.clients import Client
from freeroute.domain.fitness import held_to, left_out
from freeroute.domain.needs import Need
from freeroute.domain.plans import Ranked
from freeroute.domain.resolve import Target
from freeroute.domain.tasks import talks
from freeroute.engine.view import View


def models(view: View, client: Client | None) -> list[dict[str, Any]]:
    """Return the entries of ``GET /v1/models``: meta-models first, then every model that is on, once."""
    entries = [_meta_entry(view, name) for name in view.catalogue.meta_models if _allowed(view, name, client)]
    by_name: dict[str, list[Candidate]] = {}
    for candidate in view.catalogue.candidates:
        if not view.standing.is_off(candidate):
            by_name.setdefault(candidate.name, []).append(candidate)
    entries.extend(
        _entry(view, name, candidates) for name, candidates in by_name.items() if _allowed(view, name, client)
    )
    return entries


def _allowed(view: View, name: str, client: Client | None) -> bool:
    target = view.names.resolve(name)
    return client is None or (isinstance(target, Target) and client.may_ask(name, target))


def model(view: View, name: str, target: Target) -> dict[str, Any]:
    """Return the entry for *name*, whatever form of a model's name it is."""
    if target.meta:
        return _meta_entry(view, target.name)
    return _entry(view, name, list(target.candidates))


def _meta_entry(view: View, name: str) -> dict[str, Any]:
    target = view.names.resolve(name)
    candidates = target.candidates if isinstance(target, Target) else ()
    able = frozenset[str]().union(*(candidate.model.capabilities for candidate in candidates))
    entry = _object(name, "freeroute", _widest(candidates), able)
    entry["freeroute"] = {**_availability(view, candidates), "meta": True}
    return entry


def _entry(view: View, name: str, candidates: list[Candidate]) -> dict[str, Any]:
    first = candidates[0]
    entry = _object(name, first.provider.id, first.model.context, first.model.capabilities, first.model)
    entry["freeroute"] = {
        **_availability(view, tuple(candidates)),
        "provider": first.provider.id,
        "family": first.model.family,
        "quality": first.model.quality,
        "privacy": first.provider.privacy.value,
        "auto": first.model.auto,
    }
    return entry


def _object(
    name: str, owner: str, context: int | None, capabilities: frozenset[str], found: Model | None = None
) -> dict[str, Any]:
    price = found.price if found and found.price else None
    return {
        "id": name,
        "object": "model",
        "created": 0,
        "owned_by": owner,
        "name": name,
        "context_length": context,
        "architecture": {"input_modalities": _heard(capabilities), "output_modalities": _told(capabilities)},
        "pricing": {
            "prompt": f"{(price.input if price else 0.0) / 1e6:g}",
            "completion": f"{(price.output if price else 0.0) / 1e6:g}",
        },
        "top_provider": {
            "context_length": context,
            "max_completion_tokens": found.max_output if found else None,
            "is_moderated": False,
        },
        "supported_parameters": _parameters(capabilities),
    }


def _heard(capabilities: frozenset[str]) -> list[str]:
    """Return OpenRouter's words for what a model takes."""
    sound = ["audio"] if "transcription" in capabilities else []
    text = ["text"] if talks(capabilities) or not sound else []
    return [*text, *(["image"] if "images" in capabilities else []), *sound]


_TOLD = {
    "embeddings": "embeddings",
    "rerank": "rerank",
    "image_output": "image",
    "speech": "speech",
    "transcription": "transcription",
    "moderation": "moderation",
}


def _told(capabilities: frozenset[str]) -> list[str]:
    """Return OpenRouter's words for what a model gives: text, unless it is for something else alone."""
    others = [word for capability, word in _TOLD.items() if capability in capabilities]
    return ["text", *others] if talks(capabilities) or not others else others


def _parameters(capabilities: frozenset[str]) -> list[str]:
    if not talks(capabilities):
        return [name for name in ("dimensions",) if name in capabilities]
    names = ["max_tokens", "temperature", "top_p", "stop"]
    if "tools" in capabilities:
        names += ["tools", "tool_choice"]
    if "json_object" in capabilities or "json_schema" in capabilities:
        names.append("response_format")
    if "json_schema" in capabilities:
        names.append("structured_outputs")
    if "reasoning" in capabilities:
        names.append("reasoning")
    return names


def _widest(candidates: tuple[Candidate, ...]) -> int | None:
    return max((c.model.context or 0 for c in candidates), default=0) or None


def _availability(view: View, candidates: tuple[Candidate, ...]) -> dict[str, Any]:
    back_at = math.inf
    for candidate in candidates:
        obstacle = view.obstacle(candidate)
        if obstacle is None:
            return {"available": True, "back_at": None}
        back_at = min(back_at, obstacle.back_at)
    return {"available": False, "back_at": view.wall(back_at)}


def plan(view: View, asked: str, need: Need, *, labels: bool = True) -> dict[str, Any]:
    """Return the body of ``GET /v1/plan``; keys are named by their *labels*, or not at all."""
    entries = plans.plan(need, view.standing, view.now)
    return {
        "model": asked,
        "stands_for": need.targets[0].name,
        "strategy": need.targets[0].strategy,
        "candidates": [_planned(view, entry, place, labels=labels) for place, entry in enumerate(entries, 1)],
    }


def _planned(view: View, entry: Ranked, place: int, *, labels: bool) -> dict[str, Any]:
    reason = entry.reason
    return {
        "place": place if reason is None else None,
        "provider": entry.candidate.provider.id,
        "model": entry.candidate.model.id,
        "key": entry.candidate.key.label if labels else None,
        "usable": reason is None,
        "reason": reason.text if reason else None,
        "back_at": view.wall(reason.back_at) if reason else None,
        "tier": entry.candidate.model.tier,
        "quality": entry.candidate.model.quality,
        "expected_seconds": round(entry.expected, 2),
        "quota_left": round(entry.left, 3),
        "lead": round(entry.lead, 3),
        "suspect": entry.suspect,
        "dropped": sorted(view.standing.dropped(entry.candidate)),
        "left_out": sorted(left_out(entry.candidate)),
        "changed": held_to(entry.candidate),
    }
