import pytest

from freeroute.domain.catalogue import MetaModel
from freeroute.domain.fitness import unfit
from freeroute.domain.leases import Charges, charges_of
from freeroute.domain.resolve import Names, members
from freeroute.domain.tasks import APART, Task
from freeroute.domain.usage import Demand
from tests.support.fields import Field
from tests.support.world import catalogue, model, provider

APART_ALONE = ("embeddings",)


def test_every_task_but_chat_needs_a_model_for_it():
    assert [task for task in Task if task.capability is None] == [Task.CHAT]
    assert {task.capability for task in Task} - {None} == APART
    assert [task for task in Task if task.is_text] == [Task.CHAT, Task.COMPLETIONS]


@pytest.mark.parametrize(
    ("capabilities", "talks"),
    [
        ((), True),
        (("images",), True),
        (("embeddings",), False),
        (("image_output", "images"), False),
        (("transcription", "chat"), True),
        (("completions", "tools"), True),
        (("completions",), False),
    ],
)
def test_a_model_for_something_else_alone_does_not_talk(capabilities, talks):
    assert model(capabilities=capabilities).talks is talks


def test_a_meta_model_holds_models_for_chat_unless_it_asks_for_others():
    world = catalogue(provider("a", model("chat"), model("vectors", capabilities=APART_ALONE)))
    everyone = MetaModel("all", "free", ("a/*",))
    assert [c.model.id for c in members(everyone, world)] == ["chat"]
    others = MetaModel("others", "free", require=frozenset(APART_ALONE))
    assert [c.model.id for c in members(others, world)] == ["vectors"]


def test_names_know_who_can_do_what():
    names = Names(catalogue(provider("a", model("v", capabilities=APART_ALONE)), provider("b", model("m"))))
    assert names.able_to("embeddings") == ("v",)
    assert names.able_to("speech") == ()


@pytest.mark.parametrize(
    ("facts", "asked", "why"),
    [
        ({}, {}, "no model for chat"),
        ({}, {"capabilities": frozenset(APART_ALONE)}, None),
        ({"dimensions": 3}, {"dimensions": 3}, None),
        ({"dimensions": 2}, {"dimensions": 3}, "vectors of 2 dimensions"),
        ({}, {"dimensions": 3}, None),
        ({}, {"dimensions": 3, "resized": True}, "vectors of another length, or of an unknown one"),
        ({"dimensions": 3}, {"dimensions": 3, "resized": True}, None),
        ({"capabilities": ("embeddings", "dimensions")}, {"dimensions": 3, "resized": True}, None),
    ],
)
def test_who_makes_other_vectors_is_not_asked(facts, asked, why):
    world = Field(provider("a", model("v", **{"capabilities": APART_ALONE, **facts})))
    if "dimensions" in asked:
        asked["capabilities"] = frozenset(APART_ALONE)
    need = world.need("v", **asked)
    assert unfit(world.catalogue.candidates[0], need, world.standing, world.clock.now()) == why


def test_what_writes_nothing_is_charged_for_nothing():
    price = {"price": None}
    [candidate] = catalogue(provider("a", model("v", capabilities=APART_ALONE, **price))).candidates
    assert charges_of(candidate, Demand(10, 0)) == Charges((), [])
