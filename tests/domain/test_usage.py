"""Whether what a provider tells of tokens can be true."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeroute.domain.usage import BESIDE_TEXT, BEYOND_SIGHT, BEYOND_TEXT, Usage, believed, tokens_in

PROMPT = 100
PAGE = 4000
WRITTEN = tokens_in(PAGE)


@pytest.mark.parametrize(
    ("told", "text"),
    [
        (Usage(90, 1000), PAGE),
        (Usage(20_000, 32), PAGE),  # a large hidden prompt, and 128 blanks a token
        (Usage(90, 30_000, reasoning=29_000), PAGE),
        (Usage(90, 0), 0),
        (Usage(90, 1000), 0),  # an image
        (Usage(90, 40, cached=80), 100),
        (Usage(90, BEYOND_TEXT * WRITTEN + BESIDE_TEXT), PAGE),
        (Usage(90, 100_000, reasoning=99_000), 11),
    ],
)
def test_what_can_be_true_is_believed(told: Usage, text: int):
    assert believed(told, PROMPT, text) is told


@pytest.mark.parametrize(
    ("told", "meant"),
    [
        (Usage(0, 0), (PROMPT, WRITTEN)),
        (Usage(0, 1000), (PROMPT, 1000)),
        (Usage(90, 0), (90, WRITTEN)),
        (Usage(90, 31), (90, WRITTEN)),
        (Usage(10**9, 1000), (PROMPT, 1000)),
        (Usage(90, 10**9), (90, WRITTEN)),
        (Usage(90, 2, reasoning=400), (90, WRITTEN)),
        (Usage(90, BEYOND_TEXT * WRITTEN + BESIDE_TEXT + 1), (90, WRITTEN)),
    ],
)
def test_what_cannot_be_is_estimated_and_the_whole_is_marked(told: Usage, meant: tuple[int, int]):
    assert believed(told, PROMPT, PAGE) == Usage(*meant, estimated=True)


def test_a_model_that_thinks_may_hide_its_thoughts():
    told = Usage(90, 100_000)
    assert believed(told, PROMPT, PAGE, thinks=True) is told
    assert believed(told, PROMPT, PAGE).completion == WRITTEN
    assert believed(Usage(90, 2_000_000), PROMPT, PAGE, thinks=True).completion == WRITTEN


def test_parts_that_are_more_than_the_whole_are_left_out():
    assert believed(Usage(90, 1000, cached=91), PROMPT, PAGE) == Usage(90, 1000)
    assert believed(Usage(90, 1000, reasoning=1001), PROMPT, PAGE) == Usage(90, 1000)
    told = Usage(90, 1000, reasoning=1000, cached=90)
    assert believed(told, PROMPT, PAGE) is told


@given(st.builds(Usage, *[st.integers(0, 10**15)] * 4), st.integers(1, 10**6), st.integers(0, 10**7))
def test_whatever_is_told_what_is_charged_is_possible(told: Usage, prompt: int, text: int):
    usage = believed(told, prompt, text)
    assert believed(usage, prompt, text) is usage
    assert usage.prompt > 0
    assert (usage.completion + usage.reasoning > 0) or not text
    assert usage.total <= 100 * (prompt + text + 1) + 2 * BEYOND_SIGHT
