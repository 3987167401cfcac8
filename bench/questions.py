"""The same short turn in the words of every API: what a client sends, as raw HTTP."""

from collections.abc import Mapping
from typing import Any

import msgspec

from bench.processes import LOOPBACK

_SYSTEM = "You are a concise assistant."
_USER = "Explain in three sentences why the sky is blue."
_MOST = 1000  # tokens of an answer; Anthropic's clients have to say


def _chat(model: str, *, stream: bool) -> tuple[str, Mapping[str, Any]]:
    messages = [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": _USER}]
    return "/v1/chat/completions", {"model": model, "messages": messages, "stream": stream}


def _completions(model: str, *, stream: bool) -> tuple[str, Mapping[str, Any]]:
    return "/v1/completions", {"model": model, "prompt": _USER, "stream": stream}


def _responses(model: str, *, stream: bool) -> tuple[str, Mapping[str, Any]]:
    said = {"instructions": _SYSTEM, "input": _USER}
    return "/v1/responses", {"model": model, **said, "store": False, "stream": stream}


def _anthropic(model: str, *, stream: bool) -> tuple[str, Mapping[str, Any]]:
    said = {"system": _SYSTEM, "messages": [{"role": "user", "content": _USER}]}
    return "/v1/messages", {"model": model, "max_tokens": _MOST, **said, "stream": stream}


def _ollama(model: str, *, stream: bool) -> tuple[str, Mapping[str, Any]]:
    return "/api/chat", _chat(model, stream=stream)[1]


def _gemini(model: str, *, stream: bool) -> tuple[str, Mapping[str, Any]]:
    way = "streamGenerateContent?alt=sse" if stream else "generateContent"
    said = {"role": "user", "parts": [{"text": _USER}]}
    asked = {"systemInstruction": {"parts": [{"text": _SYSTEM}]}, "contents": [said]}
    return f"/v1beta/models/{model}:{way}", asked


_APIS = {
    "chat completions": _chat,
    "completions": _completions,
    "responses": _responses,
    "anthropic": _anthropic,
    "ollama": _ollama,
    "gemini": _gemini,
}
APIS = tuple(_APIS)
NATIVE = "chat completions"


def question(api: str, model: str, key: str, *, stream: bool) -> bytes:
    """Return a request of *api*, head and body, about what a short turn of a client sends."""
    path, asked = _APIS[api](model, stream=stream)
    body = msgspec.json.encode(asked)
    head = [
        f"POST {path} HTTP/1.1",
        f"host: {LOOPBACK}",
        "content-type: application/json",
        f"content-length: {len(body)}",
        f"authorization: Bearer {key}",
    ]
    return "\r\n".join([*head, "", ""]).encode() + body
