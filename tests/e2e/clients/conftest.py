"""What every client's tests need: where the gateway is, and a hand on the providers behind it.

Imported in each client's own environment, so from the standard library and pytest alone.
"""

import json
import os
import time
import urllib.request
from typing import Any

import pytest

# A dot, as a PNG in base64, and how many tokens the simulated providers take any picture for.
PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
TOKENS_OF_A_PICTURE = 258
PATIENCE = 5.0  # seconds in which what should happen at once must have happened


class Stage:
    """The gateway under test. ``alpha`` is asked first, ``beta`` when it fails."""

    picture = PICTURE

    def __init__(self) -> None:
        self.url = f"{os.environ['GATEWAY_URL']}/v1"
        self._simulated = os.environ["SIMULATED_URL"]
        self._admin = {"authorization": f"Bearer {os.environ['ADMIN_KEY']}"}

    def reset(self) -> None:
        """Let providers answer well and at once, and forget what happened to them."""
        for name in ("groq", "cerebras"):
            self.steer(name, always=None, speed={"first_token": 0, "tokens_per_second": 0})
        for name in ("alpha", "beta"):
            self._http(f"{self.url}/status/providers/{name}/reset", {}, self._admin)

    def steer(self, name: str, **orders: Any) -> None:
        """Tell the simulated provider *name* how to answer."""
        self._http(f"{self._simulated}/_script/{name}", orders)

    def slow(self) -> None:
        """Let streams take their time: a token every 50 ms."""
        self.steer("groq", speed={"first_token": 0.05, "tokens_per_second": 20})

    def left_behind(self) -> bool:
        """Say whether the last call was cut short for a caller who left; fails if it still goes on."""
        deadline = time.monotonic() + PATIENCE
        while (seen := self._http(f"{self._simulated}/_calls/groq"))["open"]:
            assert time.monotonic() < deadline, "the upstream call goes on although the caller left"
            time.sleep(0.02)
        return bool(seen["calls"][-1]["aborted"])

    def showed_a_picture(self) -> bool:
        """Say whether a provider took the last request for one with a picture."""
        return bool(self.last()["tokens"]["prompt"] > TOKENS_OF_A_PICTURE)

    def last(self) -> Any:
        """Return what the gateway keeps of the last request."""
        return self._http(f"{self.url}/status", headers=self._admin)["requests"][0]

    def _http(self, url: str, body: Any = None, headers: dict[str, str] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        asked = urllib.request.Request(url, data, {"content-type": "application/json", **(headers or {})})
        with urllib.request.urlopen(asked, timeout=PATIENCE) as answer:
            return json.load(answer)


@pytest.fixture
def stage() -> Stage:
    """The gateway, with its providers in good health."""
    stage = Stage()
    stage.reset()
    return stage
