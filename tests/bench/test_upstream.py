"""The mock upstream of the benchmarks, in C and in Python: both must say the same, and say it whole."""

import json
import shutil
import socket

import httptools
import pytest

from bench.processes import LOOPBACK, chat_request, upstream
from bench.upstream.payloads import payloads
from tests.support.patience import PATIENCE

EVENTS = 5
IN_C = pytest.param(
    True, marks=pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler"), id="c"
)


class Reading:
    """Parses one answer."""

    def __init__(self) -> None:
        self.body = b""
        self.is_whole = False
        self.parser = httptools.HttpResponseParser(self)

    def on_body(self, body):
        self.body += body

    def on_message_complete(self):
        self.is_whole = True

    def feed(self, data) -> "Reading":
        self.parser.feed_data(data)
        return self


def answers(port, *requests, at_once=False) -> list[bytes]:
    """Send *requests* over one connection and return the bodies of their answers."""
    bodies = []
    with socket.create_connection((LOOPBACK, port), timeout=PATIENCE) as connection:
        for request in requests:
            pieces = [request[:20], request[20:]] if not at_once else [request]
            for piece in pieces:
                connection.sendall(piece)
            reading = Reading()
            while not reading.is_whole:
                reading.feed(connection.recv(65536))
            assert reading.parser.get_status_code() == 200
            bodies.append(reading.body)
    return bodies


@pytest.fixture(params=[IN_C, pytest.param(False, id="python")])
def ports(request):
    with upstream(EVENTS, 0.001, 2, compiled=request.param) as running:
        yield running.ports


def test_a_kept_connection_gets_one_whole_completion_after_the_other(ports):
    for port in ports:
        first, second = answers(port, chat_request(port, "m"), chat_request(port, "m"))
        assert first == second
        assert json.loads(first)["choices"][0]["finish_reason"] == "stop"


def test_a_stream_has_all_its_events_and_its_connection_can_be_used_again(ports):
    stream, after = answers(ports[0], chat_request(ports[0], "m", stream=True), chat_request(ports[0], "m"))
    payload = [event.removeprefix(b"data: ") for event in stream.split(b"\n\n") if event]
    content = [json.loads(event)["choices"] for event in payload[:EVENTS]]
    assert all(choices[0]["delta"]["content"] for choices in content)
    assert json.loads(payload[-2])["usage"]["total_tokens"] == 52
    assert payload[-1] == b"[DONE]"
    assert json.loads(after)["object"] == "chat.completion"


def test_the_answer_is_about_as_long_as_a_short_turn():
    reading = Reading().feed(payloads()["answer"])
    assert reading.is_whole
    assert 500 < len(reading.body) < 700
