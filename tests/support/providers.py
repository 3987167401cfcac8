"""Entering keys and switches in tests, without a gateway."""

from collections.abc import Sequence
from typing import Any

from msgspec import UnsetType

from freeroute.administration.providers import ProviderBook
from freeroute.config.overlay import Laid, Plan, laid
from freeroute.domain.catalogue import Key, Provider
from freeroute.domain.keys import KeyState, Verdict
from freeroute.engine.changes import Note
from freeroute.errors import NotFound
from freeroute.stores.keysafe import KeySafe, Opened
from tests.support.clocks import ManualClock


class Known:
    """A plan, and what was entered over it by now."""

    def __init__(self, plan: Plan, safe: KeySafe) -> None:
        self.plan = plan
        self.safe = safe

    @property
    def opened(self) -> Opened:
        return self.safe.read()

    @property
    def laid(self) -> Laid:
        return laid(self.plan, self.opened)


def quiet(before: Any, after: Any) -> None:
    """Take note of nothing."""


def book(plan: Plan, safe: KeySafe, **more: Any) -> ProviderBook:
    """Return what enters keys and switches into *safe*."""
    return ProviderBook(Known(plan, safe), ManualClock(), **more)


class FakeProviders:
    """One provider that is called ``groq``, and what it was asked to change."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def list(self) -> list[dict[str, Any]]:
        return [self.show("groq")]

    def problems(self) -> tuple[str, ...]:
        return ("a key does not open",)

    def show(self, provider: str) -> dict[str, Any]:
        if provider != "groq":
            raise NotFound(f"there is no provider {provider!r}", param="provider")
        return {"id": provider}

    def show_key(self, provider: str, label: str) -> dict[str, Any]:
        return {"label": label}

    def asked_about(self, provider: str, label: str) -> tuple[Provider, Key]:
        return Provider(provider, provider, f"https://{provider}.test"), Key("secret", label)

    def add_key(self, provider: str, label: str, secret: str, note: Note, account: str = "default") -> None:
        note(None, {"account": account})
        self.asked.append(("add", provider, label, secret, account))

    def switch_key(self, provider: str, label: str, note: Note, *, on: bool) -> None:
        note({"enabled": not on}, {"enabled": on})
        self.asked.append(("key", provider, label, on))

    def remove_key(self, provider: str, label: str, note: Note) -> None:
        note({}, None)
        self.asked.append(("remove", provider, label))

    def switch(self, provider: str, note: Note, *, on: bool) -> None:
        note({"enabled": not on}, {"enabled": on})
        self.asked.append(("switch", provider, on))

    def switch_model(self, provider: str, model: str, note: Note, *, on: bool) -> None:
        note({"enabled": not on}, {"enabled": on})
        self.asked.append(("model", provider, model, on))

    def move(self, provider: str, url: str | UnsetType | None, confirmed: Sequence[str], note: Note) -> None:
        note({}, {})
        self.asked.append(("move", provider, url, tuple(confirmed)))


class FakeChecks:
    """Finds every key good."""

    async def check(self, provider: Provider, key: Key) -> Verdict:
        return Verdict(KeyState.VALID, asked=f"{provider.base_url}/models")


async def at_once() -> None:
    """Go by a change: there is nothing to do."""
