"""``/admin/providers`` and ``/admin/models``: providers and their keys, switches and addresses."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from msgspec import UNSET, Struct, UnsetType

from freeroute.domain.catalogue import Key, Provider
from freeroute.domain.operators import Scope
from freeroute.engine.changes import Note
from freeroute.engine.ports import KeyChecks
from freeroute.errors import InvalidRequest
from freeroute.surfaces.access import Access
from freeroute.surfaces.admin.desk import Desk
from freeroute.surfaces.guard import check_scope
from freeroute.surfaces.http import Request
from freeroute.surfaces.routes import Route


class Providers(Protocol):
    """What this surface needs of the providers. What changes something waits for a disk."""

    def list(self) -> list[dict[str, Any]]:
        """Return all providers, those that are on first."""
        ...

    def problems(self) -> Sequence[str]:
        """Return what of all that was entered is not used, and why."""
        ...

    def show(self, provider: str) -> dict[str, Any]:
        """Return one provider with its keys; raises NotFound."""
        ...

    def show_key(self, provider: str, label: str) -> dict[str, Any]:
        """Return one key that was entered; raises NotFound."""
        ...

    def asked_about(self, provider: str, label: str) -> tuple[Provider, Key]:
        """Return what is needed to ask *provider* about its key *label*; raises NotFound and Conflict."""
        ...

    def add_key(self, provider: str, label: str, secret: str, note: Note, account: str = "default") -> None:
        """Keep a key; raises InvalidRequest, NotFound and Conflict, as all that follow."""
        ...

    def switch_key(self, provider: str, label: str, note: Note, *, on: bool) -> None:
        """Use an entered key, or do not."""
        ...

    def remove_key(self, provider: str, label: str, note: Note) -> None:
        """Forget an entered key."""
        ...

    def switch(self, provider: str, note: Note, *, on: bool) -> None:
        """Let a provider be asked, or not."""
        ...

    def switch_model(self, provider: str, model: str, note: Note, *, on: bool) -> None:
        """Let a model be asked, or not."""
        ...

    def move(self, provider: str, url: str | UnsetType | None, confirmed: Sequence[str], note: Note) -> None:
        """Have a provider at *url*, with the keys that were *confirmed*."""
        ...


class Entered(Struct, frozen=True, forbid_unknown_fields=True):
    """A key to keep."""

    label: str
    key: str
    account: str = "default"

    def __repr__(self) -> str:
        """Never show the key."""
        return f"Entered(label={self.label!r})"


class Switch(Struct, frozen=True, forbid_unknown_fields=True):
    """On or off."""

    enabled: bool


class Change(Struct, frozen=True, forbid_unknown_fields=True):
    """What may be changed of a provider; a *base_url* of null is that of the settings."""

    enabled: bool | UnsetType = UNSET
    base_url: str | UnsetType | None = UNSET
    send_keys: tuple[str, ...] = ()


class ProvidersTopic:
    """Providers, their keys and their models."""

    def __init__(
        self, desk: Desk, providers: Providers, in_step: Callable[[], Awaitable[None]], checks: KeyChecks
    ) -> None:
        """Change *providers*; *in_step* has the gateway go by a change, *checks* asks about keys."""
        self._desk = desk
        self._providers = providers
        self._in_step = in_step
        self._checks = checks

    def routes(self) -> list[Route]:
        """Return what is served."""
        one, key = "/admin/providers/{provider}", "/admin/providers/{provider}/keys/{label}"
        return [
            Route("/admin/providers", {"GET": self.list}, Access.READ),
            Route(one, {"GET": self.show, "PATCH": self.change}, Access.READ, changes=Access.OPERATE),
            Route(f"{one}/keys", {"POST": self.add_key}, Access.ADMIN),
            Route(key, {"PATCH": self.switch_key, "DELETE": self.remove_key}, Access.ADMIN),
            Route(f"{key}/test", {"POST": self.test_key}, Access.OPERATE),
            Route("/admin/models/{provider}/{model:path}", {"PATCH": self.switch_model}, Access.OPERATE),
        ]

    async def list(self, request: Request) -> None:
        """Give all providers, and what was entered and is not used."""
        await request.reply_json({"data": self._providers.list(), "problems": self._providers.problems()})

    async def show(self, request: Request) -> None:
        """Give one provider."""
        await request.reply_json(self._providers.show(request.params["provider"]))

    async def change(self, request: Request) -> None:
        """Switch a provider, or have it at another address: that asks for the whole scope."""
        provider = request.params["provider"]
        wanted = await self._desk.body(request, Change)
        moves = wanted.send_keys or not isinstance(wanted.base_url, UnsetType)
        if not moves and isinstance(wanted.enabled, UnsetType):
            raise InvalidRequest("Give `enabled`, `base_url` or `send_keys`.", param="enabled")
        if moves:
            check_scope(request.caller.operator, Scope.ADMIN)

            def move(note: Note) -> None:
                self._providers.move(provider, wanted.base_url, wanted.send_keys, note)

            await self._desk.change(request, "provider.move", provider, move)
        if not isinstance(on := wanted.enabled, UnsetType):
            what = "provider.enable" if on else "provider.disable"
            await self._desk.change(
                request, what, provider, lambda note: self._providers.switch(provider, note, on=on)
            )
        await self._in_step()
        await self.show(request)

    async def add_key(self, request: Request) -> None:
        """Keep a key."""
        provider = request.params["provider"]
        given = await self._desk.body(request, Entered)

        def add(note: Note) -> None:
            self._providers.add_key(provider, given.label, given.key, note, given.account)

        await self._desk.change(request, "key.add", f"{provider}/{given.label}", add)
        await self._in_step()
        await request.reply_json(self._providers.show_key(provider, given.label), 201)

    async def switch_key(self, request: Request) -> None:
        """Use a key, or do not."""
        provider, label = request.params["provider"], request.params["label"]
        on = (await self._desk.body(request, Switch)).enabled
        await self._desk.change(
            request,
            "key.enable" if on else "key.disable",
            f"{provider}/{label}",
            lambda note: self._providers.switch_key(provider, label, note, on=on),
        )
        await self._in_step()
        await request.reply_json(self._providers.show_key(provider, label))

    async def remove_key(self, request: Request) -> None:
        """Forget a key."""
        provider, label = request.params["provider"], request.params["label"]
        await self._desk.change(
            request,
            "key.remove",
            f"{provider}/{label}",
            lambda note: self._providers.remove_key(provider, label, note),
        )
        await self._in_step()
        await request.reply(204, b"")

    async def test_key(self, request: Request) -> None:
        """Ask the provider whether a key is good, by a call that costs no quota."""
        provider, key = self._providers.asked_about(request.params["provider"], request.params["label"])
        verdict = await self._checks.check(provider, key)
        await request.reply_json(
            {
                "provider": provider.id,
                "label": key.label,
                "verdict": verdict.state.value,
                "detail": verdict.detail,
                "asked": verdict.asked or None,
            }
        )

    async def switch_model(self, request: Request) -> None:
        """Let a model be asked, or not."""
        provider, model = request.params["provider"], request.params["model"]
        on = (await self._desk.body(request, Switch)).enabled
        await self._desk.change(
            request,
            "model.enable" if on else "model.disable",
            f"{provider}/{model}",
            lambda note: self._providers.switch_model(provider, model, note, on=on),
        )
        await self._in_step()
        await request.reply_json({"provider": provider, "model": model, "enabled": on})
