"""What models are asked to do, and which capability a model needs for it."""

from enum import StrEnum


class Task(StrEnum):
    """What a call is for."""

    CHAT = "chat"
    COMPLETIONS = "completions"
    EMBEDDINGS = "embeddings"
    RERANK = "rerank"
    IMAGE = "image"
    TRANSCRIPTION = "transcription"
    TRANSLATION = "translation"
    SPEECH = "speech"
    MODERATION = "moderation"

    @property
    def capability(self) -> str | None:
        """Return what a model has to be able to do; None for chat, which is what models are for."""
        return _CAPABILITIES.get(self)

    @property
    def is_text(self) -> bool:
        """Say whether it is a text that is asked for, a piece at a time: a chat or what goes by its rules."""
        return self in (Task.CHAT, Task.COMPLETIONS)


_CAPABILITIES = {
    Task.COMPLETIONS: "completions",
    Task.EMBEDDINGS: "embeddings",
    Task.RERANK: "rerank",
    Task.IMAGE: "image_output",
    Task.TRANSCRIPTION: "transcription",
    Task.TRANSLATION: "transcription",
    Task.SPEECH: "speech",
    Task.MODERATION: "moderation",
}

APART = frozenset(_CAPABILITIES.values())
"""Capabilities of models that may be for nothing else."""

TALKS = frozenset({"chat", "tools", "json_object", "json_schema", "reasoning"})
"""Capabilities that only models for chat have, whatever else they do."""


def talks(capabilities: frozenset[str]) -> bool:
    """Say whether a model with these *capabilities* is one for chat, whatever else it does."""
    return not capabilities & APART or bool(capabilities & TALKS)


DIMENSIONS = "dimensions"
"""The capability of making vectors as long as a call says."""

SECONDS = {Task.IMAGE: 120.0, Task.TRANSCRIPTION: 120.0, Task.TRANSLATION: 120.0, Task.SPEECH: 60.0}
"""How many seconds an answer is waited for at the least, by tasks that take long. Own design: a picture takes
a minute where many want one, and so does an hour of sound."""
