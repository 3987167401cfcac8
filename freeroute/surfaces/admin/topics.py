"""Everything below ``/admin``: one file for each topic, put together here."""

from collections.abc import Awaitable, Callable

from msgspec import Struct

from freeroute.engine.maintenance import MaintenanceSwitch
from freeroute.engine.operations import Operations
from freeroute.engine.ports import AuditTrail, KeyChecks
from freeroute.engine.records import Records
from freeroute.surfaces.admin.audit import AuditTopic
from freeroute.surfaces.admin.clients import ClientAdmin, ClientTopic
from freeroute.surfaces.admin.desk import Desk, Refresh
from freeroute.surfaces.admin.models import ModelsTopic
from freeroute.surfaces.admin.operations import OperationsTopic, Reload
from freeroute.surfaces.admin.operators import OperatorAdmin, OperatorTopic
from freeroute.surfaces.admin.providers import Providers, ProvidersTopic
from freeroute.surfaces.admin.records import RecordsTopic
from freeroute.surfaces.routes import Route


class Administration(Struct, frozen=True):
    """What the topics need of the rest of the gateway; *refresh* has what was changed in files count now."""

    refresh: Refresh
    trail: AuditTrail
    clients: ClientAdmin
    operators: OperatorAdmin
    operations: Operations
    maintenance: MaintenanceSwitch
    records: Records | None
    providers: Providers
    in_step: Callable[[], Awaitable[None]]
    checks: KeyChecks


def routes(desk: Desk, needs: Administration, reload: Reload) -> list[Route]:
    """Return what is served; *reload* reads the settings again."""
    return [
        *AuditTopic(desk, needs.trail).routes(),
        *ClientTopic(desk, needs.clients).routes(),
        *OperatorTopic(desk, needs.operators).routes(),
        *OperationsTopic(desk, needs.operations, needs.maintenance, reload).routes(),
        *ModelsTopic(needs.operations).routes(),
        *RecordsTopic(desk, needs.records).routes(),
        *ProvidersTopic(desk, needs.providers, needs.in_step, needs.checks).routes(),
    ]
