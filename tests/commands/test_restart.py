"""A gateway that is stopped, or killed, and started again goes on where it was."""

import contextlib
import json
import signal
import sqlite3
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from freeroute.clock import SystemClock
from tests.commands.conftest import process, url_of
from tests.support.patience import PATIENCE

DAY = 3
SETTINGS = """
discovery: {{env: false, local: false}}
routing: {{max_wait: 0, probes: 0}}
providers:
  own:
    base_url: http://127.0.0.1:{port}/v1
    keys: [sk-own]
    models: [{{id: m}}]
    limits: [{{unit: requests, amount: {day}, per: day, window: {window}}}]
"""
ANSWER = {
    "id": "1",
    "object": "chat.completion",
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
}


class Upstream(ThreadingHTTPServer):
    """A provider on a real socket that counts its calls."""

    daemon_threads = True
    asked = 0


class Answering(BaseHTTPRequestHandler):
    server: Upstream

    def do_POST(self) -> None:
        self.server.asked += 1
        self.rfile.read(int(self.headers["content-length"]))
        body = json.dumps(ANSWER).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(url: str, **headers: str) -> httpx.Response:
    body = {"model": "free", "messages": [{"role": "user", "content": "Hi"}]}
    return httpx.post(
        f"{url}/v1/chat/completions", json=body, headers=headers, timeout=PATIENCE, trust_env=False
    )


def state_of(directory: Path) -> Path:
    return directory / ".local/state/freeroute/state.db"


def wait_until_saved(url: str, directory: Path) -> None:
    """Ask the gateway how it is until the file tells of the spent day."""
    until = SystemClock().now().mono + PATIENCE
    with (
        contextlib.closing(sqlite3.connect(state_of(directory))) as file,
        httpx.Client(timeout=PATIENCE, trust_env=False) as caller,
    ):
        while not file.execute("SELECT 1 FROM kept WHERE name LIKE '[\"pool\"%'").fetchall():
            assert SystemClock().now().mono < until
            assert caller.get(f"{url}/livez").status_code == 200


@pytest.mark.parametrize(
    ("number", "window"),
    [(signal.SIGKILL, "calendar"), (signal.SIGKILL, "bucket"), (signal.SIGTERM, "sliding")],
    ids=["kill -9 on a calendar day", "kill -9 beside a bucket", "stop in a sliding day"],
)
def test_a_day_that_is_spent_stays_spent(tmp_path, upstream, number, window):
    port = upstream.server_address[1]
    (tmp_path / "freeroute.yaml").write_text(SETTINGS.format(port=port, day=DAY, window=window))
    with process("serve", "--port", "0", directory=tmp_path) as first:
        url = url_of(first)
        assert [ask(url).status_code for _ in range(DAY + 1)] == [200] * DAY + [429]
        if number == signal.SIGKILL:
            wait_until_saved(url, tmp_path)
        first.send_signal(number)
        first.communicate(timeout=PATIENCE)
    with process("serve", "--port", "0", directory=tmp_path) as again:
        url = url_of(again)
        answer = ask(url)
        assert (answer.status_code, answer.json()["error"]["code"]) == (429, "capacity_exhausted")
        assert "state" not in httpx.get(f"{url}/readyz", trust_env=False, timeout=PATIENCE).json()
    assert upstream.asked == DAY


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["kill -9", "stop"])
def test_a_receipt_outlives_the_process(tmp_path, upstream, number):
    port = upstream.server_address[1]
    (tmp_path / "freeroute.yaml").write_text(SETTINGS.format(port=port, day=DAY, window="calendar"))
    records = state_of(tmp_path).with_name("records.db")
    with process("serve", "--port", "0", directory=tmp_path) as first:
        url = url_of(first)
        assert [ask(url).status_code for _ in range(DAY + 1)] == [200] * DAY + [429]
        if number == signal.SIGKILL:
            wait_for_receipts(url, records, DAY + 1)
        first.send_signal(number)
        first.communicate(timeout=PATIENCE)
    assert receipts_in(records) == DAY + 1
    if number == signal.SIGTERM:
        assert records.with_name("records.spool").stat().st_size == 0


def receipts_in(records: Path) -> int:
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(records)) as file:
        return int(file.execute("SELECT count(*) FROM receipts").fetchone()[0])
    return 0


def wait_for_receipts(url: str, records: Path, count: int) -> None:
    """Ask the gateway how it is until so many receipts are stored."""
    until = SystemClock().now().mono + PATIENCE
    with httpx.Client(timeout=PATIENCE, trust_env=False) as caller:
        while not records.exists() or receipts_in(records) < count:
            assert SystemClock().now().mono < until
            assert caller.get(f"{url}/livez").status_code == 200


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_what_a_client_used_of_its_own_limit_stays_used(tmp_path, upstream, number):
    text = SETTINGS.format(port=upstream.server_address[1], day=100, window="calendar")
    limited = "clients: [{name: alice, key: fr-alice, tokens_per_month: 9}]\n"
    (tmp_path / "freeroute.yaml").write_text(text + limited)
    for code in (None, "rate_limit_exceeded"):
        with process("serve", "--port", "0", directory=tmp_path) as started:
            url = url_of(started)
            answer = ask(url, authorization="Bearer fr-alice")
            assert (code is None) == (answer.status_code == 200)
            assert code is None or answer.json()["error"]["code"] == code
            if number == signal.SIGKILL:
                wait_until_saved(url, tmp_path)
            started.send_signal(number)
            started.communicate(timeout=PATIENCE)
    assert upstream.asked == 1


def test_a_damaged_state_file_costs_a_message_and_no_start(tmp_path, upstream):
    port = upstream.server_address[1]
    (tmp_path / "freeroute.yaml").write_text(SETTINGS.format(port=port, day=DAY, window="calendar"))
    state = state_of(tmp_path)
    state.parent.mkdir(parents=True)
    state.write_bytes(b"nonsense" * 1_000)
    with process("serve", "--port", "0", directory=tmp_path) as started:
        assert ask(url_of(started)).status_code == 200
        started.terminate()
        _, err = started.communicate(timeout=PATIENCE)
    assert "the state file is damaged and was moved aside" in err
    assert len(list(state.parent.glob("state.db.corrupt-*"))) == 1


def test_a_state_file_of_a_newer_freeroute_is_one_line_and_exit_2(tmp_path):
    state = state_of(tmp_path)
    state.parent.mkdir(parents=True, mode=0o700)
    with contextlib.closing(sqlite3.connect(state)) as newer:
        newer.execute("PRAGMA user_version = 99")
    state.chmod(0o600)
    with process("serve", "--port", "0", directory=tmp_path) as started:
        _, err = started.communicate(timeout=PATIENCE)
    assert started.returncode == 2
    assert err.startswith(f"freeroute: {state}: was written by a newer freeroute (format 99")
    assert err.count("\n") == 1


def test_other_commands_leave_the_state_of_a_running_gateway_alone(tmp_path, upstream):
    port = upstream.server_address[1]
    (tmp_path / "freeroute.yaml").write_text(SETTINGS.format(port=port, day=DAY, window="calendar"))
    with process("serve", "--port", "0", directory=tmp_path) as started:
        url = url_of(started)
        ask(url)
        for command in (["check", "--no-network"], ["explain", "free", "--offline"], ["models", "--offline"]):
            with process(*command, directory=tmp_path) as other:
                other.communicate(timeout=PATIENCE)
            assert other.returncode == 0
        wait_until_saved(url, tmp_path)
        assert "state" not in httpx.get(f"{url}/readyz", trust_env=False, timeout=PATIENCE).json()
