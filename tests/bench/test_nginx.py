"""Where the tools of development are not installed, the benchmarks go without TLS and say what brings it."""

import subprocess
import sys

import pytest

from bench import nginx
from bench.processes import ROOT, NotHere, Upstream

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the benchmarks need Linux")

HELP = """
import sys
sys.modules["trustme"] = None
from bench.__main__ import main
main(["--help"])
"""


def test_what_makes_certificates_is_told_to_be_missing_and_how_it_comes(monkeypatch):
    monkeypatch.setitem(sys.modules, "trustme", None)  # as if it were not installed
    ours = nginx.over_tls(Upstream((9,), "C"))
    with pytest.raises(NotHere, match=r"^trustme: not installed \(make bench does it\)$"), ours:
        pytest.fail("nothing speaks TLS")


def test_the_help_needs_no_certificates():
    told = subprocess.run([sys.executable, "-c", HELP], cwd=ROOT, capture_output=True, check=False)
    assert (told.returncode, told.stderr) == (0, b"")
    assert told.stdout.startswith(b"usage: python -m bench")
