"""Vectors of texts, as Ollama asks for them and answers."""

import msgspec
from msgspec import Struct

from freeroute.clock import Clock
from freeroute.domain.tasks import Task
from freeroute.surfaces.bodies import call_for, parsed, shaped
from freeroute.surfaces.conversing import Asked, Known
from freeroute.surfaces.tasks import AsItIs
from freeroute.wire.answers import usage_of
from freeroute.wire.vectors import as_wanted, vectors_of

_encode = msgspec.json.encode


class Embed(Struct):
    """The body of ``/api/embed``."""

    model: str
    input: str | list[str] | None = None
    dimensions: int | None = None


class Embeddings(Struct):
    """The body of ``/api/embeddings``, which clients of old send."""

    model: str
    prompt: str | None = None


def embed_asked(body: bytes, clock: Clock) -> Asked | Known:
    """Return what *body* asks ``/api/embed``; raises InvalidRequest. Of nothing there are no vectors."""
    asked = shaped(parsed(body), Embed)
    if not asked.input:
        return Known(_encode({"model": asked.model, "embeddings": []}), asked.model)
    bound = {"dimensions": asked.dimensions} if asked.dimensions is not None else {}
    call = call_for(Task.EMBEDDINGS, {"model": asked.model, "input": asked.input, **bound}, {})
    return Asked(call, _Several(asked.model, clock))


def embeddings_asked(body: bytes) -> Asked | Known:
    """Return what *body* asks ``/api/embeddings``; raises InvalidRequest."""
    asked = shaped(parsed(body), Embeddings)
    if not asked.prompt:
        return Known(_encode({"embedding": []}), asked.model)
    fields = {"model": asked.model, "input": asked.prompt}
    return Asked(call_for(Task.EMBEDDINGS, fields, {"input": "prompt"}), _One())


class _Several(AsItIs):
    """Tells the vectors of all texts, and what they took."""

    def __init__(self, model: str, clock: Clock) -> None:
        self._model = model
        self._clock = clock
        self._began = clock.now().mono

    def whole(self, body: bytes) -> bytes:
        """Return the answer *body* in Ollama's words."""
        answer = vectors_of(as_wanted(body, packed=False))
        usage = usage_of(msgspec.json.decode(answer.usage))
        return _encode(
            {
                "model": self._model,
                "embeddings": [one.embedding for one in answer.in_order],
                "total_duration": round((self._clock.now().mono - self._began) * 1e9),
                "load_duration": 0,
                "prompt_eval_count": usage.prompt if usage is not None else 0,
            }
        )


class _One(AsItIs):
    """Tells the vector of one text."""

    def whole(self, body: bytes) -> bytes:
        """Return the answer *body* in Ollama's words of old."""
        [vector] = vectors_of(as_wanted(body, packed=False)).data
        return _encode({"embedding": vector.embedding})
