"""How many files a process may open, and how many it takes leave to."""

import subprocess
import sys

import pytest

pytest.importorskip("resource")

_ALLOWED = """
import resource
from freeroute.open_files import allow_many, could_open, may_open
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
print(may_open(), could_open())
allow_many()
print(may_open(), could_open())
"""
_UNCOUNTED = """
import sys
sys.modules["resource"] = None  # as where there is none
from freeroute.open_files import allow_many, could_open, may_open
allow_many()
print(may_open(), could_open())
"""
_WITHOUT_BOUND = """
import resource
resource.getrlimit = lambda which: (resource.RLIM_INFINITY,) * 2
resource.setrlimit = None  # there is nothing to ask for
from freeroute.open_files import allow_many, could_open, may_open
allow_many()
print(may_open(), could_open())
"""


def said(code: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


@pytest.mark.parametrize(("soft", "hard"), [(256, 900), (900, 900), (64, 64)])
def test_a_process_takes_all_the_files_that_it_may_open(soft, hard):
    assert said(_ALLOWED.format(soft=soft, hard=hard)) == [f"{soft} {hard}", f"{hard} {hard}"]


@pytest.mark.parametrize("code", [_UNCOUNTED, _WITHOUT_BOUND])
def test_where_nobody_counts_files_there_is_nothing_to_take(code):
    assert said(code) == ["inf inf"]
