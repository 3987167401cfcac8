"""What the upstream says, as it goes over the wire: made once, so that answering is only writing."""

import json
from pathlib import Path

_TEXT = (
    "Free capacity is only free while somebody uses it; what regenerates at midnight is worth nothing after. "
)
_NAME = {"id": "chatcmpl-0123456789abcdef", "created": 1760000000, "model": "m"}
_USAGE = {"prompt_tokens": 12, "completion_tokens": 40, "total_tokens": 52}


def payloads() -> dict[str, bytes]:
    """Return the pieces of both kinds of answer by their names."""
    return {
        "answer": _answer(),
        "head": _head() + _event({"role": "assistant", "content": "Free"}),
        "event": _event({"content": " capacity"}),
        "last": _event({}, "stop") + _usage() + _chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n",
    }


def write(directory: Path) -> None:
    """Write each piece into a file of its name."""
    for name, content in payloads().items():
        (directory / name).write_bytes(content)


def _answer() -> bytes:
    message = {"role": "assistant", "content": _TEXT * 3}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    body = json.dumps({**_NAME, "object": "chat.completion", "choices": [choice], "usage": _USAGE}).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
        len(body),
        body,
    )


def _head() -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def _event(delta: dict[str, str], finish: str | None = None) -> bytes:
    return _data({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})


def _usage() -> bytes:
    return _data({"choices": [], "usage": _USAGE})


def _data(content: dict[str, object]) -> bytes:
    chunk = {**_NAME, "object": "chat.completion.chunk", **content}
    return _chunk(b"data: %b\n\n" % json.dumps(chunk).encode())


def _chunk(content: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(content), content)
