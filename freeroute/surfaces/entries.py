"""Entries of the list of models, as the engine tells them: which of them an API offers for what."""

from collections.abc import Sequence
from typing import Any

Entry = dict[str, Any]


def gives(entry: Entry) -> Sequence[str]:
    """Return the words of *entry* for what its model gives."""
    told: Sequence[str] = entry.get("architecture", {}).get("output_modalities", ("text",))
    return told


def chats(entry: Entry) -> bool:
    """Say whether the model of *entry* answers in text, whatever else it does."""
    return "text" in gives(entry)


def embeds(entry: Entry) -> bool:
    """Say whether the model of *entry* makes vectors."""
    return "embeddings" in gives(entry)
