"""Rankings are kept for each kind of call, and each call sees of one who is able to serve it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from freeroute.domain.catalogue import Privacy, Quirks
from freeroute.domain.fitness import eligible, willing
from freeroute.domain.needs import Tried
from freeroute.domain.rankings import LEAST_COUNTED, Rankings
from freeroute.domain.selection import choose
from freeroute.domain.usage import demand_of
from tests.support.fields import Field
from tests.support.world import model, provider


def _field() -> Field:
    return Field(
        provider("small", model(context=1000), privacy=Privacy.NO_TRAIN),
        provider("plain", model(context=8000, capabilities=["tools"]), quirks=Quirks(max_tools=1)),
        provider("large", model(context=None, capabilities=["tools", "images"]), keys=("k1", "k2")),
    )


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"prompt": 5000},
        {"prompt": 900, "max_output": 200},
        {"capabilities": frozenset({"tools"}), "tools": ("a", "b")},
        {"capabilities": frozenset({"tools"}), "tools": ("a",)},
        {"capabilities": frozenset({"audio"})},
        {"no_train": True},
        {"no_train": True, "prompt": 1500},
        {"no_train": True, "prompt": 9999},
        {"only": ("plain", "small")},
        {"ignore": ("large",)},
        {"features": frozenset({"logprobs"})},
        {"only": ("plain",), "features": frozenset({"logprobs"})},
        {"ties": "random"},
    ],
)
def test_who_is_able_is_who_is_eligible_and_willing(given):
    field = _field()
    rankings, now = Rankings(field.standing), field.clock.now()
    refuses = next(c for c in field.catalogue.candidates if c.provider.id == "plain")
    field.standing.refuses(refuses, "logprobs", until=now.mono + 60)
    need = field.need(**given)
    fit = willing(need, eligible(need, field.standing, now)[0], field.standing, now)
    for _ in range(2):  # a ranking that is there already serves as well
        able = rankings.able(need, now)
        assert list(able) == fit
        assert (bool(able), len(able)) == (bool(fit), len(fit))
        assert list(able) == fit
        assert sorted(c.id for _, c in able.best_first(need, now)) == sorted(c.id for _, c in fit)
        assert choose(need, able, field.standing, Tried(), now) == choose(
            need, fit, field.standing, Tried(), now
        )


def test_calls_of_a_kind_share_a_ranking_whatever_is_their_own():
    field = _field()
    rankings, now = Rankings(field.standing), field.clock.now()

    def ranking(*names, **given):
        return rankings.able(field.need(*names, **given), now).ranking

    assert ranking("free") is ranking("free", prompt=500, max_output=7, dice=0.0, preferred="large/m#k1")
    fast = ranking("free-fast")
    assert fast is ranking("free-fast", max_output=5000, dice=0.9)
    assert fast is not ranking("free-fast", max_output=20)
    assert ranking("free-fast", max_output=20) is ranking("free-fast", max_output=64)
    assert fast is not ranking("free-fast", dice=0.001)
    assert fast is not ranking("free-fast", no_train=True)
    rankings.forget()
    assert fast is not ranking("free-fast")


def test_the_least_recently_used_rankings_are_dropped():
    field = _field()
    rankings, now = Rankings(field.standing, most_kept=3 * LEAST_COUNTED), field.clock.now()

    def ranking(*only):
        return rankings.able(field.need(only=only), now).ranking

    kept = [ranking("nobody", str(number)) for number in range(3)]
    assert ranking("nobody", "0") is kept[0]
    ranking("nobody", "3")
    assert ranking("nobody", "0") is kept[0]
    assert ranking("nobody", "2") is kept[2]
    assert ranking("nobody", "1") is not kept[1]


def test_a_call_larger_than_all_it_may_keep_is_ranked_all_the_same():
    field = _field()
    rankings = Rankings(field.standing, most_kept=0)
    assert len(rankings.able(field.need(), field.clock.now())) == 4
    assert rankings.able(field.need("large/m"), field.clock.now())


LEARNED = st.lists(
    st.tuples(st.sampled_from(["longer", "shorter", "context", "overlong", "unlearned"]), st.integers(0, 2)),
    max_size=6,
)


@settings(max_examples=200, deadline=None)
@given(
    text=st.text(max_size=40),
    times=st.sampled_from([1, 20, 200]),
    contexts=st.lists(st.none() | st.sampled_from([50, 1000, 4000, 100_000]), min_size=3, max_size=3),
    output=st.none() | st.sampled_from([1, 900]),
    learned=LEARNED,
)
def test_who_is_taken_without_a_look_is_able_whatever_was_learned(text, times, contexts, output, learned):
    ids = ("llama-3", "qwen3", "glm-5")
    models = [model(id_, context=context) for id_, context in zip(ids, contexts, strict=True)]
    field = Field(provider("p", *models, keys=("k1", "k2")))
    standing, now = field.standing, field.clock.now()
    rankings, candidates = Rankings(standing), field.catalogue.candidates
    demand = demand_of((text * times).encode(), 1, 0, output)
    need = structs.replace(field.need(), demand=demand)
    for event, number in [*learned, ("", 0)]:
        able = rankings.able(need, now)
        assert list(able) == eligible(need, standing, now)[0]
        assert {c.id for _, c in able.best_first(need, now)} == {c.id for _, c in able}
        candidate = candidates[2 * number]
        match event:
            case "longer" | "shorter":
                standing.learn_size(candidate, 200, 900 if event == "longer" else 50)
            case "context":
                standing.learn_context(candidate, 500, now)
            case "overlong":
                standing.learn_overlong(candidate, demand, now)
            case "unlearned":
                standing.unlearn([candidate.name])


def test_nobody_is_looked_at_for_a_small_and_plain_call_while_nobody_refused_a_prompt():
    field = Field(provider("p", model("a", context=8000), model("b", context=None)))
    rankings, standing, now = Rankings(field.standing), field.standing, field.clock.now()
    large = next(c for c in field.catalogue.candidates if c.model.id == "b")

    def unseen(**given) -> bool:
        return not rankings.able(field.need(**given), now).known

    assert unseen()
    assert not unseen(prompt=2000)
    assert not unseen(tools=("look",))
    assert not rankings.able(field.need(only=("nobody",)), now)
    standing.learn_overlong(large, field.need(prompt=5000).demand, now)
    assert not unseen()
    standing.unlearn([large.name])
    assert unseen()
    standing.learn_context(large, 100, now)
    assert not unseen()
