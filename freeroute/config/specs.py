"""The shape of the settings file. One `providers:` entry is also the body of a catalogue file.

What may be left out and then taken from the catalogue is UNSET, so that "not given" and "given as the
default" stay apart while entries are merged.
"""

import math
import re
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from msgspec import UNSET, Meta, Struct, UnsetType, field

from freeroute.config.values import SPANS, Duration, HostName, Origin, Size, Span
from freeroute.domain.catalogue import (
    Auth,
    ErrorRule,
    LocalRank,
    Precharge,
    Price,
    Privacy,
    Quirks,
    RateHeaders,
    Scope,
    Unit,
    WindowKind,
)

SMALLEST_BODY = 1024
"""Bytes that `body_limit` may not be below: the shortest of chat requests still fits. Own design."""

SMALLEST_RECORDS = 2**20
"""Bytes that `storage.max_size` may not be below: empty tables take a tenth of it. Own design."""

LONGEST_TEXT = 2**20
"""Bytes that `storage.bodies.longest` may not exceed: of a hundred streams at once so much is held in memory.
Own design."""


_RECEIVER = re.compile(r"https?://[^\s?#@]+")


def _default(value: Any) -> Any:
    # A plain default would have to be encoded for the JSON Schema, and msgspec does not know these types.
    return field(default_factory=lambda: value)


Positive = Annotated[float, Meta(gt=0)]
Count = Annotated[int, Meta(ge=1)]
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$(?!\n)")]
Strategy = Literal["free", "fast", "smart"]
# What a request may ask for, and what only rules and readers look at: reasoning and embeddings.
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
    "embeddings",
]


def _refuse_unprintable(**texts: str | UnsetType) -> None:
    """Refuse what would break a line of the log or reach a terminal as a command."""
    for name, text in texts.items():
        if not isinstance(text, UnsetType) and not text.isprintable():
            raise ValueError(f"{name} holds a line break or another control character")


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
        if not math.isfinite(self.amount):
            raise ValueError("amount must be a finite number")
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
    """A model at a provider; only the id is required. *retires* is an ISO date."""

    id: Annotated[str, Meta(min_length=1, max_length=128)]
    family: Annotated[str, Meta(min_length=1, max_length=128)] | UnsetType = UNSET
    context: Count | UnsetType = UNSET
    max_output: Count | UnsetType = UNSET
    capabilities: tuple[Capability, ...] | UnsetType = UNSET
    quality: Annotated[float, Meta(ge=0, le=100)] | UnsetType = UNSET
    speed: SpeedSpec | UnsetType = UNSET
    price: Price | UnsetType = UNSET
    neurons: Price | UnsetType = UNSET
    auto: bool | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    limits: tuple[LimitSpec, ...] | UnsetType = UNSET
    retires: str | UnsetType = UNSET

    def __post_init__(self) -> None:
        """Refuse names that no line can hold, and what pays for being used."""
        _refuse_unprintable(id=self.id, family=self.family)
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
    the URLs. *engine* names the local server software to look for and list models of, *max_context* the most
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
    engine: Literal["ollama", "llamacpp", "lmstudio", "vllm"] | UnsetType = UNSET
    max_context: Count | UnsetType = UNSET
    signup_url: str | UnsetType = UNSET
    terms: TermsSpec | UnsetType = UNSET
    retired: dict[str, str] | UnsetType = UNSET
    as_of: str | UnsetType = UNSET
    source: str | UnsetType = UNSET

    def __post_init__(self) -> None:
        """Refuse a name that no line can hold."""
        _refuse_unprintable(name=self.name)

    def __repr__(self) -> str:
        """Never show the keys."""
        return f"ProviderSpec(base_url={self.base_url!r})"


class ServerSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """Where the gateway listens and what it takes."""

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 3000
    state_dir: str = "~/.local/state/freeroute"
    body_limit: Size = _default(Size(20 * 2**20))
    hosts: tuple[HostName, ...] = ()
    cors: tuple[Origin, ...] = ()
    metrics_key: str | None = None

    def __post_init__(self) -> None:
        """Refuse a limit that no request could meet."""
        if self.body_limit < SMALLEST_BODY:
            raise ValueError("body_limit must be 1KiB or more")

    def __repr__(self) -> str:
        """Never show the key."""
        return f"ServerSpec(host={self.host!r}, port={self.port!r})"


class DiscoverySpec(Struct, frozen=True, forbid_unknown_fields=True):
    """What is switched on without being listed."""

    env: bool = True
    local: bool = True
    keyless: bool = False


class MetaModelSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """A named strategy over the models that match; *require* are capabilities."""

    strategy: Strategy = "free"
    models: tuple[str, ...] | UnsetType = UNSET
    require: tuple[Capability, ...] = ()


class ClientSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """A holder of a freeroute key. *key* or *key_hash* (SHA-256 in hex); *expires* is an ISO date or time."""

    name: Name
    key: str | None = None
    key_hash: Annotated[str, Meta(pattern=r"^(sha256:)?[0-9a-fA-F]{64}$")] | None = None
    requests_per_minute: Count | None = None
    tokens_per_minute: Count | None = None
    tokens_per_day: Count | None = None
    tokens_per_month: Count | None = None
    concurrency: Count | None = None
    models: tuple[str, ...] | None = None
    expires: str | None = None
    weight: Annotated[float, Meta(gt=0, le=1000)] = 1.0
    privacy: Literal["any", "no-train"] = "any"
    max_wait: Duration | None = None
    note: Annotated[str, Meta(max_length=256)] = ""

    def __post_init__(self) -> None:
        """Refuse what would be ambiguous or is not enforced."""
        _refuse_unprintable(note=self.note)
        if (self.key is None) == (self.key_hash is None):
            raise ValueError("give either `key` or `key_hash`")

    def __repr__(self) -> str:
        """Never show the key."""
        return f"ClientSpec(name={self.name!r})"


class RoutingSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """How long and how often a request is tried. *probes* of 0 switches background probes off, *affinity* of
    0 the memory of conversations.
    """

    max_wait: Duration = _default(Duration(20))
    max_wait_cap: Duration = _default(Duration(120))
    waiting_room: Annotated[int, Meta(ge=0)] = 1000
    max_attempts: Annotated[int, Meta(ge=1, le=1000)] = 8
    deadline: Duration = _default(Duration(120))
    affinity: Duration = _default(Duration(1800))
    probes: Duration = _default(Duration(30))
    continue_streams: bool = False
    hedge: bool = False

    def __post_init__(self) -> None:
        """Refuse what asks for something that is not there yet."""
        if self.deadline <= 0:
            raise ValueError("deadline must be longer than zero")
        if self.max_wait > self.max_wait_cap:
            raise ValueError("max_wait is longer than max_wait_cap")


class LoggingSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """How the log reads."""

    format: Literal["console", "json"] = "console"
    level: Literal["debug", "info", "warning", "error"] = "info"


class BodiesSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """Whose prompts and answers are stored, for how long, in how many bytes, and of each text how many.

    Without *clients* they are everybody's.
    """

    keep: Duration = _default(Duration(7 * 86400))
    max_size: Size = _default(Size(256 * 2**20))
    longest: Size = _default(Size(64 * 2**10))
    clients: tuple[Name, ...] | None = None

    def __post_init__(self) -> None:
        """Refuse what nothing could be stored in."""
        if self.keep < 60:
            raise ValueError("keep must be a minute or more; without `bodies` no prompt is stored")
        if self.max_size < SMALLEST_RECORDS:
            raise ValueError("max_size must be 1MiB or more")
        if not 1 <= self.longest <= LONGEST_TEXT:
            raise ValueError("longest must be between 1B and 1MiB")


class StorageSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """Whether and where receipts are stored, for how long and in how many bytes. No *url* is SQLite."""

    records: bool = True
    url: str | None = None
    keep: Duration = _default(Duration(30 * 86400))
    max_size: Size = _default(Size(2**30))
    bodies: BodiesSpec | None = None

    def __post_init__(self) -> None:
        """Refuse what nothing could be stored in."""
        if self.bodies is not None and not self.records:
            raise ValueError("bodies are stored with receipts: `records: false` stores neither")
        if self.bodies is not None and self.bodies.keep > self.keep:
            raise ValueError("bodies.keep is longer than keep: they go with their receipts")
        if self.keep < 60:
            raise ValueError("keep must be a minute or more; `records: false` stores nothing")
        if self.max_size < SMALLEST_RECORDS:
            raise ValueError("max_size must be 1MiB or more")

    def __repr__(self) -> str:
        """Never show the password in the URL."""
        return f"StorageSpec(records={self.records!r})"


class TracesSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """Where traces are sent, by OTLP over HTTP, and the share of those begun here that are."""

    endpoint: str | None = None
    sample: Annotated[float, Meta(ge=0, le=1)] = 1.0

    def __post_init__(self) -> None:
        """Refuse what is no address, and keys in it: it is told in errors."""
        if self.endpoint is not None and not _RECEIVER.fullmatch(self.endpoint):
            raise ValueError("endpoint must be a URL such as http://localhost:4318, without a key in it")


class SettingsSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """The settings file. Everything may be left out."""

    server: ServerSpec = field(default_factory=ServerSpec)
    discovery: DiscoverySpec = field(default_factory=DiscoverySpec)
    providers: dict[Name, ProviderSpec] = field(default_factory=dict)
    meta_models: dict[Name, MetaModelSpec] = field(default_factory=dict)
    clients: tuple[ClientSpec, ...] = ()
    routing: RoutingSpec = field(default_factory=RoutingSpec)
    privacy: Literal["any", "no-train"] = "any"
    logging: LoggingSpec = field(default_factory=LoggingSpec)
    storage: StorageSpec = field(default_factory=StorageSpec)
    traces: TracesSpec = field(default_factory=TracesSpec)
