"""docs/status.md fixes the shape of the status: its example is whole, and each field in it is explained."""

import json
import re
from pathlib import Path

import pytest

from freeroute.domain.outcome import Kind

PAGE = (Path(__file__).parents[2] / "docs" / "status.md").read_text()
STATES = ("healthy", "suspect", "resting", "open", "half-open", "held", "off", "no-key")


@pytest.fixture(scope="module")
def example():
    found = re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert found
    return json.loads(found[1])


def test_every_field_of_the_example_is_explained(example):
    explained = set(re.findall(r"`(\w+)(?:\[\])?`", PAGE.replace("```", "")))
    assert {name for name in _fields(example) - explained if not name.startswith("x-freeroute-")} == set()


def test_every_state_is_explained():
    assert [state for state in STATES if f"| `{state}` |" not in PAGE] == []


def test_the_example_speaks_of_endings_that_exist(example):
    kinds = {attempt["kind"] for request in example["requests"] for attempt in request["attempts"]}
    kinds |= {one["last_error"]["kind"] for one in example["providers"]}
    assert kinds <= {kind.value for kind in Kind}


def test_the_example_agrees_with_itself(example):
    provider, request = example["providers"][0], example["requests"][0]
    assert provider["state"] in STATES
    assert provider["served"] + provider["failed"] == provider["requests"]
    assert provider["last_used"] == request["at"] <= example["now"]


def _fields(value):
    if isinstance(value, dict):
        return set(value) | {name for inner in value.values() for name in _fields(inner)}
    if isinstance(value, list):
        return {name for inner in value for name in _fields(inner)}
    return set()
