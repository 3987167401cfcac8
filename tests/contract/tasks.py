"""Tasks other than chat, as they are asked for and answered."""

import json
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from tests.contract.speaking import Posted
from tests.support.provider import Reply, whole

ALPHA_FIRST = {"order": ["alpha", "beta"]}
SOUND = b"RIFF\x00\xff\r\n--y\r\n" * 20


class Asked(Struct, frozen=True):
    """A task at *path*: the *capability* it needs, what it is *asked* with, and an *answer* of a provider.

    *surface* names it in receipts, *form* says that it is asked for with a form. *is_told* says whether a
    body is what callers get of the answer.
    """

    surface: str
    path: str
    capability: str
    asked: dict[str, Any]
    answer: Reply
    is_told: Callable[[bytes], bool]
    form: bool = False
    tokens: int | None = None

    def post(self, model: str = "large", **more: Any) -> Posted:
        """Return the request for *model*."""
        fields = {"model": model, **self.asked, "provider": ALPHA_FIRST, **more}
        if not self.form:
            return Posted(self.path, json.dumps(fields).encode(), {"content-type": "application/json"})
        texts = {name: one if isinstance(one, str) else json.dumps(one) for name, one in fields.items()}
        parts = [f'content-disposition: form-data; name="{name}"\r\n\r\n{one}' for name, one in texts.items()]
        head = b'content-disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
        pieces = [*(part.encode() for part in parts), head + SOUND]
        body = b"".join(b"--xyz\r\n" + piece + b"\r\n" for piece in pieces) + b"--xyz--\r\n"
        return Posted(self.path, body, {"content-type": 'multipart/form-data; boundary="xyz"'})


def told(body: Any) -> Reply:
    """Return a provider's answer of this JSON."""
    return whole(json.dumps(body).encode())


def has(name: str, value: Any) -> Callable[[bytes], bool]:
    """Return what says whether a body has this under the *name*."""
    return lambda body: bool(json.loads(body)[name] == value)


USAGE = {"prompt_tokens": 5, "total_tokens": 5}
VECTOR = {"object": "embedding", "index": 0, "embedding": [0.5, -1.0]}
PICTURE = {"b64_json": "AAAA"}
VERDICT = {"flagged": False, "categories": {}, "category_scores": {}}
RANKED = {"index": 0, "relevance_score": 0.5}

TASKS = [
    Asked(
        "embeddings",
        "/v1/embeddings",
        "embeddings",
        {"input": "Hello!"},
        told({"object": "list", "data": [VECTOR], "model": "m", "usage": USAGE}),
        has("data", [VECTOR]),
        tokens=5,
    ),
    Asked(
        "rerank",
        "/v1/rerank",
        "rerank",
        {"query": "Hello?", "documents": ["Hello!"]},
        told({"results": [RANKED], "usage": USAGE}),
        has("results", [RANKED]),
        tokens=5,
    ),
    Asked(
        "images",
        "/v1/images/generations",
        "image_output",
        {"prompt": "Hello!"},
        told({"created": 1, "data": [PICTURE]}),
        has("data", [PICTURE]),
    ),
    Asked(
        "moderations",
        "/v1/moderations",
        "moderation",
        {"input": "Hello!"},
        told({"id": "m1", "model": "m", "results": [VERDICT]}),
        has("results", [VERDICT]),
    ),
    Asked(
        "audio",
        "/v1/audio/transcriptions",
        "transcription",
        {"language": "en"},
        told({"text": "Hello!"}),
        has("text", "Hello!"),
        form=True,
    ),
    Asked(
        "audio",
        "/v1/audio/translations",
        "transcription",
        {},
        told({"text": "Hello!"}),
        has("text", "Hello!"),
        form=True,
    ),
    Asked(
        "audio",
        "/v1/audio/speech",
        "speech",
        {"input": "Hello!", "voice": "v"},
        whole(SOUND, kind=b"audio/mpeg"),
        lambda body: body == SOUND,
    ),
]
