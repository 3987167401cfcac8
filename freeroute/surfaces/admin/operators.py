"""Operators: who may look after the gateway, and how far."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Protocol

from freeroute.engine.changes import Note
from freeroute.surfaces.access import Access
from freeroute.surfaces.admin.desk import Desk, on_thread
from freeroute.surfaces.http import Request
from freeroute.surfaces.routes import Route

Told = dict[str, Any]


class OperatorAdmin(Protocol):
    """What this topic needs: verbs that wait for a disk, and call *note* before they change something.

    Each raises ConfigError, with a field if that is what is wrong, NotFound and Conflict.
    """

    def list(self) -> list[Told]:
        """Return all operators."""
        ...

    def add(self, name: Any, terms: Mapping[str, Any], note: Note) -> tuple[str, Told]:
        """Give an operator a token; return it and what there is to tell."""
        ...

    def revoke(self, name: str, note: Note) -> Told:
        """Have the token open nothing any more."""
        ...


class OperatorTopic:
    """The operators, shown, added and revoked."""

    def __init__(self, desk: Desk, operators: OperatorAdmin) -> None:
        """Serve *operators*."""
        self._desk = desk
        self._operators = operators

    def routes(self) -> list[Route]:
        """Return what is served."""
        return [
            Route("/admin/whoami", {"GET": self.whoami}, Access.READ),
            Route("/admin/operators", {"GET": self.list, "POST": self.add}, Access.READ, Access.ADMIN),
            Route("/admin/operators/{name}", {"DELETE": self.revoke}, Access.ADMIN),
        ]

    async def whoami(self, request: Request) -> None:
        """Say whose token was sent, and what it is good for."""
        operator = request.caller.operator
        assert operator is not None, "the route asks for a token"
        await request.reply_json(
            {"name": operator.name, "scope": operator.scope, "expires": operator.expires}
        )

    async def list(self, request: Request) -> None:
        """Give all operators."""
        await request.reply_json({"data": await on_thread(self._operators.list)})

    async def add(self, request: Request) -> None:
        """Give an operator a token, and show it this once."""
        terms = await self._desk.body(request, dict[str, Any])
        name = terms.pop("name", None)
        work = partial(self._operators.add, name, terms)
        token, told = await self._desk.change(request, "operator.add", str(name), work)
        await request.reply_json({**told, "token": token}, 201)

    async def revoke(self, request: Request) -> None:
        """Have a token open nothing any more."""
        name = request.params["name"]
        await self._desk.change(request, "operator.revoke", name, partial(self._operators.revoke, name))
        await request.reply(204, b"")
