"""What of a request is not honoured: not taken by its provider, or passed over in the answer."""

from collections.abc import Sequence
from typing import Any

import msgspec

from freeroute.domain.outcome import IN_MESSAGES, Kind, Outcome
from freeroute.wire.chat import ChatCall


def may_lack(call: ChatCall) -> bool:
    """Say whether *call* asks for ``n`` or ``logprobs``."""
    return bool(call.features) and not call.features.isdisjoint(("n", "logprobs"))


def unmet(call: ChatCall, body: bytes) -> tuple[str, ...]:
    """Return the fields of *call* that its whole answer *body* does not honour: ``n`` and ``logprobs``."""
    if not may_lack(call):
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


def insisted_on(call: ChatCall, lost: Sequence[str]) -> str | None:
    """Return the first field of *lost* that *call* would rather have no answer than go without.

    Lost may be its value (``temperature=1.5``), or a member of each message (``messages[].name``).
    """
    for told in lost:
        name = told.partition("=")[0]
        if name in call.parameters or (call.preferences.require_parameters and name.startswith(IN_MESSAGES)):
            return name
    return None


def not_taken(field: str, told: str, status: int | None = None) -> Outcome:
    """Return the ending of a call whose *field* is not taken there; without *status* it was not sent."""
    sent = status is not None
    param = "messages" if field.startswith(IN_MESSAGES) else field
    return Outcome(Kind.BAD_PARAMETER, status, told, param=param, counted=sent, request_error=told)


class Lacking:
    """Watches a stream for what of ``n`` and ``logprobs`` it does not honour, so that its last chunk says so.

    Which chunk is the last nobody knows before the end, so one that may be it is kept back until the next
    comes: none while a choice that has begun goes on.
    """

    def __init__(self, call: ChatCall) -> None:
        """Watch the answer to *call*."""
        self._call = call
        self._begun: set[int] = set()
        self._finished: set[int] = set()
        self._texts: set[int] = set()
        self._measured: set[int] = set()
        self._speaks = False  # and does not only think
        self._kept: bytes | None = None

    def take(self, chunk: bytes) -> list[bytes]:
        """Take the next *chunk* as the caller is to get it; return what may leave by now."""
        for choice in msgspec.json.decode(chunk)["choices"]:
            self._note(choice)
        known = [chunk] if self._kept is None else [self._kept, chunk]
        self._kept = known.pop() if self._begun == self._finished else None
        return known

    @property
    def is_unproven(self) -> bool:
        """Say whether the stream may still turn out not to honour what the caller insists on.

        Its first words show whether they have logprobs, and each choice that there are so many.
        """
        insisted = self._call.features.intersection(self._call.parameters)
        silent = "logprobs" in insisted and not self._speaks
        return silent or ("n" in insisted and len(self._begun) < self._call.choices)

    def rest(self) -> tuple[bytes, ...]:
        """Return what was kept back, which says what the stream lacks: the end has come."""
        if self._kept is None:
            return ()
        kept, self._kept = self._kept, None
        lost = self.lost(over=True)
        if not lost:
            return (kept,)
        return (msgspec.json.encode({**msgspec.json.decode(kept), "freeroute": {"dropped": lost}}),)

    def lost(self, *, over: bool) -> tuple[str, ...]:
        """Return the fields that are not honoured as far as the stream has come, or now that it is *over*."""
        lost = []
        if "logprobs" in self._call.features and self._texts - self._measured:
            lost.append("logprobs")
        if over and "n" in self._call.features and len(self._begun) < self._call.choices:
            lost.append("n")
        return tuple(lost)

    def _note(self, choice: dict[str, Any]) -> None:
        index = choice["index"]
        self._begun.add(index)
        if choice.get("logprobs"):
            self._measured.add(index)
        delta = choice.get("delta") or {}
        if delta.get("content"):
            self._texts.add(index)
        self._speaks = self._speaks or any(delta.get(name) for name in ("content", "tool_calls", "refusal"))
        if choice.get("finish_reason"):
            self._finished.add(index)
