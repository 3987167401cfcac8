"""A server on loopback that answers each path as a test says."""

import contextlib
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


class Answering:
    """*answers* are by path, *asked* is what came: its path and headers, and beside it its body."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.bodies: list[bytes] = []
        self.url = ""


@contextlib.contextmanager
def answering(**answers: Any) -> Iterator[Answering]:
    """Answer ``/name`` for each of *answers*: a JSON value, or a triple of status, value and headers."""
    played = Answering({name.replace("__", "/"): answer for name, answer in answers.items()})

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            played.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
            played.bodies.append(self.rfile.read(int(self.headers.get("content-length", "0"))))
            answer = played.answers.get(self.path.strip("/").removeprefix("v1/") or "front", (404, {}, {}))
            status, value, headers = answer if isinstance(answer, tuple) else (200, answer, {})
            body = value.encode() if isinstance(value, str) else json.dumps(value).encode()
            self.send_response_only(status)
            for name, text in {"content-length": str(len(body)), **headers}.items():
                self.send_header(name, text)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - as http.server calls it

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        played.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield played
        finally:
            server.shutdown()
