"""A request of whatever task, decoded as far as routing needs; every other byte passes through."""

from typing import Any

from msgspec import Raw, Struct

from freeroute.clock import Now
from freeroute.domain.clients import Client
from freeroute.domain.tasks import Task
from freeroute.domain.traces import Trace
from freeroute.domain.usage import Demand
from freeroute.wire.multipart import Form

# Fields that speak to the gateway, never to a provider.
GATEWAY_FIELDS = frozenset({"provider", "models", "route", "transforms", "freeroute"})


class Preferences(Struct, frozen=True):
    """OpenRouter's ``provider`` object, as far as it is honoured: names of providers."""

    order: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    allow_fallbacks: bool = True
    data_collection: str = "allow"
    require_parameters: bool = False


class ChatCall(Struct):
    """One request to a model, for a chat completion unless its *task* is another.

    *fields* are the caller's own fields, undecoded, without the gateway's; *needs* the capabilities it cannot
    do without (tools, images, json_object, json_schema, ...), *tools* the names of those it offers,
    *features* those of ``outcome.FEATURES`` it asks for, *choices* its ``n``. *opening* tells its
    conversation by how it began, alike in each turn; *has_assistant* says that this is not the first.
    *schema* is the JSON Schema that the answer has to fit, as it was written. *parameters* are the fields
    that must be honoured or the call refused, with the values of those that are read here. *begun* is the
    text of an answer that the caller has the beginning of, and that is to be gone on with. *dropped* names
    what the caller asked for in words of its API that no provider is asked for.

    Of other tasks: *form* is a body that came as a form, with *fields* read from it; *inputs* are the texts
    that vectors are wanted of, each *dimensions* long, or of the *length* of others that they stand beside.
    """

    fields: dict[str, Raw]
    model: str
    demand: Demand
    stream: bool = False
    include_usage: bool = False
    opening: int = 0
    has_assistant: bool = False
    needs: frozenset[str] = frozenset()
    remote_images: bool = False
    models: tuple[str, ...] = ()
    preferences: Preferences = Preferences()
    tools: tuple[str, ...] = ()
    features: frozenset[str] = frozenset()
    choices: int = 1
    schema: bytes | None = None
    parameters: dict[str, Any] = {}
    begun: str = ""
    task: Task = Task.CHAT
    form: Form | None = None
    inputs: int = 1
    dimensions: int | None = None
    length: int | None = None
    dropped: tuple[str, ...] = ()


class CallContext(Struct):
    """What surrounds a call: who asks, under which id, and what they allow.

    *client* is None while none is configured; *queue* names whose turn it is; *received* is when the
    request's head arrived; *dice* is this call's one random number in [0, 1), so that choosing stays pure;
    *hop* is how many gateways like this one it passed before. *continues* says whether a stream that dies is
    to be continued elsewhere; None leaves it to the settings. Without *store* nothing it says is kept,
    whatever the settings are.
    """

    request_id: str
    received: Now
    surface: str = "openai"
    client: Client | None = None
    queue: str = "-"
    hop: int = 0
    dice: float = 0.5
    trace: Trace | None = None
    max_wait: float | None = None
    strict: bool = False
    session: str | None = None
    continues: bool | None = None
    store: bool = True
