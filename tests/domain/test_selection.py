"""Choosing: what each strategy prefers, what filters reject, and the plan that agrees with the choice."""

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freeroute.domain.catalogue import Limit, LocalRank, Privacy, Quirks, Unit, WindowKind, catalogue_of
from freeroute.domain.fitness import eligible, unfit, willing
from freeroute.domain.keys import PROVING
from freeroute.domain.leases import Lease
from freeroute.domain.outcome import Kind
from freeroute.domain.plans import obstacles, plan, summary
from freeroute.domain.resolve import Names, Target
from freeroute.domain.selection import Choice, Need, Refusal, Tried, another, choose
from freeroute.domain.standing import Standing
from freeroute.domain.usage import Demand
from freeroute.stores.memory import MemoryCounters
from tests.support.clocks import ManualClock
from tests.support.world import model, provider

DAY = 86_400.0
DATA_ONLY = Quirks(remote_images=False)
PLAIN = "takes tools with names of letters, digits and underscores only"
RENAMED = Quirks(accepts=("random_seed",), renames={"seed": "random_seed"})
CLAMPED = Quirks(clamps={"temperature": (0, 1.5)})
EFFORTS = Quirks(efforts={"other": ("low",), "M*": ("none", "high")})


class Field:
    """Candidates, their counters and their standing, without a gateway."""

    def __init__(self, *providers) -> None:
        self.catalogue = catalogue_of(list(providers), [])
        self.names = Names(self.catalogue)
        self.counters = MemoryCounters()
        self.standing = Standing(self.counters)
        self.clock = ManualClock()

    def need(self, *names, prompt=10, max_output=None, **given) -> Need:
        targets = tuple(self._target(name) for name in names or ("free",))
        return Need(targets=targets, demand=Demand(prompt, max_output), **given)

    def _target(self, name) -> Target:
        target = self.names.resolve(name)
        assert isinstance(target, Target)
        return target

    def choose(self, need, tried=None):
        fit, _ = eligible(need, self.standing, self.clock.now())
        return choose(need, fit, self.standing, tried or Tried(), self.clock.now())

    def take(self, need) -> str:
        """Choose and charge; the call is served at once, as fast as expected. Returns the provider."""
        choice = self.choose(need)
        assert isinstance(choice, Choice)
        lease = asyncio.run(self.counters.acquire(choice.charges, self.clock.now()))
        assert isinstance(lease, Lease)
        asyncio.run(self.counters.settle(lease, None, self.clock.now()))
        found = choice.candidate.model
        speed = self.standing.speed(choice.candidate)
        speed.measured(found.first_token, 100, 100 / found.tokens_per_second, self.clock.now())
        return choice.candidate.provider.id


def per(amount, seconds=60.0, **given) -> Limit:
    return Limit(Unit.REQUESTS, amount, seconds, **given)


def test_smart_never_leaves_a_tier_while_it_has_room():
    world = Field(
        provider("top", model(quality=85), limits=(per(20),)),
        provider("also", model(quality=81), limits=(per(10),)),
        provider("large", model(quality=65, first_token=0.01, tokens_per_second=5000)),
    )
    need = world.need("free-smart")
    taken = [world.take(need) for _ in range(40)]
    assert set(taken[:30]) == {"top", "also"}
    assert set(taken[30:]) == {"large"}


def test_smart_spreads_within_a_tier_by_what_is_left():
    world = Field(
        provider("a", model(quality=85), limits=(per(100),)),
        provider("b", model(quality=85), limits=(per(100),)),
    )
    need = world.need("free-smart")
    taken = [world.take(need) for _ in range(60)]
    assert abs(taken.count("a") - taken.count("b")) <= 2


def test_fast_gives_nine_in_ten_to_the_two_quickest_with_room():
    dice = random.Random(11)
    world = Field(
        provider("quick", model(first_token=0.2, tokens_per_second=500), limits=(per(300),)),
        provider("brisk", model(first_token=0.3, tokens_per_second=300), limits=(per(300),)),
        provider("slow", model(first_token=1.0, tokens_per_second=60)),
        provider("slower", model(first_token=2.0, tokens_per_second=30)),
    )
    taken = [world.take(world.need("free-fast", dice=dice.random())) for _ in range(500)]
    assert (taken.count("quick") + taken.count("brisk")) / 500 >= 0.9
    assert taken.count("slow") + taken.count("slower") > 0


def test_fast_asks_a_model_that_has_to_be_loaded_only_when_no_other_is_much_slower():
    def asked(first_token: float) -> str:
        cold = provider("a", model("a", first_token=0.1, cold=True))
        field = Field(cold, provider("b", model("b", first_token=first_token)))
        return field.take(field.need("free-fast"))

    assert (asked(10.0), asked(20.0)) == ("b", "a")


def test_fast_turns_away_from_what_became_slow():
    world = Field(
        provider("a", model(first_token=0.2, tokens_per_second=500)),
        provider("b", model(first_token=1.0, tokens_per_second=100)),
    )
    need = world.need("free-fast")
    assert world.take(need) == "a"
    a = world.catalogue.candidates[0]
    for _ in range(3):
        world.standing.speed(a).measured(8.0, 100, 1.0, world.clock.now())
    assert world.take(need) == "b"
    world.clock.advance(4 * 3600)
    assert world.take(need) == "a"


def test_failures_count_as_slow_until_they_are_forgotten():
    world = Field(
        provider("a", model(first_token=0.2, tokens_per_second=500)),
        provider("b", model(first_token=1.0, tokens_per_second=100)),
    )
    world.standing.lapsed(world.catalogue.candidates[0], world.clock.now())
    assert world.take(world.need("free-fast")) == "b"
    world.clock.advance(600)
    assert world.take(world.need("free-fast")) == "a"


def test_free_ends_with_the_used_shares_close_together():
    sizes = {"a": 1000, "b": 200, "c": 50, "d": 400}
    world = Field(
        *(
            provider(name, limits=(per(size, 86400.0, window=WindowKind.CALENDAR, span="day"),))
            for name, size in sizes.items()
        )
    )
    need = world.need("free")
    taken = [world.take(need) for _ in range(1000)]
    shares = [taken.count(name) / size for name, size in sizes.items()]
    assert max(shares) - min(shares) <= 0.05


def tokens(amount, seconds=60.0, **given) -> Limit:
    return Limit(Unit.TOKENS, amount, seconds, **given)


@pytest.mark.parametrize("strategy", ["free", "free-fast", "free-smart"])
def test_among_near_equals_a_small_call_leaves_the_roomy_pool_to_large_ones(strategy):
    world = Field(
        provider("roomy", limits=(tokens(6000),)),
        provider("tight", limits=(tokens(2000),)),
        provider("endless"),
    )
    assert world.take(world.need(strategy, prompt=50)) == "tight"
    assert world.take(world.need(strategy, prompt=3000)) == "roomy"
    assert world.take(world.need(strategy, prompt=9000)) == "endless"


def test_what_is_back_in_a_minute_is_used_up_before_a_roomy_pool_is_touched():
    world = Field(provider("roomy", limits=(tokens(6000),)), provider("tight", limits=(tokens(2000),)))
    need = world.need("free", prompt=100)
    assert [world.take(need) for _ in range(25)] == ["tight"] * 20 + ["roomy"] * 5


def test_sparing_a_roomy_day_costs_no_more_than_a_tenth_of_the_others():
    world = Field(
        provider("roomy", limits=(tokens(6000, DAY, window=WindowKind.CALENDAR, span="day"),)),
        provider("tight", limits=(tokens(2000, DAY, window=WindowKind.CALENDAR, span="day"),)),
    )
    need = world.need("free", prompt=100)
    taken = [world.take(need) for _ in range(40)]
    shares = taken.count("roomy") * 100 / 6000, taken.count("tight") * 100 / 2000
    assert 0 <= shares[1] - shares[0] <= 0.15


def frontier(name, amount, *limits, **speed):
    day = per(amount, DAY, window=WindowKind.CALENDAR, span="day")
    return provider(name, model(quality=85, **speed), limits=(day, *limits))


def spend_a_day(world, strategy, calls_every_half_hour) -> list[tuple[float, str]]:
    """Ask in bursts from midnight to midnight; returns when, in hours, who was asked."""
    world.clock = ManualClock(1000.0, 1_790_000_000.0 // DAY * DAY)
    taken = []
    for half_hour in range(48):
        taken += [(half_hour / 2, world.take(world.need(strategy))) for _ in range(calls_every_half_hour)]
        world.clock.advance(1800)
    return taken


@pytest.mark.parametrize("strategy", ["free-smart", "free-fast"])
def test_a_scarce_day_quota_lasts_through_the_day_where_an_equal_is_nearly_as_fast(strategy):
    world = Field(
        frontier("scarce", 20, first_token=0.9),
        frontier("plenty", 480, per(10), first_token=1.0),
        provider("lesser", model(quality=50, first_token=5.0)),
    )
    taken = spend_a_day(world, strategy, 10)
    scarce = [hour for hour, name in taken if name == "scarce"]
    assert "lesser" not in {name for _, name in taken}
    assert len(scarce) >= 15
    assert sum(hour < 12 for hour in scarce) <= 13
    assert scarce[-1] >= 22


def test_a_burst_goes_to_what_is_back_in_a_minute_rather_than_to_what_is_back_tomorrow():
    world = Field(frontier("scarce", 20), provider("minutely", model(quality=85), limits=(per(10),)))
    world.clock = ManualClock(1000.0, 1_790_000_000.0 // DAY * DAY)
    taken = [world.take(world.need("free-smart")) for _ in range(12)]
    assert taken == ["minutely"] * 10 + ["scarce"] * 2


def test_smart_still_takes_what_is_twice_as_fast_at_the_price_of_a_third_of_its_quota():
    world = Field(
        frontier("quick", 30, first_token=0.5, tokens_per_second=200),
        frontier("slow", 30, first_token=1.0, tokens_per_second=100),
    )
    taken = [world.take(world.need("free-smart")) for _ in range(20)]
    assert 8 <= taken[:12].count("quick") <= 12
    assert "slow" in taken


def test_free_spends_first_what_would_expire_unused():
    day = 86400.0
    world = Field(
        provider("monthly", limits=(per(1000, 30 * day, window=WindowKind.CALENDAR, span="month"),)),
        provider("minutely", limits=(per(30, 60.0),)),
    )
    assert world.take(world.need("free")) == "minutely"


def test_scarcity_orders_but_never_refuses():
    world = Field(provider("a", limits=(per(3, 86400.0, window=WindowKind.CALENDAR, span="day"),)))
    need = world.need("free")
    assert [world.take(need) for _ in range(3)] == ["a"] * 3
    refused = world.choose(need)
    assert isinstance(refused, Refusal)
    assert refused.back_at > world.clock.now().mono


@pytest.mark.parametrize(
    ("rank", "strategy", "first"),
    [
        (None, "free", "cloud"),
        (LocalRank.LAST, "free", "cloud"),
        (LocalRank.FIRST, "free", "home"),
        (LocalRank.FIRST, "free-smart", "home"),
        (None, "free-smart", "home"),
        (LocalRank.LAST, "free-smart", "cloud"),
    ],
)
def test_local_servers_rank_as_the_operator_says(rank, strategy, first):
    world = Field(
        provider("cloud", model(quality=50)),
        provider("home", model("m", quality=70), privacy=Privacy.LOCAL, local=rank),
    )
    assert world.take(world.need(strategy)) == first


def test_an_equal_local_server_competes_by_score_in_free_too():
    world = Field(
        provider("cloud", model(quality=50), limits=(per(10),)),
        provider("home", privacy=Privacy.LOCAL, local=LocalRank.EQUAL),
    )
    need = world.need("free")
    first = {world.take(need) for _ in range(2)}
    assert "home" in first


def test_a_suspect_comes_last_whatever_its_score():
    world = Field(provider("a", model(quality=90)), provider("b", model(quality=10)))
    a = world.catalogue.candidates[0]
    now = world.clock.now()
    world.standing.failed(a, world.standing.begin(a, now), Kind.FAULT, now, jitter=0.5)
    assert world.take(world.need("free-smart")) == "b"


def test_the_caller_s_order_comes_before_the_strategy():
    world = Field(provider("a", model(quality=90)), provider("b"), provider("c"))
    assert world.take(world.need("free-smart", order=("c", "b"))) == "c"


def test_earlier_targets_come_before_later_ones():
    world = Field(provider("a", model("x", quality=90)), provider("b", model("y")))
    assert world.take(world.need("b/y", "a/x")) == "b"


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
    assert isinstance(world.choose(need, Tried(providers={"a", "b"})), Refusal)
    assert len(a) == 4


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


def test_models_that_only_write_json_come_after_those_that_know_schemas():
    plain = model("plain", quality=95, capabilities={"json_object"})
    native = model("native", quality=40, capabilities={"json_object", "json_schema"})
    world = Field(provider("a", plain), provider("b", native))
    first = {
        needs: world.choose(world.need("free-smart", capabilities=frozenset({needs})))
        for needs in ("json_object", "json_schema")
    }
    assert first["json_object"].candidate.model.id == "plain"
    assert first["json_schema"].candidate.model.id == "native"
    kept = {"b/native#k1"}
    fallback = world.choose(
        world.need("free-smart", capabilities=frozenset({"json_schema"})), Tried(candidates=kept)
    )
    assert fallback.candidate.model.id == "plain"


def test_the_least_bad_is_taken_when_everything_rests():
    world = Field(provider("a"), provider("b"))
    now = world.clock.now()
    for place, candidate in enumerate(world.catalogue.candidates):
        for _ in range(3):
            trial = world.standing.begin(candidate, now)
            world.standing.failed(candidate, trial, Kind.FAULT, now, jitter=0.9 - place / 2)
    choice = world.choose(world.need("free"))
    assert isinstance(choice, Choice)
    assert choice.candidate.provider.id == "b"


def test_another_is_a_different_model_that_can_be_used_now_and_was_not_tried():
    world = Field(provider("a", keys=("k1", "k2")), provider("b", limits=(per(1),)), provider("c"))
    need = world.need("free")
    fit, _ = eligible(need, world.standing, world.clock.now())
    first = world.catalogue.candidates[0]

    def there(**tried) -> bool:
        return another(need, fit, world.standing, Tried(**tried), world.clock.now(), first)

    assert there()
    assert there(models={"c/m"})
    assert not there(models={"b/m", "c/m"})
    world.take(world.need("b/m"))
    assert not there(models={"c/m"})


def test_obstacles_come_nearest_first():
    world = Field(provider("a", limits=(per(1, 3600.0),)), provider("b", limits=(per(1, 60.0),)))
    need = world.need("free")
    world.take(need)
    world.take(need)
    fit, _ = eligible(need, world.standing, world.clock.now())
    assert [r.candidate.provider.id for r in obstacles(need, fit, world.standing, world.clock.now())] == [
        "b",
        "a",
    ]


@pytest.mark.parametrize(("first_token", "taken"), [(0.2, "last"), (2.0, "quick")])
def test_fast_stays_with_a_conversation_s_candidate_while_it_is_not_much_slower(first_token, taken):
    world = Field(
        provider("last", model(first_token=0.2 + first_token, tokens_per_second=300)),
        provider("quick", model(first_token=0.2, tokens_per_second=300)),
        provider("slower", model(first_token=9.0)),
    )
    for dice in (0.01, 0.5):  # a conversation is not what one explores with
        need = world.need("free-fast", dice=dice, preferred="last/m#k1")
        assert world.choose(need).candidate.provider.id == taken


def test_smart_stays_with_a_conversation_s_candidate_within_the_tier_only():
    world = Field(
        provider("quick", model(quality=85, tokens_per_second=900)),
        provider("same", model(quality=81, first_token=3.0)),
        provider("lower", model(quality=70)),
    )
    for last, taken in (("same", "same"), ("lower", "quick")):
        need = world.need("free-smart", preferred=f"{last}/m#k1")
        assert world.choose(need).candidate.provider.id == taken


@pytest.mark.parametrize("ties", ["balanced", "round_robin", "random"])
@pytest.mark.parametrize(("spent", "taken"), [(1, "last"), (3, "fresh")])
def test_free_stays_with_a_conversation_s_candidate_while_it_has_headroom(ties, spent, taken):
    day = per(10, DAY, window=WindowKind.CALENDAR, span="day")
    world = Field(provider("last", limits=(day,)), provider("fresh", model(quality=90), limits=(day,)))
    for _ in range(spent):
        world.take(world.need("last/m"))
    need = world.need(ties=ties, preferred="last/m#k1")
    assert world.choose(need).candidate.provider.id == taken


def test_a_conversation_never_outranks_the_caller_s_order_a_doubt_or_the_rank_of_local_servers():
    world = Field(provider("a"), provider("b"), provider("local", privacy=Privacy.LOCAL))
    preferred = world.need(preferred="b/m#k1")
    assert world.choose(preferred).candidate.provider.id == "b"
    ordered = world.need(preferred="b/m#k1", order=("a",))
    assert world.choose(ordered).candidate.provider.id == "a"
    listed = world.need("a/m", "free", preferred="b/m#k1")
    assert world.choose(listed).candidate.provider.id == "a"
    assert world.choose(world.need(preferred="local/m#k1")).candidate.provider.id != "local"
    now, b = world.clock.now(), world.catalogue.candidates[1]
    world.standing.failed(b, world.standing.begin(b, now), Kind.FAULT, now, jitter=0.5)
    assert world.choose(preferred).candidate.provider.id == "a"


def test_what_refused_a_feature_lately_is_asked_only_if_all_others_did_too():
    world = Field(provider("a", model(quality=90)), provider("b"))
    a, b = world.catalogue.candidates
    now = world.clock.now()
    need = world.need(features=frozenset({"logprobs"}))
    world.standing.refuses(a, "logprobs", until=now.mono + 10)
    fit, _ = eligible(need, world.standing, world.clock.now())
    assert willing(need, fit, world.standing, now) == [(0, b)]
    assert willing(world.need(), fit, world.standing, now) == fit
    assert [(entry.candidate, entry.reason is None) for entry in plan(need, world.standing, now)] == [
        (b, True),
        (a, False),
    ]
    world.standing.refuses(b, "logprobs", until=now.mono + 10)
    assert willing(need, fit, world.standing, now) == fit
    assert willing(need, fit, world.standing, now.later(10)) == fit


@settings(max_examples=150, deadline=None)
@given(
    strategy=st.sampled_from(["free", "free-fast", "free-smart"]),
    ties=st.sampled_from(["balanced", "round_robin", "random"]),
    dice=st.floats(0, 0.999),
    qualities=st.lists(st.integers(0, 100), min_size=1, max_size=6),
    spent=st.lists(st.integers(0, 5), min_size=6, max_size=6),
    failing=st.sets(st.integers(0, 5)),
    wait=st.integers(0, 70),
    room=st.lists(st.sampled_from([None, 50, 500]), min_size=6, max_size=6),
    last=st.integers(0, 5),
)
def test_the_plan_begins_with_what_choose_takes(
    strategy, ties, dice, qualities, spent, failing, wait, room, last
):
    world = Field(
        *(
            provider(f"p{i}", model(quality=q), limits=(per(5), *(tokens(n) for n in [room[i]] if n)))
            for i, q in enumerate(qualities)
        )
    )
    now = world.clock.now()
    for place, candidate in enumerate(world.catalogue.candidates):
        need = world.need(candidate.name)
        for _ in range(spent[place]):
            world.take(need)
        if place in failing:
            trial = world.standing.begin(candidate, now)
            world.standing.failed(candidate, trial, Kind.FAULT, now, jitter=0.5)
    world.clock.advance(wait)
    need = world.need(strategy, dice=dice, ties=ties, preferred=f"p{last}/m#k1")
    first = plan(need, world.standing, world.clock.now())[0]
    choice = world.choose(need)
    if isinstance(choice, Choice):
        assert first.reason is None
        assert first.candidate is choice.candidate
    else:
        assert first.reason is not None


def test_a_new_key_is_left_to_its_first_call_while_others_have_room():
    world = Field(provider("a", model(quality=90)), provider("b"))
    first, second = (c for c in world.catalogue.candidates)
    world.standing.begin(first, world.clock.now())
    need = world.need("free-smart")
    assert _chosen(world.choose(need)) == "b"
    assert [line.reason.kind for line in plan(need, world.standing, world.clock.now()) if line.reason] == [
        "proving"
    ]
    world.standing.begin(second, world.clock.now())
    waits = choose(
        need,
        eligible(need, world.standing, world.clock.now())[0],
        world.standing,
        Tried(),
        world.clock.now(),
        2_000.0,
    )
    assert isinstance(waits, Refusal)
    assert waits.back_at == world.clock.now().mono + PROVING


def test_a_key_that_is_not_proven_is_a_better_last_resort_than_one_that_rests():
    world = Field(provider("a"), provider("b"))
    a, b = world.catalogue.candidates
    now = world.clock.now()
    world.standing.failed(a, world.standing.begin(a, now), Kind.UNREACHABLE, now, jitter=0.0)
    world.standing.begin(b, now)
    assert _chosen(world.choose(world.need())) == "b"


def _chosen(choice) -> str:
    assert isinstance(choice, Choice)
    return choice.candidate.provider.id
