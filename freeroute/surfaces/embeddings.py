"""OpenAI's API for embeddings: vectors of texts, as numbers or base64, of as many texts as are sent."""

from typing import Any

import msgspec
from msgspec import Raw, Struct, structs

from freeroute.clock import Clock
from freeroute.domain.clients import Client
from freeroute.domain.tasks import Task
from freeroute.engine.served import Onward, Served
from freeroute.errors import ApiError, InvalidRequest, UpstreamFailed
from freeroute.surfaces.conversing import Asked, ChatGateway, Conversations
from freeroute.surfaces.http import Request
from freeroute.surfaces.routes import Route
from freeroute.surfaces.started import Started, to_the_end
from freeroute.surfaces.tasks import AsItIs, task_route
from freeroute.wire.answers import Piece
from freeroute.wire.asking import asked_for, embeddings_of
from freeroute.wire.chat import CallContext, ChatCall
from freeroute.wire.decode import read
from freeroute.wire.vectors import as_wanted, joined, vectors_of

_FORM = msgspec.json.Decoder(str)
_INPUTS = msgspec.json.Decoder(list[Raw])


def routes(conversations: Conversations) -> list[Route]:
    """Return what is served."""
    batched = conversations.over(InBatches(conversations.gateway, conversations.clock))
    return [task_route(batched, "/v1/embeddings", "embeddings", understand)]


def understand(request: Request, body: bytes) -> Asked:
    """Return what *body* wants vectors of; raises InvalidRequest."""
    given = asked_for(Task.EMBEDDINGS, body, wanted="model and input")
    form = read(given["encoding_format"], _FORM, "encoding_format") if "encoding_format" in given else "float"
    if form not in ("float", "base64"):
        raise InvalidRequest("encoding_format: must be float or base64.", param="encoding_format")
    return Asked(embeddings_of(given), _Vectors(packed=form == "base64"))


class _Vectors(AsItIs):
    """Tells vectors in the form that was asked for, whichever the provider knows."""

    def __init__(self, *, packed: bool) -> None:
        self._packed = packed

    def whole(self, body: bytes) -> bytes:
        """Return the answer *body* in that form."""
        return as_wanted(body, packed=self._packed)


class InBatches:
    """A gateway that takes as many texts as are sent, and asks for the vectors of some at a time.

    Each batch is a call of its own, with limits, failover and a receipt; they are made one after the other,
    and the first that fails ends the request.
    """

    def __init__(self, gateway: ChatGateway, clock: Clock) -> None:
        """Ask *gateway*."""
        self._gateway = gateway
        self._clock = clock

    async def chat(self, call: ChatCall, context: CallContext) -> Served:
        """Answer *call*, whole; raises ApiError."""
        most = self._gateway.most_inputs(call.model) or call.inputs
        if call.inputs <= most:
            return await self._gateway.chat(call, context)
        texts = _INPUTS.decode(call.fields["input"])
        bodies: list[bytes] = []
        headers: dict[str, str] = {}
        for at in range(0, len(texts), most):
            served = await self._gateway.chat(_some(call, texts[at : at + most]), context)
            try:
                bodies.append(served.body or b"")
                headers = served.headers
            finally:
                await to_the_end(Started(served.finish()))
            context = structs.replace(context, received=self._clock.now())
        answers = [vectors_of(body) for body in bodies]
        if len({len(answer.data[0].numbers) for answer in answers}) > 1:
            told = "The provider's vectors are of different lengths: they cannot be compared."
            raise UpstreamFailed(told)
        return _Joined(joined(answers), headers)

    def refuse(self, context: CallContext, asked: str, error: ApiError, *, stream: bool = False) -> None:
        """Record a request that never came as far as ``chat``."""
        self._gateway.refuse(context, asked, error, stream=stream)

    def turn_away(self, context: CallContext, error: ApiError) -> None:
        """Record a request that the guard turned away."""
        self._gateway.turn_away(context, error)

    def models(self, client: Client | None) -> list[dict[str, Any]]:
        """Return every enabled model as *client* sees it."""
        return self._gateway.models(client)

    def model(self, model_id: str, client: Client | None) -> dict[str, Any]:
        """Return one model; raises NotFound with the nearest names."""
        return self._gateway.model(model_id, client)

    def most_inputs(self, model: str) -> int | None:
        """Return None: of any number."""
        return None

    def completes(self, model: str) -> bool:
        """Return False: vectors are wanted."""
        return False

    def key(self, client: Client | None) -> dict[str, Any]:
        """Return what *client* may use, has used and has left."""
        return self._gateway.key(client)


def _some(call: ChatCall, texts: list[Raw]) -> ChatCall:
    """Return *call* for these of its *texts*."""
    some = embeddings_of({**call.fields, "input": Raw(msgspec.json.encode(texts))})
    return structs.replace(call, fields=some.fields, inputs=some.inputs, demand=some.demand)


class _Joined(Struct):
    """An answer that was put together; each of its parts is settled."""

    body: bytes | None
    headers: dict[str, str]
    content_type: str | None = None
    cut: bool = False
    onward: Onward | None = None

    async def next(self) -> tuple[bytes, ...]:
        """Return nothing: it is no stream."""
        return ()

    def fail(self) -> Piece | None:
        """Return nothing: it has ended."""
        return None

    async def finish(self, *, caller_left: bool = False, stalled: bool = False) -> None:
        """Do nothing: everything is settled."""
