"""A gateway that is killed under load, on a database that other processes serve."""

import subprocess
import sys
from pathlib import Path

from tests.support.postgres import postgres

ROOT = Path(__file__).parents[2]


def test_kills_under_load_cost_a_second_at_most_and_nothing_is_stored_twice_in_postgres():
    with postgres() as url:
        command = [sys.executable, "-m", "bench", "kills", "--kills", "5", "--url", url]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
