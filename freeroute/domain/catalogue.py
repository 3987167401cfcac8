"""What exists: providers, their models and keys, and the candidates made of the three. Plain facts."""

import math
from collections.abc import Sequence
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Literal

from msgspec import Meta, Struct, field
from msgspec.structs import force_setattr

from freeroute.domain.aliases import BUILT_IN, MODEL_ALIASES, Aliases
from freeroute.domain.headers import Auth, RateHeaders
from freeroute.domain.tasks import Task, talks
from freeroute.domain.tokenizers import tokenizer_of


class Unit(StrEnum):
    """What a limit counts."""

    REQUESTS = "requests"
    TOKENS = "tokens"
    INPUT_TOKENS = "input_tokens"
    OUTPUT_TOKENS = "output_tokens"
    NEURONS = "neurons"
    USD = "usd"
    CONCURRENCY = "concurrency"


ONE_EACH = (Unit.REQUESTS, Unit.CONCURRENCY)  # every call takes one of them, whatever becomes of it


class WindowKind(StrEnum):
    """How a quota comes back: as calls age, as a refilling bucket, or at a calendar boundary."""

    SLIDING = "sliding"
    BUCKET = "bucket"
    CALENDAR = "calendar"


class Scope(StrEnum):
    """Which calls share a counter."""

    ACCOUNT = "account"
    MODEL = "model"
    KEY = "key"
    IP = "ip"


class Privacy(StrEnum):
    """What the provider does with prompts."""

    TRAINS = "trains"
    NO_TRAIN = "no-train"
    UNKNOWN = "unknown"
    LOCAL = "local"


class LocalRank(StrEnum):
    """How a local server ranks among the candidates of a meta-model."""

    LAST = "last"
    FIRST = "first"
    EQUAL = "equal"


class Limit(Struct, frozen=True):
    """At most *amount* of *unit* in any *seconds*; *seconds* is 0 for concurrency.

    *span* is the word it was written with (``day``, ``month``, or ``""``): a calendar window follows the
    calendar of *tz*, not a number of seconds. *confidence* is documented, observed or guessed.
    """

    unit: Unit
    amount: float
    seconds: float = 0.0
    window: WindowKind = WindowKind.SLIDING
    span: str = ""
    tz: str = "UTC"
    scope: Scope = Scope.ACCOUNT
    confidence: str = "configured"

    @property
    def label(self) -> str:
        """Return a short stable name such as ``requests/day``; parts of ids, metrics and messages."""
        if self.unit is Unit.CONCURRENCY:
            return "concurrency"
        return f"{self.unit.value}/{self.span or f'{self.seconds:g}s'}"


class Pool(Struct, frozen=True):
    """One counter: a *limit* at the place its scope names; calls with the same *id* share it."""

    id: str
    limit: Limit


def sized(pools: Sequence[Pool]) -> tuple[int, ...]:
    """Return the places of those *pools* of which a call takes as much as it is large."""
    return tuple([at for at, pool in enumerate(pools) if pool.limit.unit not in ONE_EACH])


class Timeouts(Struct, frozen=True):
    """Seconds each phase of a call may take."""

    connect: float = 3.0
    first_event: float = 20.0
    between_events: float = 30.0
    total: float = 300.0


class ErrorRule(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How to recognise one ending of this provider: the first rule whose every given part matches wins.

    *status* of the answer; *code* equal to the body's ``code``, ``type`` or ``status`` field (as text);
    *contains* found in the body's message, case folded. *kind* names a ``domain.outcome.Kind``; *window*
    is minute, hour, day, week or month; *scope* the counter it names.
    """

    kind: str
    status: Annotated[int, Meta(ge=100, le=599)] | None = None
    code: str | None = None
    contains: str | None = None
    window: str | None = None
    scope: Scope | None = None
    unit: Unit | None = None


Prefill = Literal["none", "trailing_assistant", "prefix_flag", "continue_final_message"]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh"]


class Quirks(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where a provider differs from OpenAI's chat API; applied on the way out, undone on the way back.

    *drops* are request fields removed before sending, *renames* old to new names, *clamps* field to
    [low, high], *accepts* (if given) the only top-level fields sent. *output_field* is the name the output
    bound travels under: ``max_tokens``, ``max_completion_tokens`` or ``both`` (left as the caller wrote it).
    With *plain_tool_names* names of tools are letters, digits and underscores. By patterns of models:
    *efforts* are the reasoning efforts they take, *think_tags* those that write thoughts into their text,
    *text_tools* those that write calls into it, with the form. *require_parameters*: a router with this wish.
    Without *whole_finish* a whole answer that does not say why it ended has ended well, or at its bound.
    *prefill* is how a model is given the beginning of its answer: an assistant's message at the end, alone,
    with ``prefix``, or with ``continue_final_message`` beside it.
    """

    drops: tuple[str, ...] = ()
    renames: dict[str, str] = {}
    clamps: dict[str, tuple[float, float]] = {}
    accepts: tuple[str, ...] | None = None
    output_field: str = "both"
    default_max_tokens: Annotated[int, Meta(ge=1)] | None = None
    message_name: bool = True
    developer_role: bool = False
    stream_usage: bool = True
    schema_strips: tuple[str, ...] = ()
    max_tools: int | None = None
    plain_tool_names: bool = False
    tool_content_null: bool = True
    flatten_content: bool = False
    tool_call_index: bool = True
    tool_finish: bool = True
    whole_finish: bool = True
    usage_every_chunk: bool = False
    echo_signature: bool = False
    remote_images: bool = True
    require_parameters: bool = False
    efforts: dict[str, tuple[Effort, ...]] = {}
    think_tags: tuple[str, ...] = ()
    text_tools: dict[str, Literal["hermes", "llama", "mistral"]] = {}
    prefill: Prefill = "none"


class Precharge(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The provider counts the output bound before generating.

    *default* is what it assumes, and what the gateway sends, when the caller names no bound.
    """

    output: bool = False
    default: Annotated[int, Meta(ge=1)] = 2048


class Price(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """USD, or neurons, per million tokens."""

    input: float = 0.0
    output: float = 0.0


class Model(Struct, frozen=True, dict=True):
    """A model id at a provider, with what it can do and priors for how well and how fast.

    *quality* 0-100; *first_token* seconds and *tokens_per_second* are priors until measured. Of a model on a
    local server, *default_context* is the context it is loaded with unless a call asks for more, and *cold*
    says that it has to be loaded first. One that makes vectors makes them *dimensions* long unless told
    otherwise, of *max_inputs* texts a call at most.
    """

    id: str
    family: str
    context: int | None = None
    default_context: int | None = None
    cold: bool = False
    max_output: int | None = None
    capabilities: frozenset[str] = frozenset()
    quality: float = 30.0
    first_token: float = 1.0
    tokens_per_second: float = 50.0
    price: Price | None = None
    neurons: Price | None = None
    dimensions: int | None = None
    max_inputs: int | None = None
    auto: bool = True
    enabled: bool = True
    limits: tuple[Limit, ...] = ()
    retires: str | None = None

    @cached_property
    def tokenizer(self) -> int:
        """Return the place of its tokenizer in ``tokenizers.TOKENIZERS``."""
        return tokenizer_of(self.family)

    @property
    def tier(self) -> int:
        """Return 3 for frontier (quality 80+), 2 for large (60+), 1 for medium (40+), 0 for small."""
        return (self.quality >= 80) + (self.quality >= 60) + (self.quality >= 40)

    @property
    def talks(self) -> bool:
        """Say whether it is a model for chat, whatever else it does."""
        return talks(self.capabilities)

    def emulates(self, needs: frozenset[str]) -> bool:
        """Say whether *needs* ask for a schema that this model knows nothing of, though it writes JSON."""
        return (
            "json_schema" in needs
            and "json_schema" not in self.capabilities
            and "json_object" in self.capabilities
        )


class Key(Struct, frozen=True):
    """A credential and the quota pool it belongs to. An empty *secret* sends no authorization.

    *source* is where it comes from: settings, environment, or entered at run time.
    """

    secret: str
    label: str
    account: str = "default"
    enabled: bool = True
    source: Literal["settings", "environment", "entered"] = "settings"

    def __repr__(self) -> str:
        """Never show the secret."""
        return f"Key(label={self.label!r}, account={self.account!r})"


class Provider(Struct, frozen=True):
    """A service with a base URL, an auth scheme and quirks; everything resolved, nothing to look up.

    *key_check* is the path (or whole URL) of a cheap GET that answers only to a valid key. *paths* are those
    of tasks that are not where OpenAI has them. It *is_local* if it is the operator's own server, of which
    *engine* is the software: ollama, llamacpp, lmstudio or vllm; *max_context* the most tokens to load with.
    """

    id: str
    name: str
    base_url: str
    kind: str = "openai"
    keys: tuple[Key, ...] = ()
    models: tuple[Model, ...] = ()
    limits: tuple[Limit, ...] = ()
    auth: Auth = Auth()
    headers: dict[str, str] = {}
    errors: tuple[ErrorRule, ...] = ()
    quirks: Quirks = Quirks()
    precharge: Precharge = Precharge()
    rate_headers: RateHeaders = RateHeaders()
    timeouts: Timeouts = Timeouts()
    privacy: Privacy = Privacy.UNKNOWN
    terms: str = ""
    local: LocalRank | None = None
    failed_calls_count: bool = False
    probes: bool = True
    retired: dict[str, str] = {}
    origin: str = "settings"
    key_check: str | None = None
    paths: dict[Task, str] = {}
    engine: str | None = None
    max_context: int | None = None
    is_local: bool = False

    def __post_init__(self) -> None:
        """Find once whether it is local: every call asks for that."""
        force_setattr(self, "is_local", self.privacy is Privacy.LOCAL)


class Candidate(Struct, frozen=True, eq=False):
    """(provider, model, key): the unit that is chosen, limited, broken and measured.

    *reach* is the most tokens that one call may ever take there: the smallest of its token limits. *name* is
    ``provider/model``, as callers write it; *tokenizer* is that of its model. *sized* are the places of those
    *pools* of which a call takes as much as it is large; of the others each takes one.
    """

    provider: Provider
    model: Model
    key: Key
    id: str
    pools: tuple[Pool, ...]
    reach: float = math.inf
    name: str = ""
    sized: tuple[int, ...] = ()
    tokenizer: int = 0

    def __post_init__(self) -> None:
        """Find once what every call asks for: most of what is known of models is looked up by their name."""
        force_setattr(self, "name", f"{self.provider.id}/{self.model.id}")
        force_setattr(self, "sized", sized(self.pools))
        force_setattr(self, "tokenizer", self.model.tokenizer)

    @property
    def prefill(self) -> Prefill:
        """Return how it goes on with a text. A model that thinks first cannot: its turn begins elsewhere."""
        return "none" if "reasoning" in self.model.capabilities else self.provider.quirks.prefill


class MetaModel(Struct, frozen=True):
    """A named strategy (free, fast, smart) over models; *models* are patterns like ``groq/*``.

    Without patterns it holds every model with ``auto``.
    """

    name: str
    strategy: str
    models: tuple[str, ...] | None = None
    require: frozenset[str] = frozenset()


class Catalogue(Struct, frozen=True):
    """Everything the gateway can route to at one moment; replaced whole on reload."""

    providers: dict[str, Provider]
    candidates: tuple[Candidate, ...]
    meta_models: dict[str, MetaModel] = field(default_factory=dict)
    model_aliases: Aliases = field(default_factory=dict)


def pool_id(provider: Provider, model: Model, key: Key, limit: Limit) -> str:
    """Return the id of the counter that a call by this candidate charges for *limit*."""
    place = {
        Scope.ACCOUNT: f"account:{key.account}",
        Scope.MODEL: f"account:{key.account}/model:{model.id}",
        Scope.KEY: f"key:{key.label}",
        Scope.IP: "ip",
    }[limit.scope]
    return f"{provider.id}/{place}/{limit.label}"


def candidates_of(provider: Provider) -> tuple[Candidate, ...]:
    """Return every candidate of *provider*: enabled models times enabled keys."""
    return tuple(
        _candidate(provider, model, key)
        for model in provider.models
        if model.enabled
        for key in provider.keys
        if key.enabled
    )


def _candidate(provider: Provider, model: Model, key: Key) -> Candidate:
    limits = (*provider.limits, *model.limits)
    tokens = (limit.amount for limit in limits if limit.unit in (Unit.TOKENS, Unit.INPUT_TOKENS))
    return Candidate(
        provider=provider,
        model=model,
        key=key,
        id=f"{provider.id}/{model.id}#{key.label}",
        pools=tuple(Pool(pool_id(provider, model, key, limit), limit) for limit in limits),
        reach=min(tokens, default=math.inf),
    )


def catalogue_of(
    providers: list[Provider], meta_models: list[MetaModel], model_aliases: Aliases = MODEL_ALIASES
) -> Catalogue:
    """Build the catalogue of *providers* in their order; the three ``free*`` meta-models are always there."""
    metas = {name: MetaModel(name, strategy) for name, strategy in BUILT_IN.items()}
    metas.update({meta.name: meta for meta in meta_models})
    return Catalogue(
        providers={provider.id: provider for provider in providers},
        candidates=tuple(c for provider in providers for c in candidates_of(provider)),
        meta_models=metas,
        model_aliases=model_aliases,
    )
