"""OpenAI's API for embeddings: vectors of texts, as numbers or base64, of as many texts as are sent."""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence

import msgspec
from msgspec import Raw, Struct, structs

from freeroute.clock import Clock
from freeroute.domain.tasks import Task
from freeroute.engine.served import DONE, Onward, Served
from freeroute.errors import InvalidRequest
from freeroute.surfaces.conversing import Ask, Asked, ChatGateway, Conversations
from freeroute.surfaces.http import Request
from freeroute.surfaces.lasting import to_the_end
from freeroute.surfaces.routes import Route
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
    ask = in_batches(conversations.gateway, conversations.clock)
    return [task_route(conversations, "/v1/embeddings", "embeddings", understand, ask=ask)]


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


def in_batches(gateway: ChatGateway, clock: Clock) -> Ask:
    """Return what asks *gateway* for the vectors of any number of texts, of some at a time.

    Each batch is a call of its own, with limits, failover and a receipt; they are made one after the other,
    and the first that fails ends the request. Vectors of another length than the first batch's are a failure.
    """

    async def ask(call: ChatCall, context: CallContext) -> Served:
        most = gateway.most_inputs(call.model) or call.inputs
        if call.inputs <= most:
            return await gateway.chat(call, context)
        texts = _INPUTS.decode(call.fields["input"])
        bodies: list[bytes] = []
        headers: Mapping[str, str] = {}
        length: int | None = None
        for at in range(0, len(texts), most):
            served = await gateway.chat(_some(call, texts[at : at + most], length), context)
            try:
                bodies.append(served.body or b"")
                headers = served.headers
            finally:
                await to_the_end(served.finish())
            length = length or await asyncio.to_thread(_length, bodies[0])
            context = structs.replace(context, received=clock.now())
        return _Joined(await asyncio.to_thread(_joined, bodies), headers)

    return ask


def _some(call: ChatCall, texts: list[Raw], length: int | None) -> ChatCall:
    """Return *call* for these of its *texts*; those before have vectors of *length*, if there are any."""
    some = embeddings_of({**call.fields, "input": Raw(msgspec.json.encode(texts))})
    return structs.replace(call, fields=some.fields, inputs=some.inputs, demand=some.demand, length=length)


def _length(body: bytes) -> int:
    """Return how long the vectors of the answer *body* are."""
    return len(vectors_of(body).data[0].numbers)


def _joined(bodies: Sequence[bytes]) -> bytes:
    return joined([vectors_of(body) for body in bodies])


class _Joined(Struct):
    """An answer that was put together; each of its parts is settled."""

    body: bytes | None
    headers: Mapping[str, str]
    content_type: str | None = None
    cut: bool = False
    onward: Onward | None = None

    async def next(self) -> tuple[bytes, ...]:
        """Return nothing: it is no stream."""
        return ()

    def fail(self, *, stopped: bool = False) -> Piece | None:
        """Return nothing: it has ended."""
        return None

    def finish(self, *, caller_left: bool = False, stalled: bool = False) -> Awaitable[None]:
        """Do nothing: everything is settled."""
        return DONE
