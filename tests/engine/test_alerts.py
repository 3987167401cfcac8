"""What operators are told to look at, and when."""

from typing import Any

import pytest
from msgspec import structs

from freeroute.domain.catalogue import Key, Limit, Scope, Unit, WindowKind
from freeroute.domain.outcome import Kind, Outcome
from freeroute.engine import alerts
from freeroute.engine.alerts import Alert
from freeroute.engine.view import Maintenance, Recording
from freeroute.errors import ApiError
from tests.support.world import World, model, provider

DAY = Limit(Unit.REQUESTS, 10, 86_400.0, WindowKind.CALENDAR, "day")


def found(world, client=None) -> dict[str, dict[str, Any]]:
    return {one["kind"]: one for one in world.gateway.status(client)["alerts"]}


async def fail(world, times=1, name="free"):
    for _ in range(times):
        with pytest.raises(ApiError):
            await world.ask(name)


def test_a_gateway_that_is_well_has_none():
    assert found(World(provider("a"))) == {}


def test_nothing_to_ask_is_the_first_thing_to_know():
    alert = found(World())["nothing_configured"]
    assert (alert["severity"], alert["provider"]) == ("problem", None)
    assert "Ollama" in alert["do"]


def test_what_keeps_the_gateway_itself_is_told():
    world = World(provider("a"))
    world.gateway.unsaved = True
    world.gateway.recording = Recording(failing=True)
    world.gateway.unread = "freeroute.yaml: providers.x: no such thing"
    world.gateway.maintenance = Maintenance(world.clock.now().wall)
    told = world.gateway.status()["alerts"]
    assert [one["kind"] for one in told] == [
        "state_unsaved",
        "records_failing",
        "settings_unread",
        "maintenance",
    ]
    assert "no such thing" in told[2]["what"]


async def test_a_refused_key_is_a_warning_and_a_problem_if_it_is_the_only_one():
    world = World(provider("a", keys=("k1", "k2")), a=[Kind.KEY_INVALID])
    await world.ask()
    assert found(world)["key_refused"]["severity"] == "warning"
    world = World(provider("a", keys=("k1", Key("s", "k2", enabled=False))), a=[Kind.KEY_INVALID])
    await fail(world)
    alert = found(world)["key_refused"]
    assert (alert["severity"], alert["what"]) == ("problem", "A does not accept the key k1.")
    assert "all_held" not in found(world)


async def test_a_key_that_is_not_used_any_more_concerns_nobody():
    world = World(provider("a", keys=("k1", "k2")), a=[Kind.KEY_INVALID])
    await world.ask()
    entry = world.gateway.catalogue.providers["a"]
    off = structs.replace(entry, keys=(structs.replace(entry.keys[0], enabled=False), entry.keys[1]))
    world.gateway.catalogue.providers["a"] = off
    assert found(world) == {}


@pytest.mark.parametrize(
    ("outcome", "kind", "what"),
    [
        (Outcome(Kind.NO_CREDIT), "no_credit", "A asks for payment for the key k1."),
        (Outcome(Kind.NO_CREDIT, scope="model"), "no_credit", "A asks for payment for the model m."),
        (Outcome(Kind.FORBIDDEN), "forbidden", "A forbids m."),
        (Outcome(Kind.MODEL_GONE), "model_gone", "A no longer has m."),
        (Outcome(Kind.REDIRECTED), "wrong_address", "A does not answer at its address."),
        (Outcome(Kind.REDIRECTED, scope="model"), "wrong_address", "A does not answer at its address for m."),
    ],
)
async def test_what_providers_say_of_keys_models_and_addresses_is_told(outcome, kind, what):
    world = World(provider("a"), provider("b"), a=[outcome])
    await world.ask("a/m" if outcome.kind is not Kind.MODEL_GONE else "free", models=("b/m",))
    alert = found(world)[kind]
    assert (alert["what"], alert["provider"]) == (what, "a")
    assert alert["until"] > world.clock.now().wall


async def test_models_that_are_gone_are_told_together():
    models = (model("x"), model("y"), model("z"))
    world = World(provider("a", *models), provider("b"), a=[Kind.MODEL_GONE] * 3)
    for name in ("x", "y", "z"):
        await world.ask(f"a/{name}", models=("b/m",))
    assert found(world)["model_gone"]["what"] == "A no longer has x and 2 more."


async def test_a_provider_that_cannot_be_reached_is_left_alone_and_told_until_when():
    world = World(provider("a"), provider("b"), a=[Kind.UNREACHABLE] * 3)
    for _ in range(3):
        await world.ask("a/m", models=("b/m",))
    alert = found(world)["breaker_open"]
    assert alert["severity"] == "warning"
    assert alert["until"] > world.clock.now().wall


async def test_failing_models_are_a_note_and_a_warning_once_there_is_no_other():
    world = World(provider("a", model("x"), model("y")), provider("b"), a=[Outcome(Kind.FAULT, 500)] * 3)
    for _ in range(3):
        await world.ask("a/x", models=("b/m",))
    assert found(world)["some_failing"]["what"] == "A fails at 1 model: left alone for a while."
    world = World(provider("a"), provider("b"), a=[Outcome(Kind.FAULT, 500)] * 3)
    for _ in range(3):
        await world.ask("a/m", models=("b/m",))
    assert found(world)["all_failing"]["severity"] == "warning"


async def test_a_hold_on_everything_that_no_verdict_explains_is_told_with_its_reason():
    world = World(provider("a"), provider("b"))
    now = world.clock.now()
    world.gateway.standing.hold(("provider", "a"), now.mono + 9, "of a reason")
    assert found(world)["all_held"]["what"] == "Nothing of A can be used: of a reason."


async def test_when_nothing_can_answer_that_is_the_first_thing_told():
    world = World(provider("a"), a=[Kind.KEY_INVALID])
    await fail(world)
    assert world.gateway.status()["alerts"][0]["kind"] == "nothing_usable"


async def test_a_day_that_is_nearly_spent_is_told_with_its_end():
    world = World(provider("a", limits=(DAY,)), provider("b"))
    for _ in range(9):
        await world.ask("a/m")
    alert = found(world)["quota_low"]
    assert (alert["severity"], alert["what"]) == ("note", "A: requests per day nearly spent.")
    assert alert["until"] % 86_400 == 0
    await world.ask("a/m")
    alert = found(world)["quota_low"]
    assert (alert["severity"], alert["what"]) == ("warning", "A: requests per day spent.")


async def test_of_several_spent_quotas_one_is_named():
    per_model = structs.replace(DAY, scope=Scope.MODEL, amount=1)
    models = (
        model("x", limits=(per_model,)),
        model("y", limits=(per_model,)),
        model("z", limits=(per_model,)),
    )
    world = World(provider("a", *models, limits=(Limit(Unit.REQUESTS, 3, 60.0),)))
    for name in ("x", "y", "z"):
        await world.ask(f"a/{name}")
    assert found(world)["quota_low"]["what"] == "A: requests per day of x spent, and 2 more quotas."


async def test_a_minute_that_is_spent_is_no_matter():
    world = World(provider("a", limits=(Limit(Unit.REQUESTS, 1, 60.0),)), provider("b"))
    await world.ask("a/m")
    assert found(world) == {}


def test_the_worst_come_first_and_there_are_never_too_many():
    many = [Alert(severity, "x", "", "") for severity in ("note", "problem", "warning") * 30]
    told = alerts.ranked(many)
    assert len(told) == alerts.MOST
    assert [one.severity for one in told] == ["problem"] * 30 + ["warning"] * 10


async def test_clients_are_told_nothing_of_keys_and_quotas():
    from tests.engine.test_reports import client

    world = World(provider("a"), provider("b"), a=[Kind.KEY_INVALID])
    world.gateway.unsaved = True
    await world.ask("a/m", models=("b/m",))
    assert found(world, client()) == {}
