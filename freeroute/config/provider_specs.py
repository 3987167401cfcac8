"""The shape of one `providers:` entry, which is also the body of a catalogue file.

What may be left out and then taken from the catalogue is UNSET, so that "not given" and "given as the
default" stay apart while entries are merged.
"""

import math
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from msgspec import UNSET, Meta, Struct, UnsetType

from freeroute.config.values import SPANS, Count, Duration, Positive, Span, refuse_unprintable
from freeroute.domain.catalogue import (
    ErrorRule,
    LocalRank,
    Precharge,
    Price,
    Privacy,
    Quirks,
    Scope,
    Unit,
    WindowKind,
)
from freeroute.domain.headers import Auth, RateHeaders

# What a request may ask for, what models are for that are not for chat alone (from completions on), and what
# only rules and readers look at: reasoning, and chat, for a model that does so beside another task.
Capability = Literal[
    "tools",
    "images",
    "audio",
    "audio_output",
    "video",
    "files",
    "json_object",
    "json_schema",
    "reasoning",
    "completions",
    "embeddings",
    "dimensions",
    "rerank",
    "image_output",
    "transcription",
    "speech",
    "moderation",
    "chat",
]
TaskName = Literal[
    "completions", "embeddings", "rerank", "image", "transcription", "translation", "speech", "moderation"
]


class LimitSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """A published quota: at most *amount* of *unit* *per* span; concurrency has no span."""

    unit: Unit
    amount: Positive
    per: Span | UnsetType = UNSET
    window: WindowKind = WindowKind.SLIDING
    tz: str = "UTC"
    scope: Scope | UnsetType = UNSET
    confidence: Literal["configured", "documented", "observed", "guessed"] = "configured"
    note: str = ""

    def __post_init__(self) -> None:
        """Refuse combinations that mean nothing."""
        if self.unit is Unit.CONCURRENCY and self.per is not UNSET:
            raise ValueError("concurrency is counted now, not per span: leave out `per`")
        if self.unit is not Unit.CONCURRENCY and self.per is UNSET:
            raise ValueError("`per` is required: second ... month, or a duration like 5h")
        if self.unit in (Unit.REQUESTS, Unit.CONCURRENCY) and self.amount % 1:
            raise ValueError(f"amount must be a whole number of {_COUNTED[self.unit]}")
        if self.window is WindowKind.CALENDAR and self.per is not UNSET and self.per not in SPANS:
            raise ValueError(f"a calendar window is counted per {_or(SPANS)}, not per duration")
        try:
            ZoneInfo(self.tz)
        except (ValueError, OSError, KeyError) as exc:
            raise ValueError("tz must be a time zone name such as America/Los_Angeles") from exc


_COUNTED = {Unit.REQUESTS: "requests", Unit.CONCURRENCY: "calls"}


def _or(words: tuple[str, ...]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"


class SpeedSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """How fast a model is until it has been measured."""

    first_token: Duration | UnsetType = UNSET
    tokens_per_second: Annotated[float, Meta(gt=0, le=1e6)] | UnsetType = UNSET


class TimeoutsSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """How long each phase of a call may take."""

    connect: Duration | UnsetType = UNSET
    first_event: Duration | UnsetType = UNSET
    between_events: Duration | UnsetType = UNSET
    total: Duration | UnsetType = UNSET

    def __post_init__(self) -> None:
        """Refuse a time-out that no call could meet."""
        if 0.0 in (self.connect, self.first_event, self.between_events, self.total):
            raise ValueError("a time-out must be longer than zero")


class ModelSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """A model at a provider; only the id is required. *retires* is an ISO date.

    *dimensions* is how long its vectors are, *max_inputs* of how many texts a call may ask for them.
    """

    id: Annotated[str, Meta(min_length=1, max_length=128)]
    family: Annotated[str, Meta(min_length=1, max_length=128)] | UnsetType = UNSET
    context: Count | UnsetType = UNSET
    max_output: Count | UnsetType = UNSET
    capabilities: tuple[Capability, ...] | UnsetType = UNSET
    quality: Annotated[float, Meta(ge=0, le=100)] | UnsetType = UNSET
    speed: SpeedSpec | UnsetType = UNSET
    price: Price | UnsetType = UNSET
    neurons: Price | UnsetType = UNSET
    dimensions: Count | UnsetType = UNSET
    max_inputs: Count | UnsetType = UNSET
    auto: bool | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    limits: tuple[LimitSpec, ...] | UnsetType = UNSET
    retires: str | UnsetType = UNSET

    def __post_init__(self) -> None:
        """Refuse names that no line can hold, and what pays for being used."""
        refuse_unprintable(id=self.id, family=self.family)
        for name, price in (("price", self.price), ("neurons", self.neurons)):
            for part in () if isinstance(price, UnsetType) else (price.input, price.output):
                if not 0 <= part < math.inf:
                    raise ValueError(f"{name} must be zero or more")


class OnlyModels(Struct, frozen=True, forbid_unknown_fields=True):
    """Restricts a catalogue entry to the models named."""

    only: tuple[str, ...]


class KeySpec(Struct, frozen=True, forbid_unknown_fields=True):
    """A credential: a literal, ``env:NAME`` or ``file:PATH``; keys of one *account* share its quota."""

    key: str
    label: str | None = None
    account: str = "default"
    enabled: bool = True

    def __repr__(self) -> str:
        """Never show the key."""
        return f"KeySpec(label={self.label!r}, account={self.account!r}, enabled={self.enabled!r})"


class TermsSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """What the provider's terms say, in a sentence; *use* is what a free key may be used for."""

    summary: str = ""
    url: str = ""
    use: Literal["any", "personal", "evaluation", "non-commercial"] = "any"
    training: str = ""
    multi_account: Literal["forbidden", "allowed", "unknown"] = "unknown"


class ProviderSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """One provider, in the settings file or in the catalogue.

    *env* are variables whose presence switches it on, *env_named* those that count only once the provider
    is listed, since people hold them for other uses too or they stand for a bill. *variables* are put into
    the URLs. *paths* are where tasks are found that are not where OpenAI has them: below *base_url*, or whole
    addresses. *engine* names the local server software to look for and list models of, *max_context* the most
    tokens it is asked to load one with.
    """

    kind: str | UnsetType = UNSET
    like: str | UnsetType = UNSET
    base_url: str | UnsetType = UNSET
    keys: tuple[str | KeySpec, ...] | UnsetType = UNSET
    privacy: Privacy | UnsetType = UNSET
    local: LocalRank | UnsetType | None = UNSET
    timeouts: TimeoutsSpec | UnsetType = UNSET
    limits: tuple[LimitSpec, ...] | UnsetType = UNSET
    models: tuple[ModelSpec, ...] | OnlyModels | UnsetType = UNSET
    name: str | UnsetType = UNSET
    status: Literal["free", "keyless", "trial", "unstable", "verification", "local"] | UnsetType = UNSET
    rank: int | UnsetType = UNSET
    env: tuple[str, ...] | UnsetType = UNSET
    env_named: tuple[str, ...] | UnsetType = UNSET
    keyless: bool | UnsetType = UNSET
    variables: tuple[str, ...] | UnsetType = UNSET
    auth: Auth | UnsetType = UNSET
    headers: dict[str, str] | UnsetType = UNSET
    errors: tuple[ErrorRule, ...] | UnsetType = UNSET
    quirks: Quirks | UnsetType = UNSET
    precharge: Precharge | UnsetType = UNSET
    rate_headers: RateHeaders | UnsetType = UNSET
    failed_calls_count: bool | UnsetType = UNSET
    probes: bool | UnsetType = UNSET
    key_check: str | UnsetType = UNSET
    paths: dict[TaskName, str] | UnsetType = UNSET
    engine: Literal["ollama", "llamacpp", "lmstudio", "vllm"] | UnsetType = UNSET
    max_context: Count | UnsetType = UNSET
    signup_url: str | UnsetType = UNSET
    terms: TermsSpec | UnsetType = UNSET
    retired: dict[str, str] | UnsetType = UNSET
    as_of: str | UnsetType = UNSET
    source: str | UnsetType = UNSET

    def __post_init__(self) -> None:
        """Refuse a name that no line can hold."""
        refuse_unprintable(name=self.name)

    def __repr__(self) -> str:
        """Never show the keys."""
        return f"ProviderSpec(base_url={self.base_url!r})"
