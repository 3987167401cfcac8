"""Choosing: what each strategy prefers, what filters reject, and the plan that agrees with the choice."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freeroute.domain.catalogue import LocalRank, Privacy, WindowKind
from freeroute.domain.fitness import eligible, willing
from freeroute.domain.keys import PROVING
from freeroute.domain.needs import UNTRIED, Tried
from freeroute.domain.outcome import Kind
from freeroute.domain.plans import obstacles, plan
from freeroute.domain.selection import Choice, Refusal, another, choose
from tests.support.fields import DAY, Field, per, tokens
from tests.support.world import model, provider


@pytest.mark.parametrize("given", [{}, {"clamp": True}, {"max_output": 50}])
def test_a_call_that_begins_is_given_what_one_is_to_which_nothing_is_forbidden(given):
    world = Field(provider("a", limits=(per(20), tokens(1000))), provider("b"))
    need = world.need("free", **given)
    assert world.choose(need, UNTRIED) == world.choose(need, Tried())


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
    kept = frozenset({"b/native#k1"})
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
