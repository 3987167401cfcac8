"""What a process that serves takes of the system."""

import subprocess
import sys

import pytest

pytest.importorskip("resource")

_ALLOWED = """
import resource
from freeroute.serving import allow_many_files
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
allow_many_files()
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(
    ("soft", "hard", "told"),
    [(256, 900, "900 900"), (900, 900, "900 900"), (64, 64, "64 64")],
)
def test_a_gateway_takes_all_the_files_that_it_may_open(soft, hard, told):
    code = _ALLOWED.format(soft=soft, hard=hard)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == told.split()
