"""What keeps the gateway going: holds, breakers, learned limits, maintenance, reading the settings again."""

from collections.abc import Callable
from typing import Annotated, Any

from msgspec import Meta, Struct

from freeroute.engine.changes import Note
from freeroute.engine.maintenance import MaintenanceSwitch, told
from freeroute.engine.operations import Entry, Operations
from freeroute.errors import ConfigError, InvalidRequest
from freeroute.surfaces.access import Access
from freeroute.surfaces.admin.desk import Desk
from freeroute.surfaces.http import Handler, Request
from freeroute.surfaces.routes import Route

Reload = Callable[[], dict[str, Any]]


class _Maintenance(Struct, forbid_unknown_fields=True):
    """The body of ``PUT /admin/maintenance``; 500 characters are what an error tells at most."""

    on: bool
    message: Annotated[str, Meta(max_length=500)] = ""


class OperationsTopic:
    """Holds, breakers, limits and maintenance, shown and changed."""

    def __init__(
        self, desk: Desk, operations: Operations, maintenance: MaintenanceSwitch, reload: Reload
    ) -> None:
        """Serve *operations* and *maintenance*; *reload* reads the settings again."""
        self._desk = desk
        self._operations = operations
        self._maintenance = maintenance
        self._reload = reload

    def routes(self) -> list[Route]:
        """Return what is served."""
        return [
            _shown_and_undone("/admin/holds", self.holds, self.lift_all),
            Route("/admin/holds/{hold:path}", {"DELETE": self.lift}, Access.OPERATE),
            _shown_and_undone("/admin/breakers", self.breakers, self.close_all),
            Route("/admin/breakers/{breaker:path}", {"DELETE": self.close}, Access.OPERATE),
            Route("/admin/limits", {"GET": self.limits}, Access.READ),
            _shown_and_undone("/admin/limits/learned", self.learned, self.forget_all),
            Route("/admin/limits/learned/{name:path}", {"DELETE": self.forget}, Access.OPERATE),
            Route(
                "/admin/maintenance",
                {"GET": self.maintenance, "PUT": self.maintain},
                Access.READ,
                Access.OPERATE,
            ),
            Route("/admin/reload", {"POST": self.reload}, Access.OPERATE),
        ]

    # --- holds -------------------------------------------------------------------------------------

    async def holds(self, request: Request) -> None:
        """Give the holds that stand."""
        await request.reply_json({"data": self._operations.holds(request.query("provider"))})

    async def lift(self, request: Request) -> None:
        """Lift one hold."""
        hold = self._operations.hold(request.params["hold"])
        async with self._desk.making(request, "hold.lift", hold["id"], hold, None):
            self._operations.lift([hold])
        await request.reply(204, b"")

    async def lift_all(self, request: Request) -> None:
        """Lift all holds, or those of a provider."""
        holds = self._operations.holds(request.query("provider"))
        async with self._desk.making(request, "hold.lift", _all(request), _ids(holds), []):
            self._operations.lift(holds)
        await request.reply_json({"lifted": _ids(holds)})

    # --- breakers ----------------------------------------------------------------------------------

    async def breakers(self, request: Request) -> None:
        """Give every breaker."""
        await request.reply_json({"data": self._operations.breakers(request.query("provider"))})

    async def close(self, request: Request) -> None:
        """Close one breaker."""
        breaker = self._operations.breaker(request.params["breaker"])
        async with self._desk.making(request, "breaker.close", breaker["id"], breaker["state"], "closed"):
            self._operations.close([breaker])
        await request.reply_json(self._operations.breaker(breaker["id"]))

    async def close_all(self, request: Request) -> None:
        """Close all breakers that are not, or those of a provider; nobody is suspect any more."""
        known = self._operations.breakers(request.query("provider"))
        breakers = [one for one in known if one["state"] != "closed" or one["suspect"]]
        async with self._desk.making(request, "breaker.close", _all(request), _ids(breakers), []):
            self._operations.close(breakers)
        await request.reply_json({"closed": _ids(breakers)})

    # --- limits ------------------------------------------------------------------------------------

    async def limits(self, request: Request) -> None:
        """Give every limit beside what was published, and what errors taught of models."""
        provider = request.query("provider")
        limits, models = self._operations.limits(provider), self._operations.lessons(provider)
        await request.reply_json({"data": limits, "models": models})

    async def learned(self, request: Request) -> None:
        """Give what answers taught."""
        await request.reply_json({"data": self._operations.learned(request.query("provider"))})

    async def forget(self, request: Request) -> None:
        """Forget what was learned of one limit, or of one model."""
        name = request.params["name"]
        await self._forget(request, name, self._operations.learned_of(name))

    async def forget_all(self, request: Request) -> None:
        """Forget everything that was learned, or what was of a provider."""
        await self._forget(request, _all(request), self._operations.learned(request.query("provider")))

    async def _forget(self, request: Request, target: str, learned: list[Entry]) -> None:
        before = {entry["id"]: _taught(entry) for entry in learned}
        async with self._desk.making(request, "learned.forget", target, before, {}):
            self._operations.forget(learned)
        await request.reply_json({"forgotten": _ids(learned)})

    # --- maintenance and settings --------------------------------------------------------------------

    async def maintenance(self, request: Request) -> None:
        """Say whether requests are let in."""
        await request.reply_json(self._maintenance.shown())

    async def maintain(self, request: Request) -> None:
        """Let no requests in, or let them in again."""
        wanted = await self._desk.body(request, _Maintenance)
        if not wanted.message.isprintable():
            raise InvalidRequest("message: holds a line break or another control character", param="message")
        switch = self._maintenance
        async with switch.switching(on=wanted.on, message=wanted.message) as next_state:
            before = switch.shown()

            def work(note: Note) -> None:
                note(before, told(next_state))
                switch.keep(next_state)

            await self._desk.change(request, "maintenance.set", "gateway", work)
        await request.reply_json(switch.shown())

    async def reload(self, request: Request) -> None:
        """Read the settings again: all or nothing."""
        try:
            async with self._desk.making(request, "settings.reload", "settings", None, None):
                outcome = self._reload()
        except ConfigError as exc:
            raise InvalidRequest(f"nothing was changed: {exc}", code="invalid_settings") from exc
        await request.reply_json(outcome)


def _shown_and_undone(path: str, show: Handler, undo: Handler) -> Route:
    return Route(path, {"GET": show, "DELETE": undo}, Access.READ, Access.OPERATE)


def _ids(entries: list[Entry]) -> list[str]:
    return [entry["id"] for entry in entries]


def _taught(entry: Entry) -> Any:
    """Return what there is to remember of a limit or a model that is forgotten."""
    if "limit" in entry:
        return entry["limit"]
    return {name: entry[name] for name in ("context", "refuses", "spared", "overlong")}


def _all(request: Request) -> str:
    """Return what the audit calls all of them, or all of one provider."""
    return request.query("provider") or "all"
