"""Ways that are measured in turns."""

import pytest

from bench.turns import judged, told
from bench.ways import LIMITED, NGINX


def figures(text, name):
    return next(line for line in text.splitlines() if line.startswith(name)).split()[-4:]


def test_each_way_is_held_beside_ours_of_the_same_round():
    # The second round fell into a slow moment of the machine, which is no difference between the ways.
    spent = {LIMITED: [0.4, 0.8, 0.4], "another": [1.2, 2.4, 1.6], "nginx": [0.02, 0.04, 0.02]}
    text = told(spent)
    assert figures(text, "another") == ["1.600", "1.200", "2.400", "3"]
    assert figures(text, "nginx") == ["0.020", "0.020", "0.040", "0.05"]
    assert figures(text, LIMITED) == ["0.400", "0.400", "0.800", "1"]


def test_the_demands_go_by_what_others_took_in_the_same_rounds():
    ours = [0.4, 0.8, 0.4]
    spent = {LIMITED: ours, NGINX: [one / 10 for one in ours], "Portkey": [one * 4 for one in ours]}
    others, budgets = judged(spent)
    portkey = next(line for line in others.splitlines() if line.startswith("Portkey"))
    assert portkey.split()[1:3] == ["1.600", "4.0"]
    assert budgets.splitlines()[2].split()[2:] == ["0.4", "0.22", "0.12", "3.0", "0.652", "0.356", "met"]


def test_a_way_that_missed_a_round_is_no_result():
    with pytest.raises(ValueError, match="argument"):
        told({LIMITED: [0.4, 0.4], "another": [1.0]})
