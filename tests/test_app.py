"""Building and serving: what is refused before it listens, and what a reload changes."""

import asyncio
import contextlib
import signal
import socket
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from freeroute.app import App, ServeOptions, build, secrets_of
from freeroute.config.load import Overrides
from freeroute.domain.catalogue import Unit
from freeroute.domain.clients import Client
from freeroute.domain.rates import RateFact, unheard_of
from freeroute.engine.view import Recording
from freeroute.errors import ConfigError
from freeroute.lifecycle import application
from freeroute.serving import listen, refuse_wide_bind
from freeroute.stores.records.bodies import Keeping
from freeroute.stores.sealing import new_key
from tests.support.patience import PATIENCE

MONTH = RateFact(Unit.TOKENS, 2_592_000.0, 1_000, 0)
TWO = """
discovery: {env: false, local: false}
providers:
  one:
    base_url: http://127.0.0.1:9/v1
    keys: [sk-first-secret]
    models: [{id: m}]
clients:
  - {name: alice, key: fr-alice-key}
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def built(home, text=TWO, **flags) -> App:
    (home / "freeroute.yaml").write_text(text)
    return build(ServeOptions(overrides=Overrides(**flags)), {})


@contextlib.asynccontextmanager
async def running(app):
    litestar: Any = application(app, "boss", lambda found: None)
    transport = httpx.ASGITransport(litestar)
    async with (
        litestar.lifespan(),
        httpx.AsyncClient(
            transport=transport, base_url="http://localhost", headers={"authorization": "Bearer boss"}
        ) as client,
    ):
        yield client


async def providers(client) -> list[str]:
    return [entry["id"] for entry in (await client.get("/v1/status")).json()["providers"]]


async def hang_up() -> None:
    signal.raise_signal(signal.SIGHUP)
    for _ in range(20):  # turns of the loop, in one of which it sees the signal
        await asyncio.sleep(0)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.7", "::"])
def test_listening_widely_without_any_client_is_refused(home, host):
    text = TWO.split("clients:")[0]
    with pytest.raises(ConfigError, match=r"server\.host: .* FREEROUTE_API_KEY"):
        refuse_wide_bind(built(home, text, host=host).settings)
    refuse_wide_bind(built(home, text, host=host, open=True).settings)
    refuse_wide_bind(built(home, TWO, host=host).settings)
    refuse_wide_bind(built(home, text).settings)
    refuse_wide_bind(built(home, text, host=host).settings, (Client("added", b"a"),))


def test_a_port_in_use_is_named_with_what_helps():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"cannot listen on 127\.0\.0\.1:{port}: .*--port"):
            listen("127.0.0.1", port)


def test_a_host_that_is_not_ours_is_named():
    with pytest.raises(ConfigError, match=r"cannot listen on 203\.0\.113\.9:0"):
        listen("203.0.113.9", 0)


def test_the_log_is_told_every_secret(home):
    text = TWO + "storage: {url: 'postgresql://me:of-the-database@db/records'}\n"
    assert secrets_of(built(home, text)) == ["sk-first-secret", "of-the-database"]


def test_records_are_kept_unless_they_are_not_wanted(home):
    app = built(home)
    app.record(home)
    assert app.gateway.recording == Recording()
    unwanted = built(home, TWO + "storage: {records: false}\n")
    unwanted.record(home)
    assert (unwanted.recorder, unwanted.gateway.recording) == (None, None)


def test_prompts_are_kept_only_where_that_is_wanted(home):
    plain = built(home)
    plain.record(home)
    assert plain.recorder is not None
    assert plain.recorder.bodies is None
    wanting = built(home, TWO + "storage: {bodies: {keep: 1d, clients: [alice]}}\n")
    with capture_logs() as logs:
        wanting.record(home)
    assert wanting.recorder is not None
    assert wanting.recorder.bodies is not None
    assert wanting.recorder.bodies.keeping == Keeping(86400.0, 2**28, 2**16, frozenset({"alice"}))
    assert [log["event"] for log in logs] == ["prompts and answers are stored, as storage.bodies says"]


async def test_a_reload_takes_over_what_changed(home):
    app = built(home)
    async with running(app) as client:
        assert await providers(client) == ["one"]
        (home / "freeroute.yaml").write_text(
            TWO.replace("one:", "two:").replace("fr-alice-key", "fr-new-key")
        )
        reply = await client.post("/admin/reload")
        assert reply.json() == {"status": "reloaded", "providers": ["two"], "needs_restart": []}
        assert await providers(client) == ["two"]
        old = await client.get("/v1/models", headers={"authorization": "Bearer fr-alice-key"})
        new = await client.get("/v1/models", headers={"authorization": "Bearer fr-new-key"})
        assert (old.status_code, new.status_code) == (401, 200)


async def test_a_reload_says_what_waits_for_a_restart(home):
    app = built(home)
    async with running(app) as client:
        (home / "freeroute.yaml").write_text(
            TWO + "server: {port: 4999}\nlogging: {level: debug}\nstorage: {keep: 7d}\n"
        )
        (home / ".env").write_text(f"FREEROUTE_ENCRYPTION_KEY={new_key()}\n")
        reply = await client.post("/admin/reload")
    assert reply.json()["needs_restart"] == [
        *("server.port", "logging", "storage", "FREEROUTE_ENCRYPTION_KEY"),
    ]


async def test_a_reload_of_bad_settings_changes_nothing(home):
    app = built(home)
    async with running(app) as client:
        (home / "freeroute.yaml").write_text("providers: {one: {rpmm: 3}}")
        reply = await client.post("/admin/reload")
        assert reply.status_code == 400
        assert "rpmm" in reply.json()["error"]["message"]
        assert await providers(client) == ["one"]


async def test_a_hangup_reloads_and_survives_bad_settings(home):
    app = built(home)
    async with running(app) as client:
        (home / "freeroute.yaml").write_text("nonsense: [")
        await hang_up()
        assert await providers(client) == ["one"]
        (home / "freeroute.yaml").write_text(TWO.replace("one:", "two:"))
        await hang_up()
        assert await providers(client) == ["two"]


async def test_traces_are_sent_if_the_settings_ask_for_it(home):
    pytest.importorskip("opentelemetry.sdk", reason="the extra `otel` is not installed")
    app = built(home, f"{TWO}traces: {{endpoint: 'http://127.0.0.1:9', sample: 0.5}}\n")
    app.trace({})
    assert app.gateway.traced == 0.5
    async with running(app):
        assert app.traces is not None


def test_no_trace_begins_if_nobody_asks_for_it(home):
    app = built(home)
    app.trace({})
    assert (app.traces, app.gateway.traced) == (None, None)


def test_the_demo_sends_no_traces(tmp_path):
    app = build(ServeOptions(overrides=Overrides(), demo=True), {}, tmp_path)
    app.trace({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"})
    assert app.traces is None


async def test_a_limit_that_only_an_answer_told_of_is_known_after_a_restart(home):
    first = built(home)
    first.remember(home, "boot")
    [limit] = unheard_of([MONTH], ())
    [candidate] = first.gateway.catalogue.candidates
    pool = first.gateway.loop.discovered(candidate, limit)
    assert pool is not None
    await first.gateway.counters.begin(pool, MONTH, first.clock.now())
    assert first.keeper is not None
    first.keeper.close()
    second = built(home)
    second.remember(home, "boot")
    pools = second.gateway.catalogue.candidates[0].pools
    reading = second.counters.readings(pools, second.clock.now())[-1]
    assert (reading.pool, reading.used, reading.source) == (pool, 1_000, "header")
    assert second.keeper is not None
    second.keeper.close()


async def test_a_limit_that_only_an_answer_told_of_outlives_a_reload(home):
    app = built(home)
    async with running(app) as client:
        [limit] = unheard_of([MONTH], ())
        pool = app.gateway.loop.discovered(app.gateway.catalogue.candidates[0], limit)
        assert pool is not None
        await app.gateway.counters.begin(pool, MONTH, app.clock.now())
        assert (await client.post("/admin/reload")).status_code == 200
        assert app.gateway.catalogue.candidates[0].pools[-1] == pool


async def test_the_demo_knows_the_simulated_providers_and_nothing_else(tmp_path):
    options = ServeOptions(overrides=Overrides(), demo=True)
    app = build(options, {"GROQ_API_KEY": "gsk_real", "FREEROUTE_API_KEY": "x"}, tmp_path)
    assert set(app.assembly.catalogue.providers) == {
        *("groq", "gemini", "cerebras", "mistral", "openrouter", "ollama"),
    }
    assert all(
        key.secret in ("demo", "") for p in app.assembly.catalogue.providers.values() for key in p.keys
    )
    assert app.settings.clients == ()


class Warmed:
    """A transport that notes where it is to have connections wait."""

    def __init__(self) -> None:
        self.told: asyncio.Queue[str] = asyncio.Queue()

    async def warm(self, url: str) -> None:
        self.told.put_nowait(url)

    async def close(self) -> None:
        """Close nothing."""


async def test_connections_are_made_before_they_are_needed_after_a_start_and_a_reload(home):
    app = built(home)
    app.transport = transport = Warmed()  # type: ignore[assignment]
    async with running(app) as client, asyncio.timeout(PATIENCE):
        assert await transport.told.get() == "http://127.0.0.1:9/v1"
        (home / "freeroute.yaml").write_text(TWO.replace(":9/", ":8/"))
        await client.post("/admin/reload")
        assert await transport.told.get() == "http://127.0.0.1:8/v1"
