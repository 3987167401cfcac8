"""What the doctor looks at: a home, a state directory, settings; and its findings as lines."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from freeroute.stores.state_dir import StateDir
from tests.support.servers import nobody_listens

KEY = "gsk_testtesttesttest1234"
LISTED = {"data": [{"id": "openai/gpt-oss-20b"}]}


@pytest.fixture
def home(tmp_path, monkeypatch) -> Iterator[Path]:
    """Give the user's directory, with a free port in the settings' place."""
    monkeypatch.setenv("FREEROUTE_DISCOVERY__LOCAL", "false")
    with nobody_listens() as free:
        monkeypatch.setenv("PORT", str(free))
        yield tmp_path / "home"


@pytest.fixture
def state(home) -> Path:
    """Give the state directory, as a gateway made it."""
    directory = home / ".local/state/freeroute"
    StateDir(directory).close()
    return directory


@pytest.fixture
def examined(run, home):
    """Run the doctor; gives what it found as lines, and the exit code."""

    def look(*args: str) -> tuple[list[str], int]:
        result = run("doctor", "--json", *args)
        found = json.loads(result.stdout)["findings"]
        return [f"{one['severity']} {one['area']}: {one['what']}" for one in found], result.exit_code

    return look


def settings(home: Path, **content: Any) -> None:
    (home / "freeroute.yaml").write_text(json.dumps(content))
    (home / "freeroute.yaml").chmod(0o600)


def alpha(url: str, **given: Any) -> dict[str, Any]:
    """Return the settings of a provider at *url*."""
    limits = [{"unit": "requests", "amount": 100, "per": "minute"}]
    entry = {"like": "groq", "base_url": f"{url}/v1", "keys": [KEY], "limits": limits}
    return entry | {"models": [{"id": "openai/gpt-oss-20b"}]} | given


def about(lines: list[str], area: str) -> list[str]:
    return [line for line in lines if line.split(": ")[0].endswith(f" {area}")]
