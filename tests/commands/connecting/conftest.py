"""A gateway to point clients at, as `freeroute setup` and `freeroute run` ask it."""

from collections.abc import Sequence

import pytest
import respx

GATEWAY = "http://127.0.0.1:3000"


def entry(
    name: str,
    context: int | None = 131_072,
    output: int | None = None,
    *,
    meta: bool = False,
    takes: Sequence[str] = ("text",),
    gives: str = "text",
    available: bool = True,
    back_at: float | None = None,
) -> dict[str, object]:
    """Return what a gateway's list says of a model that reads *context* tokens and writes *output*."""
    return {
        "id": name,
        "context_length": context,
        "top_provider": {"max_completion_tokens": output},
        "architecture": {"input_modalities": [*takes], "output_modalities": [gives]},
        "freeroute": {"available": available, "back_at": back_at} | ({"meta": True} if meta else {}),
    }


MODELS = {
    "data": [*(entry(name, meta=True) for name in ("free", "free-fast", "free-smart")), entry("groq/m", None)]
}


@pytest.fixture
def gateway():
    with respx.mock(assert_all_called=False) as router:
        router.get(f"{GATEWAY}/v1/models").respond(json=MODELS)
        yield router
