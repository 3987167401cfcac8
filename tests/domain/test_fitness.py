"""What is known beforehand of what a candidate does not take as it is."""

import pytest

from freeroute.domain.catalogue import Quirks
from freeroute.domain.fitness import held_to, left_out
from freeroute.domain.outcome import DROPPABLE, IN_MESSAGES
from tests.support.world import catalogue, model, provider

OTHERS = DROPPABLE - {"stream_options", "seed"}


def candidate(**quirks):
    return catalogue(provider("a", model("Vendor/M"), quirks=Quirks(**quirks))).candidates[0]


@pytest.mark.parametrize(
    ("quirks", "lost"),
    [
        ({}, set()),
        ({"drops": ("seed", "top_k")}, {"seed", "top_k"}),
        ({"drops": ("n", "logprobs", "stream_options")}, set()),
        ({"message_name": False}, {f"{IN_MESSAGES}name"}),
        ({"accepts": ("seed",)}, OTHERS),
        ({"accepts": ("random_seed",), "renames": {"seed": "random_seed"}}, OTHERS),
    ],
)
def test_what_is_left_out_is_known_and_what_keeps_a_request_away_is_not_left_out(quirks, lost):
    assert left_out(candidate(**quirks)) == lost


@pytest.mark.parametrize(
    ("quirks", "known"),
    [
        ({}, {}),
        ({"clamps": {"temperature": (0, 1)}}, {"temperature": (0, 1)}),
        (
            {"efforts": {"other": ("low",), "vendor/*": ("none", "high")}},
            {"reasoning_effort": ("none", "high")},
        ),
        ({"efforts": {"*": ("low",)}, "drops": ("reasoning_effort",)}, {}),
        ({"efforts": {"other": ("low",)}}, {}),
    ],
)
def test_what_values_are_held_to_is_known(quirks, known):
    assert held_to(candidate(**quirks)) == known
