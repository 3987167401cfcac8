"""What the names of a call stand for, and what it asks of whoever goes by them."""

from collections.abc import Mapping, Sequence

from freeroute.domain.catalogue import Model
from freeroute.domain.clients import Client
from freeroute.domain.needs import Need
from freeroute.domain.resolve import Names, Target
from freeroute.domain.resolve import NotFound as Unknown
from freeroute.domain.tasks import APART, Task
from freeroute.engine.course import Course
from freeroute.errors import Forbidden, InvalidRequest, NotFound
from freeroute.wire.chat import ChatCall

LISTED = 12
"""Names that an error lists at most. Own design: two lines."""

MOST_NUMBERS = 2**20
"""Numbers of one answer's vectors. Own design: JSON has up to 25 bytes for each, and an answer 32 MiB."""

Offers = Mapping[str, Sequence[str]]
"""Providers that the catalogue knows, by what models of theirs can do."""


def targets_of(
    names: Names, call: ChatCall, course: Course, capability: str | None, offers: Offers
) -> tuple[Target, ...]:
    """Return what the names of *call* stand for; unknown ones are passed over, unless all are.

    Its task takes a *capability* if it is no chat. One that names no model means the first that does its
    task, and is named after it.

    Raises NotFound, also where nobody does such a task, Forbidden, and InvalidRequest for vectors of several
    models.
    """
    able = () if capability is None else _able(names, call.task, capability, offers)
    client = course.context.client
    if not call.model:
        call.model = course.asked = _unnamed(names, able, client)
    found = names.resolve(call.model)
    if isinstance(found, Target):
        course.known = True
    elif not call.models:
        course.unknown = (call.model,)
    if call.models:
        targets = _several(names, call, course, able)
    else:
        targets = (_allowed(found, call.model, client, able),)
    if able and call.task is Task.EMBEDDINGS and (len(targets) > 1 or targets[0].meta):
        raise InvalidRequest(
            f"{call.model} stands for several models, and vectors of different models cannot be compared: "
            f"name one of {_listed(able)}.",
            param="model",
        )
    return targets


def _several(names: Names, call: ChatCall, course: Course, able: Sequence[str]) -> tuple[Target, ...]:
    """Return what those of all names of *call* stand for that are known, or raise NotFound for the first."""
    asked = tuple(dict.fromkeys((call.model, *call.models)))
    course.unknown = tuple([name for name in asked if not isinstance(names.resolve(name), Target)])
    known = [name for name in asked if name not in course.unknown] or asked[:1]
    return tuple([target_of(names, name, course.context.client, able) for name in known])


def target_of(names: Names, name: str, client: Client | None, able: Sequence[str] = ()) -> Target:
    """Return what *name* stands for, if *client* may ask for it; raises NotFound and Forbidden.

    If only some are *able* to do what is asked, those are named.
    """
    return _allowed(names.resolve(name), name, client, able)


def _allowed(found: Target | Unknown, name: str, client: Client | None, able: Sequence[str]) -> Target:
    if not isinstance(found, Target):
        near = f"; did you mean {' or '.join(found.nearest)}?" if found.nearest else ""
        there = f"; there is {_listed(able)}" if able else near
        raise NotFound(f"model {name!r} does not exist{there}", code="model_not_found", param="model")
    if client is not None and client.models is not None and not client.may_ask(name, found):
        told = f"client {client.name} may not use model {name!r}"
        raise Forbidden(told, code="model_not_allowed", param="model")
    return found


def _unnamed(names: Names, able: Sequence[str], client: Client | None) -> str:
    """Return the first of those *able* that *client* may ask for; just the first if it may ask for none."""
    found = [(name, names.resolve(name)) for name in able]
    return next(
        (
            name
            for name, target in found
            if isinstance(target, Target) and (client is None or client.may_ask(name, target))
        ),
        able[0],
    )


def for_texts(need: Need, call: ChatCall) -> Need:
    """Return *need* for the texts of *call*: vectors are as long as it asks, or as its first candidate's.

    So a family's vectors can be compared, even if some of its providers have cut theirs.
    """
    need.texts = call.inputs
    if call.task is not Task.EMBEDDINGS:
        return need
    if call.dimensions is not None:
        need.dimensions, need.resized = call.dimensions, True
    else:
        known = (candidate.model.dimensions for target in need.targets for candidate in target.candidates)
        need.dimensions = next(filter(None, known), None)
    return need


def purpose(target: Target) -> frozenset[str]:
    """Return what a call to *target* asks of it if it is none for chat: what its first model is for."""
    first = target.candidates[0].model if target.candidates else None
    return frozenset() if first is None or first.talks else frozenset(sorted(first.capabilities & APART)[:1])


def most_inputs(names: Names, name: str) -> int | None:
    """Return how many texts every candidate for *name* takes in one call; None for any number."""
    found = names.resolve(name)
    candidates = found.candidates if isinstance(found, Target) else ()
    return min(filter(None, (_most_inputs(candidate.model) for candidate in candidates)), default=None)


def _most_inputs(model: Model) -> int | None:
    fitting = MOST_NUMBERS // model.dimensions if model.dimensions else None
    return min(filter(None, (model.max_inputs, fitting)), default=None)


def _able(names: Names, task: Task, capability: str, offers: Offers) -> tuple[str, ...]:
    """Return the names of models that do *task*, which takes a *capability*; raises NotFound if none does."""
    able = names.able_to(capability)
    if not able:
        others = offers.get(capability)
        known = f"switch on {' or '.join(others)}, or " if others else ""
        raise NotFound(
            f"no model that is switched on does {task.value}: {known}give a model of a provider "
            f"`capabilities: [{capability}]` in the settings",
            code="model_not_found",
            param="model",
        )
    return able


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more


def completes(names: Names, name: str) -> bool:
    """Say whether every candidate for *name* goes on with a text as it is, without any form of a chat."""
    found = names.resolve(name)
    candidates = found.candidates if isinstance(found, Target) else ()
    needed = Task.COMPLETIONS.capability
    return bool(candidates) and all(needed in candidate.model.capabilities for candidate in candidates)
