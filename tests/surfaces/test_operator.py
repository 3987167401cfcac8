import pytest

from freeroute.domain.clients import Client, hash_key
from freeroute.errors import ConfigError
from freeroute.surfaces.access import Policy

ADMIN = {"authorization": "Bearer admin"}


async def test_the_process_says_that_it_lives(ask):
    async with ask() as client:
        for path in ("/healthz", "/livez"):
            assert (await client.get(path)).json() == {"status": "ok"}


async def test_readiness_turns_while_draining(ask, gateway):
    async with ask() as client:
        assert (await client.get("/readyz")).status_code == 200
        gateway.is_ready = False
        reply = await client.get("/readyz")
        assert reply.status_code == 503
        assert reply.json() == {"status": "draining"}
        assert (await client.get("/livez")).status_code == 200


async def test_metrics_keep_their_content_type(ask):
    async with ask() as client:
        reply = await client.get("/metrics")
    assert reply.text == "up 1\n"
    assert reply.headers["content-type"] == "text/plain; version=0.0.4"


async def test_status_is_what_the_gateway_says_now(ask, gateway):
    async with ask() as client:
        reply = await client.get("/api/v1/status")
    assert reply.json() == gateway.status()
    assert reply.headers["cache-control"] == "no-store"


async def test_status_knows_which_client_asks_and_shows_an_operator_everything(ask, gateway):
    policy = Policy(clients=(Client("alice", hash_key("sk-alice")),), admin_key="boss")
    async with ask(policy) as client:
        for key in ("sk-alice", "boss"):
            await client.get("/v1/status", headers={"authorization": f"Bearer {key}"})
    assert gateway.asked == [("status", "alice"), ("status", None)]


async def test_a_plan_needs_a_model(ask, gateway):
    async with ask() as client:
        reply = await client.get("/v1/plan")
        assert reply.status_code == 400
        assert reply.json()["error"]["param"] == "model"
        assert (await client.get("/v1/plan", params={"model": "groq/x"})).json()["model"] == "groq/x"
    assert gateway.asked == [("plan", "groq/x")]


async def test_a_provider_is_reset_by_its_name(ask, gateway):
    async with ask() as client:
        reply = await client.post("/v1/status/providers/groq/reset", headers=ADMIN)
        assert reply.json() == {"id": "groq"}
        unknown = await client.post("/v1/status/providers/nobody/reset", headers=ADMIN)
        assert unknown.status_code == 404
    assert gateway.asked == [("reset", "groq"), ("reset", "nobody")]


async def test_the_tie_order_is_switched(ask, gateway):
    async with ask() as client:
        reply = await client.patch("/v1/status/routing", headers=ADMIN, json={"strategy": "random"})
    assert reply.json() == {"strategy": "random"}
    assert gateway.asked == [("strategy", "random")]


@pytest.mark.parametrize(
    "body",
    [
        *("", "{", "[]", "null", '"random"', "{}", '{"strategy": 1}', '{"strategy": "best"}'),
        *('{"strategy": "random", "x": 1}', '{"strategy": "' + "x" * 99 + '"}', "[" * 100_000),
    ],
)
async def test_no_other_body_switches_anything(ask, gateway, body):
    async with ask() as client:
        reply = await client.patch("/v1/status/routing", headers=ADMIN, content=body)
    assert reply.status_code == 400
    assert reply.json()["error"]["param"] == "strategy"
    assert gateway.asked == []


async def test_settings_are_read_again_on_request(ask, gateway):
    async with ask() as client:
        reply = await client.post("/admin/reload", headers=ADMIN)
    assert reply.json() == {"status": "reloaded", "providers": []}
    assert gateway.asked == [("reload", None)]


async def test_settings_that_are_wrong_change_nothing_and_say_so(ask, gateway):
    gateway.settings_error = ConfigError("freeroute.yaml: providers.groq: unknown field")
    async with ask() as client:
        reply = await client.post("/admin/reload", headers=ADMIN)
    assert reply.status_code == 400
    assert reply.json()["error"]["code"] == "invalid_settings"
    assert "unknown field" in reply.json()["error"]["message"]


async def test_the_root_leads_people_to_the_dashboard_and_tells_programs(ask):
    async with ask() as client:
        person = await client.get("/", headers={"accept": "text/html,*/*"})
        assert person.status_code == 307
        assert person.headers["location"] == "/dashboard"
        assert (await client.get("/")).json()["api"] == "/v1"


async def test_the_description_is_served(ask):
    async with ask(Policy()) as client:
        reply = await client.get("/openapi.json")
    assert reply.json()["openapi"].startswith("3.")
