"""Everything below ``/admin``: one file for each topic, put together here."""

from msgspec import Struct

from freeroute.engine.ports import AuditTrail
from freeroute.surfaces.admin.audit import AuditTopic
from freeroute.surfaces.admin.desk import Desk
from freeroute.surfaces.routes import Route


class Administration(Struct, frozen=True):
    """What the topics need of the rest of the gateway."""

    trail: AuditTrail


def routes(desk: Desk, needs: Administration) -> list[Route]:
    """Return what is served."""
    return [*AuditTopic(desk, needs.trail).routes()]
