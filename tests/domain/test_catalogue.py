import pytest
from msgspec import structs

from freeroute.domain.additions import LEARNED, with_limit, without_limits
from freeroute.domain.catalogue import (
    Catalogue,
    Key,
    Limit,
    LocalRank,
    MetaModel,
    Model,
    Pool,
    Privacy,
    Provider,
    Scope,
    Unit,
    candidates_of,
    catalogue_of,
    pool_id,
)
from freeroute.domain.families import family_of
from tests.support.world import catalogue, model, provider


@pytest.mark.parametrize(
    ("model_id", "family"),
    [
        ("openai/gpt-oss-120b", "gpt-oss-120b"),
        ("nvidia/nemotron-3-super-120b-a12b:free", "nemotron-3-super-120b-a12b"),
        ("google/gemma-4-31b-it:free", "gemma-4-31b"),
        ("gemma-4-31b", "gemma-4-31b"),
        ("Mistral-Nemo-Instruct-2407", "mistral-nemo"),
        ("deepseek-ai/deepseek-v4-flash-0731", "deepseek-v4-flash"),
        ("DeepSeek-V4-Flash-0731", "deepseek-v4-flash"),
        ("claude-20260101", "claude"),
        ("gpt-5-2026-08-07", "gpt-5"),
        ("llama3.2:3b", "llama3.2:3b"),
    ],
)
def test_a_family_is_the_id_without_path_variant_and_date(model_id, family):
    assert family_of(model_id) == family


@pytest.mark.parametrize(
    ("quality", "tier"), [(100, 3), (80, 3), (79.9, 2), (60, 2), (40, 1), (39.9, 0), (0, 0)]
)
def test_the_tier_follows_quality(quality, tier):
    assert Model(id="m", family="m", quality=quality).tier == tier


@pytest.mark.parametrize(
    ("limit", "label"),
    [
        (Limit(Unit.REQUESTS, 30, 60.0, span="minute"), "requests/minute"),
        (Limit(Unit.TOKENS, 1, 18000.0), "tokens/18000s"),
        (Limit(Unit.CONCURRENCY, 4), "concurrency"),
    ],
)
def test_a_limit_has_a_short_stable_label(limit, label):
    assert limit.label == label


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        (Scope.ACCOUNT, "groq/account:team/requests/day"),
        (Scope.MODEL, "groq/account:team/model:a/b/requests/day"),
        (Scope.KEY, "groq/key:k/requests/day"),
        (Scope.IP, "groq/ip/requests/day"),
    ],
)
def test_a_pool_lies_where_its_scope_says(scope, expected):
    provider = Provider(id="groq", name="Groq", base_url="https://x")
    limit = Limit(Unit.REQUESTS, 1, 86400.0, span="day", scope=scope)
    assert pool_id(provider, Model(id="a/b", family="b"), Key("s", "k", "team"), limit) == expected


def test_candidates_are_enabled_models_times_enabled_keys():
    provider = Provider(
        id="p",
        name="P",
        base_url="https://x",
        keys=(Key("1", "one"), Key("2", "two", enabled=False), Key("3", "three")),
        models=(
            Model(id="m", family="m", limits=(Limit(Unit.CONCURRENCY, 1, scope=Scope.MODEL),)),
            Model(id="off", family="off", enabled=False),
        ),
        limits=(Limit(Unit.REQUESTS, 30, 60.0, span="minute"),),
    )
    candidates = candidates_of(provider)
    assert [c.id for c in candidates] == ["p/m#one", "p/m#three"]
    assert candidates[0].name == "p/m"
    # Keys of one account share its counters.
    assert candidates[0].pools == candidates[1].pools
    assert [pool.id for pool in candidates[0].pools] == [
        "p/account:default/requests/minute",
        "p/account:default/model:m/concurrency",
    ]


def test_a_key_never_shows_its_secret():
    assert "hush" not in repr(Key("hush", "key-1"))


def test_a_local_provider_knows_that_it_is_one():
    local = Provider(id="o", name="O", base_url="x", privacy=Privacy.LOCAL, local=LocalRank.LAST)
    assert local.is_local
    assert not Provider(id="p", name="P", base_url="x").is_local


def test_a_catalogue_keeps_the_order_of_its_providers_and_always_has_the_three_meta_models():
    first = Provider(
        id="b", name="B", base_url="x", keys=(Key("", "k"),), models=(Model(id="m", family="m"),)
    )
    catalogue = catalogue_of([first, Provider(id="a", name="A", base_url="x")], [MetaModel("mine", "smart")])
    assert list(catalogue.providers) == ["b", "a"]
    assert list(catalogue.meta_models) == ["free", "free-fast", "free-smart", "mine"]
    assert [c.id for c in catalogue.candidates] == ["b/m#k"]


class TestLimitsThatAnswersAdd:
    limit = Limit(Unit.TOKENS, 1_000, 86_400.0, span="day", scope=Scope.MODEL)

    def grown(self, *limits: Limit) -> Catalogue:
        keys = (Key("1", "k1"), Key("2", "k2"), Key("3", "k3", account="other"))
        found = catalogue(provider("a", model("m"), model("n"), keys=keys))
        for limit in limits:
            found = with_limit(found, found.candidates[0], limit)
        return found

    def test_they_are_for_that_model_of_that_account(self):
        grown = self.grown(self.limit)
        assert {c.id for c in grown.candidates if c.pools} == {"a/m#k1", "a/m#k2"}
        assert grown.candidates[0].pools == (Pool("a/account:default/model:m/tokens/day", self.limit),)

    def test_one_that_is_there_or_whose_model_is_gone_changes_nothing(self):
        grown = self.grown(self.limit)
        assert with_limit(grown, grown.candidates[0], self.limit) is grown
        assert with_limit(catalogue(), grown.candidates[0], self.limit) == catalogue()

    def test_there_is_an_end_to_them(self):
        many = [structs.replace(self.limit, seconds=float(n), span="") for n in range(1, 2 * LEARNED)]
        assert len(self.grown(*many).candidates[0].pools) == LEARNED

    def test_one_that_is_taken_back_leaves_the_others_and_candidates_that_never_had_it(self):
        month = structs.replace(self.limit, seconds=2_592_000.0, span="month")
        grown = self.grown(self.limit, month)
        left = without_limits(grown, {"a/account:default/model:m/tokens/day"})
        assert [pool.limit for pool in left.candidates[0].pools] == [month]
        assert left.candidates[-1] is grown.candidates[-1]
