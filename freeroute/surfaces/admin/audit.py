"""``GET /admin/audit``: who changed what."""

from functools import partial
from typing import Any

from freeroute.domain.audit import Entry, Wanted
from freeroute.engine.ports import AuditTrail
from freeroute.surfaces.access import Access
from freeroute.surfaces.admin.desk import Desk, count, on_thread
from freeroute.surfaces.http import Request
from freeroute.surfaces.routes import Route

MOST = 1000
"""Entries of one reply. Own design: a page of a table."""


class AuditTopic:
    """What was changed, by whom."""

    def __init__(self, desk: Desk, trail: AuditTrail) -> None:
        """Show *trail*."""
        self._desk = desk
        self._trail = trail

    def routes(self) -> list[Route]:
        """Return what is served."""
        return [Route("/admin/audit", {"GET": self.show}, Access.READ)]

    async def show(self, request: Request) -> None:
        """Give the last changes, the newest first."""
        wanted = Wanted(
            since=self._desk.moment(request, "since"),
            until=self._desk.moment(request, "until"),
            who=request.query("who"),
            limit=count(request, "limit", 100, MOST),
        )
        entries = await on_thread(partial(self._trail.newest, wanted))
        await request.reply_json({"data": [_told(entry) for entry in entries]})


def _told(entry: Entry) -> dict[str, Any]:
    return {field: getattr(entry, field) for field in Entry.__struct_fields__}
