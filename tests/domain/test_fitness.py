import pytest

from freeroute.domain.catalogue import Privacy, Quirks
from freeroute.domain.fitness import eligible, unfit
from freeroute.domain.needs import UNTRIED, Tried
from freeroute.domain.plans import summary
from freeroute.domain.selection import Refusal
from tests.support.fields import Field
from tests.support.world import model, provider

DATA_ONLY = Quirks(remote_images=False)


PLAIN = "takes tools with names of letters, digits and underscores only"


RENAMED = Quirks(accepts=("random_seed",), renames={"seed": "random_seed"})


CLAMPED = Quirks(clamps={"temperature": (0, 1.5)})


EFFORTS = Quirks(efforts={"other": ("low",), "M*": ("none", "high")})


def test_a_candidate_named_twice_is_listed_once():
    world = Field(provider("a", model("x")))
    fit, _ = eligible(world.need("a/x", "x"), world.standing, world.clock.now())
    assert [(group, c.id) for group, c in fit] == [(0, "a/x#k1")]


def test_what_was_tried_is_not_chosen_again():
    world = Field(provider("a", model("x", context=1000), model("y"), keys=("k1", "k2")), provider("b"))
    need = world.need("free")
    a = [c for c in world.catalogue.candidates if c.provider.id == "a"]

    def left(**tried):
        out = Tried(**tried)
        return {c.id for c in world.catalogue.candidates if not out.covers(c, world.standing)}

    assert "a/x#k1" not in left(candidates={"a/x#k1"})
    assert left(keys={("a", "k1")}) == {"a/x#k2", "a/y#k2", "b/m#k1"}
    assert left(models={"a/x"}) == {"a/y#k1", "a/y#k2", "b/m#k1"}
    assert left(providers={"a"}) == {"b/m#k1"}
    assert left(context=1000) == {"a/y#k1", "a/y#k2", "b/m#k1"}
    assert isinstance(world.choose(need, Tried(providers=frozenset({"a", "b"}))), Refusal)
    assert len(a) == 4


def test_what_was_tried_adds_up_and_leaves_what_it_was_before():
    first = Tried(candidates=frozenset({"a/x#k1"}), context=1000)
    both = first.also(candidates={"a/y#k1"}, models={"b/m"}, keys={("c", "k")}, providers={"d"}, context=10)
    assert both == Tried(
        frozenset({"a/x#k1", "a/y#k1"}),
        frozenset({"b/m"}),
        frozenset({("c", "k")}),
        frozenset({"d"}),
        1000,
    )
    assert first == Tried(candidates=frozenset({"a/x#k1"}), context=1000)
    assert first.also(context=2000).context == 2000


def test_a_candidate_may_be_asked_for_less_until_it_found_that_too_large_as_well():
    tried = Tried(candidates=frozenset({"a/x#k1", "b/m#k1"})).asking("a/x#k1", 512)
    assert dict(tried.outputs) == {"a/x#k1": 512}
    assert tried.with_less().candidates == {"b/m#k1"}
    assert dict(tried.asking("b/m#k1", 256).outputs) == {"a/x#k1": 512, "b/m#k1": 256}
    assert dict(tried.asking("a/x#k1", None).outputs) == {}
    assert dict(UNTRIED.outputs) == {}


def test_a_prompt_fits_anywhere_if_nobody_knows_how_long_one_may_be():
    world = Field(provider("a", model(context=None)))
    need = world.need("free", prompt=10_000_000)
    assert unfit(world.catalogue.candidates[0], need, world.standing, world.clock.now()) is None


@pytest.mark.parametrize(
    ("facts", "asked", "why"),
    [
        ({}, {"only": ("b",)}, "excluded by the request"),
        ({}, {"ignore": ("a",)}, "excluded by the request"),
        ({}, {"no_train": True}, "privacy is unknown, no-train is required"),
        ({"privacy": Privacy.TRAINS}, {"no_train": True}, "privacy is trains, no-train is required"),
        ({"privacy": Privacy.LOCAL}, {"no_train": True}, None),
        ({}, {"capabilities": frozenset({"tools", "images"})}, "no images, tools"),
        (
            {"quirks": Quirks(remote_images=False)},
            {"remote_images": True},
            "takes images as base64 data only",
        ),
        ({}, {"capabilities": frozenset({"json_schema"})}, "no json_schema"),
        ({"quirks": Quirks(drops=("n",))}, {"features": frozenset({"n", "logprobs"})}, "does not take n"),
        ({"quirks": Quirks(accepts=("n",))}, {"features": frozenset({"n"})}, None),
        (
            {"quirks": Quirks(accepts=())},
            {"features": frozenset({"n", "logprobs"})},
            "does not take logprobs, n",
        ),
        (
            {"quirks": Quirks(drops=("seed",))},
            {"parameters": {"seed": 7, "top_k": None}},
            "does not take seed",
        ),
        ({"quirks": RENAMED}, {"parameters": {"seed": 7}}, None),
        ({"quirks": RENAMED}, {"parameters": {"top_k": None}}, "does not take top_k"),
        ({"quirks": CLAMPED}, {"parameters": {"temperature": 1.5, "top_k": None}}, None),
        ({"quirks": CLAMPED}, {"parameters": {"temperature": 1.6}}, "does not take temperature"),
        ({"quirks": EFFORTS}, {"parameters": {"reasoning_effort": "high"}}, None),
        ({"quirks": EFFORTS}, {"parameters": {"reasoning_effort": "low"}}, "does not take reasoning_effort"),
        ({}, {"parameters": {"reasoning_effort": "low"}}, None),
        ({"quirks": Quirks(max_tools=2)}, {"tools": ("a", "b", "c")}, "takes 2 tools at most"),
        ({"quirks": Quirks(max_tools=2)}, {"tools": ("a", "b")}, None),
        ({"quirks": Quirks(plain_tool_names=True)}, {"tools": ("a", "b-c")}, PLAIN),
        ({"quirks": Quirks(plain_tool_names=True)}, {"tools": ("größe",)}, PLAIN),
        ({"quirks": Quirks(plain_tool_names=True)}, {"tools": ("a_B1",)}, None),
        ({}, {"tools": ("a.b",) * 1000}, None),
        ({}, {"prompt": 200_000}, "context of 100000 tokens is too small"),
        ({}, {"prompt": 90_000, "max_output": 60_000}, "context of 100000 tokens is too small"),
        ({}, {}, None),
    ],
)
def test_filters_say_what_is_missing(facts, asked, why):
    world = Field(provider("a", **facts))
    need = world.need("free", **asked)
    assert unfit(world.catalogue.candidates[0], need, world.standing, world.clock.now()) == why
    _, rest = eligible(need, world.standing, world.clock.now())
    assert summary(rest) == (f"{why} (1)" if why else "")


def test_what_a_model_was_found_to_refuse_counts_for_those_who_insist():
    world = Field(provider("a"))
    candidate = world.catalogue.candidates[0]
    world.standing.learn_refusal(candidate, "seed", world.clock.now())
    assert (
        unfit(candidate, world.need("free", parameters={"seed": 7}), world.standing, world.clock.now())
        == "does not take seed"
    )
    assert (
        unfit(candidate, world.need("free", parameters={"stop": ["x"]}), world.standing, world.clock.now())
        is None
    )
    assert unfit(candidate, world.need("free"), world.standing, world.clock.now()) is None
