"""What people see of the gateway: models, plans, status, and the switches beside them."""

import asyncio

import msgspec
import pytest

from freeroute.domain.catalogue import Limit, MetaModel, Price, Quirks, Scope, Unit
from freeroute.domain.clients import Client, hash_key
from freeroute.domain.measuring import UNKNOWN
from freeroute.domain.outcome import Kind, Outcome
from freeroute.domain.receipt import Wait
from freeroute.errors import (
    Forbidden,
    InvalidRequest,
    NoProvider,
    NotFound,
    UpstreamFailed,
)
from tests.support.world import PER_MINUTE, World, model, provider, streamed


def client(**given) -> Client:
    return Client(name="alice", key_hash=hash_key("k"), **given)


async def test_models_are_tried_in_the_order_given():
    world = World(provider("a", model("x")), provider("b", model("y")), b=[Kind.FAULT])
    await world.ask("b/y", models=("a/x",))
    assert world.upstream.providers_asked == ["b", "a"]


async def test_a_meta_model_of_the_operator_holds_what_it_names():
    meta = MetaModel("coding", "smart", ("b/*",))
    world = World(provider("a", model(quality=90)), provider("b"), metas=[meta])
    await world.ask("coding")
    assert world.upstream.providers_asked == ["b"]


async def test_a_caller_that_leaves_is_no_failure_of_the_provider():
    world = World(provider("a"), a=[asyncio.CancelledError()])
    with pytest.raises(asyncio.CancelledError):
        await world.ask()
    [entry] = world.gateway.status()["providers"]
    assert (entry["requests"], entry["served"], entry["failed"]) == (1, 0, 0)


async def test_a_name_that_holds_no_model_is_told_apart_from_nothing_at_all():
    world = World(provider("a"), metas=[MetaModel("coding", "smart", ("q/*",))])
    with pytest.raises(NoProvider, match=r"coding: no model that is switched on belongs to it.*meta_models"):
        await world.ask("coding")


async def test_a_stream_that_broke_is_no_success_of_its_provider():
    world = World(provider("a"), a=[streamed([b"one"], ending=Outcome(Kind.TRUNCATED, 200, "cut"))])
    await world.ask(stream=True)
    status = world.gateway.status()
    [entry] = status["providers"]
    assert (entry["requests"], entry["served"], entry["failed"]) == (1, 0, 1)
    assert entry["last_error"]["kind"] == "truncated"
    assert (status["totals"]["served"], status["totals"]["failed"]) == (0, 1)
    assert status["requests"][0]["attempts"][0]["kind"] == "truncated"


async def test_a_meta_model_can_do_what_any_of_its_models_can():
    world = World(
        provider("a", model("x", capabilities=["tools"])), provider("b", model("y", capabilities=["images"]))
    )
    free = world.gateway.models(None)[0]
    assert free["architecture"]["input_modalities"] == ["text", "image"]
    assert "tools" in free["supported_parameters"]


async def test_models_lists_metas_and_every_model_whatever_its_quota():
    limit = Limit(Unit.REQUESTS, 1, 60.0)
    world = World(provider("a", model("x", capabilities=["tools", "images"]), limits=(limit,)))
    await world.ask()
    listed = {entry["id"]: entry for entry in world.gateway.models(None)}
    assert list(listed) == ["free", "free-fast", "free-smart", "a/x"]
    assert listed["a/x"]["freeroute"]["available"] is False
    assert listed["a/x"]["freeroute"]["back_at"] > world.clock.now().wall
    assert "tools" in listed["a/x"]["supported_parameters"]
    assert world.gateway.model("a/x", None)["id"] == "a/x"
    assert world.gateway.model("auto", None)["id"] == "free"
    assert [m["id"] for m in world.gateway.models(client(models=("a/*",)))] == ["a/x"]
    with pytest.raises(NotFound):
        world.gateway.model("nope", None)


async def test_the_plan_lists_every_candidate_with_its_reason():
    world = World(
        provider("a", model(quality=90), limits=(PER_MINUTE,)),
        provider("b"),
        a=[Outcome(Kind.RATE_LIMITED, 429, retry_after=30)],
    )
    await world.ask("free-smart")
    plan = world.gateway.plan("free-smart", None)
    first, second = plan["candidates"]
    assert (first["provider"], first["usable"], first["place"]) == ("b", True, 1)
    assert (second["provider"], second["usable"]) == ("a", False)
    assert second["reason"] == "out of quota, says the provider"
    assert second["back_at"] == pytest.approx(world.clock.now().wall + 30, abs=1)


async def test_the_plan_names_the_parameters_that_are_left_out_at_a_model():
    world = World(provider("a"), a=[Outcome(Kind.BAD_PARAMETER, 400, param="seed")])
    assert world.gateway.plan("free", None)["candidates"][0]["dropped"] == []
    served = await world.ask(fields=["seed"])
    assert world.gateway.plan("free", None)["candidates"][0]["dropped"] == ["seed"]
    assert served.headers["x-freeroute-dropped"] == "seed"
    assert world.receipts.last.dropped == ("seed",)


async def test_the_plan_tells_what_the_catalogue_knows_a_provider_to_leave_out_or_change():
    quirks = Quirks(
        drops=("seed", "n", "top_k"),
        message_name=False,
        clamps={"temperature": (0, 1.5)},
        efforts={"m": ("none", "high")},
    )
    choosy = Quirks(accepts=("seed", "user"), efforts={"*": ("low",)})
    world = World(provider("a", quirks=quirks), provider("b", quirks=choosy), provider("c"))
    told = {entry["provider"]: entry for entry in world.gateway.plan("free", None)["candidates"]}
    assert told["a"]["left_out"] == ["messages[].name", "seed", "top_k"]  # with `n` nothing is sent there
    assert told["a"]["changed"] == {"temperature": (0, 1.5), "reasoning_effort": ("none", "high")}
    assert {"seed", "user"}.isdisjoint(told["b"]["left_out"])
    assert {"logit_bias", "reasoning_effort"} <= set(told["b"]["left_out"])
    assert told["b"]["changed"] == told["c"]["changed"] == {}
    assert told["c"]["left_out"] == []


async def test_what_an_attempt_that_failed_left_out_is_no_matter_of_the_answer():
    world = World(
        provider("a", model(quality=90)),
        provider("b"),
        a=[Outcome(Kind.BAD_PARAMETER, 400, param="seed"), Kind.FAULT],
    )
    served = await world.ask("free-smart", fields=["seed"])
    assert world.upstream.providers_asked == ["a", "a", "b"]
    assert "x-freeroute-dropped" not in served.headers
    assert world.receipts.last.dropped == ()


async def test_status_sums_up_providers_and_the_last_requests():
    world = World(
        provider("a", model(quality=90), limits=(PER_MINUTE,), keys=("k1", "k2")),
        provider("b"),
        a=[Kind.KEY_INVALID, Outcome(Kind.FAULT, 503, "down")],
    )
    await world.ask("free-smart")
    status = world.gateway.status()
    msgspec.json.encode(status)
    a, b = status["providers"]
    assert a["keys"][0]["state"] == "invalid"
    assert a["state"] == "suspect"
    assert a["last_error"]["kind"] == "fault"
    assert a["pools"][0]["used"] == 1
    assert (b["state"], b["served"]) == ("healthy", 1)
    [request] = status["requests"]
    assert [attempt["kind"] for attempt in request["attempts"]] == ["key_invalid", "fault", "served"]
    assert status["totals"] == {"requests": 1, "served": 1, "failed": 0, "tokens": 30}


async def test_a_reset_closes_breakers_and_lifts_holds():
    world = World(provider("a"), a=[Kind.KEY_INVALID])
    with pytest.raises(Exception, match=r"attempts? failed"):
        await world.ask()
    assert world.gateway.status()["providers"][0]["state"] == "held"
    assert world.gateway.reset("a")["state"] == "healthy"
    await world.ask()
    with pytest.raises(NotFound, match="there is: a"):
        world.gateway.reset("nope")


async def test_the_strategy_of_free_can_be_switched():
    world = World(provider("a"), provider("b"), provider("c"))
    world.gateway.set_strategy("round_robin")
    for _ in range(6):
        await world.ask()
    assert sorted(world.upstream.providers_asked[:3]) == ["a", "b", "c"]
    assert world.upstream.providers_asked[:3] == world.upstream.providers_asked[3:]
    world.gateway.set_strategy("random")
    for _ in range(30):
        await world.ask()
    assert set(world.upstream.providers_asked[6:]) == {"a", "b", "c"}
    with pytest.raises(InvalidRequest, match="balanced"):
        world.gateway.set_strategy("chaos")


async def test_a_request_error_is_not_held_against_its_provider():
    world = World(provider("a"), a=[Outcome(Kind.REJECTED, 400, request_error="no")])
    await world.fails(InvalidRequest)
    [entry] = world.gateway.status()["providers"]
    assert (entry["requests"], entry["failed"], entry["last_error"]) == (1, 0, None)


async def test_models_tell_what_they_take_and_cost():
    able = model(
        "x",
        capabilities=["tools", "images", "json_object", "json_schema", "reasoning"],
        price=Price(input=1.0, output=2.0),
    )
    world = World(provider("a", able))
    entry = world.gateway.model("a/x", None)
    assert entry["architecture"]["input_modalities"] == ["text", "image"]
    assert entry["pricing"] == {"prompt": "1e-06", "completion": "2e-06"}
    assert {"tools", "response_format", "structured_outputs", "reasoning"} <= set(
        entry["supported_parameters"]
    )


async def test_a_meta_model_is_back_when_the_first_of_its_models_is():
    world = World(
        provider("a", limits=(Limit(Unit.REQUESTS, 1, 3600.0),)),
        provider("b", limits=(Limit(Unit.REQUESTS, 1, 60.0),)),
    )
    await world.ask()
    await world.ask()
    free = world.gateway.models(None)[0]["freeroute"]
    assert free["available"] is False
    assert free["back_at"] == pytest.approx(world.clock.now().wall + 60, abs=2)


async def test_a_limit_that_nobody_knows_is_not_among_the_pools():
    world = World(provider("a", limits=(UNKNOWN,)))
    await world.ask()
    assert world.gateway.status()["providers"][0]["pools"] == []


async def test_status_sums_a_provider_up_as_its_best_candidate_stands():
    limit = Limit(Unit.REQUESTS, 1, 60.0, scope=Scope.MODEL)
    world = World(
        provider("spent", model("x"), limits=(limit,)),
        provider("gone", model("y")),
        provider("ill", model("z")),
        provider("off", keys=()),
    )
    world.upstream.scripts = {"gone": [Kind.UNREACHABLE], "ill": [Kind.FAULT] * 3}
    for _ in range(3):
        await world.fails(UpstreamFailed, "ill/z")
    await world.ask("spent/x")
    await world.fails(UpstreamFailed, "gone/y")
    states = {p["id"]: p for p in world.gateway.status()["providers"]}
    assert states["spent"]["state"] == "resting"
    assert states["spent"]["pools"][0]["model"] == "x"
    assert states["gone"]["state"] == "open"
    assert states["gone"]["breaker"]["until"] > world.clock.now().wall
    assert (states["ill"]["state"], states["ill"]["breaker"]["state"]) == ("open", "closed")
    assert states["off"]["state"] == "no-key"


async def test_the_status_says_when_each_attempt_and_each_wait_of_a_request_began():
    world = World(provider("a"), provider("b"), a=[Kind.FAULT], seconds=0.5)
    await world.ask(stream=True)
    (told,) = world.gateway.status()["requests"]
    assert [(one["began"], one["first_event"], one["seconds"]) for one in told["attempts"]] == [
        (0.0, None, 0.5),
        (0.5, 0.5, 0.5),
    ]
    assert told["waits"] == []
    waited = msgspec.structs.replace(world.receipts.last, waits=(Wait(0.25, 1.0),))
    world.gateway.tally.saw(waited)
    assert world.gateway.status()["requests"][0]["waits"] == [{"began": 0.25, "seconds": 1.0}]


async def test_the_status_says_how_long_an_attempt_took_to_be_sent_and_what_was_expected_of_it():
    quick = model(first_token=0.5, tokens_per_second=100.0)
    world = World(provider("a", quick), provider("b"), seconds=0.5)
    sent = streamed()
    sent.sent_at = world.clock.now().later(0.125)
    world.upstream.scripts["a"] = [sent]
    await world.ask("a/m", stream=True)
    await world.ask("a/m", max_output=100)
    later, first = world.gateway.status()["requests"]
    (attempt,) = first["attempts"]
    assert (attempt["sent"], attempt["expected"]) == (0.125, pytest.approx(3.5, abs=0.01))
    (attempt,) = later["attempts"]
    assert (attempt["sent"], attempt["expected"]) == (None, pytest.approx(1.5, abs=0.5))


async def test_the_status_says_what_a_request_was_chosen_by_and_what_its_caller_was_told():
    world = World(provider("a"), provider("b", model(capabilities=["tools"])), b=[Outcome(Kind.FAULT, 503)])
    failed = await world.fails(UpstreamFailed, "free-smart", needs=["tools"])
    (told,) = world.gateway.status()["requests"]
    assert told["choice"] == {"strategy": "smart", "named": 2, "able": 1, "conversation": False}
    assert told["headers"] == {
        name: value for name, value in failed.headers.items() if name.startswith("x-freeroute-")
    }
    assert told["headers"]["x-freeroute-trail"] == "b/m=fault:503"
    served = await world.ask()
    told = world.gateway.status()["requests"][0]
    assert told["headers"] == served.headers
    assert (told["finish"], told["continued"]) == ("stop", 0)
    await world.fails(NotFound, "nope")
    assert world.gateway.status()["requests"][0]["choice"] is None


async def test_the_status_says_that_a_conversation_went_back_to_who_had_it():
    world = World(provider("a"), provider("b"))
    for again in (False, True):
        context = world.context()
        context.session = "s"
        await world.ask(context=context)
        assert world.gateway.status()["requests"][0]["choice"]["conversation"] is again


async def test_a_name_that_nothing_has_is_listed_and_planned_as_what_it_stands_for():
    world = World(provider("a"))
    assert world.gateway.model("claude-haiku-4-5", None)["id"] == "free-fast"
    plan = world.gateway.plan("claude-haiku-4-5", None)
    assert (plan["model"], plan["stands_for"], plan["strategy"]) == ("claude-haiku-4-5", "free-fast", "fast")
    assert len(plan["candidates"]) == 1


@pytest.mark.parametrize("models", [("free*",), ("claude-*",)])
async def test_an_alias_is_allowed_by_its_own_name_or_by_what_it_stands_for(models):
    gateway = World(provider("a")).gateway
    assert gateway.model("claude-opus-4-1", client(models=models))["id"] == "free-smart"
    with pytest.raises(Forbidden):
        gateway.model("gpt-5", client(models=("claude-*",)))
