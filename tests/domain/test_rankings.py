"""Rankings are kept for each kind of call, and each call sees of one who is able to serve it."""

import pytest

from freeroute.domain.catalogue import Privacy, Quirks
from freeroute.domain.fitness import eligible, willing
from freeroute.domain.needs import Tried
from freeroute.domain.rankings import LEAST_COUNTED, Rankings
from freeroute.domain.selection import choose
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
