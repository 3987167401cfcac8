"""The gateway in front of one provider of the catalogue, which answers out of the corpus."""

import contextlib
import datetime as dt
from collections.abc import AsyncIterator, Callable
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from freeroute.app import App
from freeroute.config.entries import read_catalogue
from freeroute.config.load import Overrides, load
from freeroute.config.overlay import Plan, planned
from freeroute.lifecycle import application
from freeroute.resources import config_dir
from tests.support.clocks import ManualClock
from tests.support.corpus import Entry
from tests.support.transports import PlayedTransport, Reply

ALL = ["tools", "images", "json_object", "json_schema", "reasoning"]
Ask = Callable[..., Any]


_catalogue = cache(lambda: read_catalogue(config_dir() / "providers"))


def plan(provider: str, directory: Path) -> Plan:
    """Return settings with *provider* alone: its quirks and errors, one model, no limits."""
    entry = {
        "like": provider,
        "base_url": "https://provider.test/v1",
        "keys": ["k"],
        "limits": [],
        "models": [{"id": "m", "context": 100_000, "capabilities": ALL}],
    }
    quiet = {"discovery": {"env": False, "local": False}, "routing": {"probes": 0, "max_wait": 0}}
    text = yaml.safe_dump({**quiet, "providers": {"corpus": entry}})
    (directory / f"{provider}.yaml").write_text(text)
    settings = load(Overrides(config=str(directory / f"{provider}.yaml")), {}, directory, directory)
    return planned(settings, _catalogue(), dt.date(2026, 11, 1))


@pytest.fixture(scope="session")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("conformance")


@cache
def running(provider: str, directory: Path) -> tuple[App, Any]:
    """Return the gateway in front of *provider*, built once: nothing of it is bound to a loop."""
    app = App(lambda: plan(provider, directory), transport=PlayedTransport(), clock=ManualClock(), demo=False)
    return app, application(app, "admin", lambda on: None)


@pytest.fixture
def asking(directory: Path):
    """Return what asks a gateway whose provider answers with an entry of the corpus."""

    @contextlib.asynccontextmanager
    async def gateway(provider: str, *replies: Reply) -> AsyncIterator[httpx.AsyncClient]:
        app, asgi = running(provider, directory)
        assert isinstance(app.transport, PlayedTransport)
        app.transport.replies[:] = replies
        app.gateway.standing.reset("corpus")
        wire = httpx.ASGITransport(asgi)
        async with httpx.AsyncClient(transport=wire, base_url="http://localhost") as caller:
            yield caller

    async def ask(entry: Entry, **fields: Any) -> httpx.Response:
        body = {"model": "m", "messages": [{"role": "user", "content": "Hello!"}], **entry.asked, **fields}
        async with gateway(entry.provider, entry.reply()) as caller:
            return await caller.post("/v1/chat/completions", json=body)

    ask.gateway = gateway  # type: ignore[attr-defined]
    return ask
