"""A caller of one API, a gateway, and providers that are played."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.contract.speaking import Heard, Question, Speaker
from tests.faults.scene import Scene

# What every API is asked besides, so that alpha comes first: it has the better model.
SMART = "free-smart"


class Talk:
    """What one caller asks, in its API, and the last reply."""

    def __init__(self, scene: Scene, speaker: Speaker) -> None:
        self.scene = scene
        self.speaker = speaker
        self.status = 0
        self.headers: Mapping[str, str] = {}
        self.body = b""

    async def ask(self, headers: dict[str, str] | None = None, **asked: Any) -> Heard:
        """Ask, read to the end, and return what was understood."""
        question = Question(**{"model": SMART, **asked})
        if question.stream:
            needs(self.speaker, "streams")
        posted = self.speaker.post(question)
        reply = await self.scene.gateway.http.post(
            posted.path, content=posted.body, headers={**posted.headers, **(headers or {})}
        )
        self.status, self.headers, self.body = reply.status_code, reply.headers, reply.content
        return self.speaker.hear(self.status, self.headers, self.body, stream=question.stream)

    def sent(self, provider: str = "alpha") -> Any:
        """Return the body of the last call that *provider* got."""
        return json.loads(self.scene.providers[provider].calls[-1].body)


def needs(speaker: Speaker, *words: str) -> None:
    """Leave a test out for an API that has no words for what it is about."""
    if missing := speaker.cannot & set(words):
        pytest.skip(f"{speaker.name} has no words for {', '.join(sorted(missing))}")
