"""Thought signatures, which Gemini wants back with the tool calls of earlier turns: clients drop them."""

from collections import OrderedDict
from typing import Any

import msgspec
from msgspec import Raw

from freeroute.domain.catalogue import Candidate
from freeroute.engine.ports import Terms

# Documented by Google for conversations whose earlier turns another model answered: it skips the check.
DUMMY_SIGNATURE = "context_engineering_is_the_way_to_go"
KEPT = 16 * 1024 * 1024
"""Bytes that signatures may take, the latest ones. Own design: some thousands of calls of a usual size."""
_BESIDE = 256  # bytes that an entry takes beside its texts


class Signatures:
    """The signatures of tool calls, by who made them for whom and the id of the call; in memory only."""

    def __init__(self) -> None:
        """Know none."""
        self._known: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._size = 0

    def note(self, maker: str, call_id: str, signature: str) -> None:
        """Keep *signature* of the call *call_id* that *maker*, as `maker_of` says, made."""
        place = (maker, call_id)
        if _weight(place, signature) > KEPT:
            return
        self._forget(place)
        self._known[place] = signature
        self._size += _weight(place, signature)
        while self._size > KEPT:
            self._forget(next(iter(self._known)))

    def _forget(self, place: tuple[str, str]) -> None:
        signature = self._known.pop(place, None)
        if signature is not None:
            self._size -= _weight(place, signature)

    def of(self, maker: str, call_id: str) -> str | None:
        """Return the signature of a call that *maker* made, if it is known."""
        found = self._known.get((maker, call_id))
        if found is not None:
            self._known.move_to_end((maker, call_id))
        return found

    def sign(self, message: dict[str, Raw], maker: str) -> bool:
        """Give the tool calls of *message* their signatures for *maker*; say whether anything changed.

        A turn that another model answered, or that is forgotten, gets the dummy, where Google does: on its
        first call.
        """
        calls = msgspec.json.decode(message["tool_calls"]) if "tool_calls" in message else None
        if not isinstance(calls, list) or not all(isinstance(call, dict) for call in calls):
            return False
        if not calls or any(signature_of(call) for call in calls):
            return False
        known = [self.of(maker, call["id"]) if isinstance(call.get("id"), str) else None for call in calls]
        if not any(known):
            known[0] = DUMMY_SIGNATURE
        message["tool_calls"] = Raw(msgspec.json.encode([*map(_signed, calls, known)]))
        return True


def maker_of(candidate: Candidate, terms: Terms) -> str:
    """Return what signatures of *candidate*'s model are kept by: one client's are not another's."""
    return f"{candidate.name} {terms.client}"


def _weight(place: tuple[str, str], signature: str) -> int:
    return sum(map(len, place)) + len(signature) + _BESIDE


def signature_of(call: Any) -> str | None:
    """Return the signature that the tool *call* carries."""
    extra = call.get("extra_content") if isinstance(call, dict) else None
    google = extra.get("google") if isinstance(extra, dict) else None
    found = google.get("thought_signature") if isinstance(google, dict) else None
    return found if isinstance(found, str) and found else None


def _signed(call: dict[str, Any], signature: str | None) -> dict[str, Any]:
    if signature is None:
        return call
    extra = call.get("extra_content")
    extra = extra if isinstance(extra, dict) else {}
    google = extra.get("google")
    google = google if isinstance(google, dict) else {}
    return {**call, "extra_content": {**extra, "google": {**google, "thought_signature": signature}}}
