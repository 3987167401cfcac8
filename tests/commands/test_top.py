"""Watching a running gateway in a terminal."""

import contextlib
import io
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
from typing import Any

import httpx
import pytest
import respx
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from freeroute.commands.overview import Room, Seen, overview
from freeroute.commands.running import Failed, Running
from freeroute.commands.watching import Watch, follow, merged
from tests.commands.conftest import PATIENCE, ROOT, process, url_of
from tests.support import virtual
from tests.support.virtual import LoopClock

GATEWAY = "http://127.0.0.1:3000"
STATUS = f"{GATEWAY}/v1/status"
NOW = 1_790_000_000.0
LAST = "60 s ago: m: HTTP 503"
POOL = {
    "id": "p",
    "label": "requests/day",
    "model": None,
    "used": 5,
    "limit": 10,
    "resets_at": NOW + 3 * 3600,
}
PROVIDER: dict[str, Any] = {
    "id": "groq",
    "name": "Groq",
    "state": "healthy",
    "breaker": {"state": "closed", "until": None},
    "served": 5,
    "failed": 1,
    "last_error": {"at": NOW - 60, "kind": "fault", "detail": "HTTP 503", "model": "m"},
    "latency": {"first_event_p50": 0.2, "total_p50": 0.9},
    "pools": [{**POOL, "label": "tokens/minute", "used": 1}, POOL, {**POOL, "label": "nothing", "limit": 0}],
}
REQUEST = {
    "at": NOW - 2,
    "client": "alice",
    "model": "free-fast",
    "provider": "groq",
    "served_model": "m",
    "status": 200,
    "code": None,
    "attempts": [{"provider": "cerebras", "kind": "fault"}, {"provider": "groq", "kind": "served"}],
    "first_event_ms": 210,
    "total_ms": 900,
    "tokens": {"prompt": 10, "completion": 2000},
}
TOLD: dict[str, Any] = {
    "version": "1.2.3",
    "now": NOW,
    "uptime": 7200.0,
    "demo": False,
    "maintenance": None,
    "totals": {"requests": 1234, "served": 1200, "failed": 34, "tokens": 56789},
    "providers": [PROVIDER],
    "requests": [REQUEST],
}


@pytest.fixture
def gateway():
    with respx.mock(assert_all_called=False) as router:
        yield router


def drawn(told, width=160, height=None, trouble="", now=NOW, **how) -> list[str]:
    """Return the lines as a terminal of that size shows them."""
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(overview(Seen(GATEWAY, told, trouble, now), Room(width, height, **how)))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


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


def test_what_a_client_is_not_told_is_left_open():
    hidden = dict.fromkeys(("served", "failed", "last_error", "latency"))
    nobody = {"provider": None, "served_model": None, "first_event_ms": None, "tokens": None}
    failed = {**REQUEST, **nobody, "status": 429, "code": "capacity_exhausted", "attempts": []}
    told = {**TOLD, "providers": [{**PROVIDER, **hidden, "pools": []}], "requests": [failed]}
    lines = drawn(told)
    assert lines[4].split() == ["groq", "healthy", "-", "-", "-", "closed", "-", "-"]
    assert lines[-1].split()[:8] == ["2", "s", "429", "capacity_exhausted", "free-fast", "-", "-", "0.90"]


def test_a_resting_provider_counts_down():
    spent = {**PROVIDER, "state": "resting", "pools": [{**POOL, "used": 12}]}
    broken = {**PROVIDER, "state": "open", "breaker": {"state": "open", "until": NOW + 40}}
    told = {**TOLD, "providers": [spent, broken]}
    assert "resting  ████████ 100% requests/day, back in 3 h" in drawn(told)[4]
    assert "back in 119 s" in drawn(told, now=NOW + 3 * 3600 - 119)[4]
    assert " open 40 s " in drawn(told)[5]
    assert " open 30 s " in drawn(told, now=NOW + 10)[5]


def test_what_newer_gateways_tell_is_shown_as_well():
    alert = {
        "severity": "warning",
        "what": "groq refuses the key key-1.",
        "provider": "groq",
        "do": "Set it.",
    }
    more = {"in_flight": 3, "waiting": {"for_capacity": 7, "room": 1000, "for_limits": 0}, "alerts": [alert]}
    rest = {"since": NOW - 60, "message": "new disks"}
    room = {"now": 1200, "today": 34000, "unlimited": 2}
    told = {**TOLD, **more, "capacity": room, "maintenance": rest, "started": NOW - 60}
    lines = drawn(told)
    assert "up 60 s" in lines[0]
    room_told = "room for 1,200 calls now, 34,000 today and 2 models without limits"
    assert f"{room_told}  in flight 3  waiting 7 of 1,000" in lines[1]
    assert lines[2:4] == [
        "maintenance for 60 s: new disks".ljust(len(lines[2])),
        "warning: groq refuses the key key-1. Set it.".ljust(len(lines[3])),
    ]


def test_a_gateway_that_went_away_leaves_what_it_told_last():
    assert drawn(None)[0].strip() == f"asking {GATEWAY} ..."
    assert drawn(None, trouble="nobody there")[0].strip() == "nobody there"
    lines = drawn(TOLD, trouble="nobody there")
    assert "interrupted" in lines[0]
    assert lines[2].strip() == "nobody there"
    assert any("groq" in line for line in lines)


@pytest.mark.parametrize("width", [20, 40, 64, 80, 100, 120, 200])
def test_no_line_is_wider_than_the_terminal_and_the_quota_is_always_there(width):
    lines = drawn({**TOLD, "requests": [REQUEST] * 3}, width)
    assert max(map(len, lines)) <= width
    assert width < 40 or any("50%" in line for line in lines)


@pytest.mark.parametrize("height", [8, 12, 24, 60])
def test_a_screen_is_not_overfull_and_says_what_it_leaves_out(height):
    told = {**TOLD, "providers": [PROVIDER] * 30, "requests": [REQUEST] * 50}
    lines = drawn(told, 100, height)
    assert len(lines) <= height
    assert (height > 50) == (not any(re.match(r"and \d+ more", line) for line in lines))


def test_a_terminal_without_such_signs_gets_plain_ones():
    assert any("####....  50%" in line for line in drawn(TOLD, ascii_only=True))


@given(st.text(), st.integers(10, 200))
def test_no_word_of_a_gateway_steers_the_terminal(text, width):
    provider = {
        **PROVIDER,
        "id": text,
        "state": text,
        "last_error": {**PROVIDER["last_error"], "detail": text},
    }
    request = {**REQUEST, "model": text, "client": text, "code": text}
    told = {**TOLD, "version": text, "providers": [provider], "requests": [request]}
    shown = "\n".join(drawn(told, width, trouble=text))
    assert all(char.isprintable() or char == "\n" for char in shown)


def test_something_else_at_that_address_is_not_drawn(run, gateway):
    gateway.get(STATUS).respond(200, json={"status": "up"})
    result = run("top", "--once")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "this does not look like a gateway" in result.stderr


# --- what changes --------------------------------------------------------------------------------------


def test_changes_are_merged_as_they_are_told():
    known = {**TOLD, "providers": [{"id": "a", "n": 1}, {"id": "b", "n": 1}], "clients": [{"id": "alice"}]}
    change = {
        "now": NOW + 1,
        "providers": [{"id": "b", "n": 2}, {"id": "c", "n": 1}],
        "requests": [{"id": "r"}],
    }
    new = merged(known, {**change, "ids": {"providers": ["c", "b"]}})
    assert new["providers"] == [{"id": "c", "n": 1}, {"id": "b", "n": 2}]
    assert (new["now"], new["clients"], new["totals"]) == (NOW + 1, [{"id": "alice"}], TOLD["totals"])
    assert new["requests"] == [{"id": "r"}, REQUEST]
    assert len(merged(known, {"requests": [REQUEST] * 99})["requests"]) == 55
    assert merged(known, {"now": NOW})["providers"] == known["providers"]


def stream(*told: tuple[str, Any], **given: Any) -> httpx.Response:
    text = "".join(f"event: {name}\ndata: {json.dumps(value)}\n\n" for name, value in told)
    return httpx.Response(200, text=f": hello\n\n{text}", **given)


def followed(*answers: httpx.Response | Exception) -> tuple[list[str], list[Seen]]:
    """Follow a gateway that answers so, the last one refusing; gives what was asked, and each news of it."""
    asked: list[str] = []
    news: list[Seen] = []
    waiting = [*answers, httpx.Response(401, json={"error": {"message": "The key is wrong."}})]

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        found = waiting.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    class Noting(Watch):
        def told(self, status):
            super().told(status)
            news.append(self.seen())

        def away(self, why):
            super().away(why)
            news.append(self.seen())

    async def follow_it() -> None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url=GATEWAY) as client:
            await follow(Running(GATEWAY, {}), client, Noting(GATEWAY, LoopClock()))

    with pytest.raises(Failed, match="The key is wrong"):
        virtual.run(follow_it())
    return asked, news


EVENTS = "/v1/status/events"
LIVE: dict[str, Any] = {**TOLD, "clients": []}


def test_a_stream_is_followed_and_asked_for_again_at_its_end():
    change = {"now": NOW + 1, "totals": {**TOLD["totals"], "requests": 1235}}
    asked, news = followed(stream(("status", LIVE), ("change", change)), stream(("status", LIVE)))
    assert asked == [EVENTS] * 3
    assert [one.status["totals"]["requests"] for one in news if one.status] == [1234, 1235, 1235, 1234, 1234]
    assert [bool(one.trouble) for one in news] == [False, False, True, False, True]


def test_a_gateway_without_a_stream_is_asked_now_and_then():
    nothing = httpx.Response(404, json={"error": {"message": "There is no such route."}})
    status = httpx.Response(200, json=TOLD)
    asked, news = followed(nothing, status, status, httpx.Response(503, text="busy"), status)
    assert asked == [EVENTS, *["/v1/status"] * 5]
    assert [one.trouble for one in news] == ["", "", "it answers with status 503", ""]


def test_a_gateway_that_goes_away_or_speaks_strangely_is_waited_for():
    refused = httpx.ConnectError("refused")
    odd = [stream(("change", {"now": NOW})), httpx.Response(200, text="data: {\n\n"), stream(("status", []))]
    asked, news = followed(refused, httpx.ReadTimeout("silent"), *odd, stream(("status", LIVE)))
    assert asked == [EVENTS] * 7
    assert [one.trouble for one in news][:2] == [
        f"no gateway answers at {GATEWAY}; start one with `freeroute serve` or name it with --url",
        f"{GATEWAY} does not answer in time",
    ]
    assert [one.trouble for one in news][2:5] == ["what it tells cannot be read"] * 3


def test_countdowns_go_by_the_gateways_clock():
    _, news = followed(stream(("status", LIVE)))
    assert news[0].now == pytest.approx(NOW)


# --- live, in a terminal ---------------------------------------------------------------------------------


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
            ready, _, _ = select.select([self._ours], [], [], PATIENCE)
            assert ready, self.shown
            self.shown += os.read(self._ours, 65536).decode(errors="replace")
        self.shown = self.shown.partition(words)[2]

    def press(self, keys: bytes) -> None:
        os.write(self._ours, keys)

    def end(self) -> int:
        """Wait for its end; gives the exit code."""
        with contextlib.suppress(OSError):
            while data := os.read(self._ours, 65536):
                self.shown += data.decode(errors="replace")
        return self.started.wait(PATIENCE)

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
