"""Clients: who may call, with which key and within which limits."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Protocol

from msgspec import Struct

from freeroute.engine.changes import Note
from freeroute.surfaces.access import Access
from freeroute.surfaces.admin.desk import Desk, on_thread
from freeroute.surfaces.http import Request
from freeroute.surfaces.routes import Route

Told = dict[str, Any]


class ClientAdmin(Protocol):
    """What this topic needs: verbs that wait for a disk, and call *note* before they change something.

    Each raises ConfigError, with a field if that is what is wrong, NotFound and Conflict.
    """

    def list(self) -> list[Told]:
        """Return all clients."""
        ...

    def show(self, name: str) -> Told:
        """Return one client."""
        ...

    def add(self, name: Any, terms: Mapping[str, Any], note: Note) -> tuple[str, Told]:
        """Let a client in; return its key and what there is to tell of it."""
        ...

    def amend(self, name: str, terms: Mapping[str, Any], note: Note) -> Told:
        """Change the terms named, None to their default."""
        ...

    def rotate(self, name: str, overlap: Any, note: Note) -> tuple[str, Told]:
        """Give it another key and return that; the old one works on for *overlap*."""
        ...

    def revoke(self, name: str, note: Note) -> Told:
        """Let it in no more."""
        ...

    def remove(self, name: str, note: Note) -> None:
        """Forget it."""
        ...


class _Rotation(Struct, forbid_unknown_fields=True):
    """The body of a rotation."""

    overlap: str | float = "0s"


class ClientTopic:
    """The clients, shown and changed."""

    def __init__(self, desk: Desk, clients: ClientAdmin) -> None:
        """Serve *clients*."""
        self._desk = desk
        self._clients = clients

    def routes(self) -> list[Route]:
        """Return what is served."""
        one = "/admin/clients/{name}"
        return [
            Route("/admin/clients", {"GET": self.list, "POST": self.add}, Access.READ, Access.OPERATE),
            Route(
                one,
                {"GET": self.show, "PATCH": self.amend, "DELETE": self.remove},
                Access.READ,
                Access.OPERATE,
            ),
            Route(f"{one}/rotate", {"POST": self.rotate}, Access.OPERATE),
            Route(f"{one}/revoke", {"POST": self.revoke}, Access.OPERATE),
        ]

    async def list(self, request: Request) -> None:
        """Give all clients."""
        await request.reply_json({"data": await on_thread(self._clients.list)})

    async def show(self, request: Request) -> None:
        """Give one client."""
        await request.reply_json(await on_thread(partial(self._clients.show, request.params["name"])))

    async def add(self, request: Request) -> None:
        """Let a client in, and show its key this once."""
        terms = await self._desk.body(request, dict[str, Any])
        name = terms.pop("name", None)
        work = partial(self._clients.add, name, terms)
        key, told = await self._desk.change(request, "client.add", str(name), work)
        await request.reply_json({**told, "key": key}, 201)

    async def amend(self, request: Request) -> None:
        """Change the fields that are named."""
        name, terms = request.params["name"], await self._desk.body(request, dict[str, Any])
        work = partial(self._clients.amend, name, terms)
        await request.reply_json(await self._desk.change(request, "client.change", name, work))

    async def rotate(self, request: Request) -> None:
        """Give a client another key, and show it this once."""
        name, wanted = request.params["name"], await self._desk.body(request, _Rotation)
        work = partial(self._clients.rotate, name, wanted.overlap)
        key, told = await self._desk.change(request, "client.rotate", name, work)
        await request.reply_json({**told, "key": key})

    async def revoke(self, request: Request) -> None:
        """Let a client in no more."""
        name = request.params["name"]
        work = partial(self._clients.revoke, name)
        await request.reply_json(await self._desk.change(request, "client.revoke", name, work))

    async def remove(self, request: Request) -> None:
        """Forget a client."""
        name = request.params["name"]
        await self._desk.change(request, "client.remove", name, partial(self._clients.remove, name))
        await request.reply(204, b"")
