"""The command line as people meet it: in an empty directory, with nothing set."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest
from click.testing import CliRunner

from freeroute.__main__ import cli

ROOT = Path(__file__).parents[2]
_OURS = re.compile(r"FREEROUTE_.*|PORT|NO_COLOR|OLLAMA_.*|HF_TOKEN|.*_(API_KEY|API_TOKEN|ACCESS_TOKEN)")


@pytest.fixture(autouse=True)
def _bare(monkeypatch, tmp_path):
    for name in [name for name in os.environ if _OURS.fullmatch(name)]:
        monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(home)


@pytest.fixture(autouse=True)
def _interruptible():
    """Let Ctrl-C end what is started, also where a shell runs the tests in its background and ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def run():
    """Run a command in this process; gives its exit code, stdout and stderr."""
    return lambda *args, **given: CliRunner().invoke(cli, args, catch_exceptions=False, **given)


@contextmanager
def process(*args: str, directory: Path, **given) -> Iterator[subprocess.Popen[str]]:
    """Run a command as a process of its own; it is ended on the way out."""
    env = {"PATH": os.environ["PATH"], "HOME": str(directory), "PYTHONPATH": str(ROOT)}
    given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **given}
    with subprocess.Popen(
        [sys.executable, "-m", "freeroute", *args], cwd=directory, env=env | given.pop("env", {}), **given
    ) as started:
        try:
            yield started
        finally:
            started.kill()


def lines_of(started: subprocess.Popen[str]) -> IO[str]:
    """Return its stdout, to be read line by line."""
    assert started.stdout is not None
    return started.stdout


def url_of(started: subprocess.Popen[str]) -> str:
    """Return where a gateway listens, as soon as it says so."""
    for line in lines_of(started):
        if found := re.fullmatch(r"API +(http://\S+)/v1", line.strip()):
            return found[1]
    raise AssertionError(started.communicate()[1])
