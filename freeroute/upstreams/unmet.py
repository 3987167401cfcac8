"""What a whole answer lacks of what was asked for: some providers take a field and pass over it."""

from typing import Any

import msgspec

from freeroute.wire.chat import ChatCall


def unmet(call: ChatCall, body: bytes) -> tuple[str, ...]:
    """Return the fields of *call* that its whole answer *body* does not honour: ``n`` and ``logprobs``."""
    if call.features.isdisjoint(("n", "logprobs")):
        return ()
    choices = msgspec.json.decode(body)["choices"]
    lost = []
    if "logprobs" in call.features and not all(map(_has_logprobs, choices)):
        lost.append("logprobs")
    if "n" in call.features and len(choices) < call.choices:
        lost.append("n")
    return tuple(lost)


def _has_logprobs(choice: dict[str, Any]) -> bool:
    """Say whether *choice* has them, or no text that they could be of."""
    return bool(choice.get("logprobs")) or not (choice.get("message") or {}).get("content")
