"""Watching a running gateway in a terminal."""

import contextlib
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import httpx
import pytest
import respx

from tests.commands.conftest import ROOT, process, url_of
from tests.commands.told import GATEWAY, TOLD
from tests.support.patience import PATIENCE

STATUS = f"{GATEWAY}/v1/status"
LAST = "60 s ago: m: HTTP 503"


@pytest.fixture
def gateway():
    with respx.mock(assert_all_called=False) as router:
        yield router


def test_a_snapshot_shows_the_whole_each_provider_and_the_last_requests(run, gateway, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    gateway.get(STATUS).respond(200, json=TOLD)
    result = run("top", "--once")
    assert result.exit_code == 0
    assert [re.sub(r" {2,}", " | ", line.strip()) for line in result.stdout.splitlines()] == [
        f"freeroute 1.2.3 | live | up 2 h | {GATEWAY}",
        "requests 1,234 (1,200 served, 34 failed) | tokens 56,789",
        "",
        "PROVIDER | STATE | FULLEST QUOTA | FIRST | TOTAL | BREAKER | SERVED | FAILED | LAST ERROR",
        "groq | healthy | ████░░░░ | 50% requests/day, back in 3 h | 0.20 s | 0.90 s | closed | 5 | 1 | "
        + LAST,
        "",
        "AGO | STATUS | ASKED | ANSWERED BY | FIRST | TOTAL | TOKENS | CLIENT | TRAIL",
        "2 s | 200 | free-fast | groq/m | 0.21 s | 0.90 s | 10 + 2,000 | alice | cerebras=fault",
    ]


def test_output_that_is_no_terminal_gets_a_snapshot(run, gateway):
    gateway.get(STATUS).respond(200, json=TOLD)
    result = run("top")
    assert (result.exit_code, "groq" in result.stdout, "\x1b" in result.stdout) == (0, True, False)


def test_the_admin_key_is_sent_before_a_clients(run, gateway, monkeypatch):
    asked = gateway.get(STATUS).respond(200, json=TOLD)
    monkeypatch.setenv("FREEROUTE_API_KEY", "fr-client")
    assert run("top", "--once").exit_code == 0
    assert asked.calls.last.request.headers["authorization"] == "Bearer fr-client"
    monkeypatch.setenv("FREEROUTE_ADMIN_KEY", "fa-secret")
    assert run("top", "--once").exit_code == 0
    assert asked.calls.last.request.headers["authorization"] == "Bearer fa-secret"


def test_a_snapshot_of_a_gateway_that_is_away_exits_with_1(run, gateway):
    gateway.get(STATUS).mock(side_effect=httpx.ConnectError("refused"))
    result = run("top", "--once")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"freeroute: no gateway answers at {GATEWAY}")


def test_something_else_at_that_address_is_not_drawn(run, gateway):
    gateway.get(STATUS).respond(200, json={"status": "up"})
    result = run("top", "--once")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "this does not look like a gateway" in result.stderr


class Terminal:
    """A command in a terminal of its own."""

    def __init__(self, *args: str, **env: str) -> None:
        self._ours, theirs = pty.openpty()
        self.shown = ""
        variables = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "PYTHONPATH": str(ROOT)}
        variables |= {"TERM": "xterm", "COLUMNS": "120", "LINES": "30", **env}
        self.started = subprocess.Popen(
            [sys.executable, "-m", "freeroute", *args],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=variables,
            start_new_session=True,
        )
        os.close(theirs)

    def until(self, words: str) -> None:
        """Read until *words* are shown; fail rather than wait for ever."""
        while words not in self.shown:
            assert self._read(), self.shown
        self.shown = self.shown.partition(words)[2]

    def press(self, keys: bytes) -> None:
        os.write(self._ours, keys)

    def end(self) -> int:
        """Wait for its end; gives the exit code."""
        with contextlib.suppress(OSError):
            while self._read():
                pass
        return self.started.wait(PATIENCE)

    def _read(self) -> bool:
        ready, _, _ = select.select([self._ours], [], [], PATIENCE)
        assert ready, self.shown
        data = os.read(self._ours, 65536)
        self.shown += data.decode(errors="replace")
        return bool(data)

    def close(self) -> None:
        self.started.kill()
        self.started.wait()
        os.close(self._ours)


@contextlib.contextmanager
def terminal(*args: str, **env: str) -> Iterator[Terminal]:
    made = Terminal(*args, **env)
    try:
        yield made
    finally:
        made.close()


def test_a_terminal_that_is_dumb_is_told_once():
    with terminal("top", "--url", "http://127.0.0.1:1", TERM="dumb") as top:
        assert top.end() == 1
        assert "http://127.0.0.1:1" in top.shown


def test_it_goes_on_until_q_is_pressed_and_waits_for_a_gateway_that_is_away(tmp_path):
    with process("demo", "--port", "0", directory=tmp_path) as started:
        url = url_of(started)
        with terminal("top", "--url", url) as shown:
            shown.until("PROVIDER")
            httpx.post(
                f"{url}/v1/chat/completions",
                json={"model": "free", "messages": [{"role": "user", "content": "Hi"}]},
                timeout=PATIENCE,
            )
            shown.until("1 served")
            started.kill()
            started.wait()
            shown.until("no gateway answers at")
            shown.press(b"q")
            assert shown.end() == 0
            assert "Traceback" not in shown.shown


def test_ctrl_c_leaves_the_terminal_as_it_was():
    with terminal("top", "--url", "http://127.0.0.1:9", NO_COLOR="1") as shown:
        shown.until("no gateway answers at")
        shown.started.send_signal(signal.SIGINT)
        assert shown.end() == 130
        assert shown.shown.endswith("\x1b[?1049l\x1b[?25h") or "\x1b[?1049l" in shown.shown
        assert "Traceback" not in shown.shown


class _Refusing(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps({"error": {"message": "The key is wrong."}}).encode()
        self.send_response(401)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


def test_a_key_that_is_refused_ends_it_at_once():
    with ThreadingHTTPServer(("127.0.0.1", 0), _Refusing) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        with terminal("top", "--url", f"http://127.0.0.1:{server.server_port}") as shown:
            assert shown.end() == 1
            assert "freeroute: The key is wrong." in shown.shown
        server.shutdown()
