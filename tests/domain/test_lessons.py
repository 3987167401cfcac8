from freeroute.domain.fitness import willing
from freeroute.domain.needs import Need
from freeroute.domain.outcome import Kind
from freeroute.domain.tokenizers import OTHER, TOKENIZERS, Sizes
from freeroute.domain.usage import Demand
from tests.support.scenes import DEMAND, Scene


def test_only_a_droppable_parameter_is_remembered():
    scene = Scene()
    scene.ended(Kind.BAD_PARAMETER, param="seed")
    scene.ended(Kind.BAD_PARAMETER, param="tools")
    scene.ended(Kind.BAD_PARAMETER, param="user", counted=False)  # it was never sent
    scene.ended(Kind.BAD_PARAMETER, param="logit_bias", lasting=False)  # one caller's value
    scene.ended(Kind.BAD_PARAMETER)
    assert scene.standing.dropped(scene.candidates[0]) == {"seed"}


def test_a_feature_that_is_refused_is_spared_for_a_day_or_until_a_reload():
    scene = Scene()
    first, features = scene.candidates[0], frozenset({"logprobs"})
    for param in ("tools", "max_tokens", "seed"):
        scene.ended(Kind.BAD_PARAMETER, param=param)
        assert not scene.standing.refused(first, frozenset({param}), scene.clock.now())
    scene.ended(Kind.BAD_PARAMETER, param="logprobs")
    assert scene.standing.refused(first, features, scene.clock.now())
    assert not scene.standing.refused(first, frozenset({"n"}), scene.clock.now())
    assert not scene.standing.refused(scene.candidates[2], features, scene.clock.now())
    scene.clock.advance(86400)
    assert not scene.standing.refused(first, features, scene.clock.now())
    scene.ended(Kind.BAD_PARAMETER, param="logprobs")
    scene.standing.retry_verdicts()
    assert not scene.standing.refused(first, features, scene.clock.now())
    scene.ended(Kind.BAD_PARAMETER, param="logprobs")
    scene.standing.keep([])
    assert not scene.standing.refused(first, features, scene.clock.now())


def test_a_number_of_choices_that_is_refused_is_spared_it_and_more_and_no_fewer():
    scene = Scene()
    first, now = scene.candidates[0], scene.clock.now()

    def spared() -> list[int]:
        wanted = frozenset({"n"})
        asked = [Need(targets=(), demand=DEMAND, features=wanted, choices=n) for n in (2, 3, 4, 8)]
        others = [(0, first), (0, scene.candidates[2])]
        return [need.choices for need in asked if len(willing(need, others, scene.standing, now)) == 1]

    scene.ended(Kind.BAD_PARAMETER, param="n", lasting=False, choices=4)
    assert spared() == [4, 8]
    scene.ended(Kind.BAD_PARAMETER, param="n", lasting=False, choices=3)
    assert spared() == [3, 4, 8]
    scene.ended(Kind.BAD_PARAMETER, param="n")
    assert spared() == [2, 3, 4, 8]


def prompt(one: int, others: int | None = None, output: int | None = None) -> Demand:
    """Return a demand that one tokenizer finds so long, and all *others* so long."""
    known = {place: (others or one) if place else one for place in range(len(TOKENIZERS))}
    return Demand(known[OTHER], output, Sizes((0,) * 7, (), 1.0, known=known))


def test_a_prompt_of_whose_text_nothing_is_known_is_held_against_any_other():
    scene = Scene()
    x, now = scene.candidates[0], scene.clock.now()
    scene.standing.learn_context(x, 2000, now)
    scene.standing.learn_overlong(x, Demand(1000), now)
    assert scene.standing.overlong(x, Demand(1000), now)
    assert scene.standing.overlong(x, prompt(1000), now)
    assert not scene.standing.overlong(x, prompt(999), now)
    assert not scene.standing.overlong(x, Demand(999), now)


def test_a_prompt_that_was_too_long_speaks_of_longer_ones_of_its_kind_for_an_hour():
    scene = Scene()
    x, y = scene.candidates[0], scene.candidates[2]
    scene.standing.learn_context(x, 2000, scene.clock.now())
    scene.standing.learn_overlong(x, prompt(1000, 2000, output=10), scene.clock.now())

    def refused(demand: Demand, candidate=x) -> bool:
        return scene.standing.overlong(candidate, demand, scene.clock.now())

    assert refused(prompt(1000, 2000, output=10))
    assert refused(prompt(3000, 6500, output=20))
    assert not refused(prompt(1000, 2000))  # which asks for less
    assert not refused(prompt(999, 2000, output=10))
    assert not refused(Demand(1500, 10))  # nothing is known of its text: to most it may be too short
    assert not refused(prompt(2000, 2000, output=10))  # of another kind
    assert not refused(prompt(1000, 2000, output=10), y)
    scene.clock.advance(3600)
    assert not refused(prompt(1000, 2000, output=10))


def test_a_prompt_that_cannot_be_too_long_teaches_nothing():
    scene = Scene()
    x, now = scene.candidates[0], scene.clock.now()
    for context, small, large in ((2_000, 900, 1_000), (100_000, 40_000, 50_000)):
        scene.standing.learn_context(x, context, now)
        scene.standing.retry_verdicts()
        scene.standing.learn_overlong(x, prompt(small), now)
        assert not scene.standing.overlong(x, prompt(small), now)
        scene.standing.learn_overlong(x, prompt(large), now)
        assert scene.standing.overlong(x, prompt(large), now)


def test_few_prompts_that_were_too_long_are_remembered_and_the_shortest_of_a_kind():
    scene = Scene()
    x, now = scene.candidates[0], scene.clock.now()
    scene.standing.learn_context(x, 2000, now)
    for kind in range(1, 9):
        scene.standing.learn_overlong(x, prompt(1000, 1000 * kind), now)
    for size in (5000, 900, 800):
        scene.standing.learn_overlong(x, prompt(size, 8 * size), now)
    assert scene.standing.overlong(x, prompt(800, 6400), now)
    assert scene.standing.overlong(x, prompt(1000, 2000), now)
    scene.standing.learn_overlong(x, prompt(1000, 9000), now)
    assert not scene.standing.overlong(x, prompt(1000, 1000), now)
    scene.standing.retry_verdicts()
    assert not scene.standing.overlong(x, prompt(1000, 2000), now)
    scene.standing.learn_overlong(x, DEMAND, now)
    scene.standing.keep([])
    assert not scene.standing.overlong(x, DEMAND, now)


def test_what_is_remembered_is_bounded():
    scene = Scene()
    for number in range(100):
        scene.standing.learn_refusal(scene.candidates[0], f"field{number}", scene.clock.now())
    assert len(scene.standing.dropped(scene.candidates[0])) == 32


def test_a_context_is_learned_only_if_it_is_told():
    scene = Scene()
    scene.ended(Kind.CONTEXT_TOO_LONG)
    assert scene.standing.context(scene.candidates[0]) == 100_000
    scene.ended(Kind.CONTEXT_TOO_LONG, context=4096)
    assert scene.standing.context(scene.candidates[0]) == 4096
