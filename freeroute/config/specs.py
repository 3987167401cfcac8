"""The shape of the settings file."""

import re
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

from freeroute.config.provider_specs import Capability, ProviderSpec
from freeroute.config.values import Count, Duration, HostName, Name, Origin, Size, default, refuse_unprintable
from freeroute.domain.clients import LEAST_WEIGHT, MOST_WEIGHT
from freeroute.domain.receipt import OTHERS

SMALLEST_BODY = 1024
"""Bytes that `body_limit` may not be below: the shortest of chat requests still fits. Own design."""

SMALLEST_RECORDS = 2**20
"""Bytes that `storage.max_size` may not be below: empty tables take a tenth of it. Own design."""

LONGEST_TEXT = 2**20
"""Bytes that `storage.bodies.longest` may not exceed: of a hundred streams at once so much is held in memory.
Own design."""

MOST_PATTERNS = 1000
"""Patterns of models that one client may have. Own design: several for each model of the catalogue."""

LONGEST_PATTERN = 256
"""Characters that a pattern of names may have: as many as a name."""

Pattern = Annotated[str, Meta(min_length=1, max_length=LONGEST_PATTERN)]

_RECEIVER = re.compile(r"https?://[^\s?#@]+")

Strategy = Literal["free", "fast", "smart"]


class ServerSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """Where the gateway listens and what it takes."""

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 3000
    state_dir: str = "~/.local/state/freeroute"
    body_limit: Size = default(Size(20 * 2**20))
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
    models: Annotated[tuple[Pattern, ...], Meta(max_length=MOST_PATTERNS)] | None = None
    expires: str | None = None
    weight: Annotated[float, Meta(ge=LEAST_WEIGHT, le=MOST_WEIGHT)] = 1.0
    privacy: Literal["any", "no-train"] = "any"
    max_wait: Duration | None = None
    note: Annotated[str, Meta(max_length=256)] = ""

    def __post_init__(self) -> None:
        """Refuse what would be ambiguous or is not enforced."""
        refuse_unprintable(note=self.note, models="".join(self.models or ()))
        if self.name == OTHERS:
            raise ValueError(f"name `{OTHERS}` stands for all clients beyond those that are counted apart")
        if (self.key is None) == (self.key_hash is None):
            raise ValueError("give either `key` or `key_hash`")

    def __repr__(self) -> str:
        """Never show the key."""
        return f"ClientSpec(name={self.name!r})"


class RoutingSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """How long and how often a request is tried. *probes* of 0 switches background probes off, *affinity* of
    0 the memory of conversations.
    """

    max_wait: Duration = default(Duration(20))
    max_wait_cap: Duration = default(Duration(120))
    waiting_room: Annotated[int, Meta(ge=0)] = 1000
    max_attempts: Annotated[int, Meta(ge=1, le=1000)] = 8
    deadline: Duration = default(Duration(120))
    affinity: Duration = default(Duration(1800))
    probes: Duration = default(Duration(30))
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

    keep: Duration = default(Duration(7 * 86400))
    max_size: Size = default(Size(256 * 2**20))
    longest: Size = default(Size(64 * 2**10))
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
    keep: Duration = default(Duration(30 * 86400))
    max_size: Size = default(Size(2**30))
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
    model_aliases: dict[Pattern, Pattern | None] = field(default_factory=dict)
    clients: tuple[ClientSpec, ...] = ()
    routing: RoutingSpec = field(default_factory=RoutingSpec)
    privacy: Literal["any", "no-train"] = "any"
    logging: LoggingSpec = field(default_factory=LoggingSpec)
    storage: StorageSpec = field(default_factory=StorageSpec)
    traces: TracesSpec = field(default_factory=TracesSpec)
