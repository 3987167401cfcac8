"""Vectors as simulated providers make them: texts with words in common are near, and always the same."""

import base64
import hashlib
import math
import re
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from freeroute.upstreams.simulated.course import Scene, plain
from freeroute.upstreams.simulated.limits import Meter
from freeroute.upstreams.simulated.pace import Script
from freeroute.upstreams.simulated.shapes import Problem, Request

LENGTHS = {"gemini-embedding-001": 3072, "mistral-embed": 1024}
"""How long vectors are by the models that make them, and only these do."""

_WORD = re.compile(r"\w+")


def served(scene: Scene, request: Request) -> Script | None:
    """Return how *request* ends if it is one for vectors; None if it is another."""
    dialect = scene.dialect
    if (request.method, request.path) != ("POST", f"{dialect.base_path}/embeddings"):
        return None
    try:
        if not scene.accepted:
            return _refused(scene, Problem("bad_key" if request.key else "no_key"))
        body = msgspec.json.decode(request.body, type=dict[str, Any])
        name = str(body.get("model")).removeprefix("models/")
        if name not in LENGTHS or name not in scene.models:
            return _refused(scene, Problem("model_gone", model=name))
        told, tokens = answer(body, name)
    except (msgspec.DecodeError, RecursionError, TypeError, ValueError):
        return _refused(scene, Problem("malformed", param="input", text="input: not what this route takes"))
    rules = (*scene.models[name].rules, *scene.account_rules)
    costs = {"requests": 1.0, "tokens": float(tokens), "input_tokens": float(tokens)}
    meter = Meter(scene.ledger, rules, name, scene.now)
    if (refusal := scene.ledger.refusal(rules, name, costs, scene.now)) is not None:
        return _refused(scene, Problem("quota", model=name, refusal=refusal), meter)
    scene.ledger.charge(rules, name, costs, scene.now)
    return plain(200, told, dialect.json_type, dialect.rate_headers(meter))


def _refused(scene: Scene, problem: Problem, meter: Meter | None = None) -> Script:
    dialect = scene.dialect
    headers = dialect.error_headers(problem, meter)
    return plain(*dialect.error(problem, meter), dialect.json_type, headers)


def answer(body: Mapping[str, Any], model: str) -> tuple[dict[str, Any], int]:
    """Return what *model* answers to *body*, and the tokens it took; raises ValueError without an input."""
    given = body.get("input")
    texts = given if isinstance(given, list) else [given]
    if not texts or not all(isinstance(text, str) and text for text in texts):
        raise ValueError("input")
    length = int(body.get("dimensions") or LENGTHS[model])
    packed = body.get("encoding_format") == "base64"
    tokens = sum(max(1, len(str(text)) // 4) for text in texts)
    data = [
        {"object": "embedding", "index": index, "embedding": _told(vector(text, length), packed=packed)}
        for index, text in enumerate(texts)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": model, "usage": usage}, tokens


def vector(text: str, length: int) -> list[float]:
    """Return the vector of *text*, of length 1: each word counts at a place of its own."""
    numbers = [0.0] * length
    for word in _WORD.findall(text.lower()) or [text]:
        place = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest())
        numbers[place % length] += 1.0 if place >> 63 else -1.0
    size = math.sqrt(sum(number * number for number in numbers)) or 1.0
    return [number / size for number in numbers]


def _told(numbers: Sequence[float], *, packed: bool) -> Any:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode() if packed else numbers
