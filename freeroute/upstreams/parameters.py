"""Which request parameter a provider's refusal names."""

import re

from msgspec import structs

from freeroute.domain.outcome import BINDING, DROPPABLE, IN_MESSAGES, Outcome
from freeroute.upstreams import wordings
from freeroute.upstreams.complaints import Complaint
from freeroute.wire.chat import ChatCall

_NOT_NAMES = frozenset({"model", "messages", "request", "it", "this", "that", "which", "and", "the"})


def unsupported(said: Complaint) -> str | None:
    """Return the capability *said* misses at this model, as the request field that asks for it."""
    return next((name for name, pattern in wordings.CAPABILITIES if pattern.search(said.message)), None)


def named(said: Complaint) -> str | None:
    """Return the parameter *said* objects to: a field, a member of messages, or None if it names none."""
    for path, is_unknown in said.fields:
        found = _of_path(path, is_unknown=is_unknown)
        if found is not None:
            return found
    capability = unsupported(said)
    if capability is not None:
        return capability
    place = wordings.PLACE.search(said.message)
    if place is not None and not place[1].startswith("messages"):
        return _of_path(place[1], is_unknown=False)
    return _worded(said.message) or _pointed_at(said)


def is_lasting(said: Complaint, param: str) -> bool:
    """Say whether *said* refuses *param* whatever it says: not one value of it, nor its company.

    What only points at it says nothing of that, and is taken for the value.
    """
    if any(is_unknown and _of_path(path, is_unknown=True) == param for path, is_unknown in said.fields):
        return True
    if any(wordings.VALUE.search(text) for text in (said.message, *said.codes)):
        return False
    if param in (unsupported(said), _worded(said.message)):
        return True
    return param == _pointed_at(said) and any(wordings.UNKNOWN.search(code) for code in said.codes)


def as_asked_for(outcome: Outcome, call: ChatCall) -> Outcome:
    """Return *outcome* with what only the *call* tells: which "penalties" it sent, and how many choices."""
    if outcome.param == "n" and not outcome.lasting:
        return structs.replace(outcome, choices=call.choices)
    if outcome.param != wordings.PENALTIES:
        return outcome
    sent = [name for name in ("frequency_penalty", "presence_penalty") if name in call.fields]
    return structs.replace(outcome, param=sent[0] if sent else None)


def _pointed_at(said: Complaint) -> str | None:
    return _of_path(said.param, is_unknown=False) if said.param else None


def _of_path(path: str, *, is_unknown: bool) -> str | None:
    """Return the field *path* leads to; a bad value inside messages is the caller's content, not a field."""
    steps = [step for step in re.split(r"[.\[\]/'\"`]+", path) if step]
    names = [step for step in steps if step.isidentifier()]
    if not names or names[0] == "model":
        return None
    if names[0] == "messages":
        return IN_MESSAGES + names[-1] if is_unknown and len(names) > 1 else None
    return names[0]


def _worded(message: str) -> str | None:
    """Return the field, or member of messages, that the words of *message* refuse."""
    for pattern in wordings.PARAMETERS:
        for match in pattern.finditer(message[:2000]):
            word = match[1].strip(".[]")
            root = _spelt(re.split(r"[.\[]", word)[0])
            if _is_field(root):
                in_messages = root not in _KNOWN and wordings.AT_MESSAGES.search(message)
                return IN_MESSAGES + root if in_messages else root
    return None


def _spelt(word: str) -> str:
    """Return the field that *word* spells: ``frequencyPenalty`` and ``Presence Penalty`` are some too."""
    return _BY_LETTERS.get(re.sub(r"[_ ]", "", word).lower(), word)


def _is_field(word: str) -> bool:
    if word.lower() in _NOT_NAMES:
        return False
    return word in _KNOWN or "_" in word or word in _PLAIN


_KNOWN = BINDING | DROPPABLE
_BY_LETTERS = {name.replace("_", ""): name for name in _KNOWN}
# Fields without an underscore that are met outside OpenAI's own list, and members of messages.
_PLAIN = frozenset(
    {"name", "store", "metadata", "reasoning", "thinking", "modalities", "audio", "prediction"}
)
