"""What agents can look up over MCP: four tools that read and change nothing."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Protocol

import msgspec
from msgspec import Meta, Struct

from freeroute.domain.clients import Client
from freeroute.errors import NotFound

MOST = 200
"""Entries that one answer lists at most. Own design: what a model still reads, some 10,000 tokens."""

_Most = Annotated[int, Meta(ge=1, le=MOST, description="How many entries to list at most.")]


class ToolGateway(Protocol):
    """What the tools need of the engine."""

    def models(self, client: Client | None) -> list[dict[str, Any]]:
        """Return every enabled model as *client* sees it."""
        ...

    def plan(self, model: str, client: Client | None) -> dict[str, Any]:
        """Return the plan for *model* with a reason for every candidate; raises NotFound."""
        ...

    def key(self, client: Client | None) -> dict[str, Any]:
        """Return what *client* may use, has used and has left."""
        ...

    def status(self, client: Client | None = None) -> dict[str, Any]:
        """Return the state of everything; a *client* sees its own use alone."""
        ...


class Asking(Struct, frozen=True):
    """Who asks, whom, and when: *wall* is in Unix seconds. Without a *client*, it is whoever may see all."""

    gateway: ToolGateway
    client: Client | None
    wall: float

    def ahead(self, moment: float | None) -> float | None:
        """Return the seconds until *moment*: an agent has no clock to compare it with."""
        return None if moment is None else round(max(moment - self.wall, 0.0), 1)


# --- list_models -----------------------------------------------------------------------------------------


class ListModels(Struct, frozen=True, forbid_unknown_fields=True):
    """Which models."""

    search: Annotated[str, Meta(max_length=200, description="Only ids that hold this text.")] = ""
    usable_only: Annotated[bool, Meta(description="Leave out what has no quota or health now.")] = True
    limit: _Most = 50


class ListedModel(Struct, frozen=True):
    """One name to ask for; *back_in* is in seconds, *context* in tokens.

    *output_modalities* are as in ``/v1/models``: ``text`` for what chats, else ``embeddings`` and the like.
    """

    id: str
    usable: bool
    back_in: float | None
    context: int | None
    tools: bool
    images: bool
    output_modalities: list[str]


class ModelList(Struct, frozen=True):
    """Names to ask for; *more* were left out for length."""

    models: list[ListedModel]
    more: int


def list_models(asking: Asking, wanted: ListModels) -> ModelList:
    """Return the models that can be asked for, meta-models first."""
    found = [_listed(asking, entry) for entry in asking.gateway.models(asking.client)]
    fitting = [
        one
        for one in found
        if wanted.search.lower() in one.id.lower() and (one.usable or not wanted.usable_only)
    ]
    return ModelList(*_first(fitting, wanted.limit))


def _listed(asking: Asking, entry: dict[str, Any]) -> ListedModel:
    availability = entry["freeroute"]
    return ListedModel(
        id=entry["id"],
        usable=availability["available"],
        back_in=asking.ahead(availability["back_at"]),
        context=entry["context_length"],
        tools="tools" in entry["supported_parameters"],
        images="image" in entry["architecture"]["input_modalities"],
        output_modalities=entry["architecture"]["output_modalities"],
    )


# --- explain_route ---------------------------------------------------------------------------------------


class ExplainRoute(Struct, frozen=True, forbid_unknown_fields=True):
    """Which route."""

    model: Annotated[str, Meta(min_length=1, max_length=200, description="A name from list_models.")]
    limit: _Most = 20


class Step(Struct, frozen=True):
    """One candidate: its *place* if it can be used, else the *reason*; *quota_left* is a share of 1."""

    place: int | None
    provider: str
    model: str
    usable: bool
    reason: str | None
    back_in: float | None
    expected_seconds: float
    quota_left: float


class RoutePlan(Struct, frozen=True):
    """Who would answer, in order; of the *candidates*, *usable* could now."""

    model: str
    strategy: str
    usable: int
    candidates: list[Step]
    more: int


def explain_route(asking: Asking, wanted: ExplainRoute) -> RoutePlan:
    """Return who would be asked for a model now, and why the others not; raises NotFound."""
    plan = asking.gateway.plan(wanted.model, asking.client)
    steps = [
        Step(
            back_in=asking.ahead(entry["back_at"]),
            **{name: entry[name] for name in Step.__struct_fields__ if name != "back_in"},
        )
        for entry in plan["candidates"]
    ]
    usable = sum(step.usable for step in steps)
    return RoutePlan(plan["model"], plan["strategy"], usable, *_first(steps, wanted.limit))


# --- quota_left ------------------------------------------------------------------------------------------


class QuotaLeft(Struct, frozen=True, forbid_unknown_fields=True):
    """Whose quota."""

    provider: Annotated[str, Meta(max_length=200, description="Only this provider's.")] = ""
    limit: _Most = 50


class Quota(Struct, frozen=True):
    """One limit: how much of it is *left* until *resets_in* seconds. Without a *provider*, it is your own."""

    label: str
    provider: str | None
    model: str | None
    limit: float
    left: float
    resets_in: float | None


class QuotaList(Struct, frozen=True):
    """Your own limits, then those of providers, the fullest first where they are yours to see."""

    quotas: list[Quota]
    more: int


def quota_left(asking: Asking, wanted: QuotaLeft) -> QuotaList:
    """Return what is left of limits: a client's own, and providers' for whoever may see them."""
    own = [] if wanted.provider else _own(asking)
    pools = [quota for entry in _providers(asking, wanted.provider) for quota in _pools(asking, entry)]
    return QuotaList(*_first([*own, *sorted(pools, key=_share_left)], wanted.limit))


def _own(asking: Asking) -> list[Quota]:
    if asking.client is None:
        return []
    limits = asking.gateway.key(asking.client)["data"]["freeroute"]["limits"]
    return [
        Quota(
            label=limit["label"],
            provider=None,
            model=None,
            limit=limit["limit"],
            left=limit["remaining"],
            resets_in=asking.ahead(limit["resets_at"]),
        )
        for limit in limits
    ]


def _pools(asking: Asking, entry: dict[str, Any]) -> list[Quota]:
    return [
        Quota(
            label=pool["label"],
            provider=entry["id"],
            model=pool["model"],
            limit=pool["limit"],
            left=round(max(pool["limit"] - pool["used"], 0.0), 3),
            resets_in=asking.ahead(pool["resets_at"]),
        )
        for pool in entry["pools"]
    ]


def _share_left(quota: Quota) -> float:
    return quota.left / quota.limit if quota.limit > 0 else 0.0


# --- provider_health -------------------------------------------------------------------------------------


class ProviderHealth(Struct, frozen=True, forbid_unknown_fields=True):
    """Whose health."""

    provider: Annotated[str, Meta(max_length=200, description="Only this provider.")] = ""
    limit: _Most = 50


class Health(Struct, frozen=True):
    """How one provider stands: how many of its models are in which *states*, and its *last_error*."""

    id: str
    state: str
    models: int
    states: dict[str, int]
    back_in: float | None
    last_error: str | None


class HealthList(Struct, frozen=True):
    """How providers stand."""

    providers: list[Health]
    more: int


def provider_health(asking: Asking, wanted: ProviderHealth) -> HealthList:
    """Return how providers stand."""
    found = [_health(asking, entry) for entry in _providers(asking, wanted.provider)]
    return HealthList(*_first(found, wanted.limit))


def _health(asking: Asking, entry: dict[str, Any]) -> Health:
    error = entry["last_error"]
    return Health(
        id=entry["id"],
        state=entry["state"],
        models=entry["models"],
        states=entry["candidates_by_state"],
        back_in=asking.ahead(entry["breaker"]["until"]),
        last_error=None if error is None else error["detail"] or error["kind"],
    )


# --- all of them -----------------------------------------------------------------------------------------


def _providers(asking: Asking, name: str) -> list[dict[str, Any]]:
    """Return the providers as the status tells of them, or the one called *name*; raises NotFound."""
    providers: list[dict[str, Any]] = asking.gateway.status(asking.client)["providers"]
    found = [entry for entry in providers if name in {"", entry["id"]}]
    if name and not found:
        known = ", ".join(sorted(entry["id"] for entry in providers)) or "none"
        raise NotFound(f"provider {name!r} is not switched on; there is: {known}")
    return found


def _first(entries: list[Any], most: int) -> tuple[list[Any], int]:
    return entries[:most], max(len(entries) - most, 0)


class Tool(Struct, frozen=True):
    """One tool: what it takes, what it gives, and what does it."""

    name: str
    title: str
    description: str
    takes: type[Struct]
    gives: type[Struct]
    run: Callable[[Asking, Any], Struct]

    def call(self, asking: Asking, arguments: dict[str, Any]) -> Struct:
        """Return what the tool finds; raises msgspec.ValidationError for *arguments*, and ApiError."""
        return self.run(asking, msgspec.convert(arguments, self.takes))

    def described(self) -> dict[str, Any]:
        """Return the tool as ``tools/list`` tells of it."""
        return {
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "inputSchema": _schema(self.takes),
            "outputSchema": _schema(self.gives),
            "annotations": {"readOnlyHint": True, "idempotentHint": True, "openWorldHint": False},
        }


def _schema(kind: type[Struct]) -> dict[str, Any]:
    """Return the JSON Schema of *kind*, an object at its root as MCP wants it."""
    _, parts = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
    root = parts.pop(kind.__name__)
    return {**root, "$defs": parts} if parts else root


TOOLS: Sequence[Tool] = (
    Tool(
        "list_models",
        "Usable models",
        "The names that can be asked for as `model`, whether each can be used now, and when it is back. "
        "Those with `text` among their output_modalities chat; the others embed, draw, speak and so on.",
        ListModels,
        ModelList,
        list_models,
    ),
    Tool(
        "explain_route",
        "Explain a route",
        "Which providers would answer for a model now, in order, and why the others would not.",
        ExplainRoute,
        RoutePlan,
        explain_route,
    ),
    Tool(
        "quota_left",
        "Quota left",
        "How much of each limit is left, and in how many seconds it resets.",
        QuotaLeft,
        QuotaList,
        quota_left,
    ),
    Tool(
        "provider_health",
        "Provider health",
        "How each provider stands: healthy, suspect, limited or broken, and when it is tried again.",
        ProviderHealth,
        HealthList,
        provider_health,
    ),
)
