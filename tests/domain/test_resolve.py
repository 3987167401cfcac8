import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from freeroute.domain.catalogue import Catalogue, Key, MetaModel, Model, Provider, catalogue_of
from freeroute.domain.resolve import Names, NotFound, Target, matches, nearest


def model(name: str, family: str = "", **more) -> Model:
    return Model(id=name, family=family or name.rsplit("/", 1)[-1], **more)


def provider(name: str, *models: Model, keys: int = 1) -> Provider:
    return Provider(
        id=name,
        name=name.title(),
        base_url=f"https://{name}.example/v1",
        keys=tuple(Key(f"secret-{n}", f"key-{n}") for n in range(1, keys + 1)),
        models=models,
    )


@pytest.fixture
def catalogue() -> Catalogue:
    return catalogue_of(
        [
            provider("groq", model("openai/gpt-oss-120b"), model("qwen/qwen3.8-27b"), keys=2),
            provider("nvidia", model("nvidia/nemotron-3"), model("openai/gpt-oss-20b")),
            provider("openrouter", model("nvidia/nemotron-3:free", "nemotron-3")),
            provider(
                "ovh",
                model("gpt-oss-120b", capabilities=frozenset({"tools"})),
                model("Qwen3.8-27B", "qwen3.8-27b", auto=False),
            ),
        ],
        [
            MetaModel("coding", "smart", ("groq/*", "gpt-oss-20b"), frozenset()),
            MetaModel("with-tools", "fast", None, frozenset({"tools"})),
        ],
    )


def found(catalogue: Catalogue, name: str) -> Target:
    target = Names(catalogue).resolve(name)
    assert isinstance(target, Target)
    return target


def ids(target: Target) -> list[str]:
    return [candidate.id for candidate in target.candidates]


@pytest.mark.parametrize(
    ("name", "strategy"), [("free", "free"), ("free-fast", "fast"), ("free-smart", "smart")]
)
def test_the_built_in_meta_models_hold_every_auto_model(catalogue, name, strategy):
    target = found(catalogue, name)
    assert (target.strategy, target.meta, target.pinned) == (strategy, True, None)
    assert len(target.candidates) == len(catalogue.candidates) - 1
    assert "ovh/Qwen3.8-27B#key-1" not in ids(target)


@pytest.mark.parametrize(
    ("alias", "name"), [("auto", "free"), ("fast", "free-fast"), ("smart", "free-smart")]
)
def test_an_alias_is_its_meta_model(catalogue, alias, name):
    names = Names(catalogue)
    assert names.resolve(alias) is names.resolve(name)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("claude-3-5-haiku-latest", "free-fast"),
        ("claude-sonnet-4-5", "free-smart"),
        ("Claude-Opus-4-1@20250805", "free-smart"),
        ("gpt-5-mini", "free-fast"),
        ("gpt-5.1-codex-max", "free-smart"),
    ],
)
def test_names_that_tools_ask_for_by_themselves_stand_for_meta_models(catalogue, name, meant):
    names = Names(catalogue)
    assert names.resolve(name) is names.resolve(meant)


def aliased(catalogue: Catalogue, **aliases: str | None) -> Names:
    return Names(structs.replace(catalogue, model_aliases=aliases))


def test_an_alias_is_for_names_that_nothing_has(catalogue):
    names = aliased(catalogue, **{"*": "free"})
    assert names.resolve("gpt-oss-120b") is not names.resolve("free")
    assert names.resolve("invented") is names.resolve("free")


def test_the_first_alias_that_fits_counts(catalogue):
    names = aliased(catalogue, **{"gpt-*-pro": "coding", "gpt-*": "gpt-oss-20b", "*": "free"})
    assert names.resolve("GPT-4-pro") is names.resolve("coding")
    assert names.resolve("gpt-4o") is names.resolve("gpt-oss-20b")


def test_an_alias_of_nothing_hides_those_behind_it(catalogue):
    names = aliased(catalogue, **{"gpt-4o": None, "gpt-*": "free"})
    assert isinstance(names.resolve("gpt-4o"), NotFound)
    assert isinstance(names.resolve("gpt-4"), Target)


def test_an_alias_of_what_is_not_there_leads_nowhere(catalogue):
    missing = aliased(catalogue, **{"gpt-4o": "groq/gone"}).resolve("gpt-4o")
    assert isinstance(missing, NotFound)


def test_no_pattern_is_told_as_a_name_that_could_be_meant(catalogue):
    missing = Names(catalogue).resolve("claude")
    assert isinstance(missing, NotFound)
    assert not any("*" in name for name in missing.nearest)
    assert "claude-*" not in Names(catalogue).all()


def test_an_operators_meta_model_wins_over_an_alias_of_the_same_name(catalogue):
    mine = catalogue_of(list(catalogue.providers.values()), [MetaModel("fast", "smart", ("groq/*",))])
    assert found(mine, "fast").strategy == "smart"


def test_a_meta_model_holds_what_its_patterns_name(catalogue):
    assert {i.split("#")[0] for i in ids(found(catalogue, "coding"))} == {
        "groq/openai/gpt-oss-120b",
        "groq/qwen/qwen3.8-27b",
        "nvidia/openai/gpt-oss-20b",
    }


def test_a_meta_model_without_patterns_keeps_what_can_do_all_it_requires(catalogue):
    assert ids(found(catalogue, "with-tools")) == ["ovh/gpt-oss-120b#key-1"]


def test_a_first_segment_that_is_a_provider_pins_to_its_keys(catalogue):
    target = found(catalogue, "groq/openai/gpt-oss-120b")
    assert target.pinned == "groq"
    assert ids(target) == ["groq/openai/gpt-oss-120b#key-1", "groq/openai/gpt-oss-120b#key-2"]


def test_a_family_can_be_pinned_to_a_provider(catalogue):
    assert ids(found(catalogue, "groq/gpt-oss-120b")) == ids(found(catalogue, "groq/openai/gpt-oss-120b"))


def test_an_id_that_repeats_the_providers_name_is_pinned_to_it(catalogue):
    target = found(catalogue, "nvidia/nemotron-3")
    assert (target.pinned, ids(target)) == ("nvidia", ["nvidia/nvidia/nemotron-3#key-1"])


def test_an_id_elsewhere_is_found_though_its_first_segment_is_a_provider_without_it(catalogue):
    target = found(catalogue, "nvidia/nemotron-3:free")
    assert (target.pinned, ids(target)) == (None, ["openrouter/nvidia/nemotron-3:free#key-1"])


def test_an_exact_id_is_found_at_every_provider_that_has_it(catalogue):
    assert ids(found(catalogue, "openai/gpt-oss-20b")) == ["nvidia/openai/gpt-oss-20b#key-1"]


def test_an_id_that_is_a_family_too_means_the_same_weights_everywhere(catalogue):
    assert {c.provider.id for c in found(catalogue, "gpt-oss-120b").candidates} == {"groq", "ovh"}


@pytest.mark.parametrize("name", ["qwen3.8-27b", "QWEN3.8-27B"])
def test_a_family_is_found_in_any_case(catalogue, name):
    assert {c.provider.id for c in found(catalogue, name).candidates} == {"groq", "ovh"}


def test_an_unknown_name_brings_the_nearest_names(catalogue):
    missing = Names(catalogue).resolve("groq/gpt-oss-121b")
    assert isinstance(missing, NotFound)
    assert missing.nearest[0] == "groq/gpt-oss-120b"


def test_a_part_of_a_name_finds_the_names_that_hold_it():
    assert nearest("oss", ["groq/openai/gpt-oss-120b", "gpt-oss-20b", "qwen"]) == (
        "gpt-oss-20b",
        "groq/openai/gpt-oss-120b",
    )
    assert nearest("", ["gpt"]) == ()


def test_misses_are_remembered_within_bounds(catalogue):
    names = Names(catalogue)
    first = names.resolve("nothing-0")
    assert names.resolve("nothing-0") is first
    for number in range(1, 600):
        names.resolve(f"nothing-{number}")
    assert names.resolve("nothing-0") is not first


def test_every_name_resolves_to_itself(catalogue):
    names = Names(catalogue)
    assert {"free", "auto", "coding", "groq/openai/gpt-oss-120b", "nemotron-3"} <= set(names.all())
    assert all(isinstance(names.resolve(name), Target) for name in names.all())


@given(name=st.text(max_size=400))
def test_any_text_resolves_or_is_told_apart(name):
    names = Names(catalogue_of([provider("groq", model("openai/gpt-oss-120b"))], []))
    answer = names.resolve(name)
    assert isinstance(answer, Target) or len(answer.name) <= 128


def test_a_pattern_whose_first_segment_is_a_provider_names_no_other(catalogue):
    elsewhere = next(c for c in catalogue.candidates if c.provider.id == "openrouter")
    assert not matches("nvidia/*", elsewhere, catalogue.providers)
    assert matches("nvidia/*", elsewhere, {})
    assert matches("openrouter/*", elsewhere, catalogue.providers)
    assert matches("openrouter/nemotron-3", elsewhere, catalogue.providers)
    assert matches("nemotron-3", elsewhere, catalogue.providers)


def test_without_providers_the_meta_models_are_there_and_empty():
    assert found(catalogue_of([], []), "free").candidates == ()


def test_the_tag_that_ollamas_clients_put_behind_a_name_means_nothing(catalogue):
    names = Names(catalogue)
    assert names.resolve("free:latest") is names.resolve("free")
    assert isinstance(names.resolve("nothing:latest"), NotFound)
