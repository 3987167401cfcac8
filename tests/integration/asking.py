"""What tests of endings have in common: one request that moves on from ``alpha`` to ``beta``."""

from typing import Any

from tests.support.live import MODELS, Live, Shown

# A small question in tokens: the prompt as the gateway estimates it, and its bound on the answer.
PROMPT, BOUND = 6, 8
# What the simulated provider counts of it before the answer, and tells in its rate headers.
COUNTED = 10
# The caller's own order, which comes before every strategy.
ALPHA_FIRST: dict[str, Any] = {"provider": {"order": ["alpha", "beta"]}}


async def moved_on(gateway: Live, stream: bool, ending: str, first: str = "groq", **fields) -> Shown:
    """Ask once: alpha, simulated as *first*, ends like that, and beta answers. Returns how alpha stands."""
    reply = await gateway.ask(stream=stream, **ALPHA_FIRST, **fields)
    assert (reply.status, reply.by, reply.error) == (200, "beta", None)
    assert reply.text.startswith("This is a simulated answer from cerebras")
    assert reply.ended is stream
    assert reply.trail == f"alpha/{MODELS[first]}={ending}"
    assert reply.headers["x-freeroute-attempts"] == "2"
    last = await gateway.last_request()
    assert (last["status"], last["provider"], last["stream"]) == (200, "beta", stream)
    assert [note["provider"] for note in last["attempts"]] == ["alpha", "beta"]
    assert (await gateway.provider("beta")).states == ["healthy"]
    return await gateway.provider("alpha")
