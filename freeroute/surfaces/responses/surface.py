"""OpenAI's Responses API: responses, whole and streamed, and those that are kept for later."""

import secrets
from collections.abc import Awaitable, Sequence
from typing import Any

import msgspec
from msgspec import Raw

from freeroute.clock import Clock
from freeroute.domain.clients import Client
from freeroute.engine.ports import KeptResponse, ResponseStore
from freeroute.errors import InvalidRequest, NotFound
from freeroute.surfaces.access import Access
from freeroute.surfaces.conversing import Asked, Conversations
from freeroute.surfaces.http import Request
from freeroute.surfaces.responses.answer import ResponseTelling
from freeroute.surfaces.responses.items import id_of, response_of, with_id
from freeroute.surfaces.responses.request import Earlier, Wanted, call_of, wanted_in
from freeroute.surfaces.routes import Route
from freeroute.surfaces.tasks import task_route
from freeroute.surfaces.wishes import switch
from freeroute.wire.text import printable

_SURFACE = "responses"
_MOST_LISTED = 100  # items in one list, and those that come unasked; both from OpenAI's documentation
_LISTED = 20
_ITEMS = msgspec.json.Decoder(list[Raw])
_OUTPUT = msgspec.json.Decoder(dict[str, Raw])
_NOBODY = "-"
_UNKEPT = (
    "nothing of a response is kept here. Send all items with each request and store: false; or have the "
    "operator set storage.bodies, with which freeroute keeps what it is asked and told."
)


class ResponsesSurface:
    """The routes of the Responses API over a gateway."""

    def __init__(self, conversations: Conversations, store: ResponseStore | None, clock: Clock) -> None:
        """Serve calls by *conversations*; responses are kept in *store*, if there is one."""
        self._conversations = conversations
        self._store = store
        self._clock = clock

    def routes(self) -> list[Route]:
        """Return what is served."""
        return [
            task_route(self._conversations, "/v1/responses", _SURFACE, self.understand),
            Route(
                "/v1/responses/{response}",
                {"GET": self.show, "DELETE": self.forget},
                Access.CLIENT,
                mirrored=True,
            ),
            Route("/v1/responses/{response}/input_items", {"GET": self.items}, Access.CLIENT, mirrored=True),
            Route("/v1/responses/{response}/cancel", {"POST": self.cancel}, Access.CLIENT, mirrored=True),
        ]

    # --- asking --------------------------------------------------------------------------------------

    def understand(self, request: Request, body: bytes) -> Asked | Awaitable[Asked]:
        """Return what *body* asks for; what stands in earlier responses is looked up first."""
        wanted = wanted_in(body)
        if wanted.previous is None and not wanted.references:
            return self._asked(request, wanted, Earlier())
        return self._continued(request, wanted)

    async def _continued(self, request: Request, wanted: Wanted) -> Asked:
        client = request.caller.client
        before: list[Raw] = []
        if wanted.previous is not None:
            kept = await self._of(wanted.previous, client, "previous_response_id")
            if kept is None:
                raise _unknown(wanted.previous)
            before = _conversation(kept)
        referred = {item: await self._referred(item, client) for item in wanted.references}
        return self._asked(request, wanted, Earlier(before, referred))

    async def _referred(self, item_id: str, client: Client | None) -> Raw:
        response_id = response_of(item_id)
        kept = await self._of(response_id or "", client, "input")
        for item in _conversation(kept) if kept is not None else ():
            if id_of(item) == item_id:
                return item
        raise InvalidRequest(
            f"input: there is no item {printable(item_id, 80)!r} to refer to; send the item itself.",
            param="input",
            code="previous_response_not_found",
        )

    async def _of(self, response_id: str, client: Client | None, param: str) -> KeptResponse | None:
        if self._store is None or not self._store.keeps(client):
            raise InvalidRequest(f"{param}: {_UNKEPT}", param=param, code="responses_not_kept")
        return await self._store.find(response_id, holder_of(client))

    def _asked(self, request: Request, wanted: Wanted, earlier: Earlier) -> Asked:
        call = call_of(wanted, earlier)
        call.dropped = wanted.dropped
        client = request.caller.client
        store = self._store if wanted.store and self._keeps(request) else None
        response_id = "resp_" + secrets.token_hex(16)
        now = self._clock.now().wall

        def keep(response: dict[str, Any]) -> bool:
            if store is None:
                return False
            kept = KeptResponse(
                id=response_id,
                holder=holder_of(client),
                at=now,
                response=msgspec.json.encode({**response, "store": True}),
                items=msgspec.json.encode(_said(wanted, earlier, response_id)),
            )
            return store.keep(kept)

        head = {**_head(wanted), "created_at": int(now), "store": store is not None}
        summary = wanted.reasoning.summary or wanted.reasoning.generate_summary
        telling = ResponseTelling(
            response_id, head, wanted.offer.sources, summary=summary is not None, keep=keep
        )
        return Asked(call, telling, store=wanted.store)

    # --- what is kept ----------------------------------------------------------------------------------

    async def show(self, request: Request) -> None:
        """Show a response that is kept."""
        if (request.query("stream") or "").lower() == "true":
            raise InvalidRequest("stream: a response that is over is not streamed again.", param="stream")
        kept = await self._found(request)
        await request.reply(200, kept.response, {"cache-control": "no-store"})

    async def forget(self, request: Request) -> None:
        """Keep a response no longer."""
        response_id = request.params["response"]
        store = self._for(request)
        if not await store.forget(response_id, holder_of(request.caller.client)):
            raise _missing(response_id)
        await request.reply_json({"id": response_id, "object": "response", "deleted": True})

    async def cancel(self, request: Request) -> None:
        """Refuse to cancel a response, as OpenAI does with all that were not made in the background."""
        await self._found(request)
        told = "Cannot cancel a synchronous response: it is over. Leaving a request cancels it."
        raise InvalidRequest(told, param="response_id")

    async def items(self, request: Request) -> None:
        """List what the caller had said up to a response."""
        kept = await self._found(request)
        items = _ITEMS.decode(kept.items)
        order = request.query("order") or "desc"
        if order not in ("asc", "desc"):
            raise InvalidRequest("order: must be asc or desc.", param="order")
        if order == "desc":
            items.reverse()
        names = [id_of(item) for item in items]
        begin = _after(names, request.query("after"))
        most = _limit(request.query("limit"))
        page, names = items[begin : begin + most], names[begin : begin + most]
        await request.reply_json(
            {
                "object": "list",
                "data": page,
                "first_id": names[0] if names else None,
                "last_id": names[-1] if names else None,
                "has_more": begin + most < len(items),
            }
        )

    async def _found(self, request: Request) -> KeptResponse:
        response_id = request.params["response"]
        kept = await self._for(request).find(response_id, holder_of(request.caller.client))
        if kept is None:
            raise _missing(response_id)
        return kept

    def _for(self, request: Request) -> ResponseStore:
        if self._store is None or not self._store.keeps(request.caller.client):
            told = f"There are no responses: {_UNKEPT}"
            raise NotFound(told, param="response_id")
        return self._store

    def _keeps(self, request: Request) -> bool:
        """Say whether the response to *request* is kept, unless its body says no."""
        if self._store is None or not self._store.keeps(request.caller.client):
            return False
        return switch(request.headers, "x-freeroute-store") is not False


def holder_of(client: Client | None) -> str:
    """Return whose the responses to *client* are; while there are no clients they are everybody's."""
    return client.holder if client is not None else _NOBODY


def _missing(response_id: str) -> NotFound:
    return NotFound(f"There is no response {printable(response_id, 80)!r}.", param="response_id")


def _unknown(response_id: str) -> InvalidRequest:
    return InvalidRequest(
        f"previous_response_id: there is no response {printable(response_id, 80)!r} to go on with.",
        param="previous_response_id",
        code="previous_response_not_found",
    )


def _conversation(kept: KeptResponse) -> list[Raw]:
    """Return the items of the conversation that *kept* ends."""
    return [*_ITEMS.decode(kept.items), *_ITEMS.decode(_OUTPUT.decode(kept.response)["output"])]


def _said(wanted: Wanted, earlier: Earlier, response_id: str) -> list[Raw]:
    """Return all items before the response, each under an id."""
    name = response_id.removeprefix("resp_")
    own = [
        with_id(earlier.referred.get(id_of(item) or "", item), f"item_{name}_i{at}")
        for at, item in enumerate(wanted.items)
    ]
    return [*earlier.items, *own]


def _head(wanted: Wanted) -> dict[str, Any]:
    """Return what a response repeats of its request, and where it stands in it."""
    raw, form = wanted.raw, wanted.text.format
    text: dict[str, Any] = {"format": form if form is not None else {"type": "text"}}
    if wanted.text.verbosity is not None:
        text["verbosity"] = wanted.text.verbosity
    summary = wanted.reasoning.summary or wanted.reasoning.generate_summary
    head: dict[str, Any] = {
        "background": False,
        "instructions": wanted.instructions,
        "metadata": wanted.metadata,
        "previous_response_id": wanted.previous,
        "reasoning": {"effort": wanted.reasoning.effort, "summary": summary},
        "service_tier": "default",
        "text": text,
        "tools": wanted.offer.echo,
        "truncation": "disabled",
    }
    return head | {name: raw.get(name, default) for name, default in _ECHOED.items()}


_ECHOED: dict[str, Any] = {
    "max_output_tokens": None,
    "model": "",
    "parallel_tool_calls": True,
    "prompt_cache_key": None,
    "safety_identifier": None,
    "temperature": 1.0,
    "tool_choice": "auto",
    "top_p": 1.0,
    "user": None,
}


def _after(names: Sequence[str | None], after: str | None) -> int:
    if after is None:
        return 0
    if after not in names:
        raise InvalidRequest("after: there is no such item.", param="after")
    return names.index(after) + 1


def _limit(text: str | None) -> int:
    if text is None:
        return _LISTED
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= _MOST_LISTED):
        raise InvalidRequest(f"limit: must be between 1 and {_MOST_LISTED}.", param="limit")
    return int(text)
