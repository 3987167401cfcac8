"""``GET /admin/models``: what every model can, how it stands, and who switched it off."""

from typing import Any, Protocol

from freeroute.surfaces.access import Access
from freeroute.surfaces.http import Request
from freeroute.surfaces.routes import Route


class Models(Protocol):
    """What this topic needs of the engine."""

    async def models(self, provider: str | None = None) -> dict[str, Any]:
        """Return the models of one *provider* or of all; raises NotFound."""
        ...


class ModelsTopic:
    """The models there are."""

    def __init__(self, models: Models) -> None:
        """Show *models*."""
        self._models = models

    def routes(self) -> list[Route]:
        """Return what is served."""
        return [Route("/admin/models", {"GET": self.list}, Access.READ)]

    async def list(self, request: Request) -> None:
        """Give all models, or those of a provider."""
        await request.reply_json(await self._models.models(request.query("provider")))
