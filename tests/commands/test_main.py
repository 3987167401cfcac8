"""What holds for every command: help, versions, exit codes, and what is not imported."""

import os
import resource
import signal
import socket
import subprocess
import sys

import httpx
import pytest

from freeroute.open_files import MANY
from tests.commands.conftest import ROOT, process, url_of
from tests.support.patience import PATIENCE

COMMANDS = (
    *"serve demo check doctor probe models explain chat setup run".split(),
    *"top clients operators keys usage receipts".split(),
)
HEAVY = [
    "aiohappyeyeballs",
    "alembic",
    "asyncio",
    "httpx",
    "litestar",
    "cryptography",
    "prometheus_client",
    "rich",
    "sqlalchemy",
    "structlog",
    "uvicorn",
    "yaml",
]
# What a gateway may need later, or never.
NOT_SERVED = [
    "alembic",
    "cryptography",
    "freeroute.commands.chat",
    "freeroute.upstreams.simulated.simulation",
    "freeroute.upstreams.simulated.catalogue",
    "httpx",
    "jsonschema_rs",
    "opentelemetry.sdk",
    "rich.console",  # an import of `rich` that is refused is told as one, too
    "sqlalchemy",
]


def test_help_lists_every_command_with_what_it_does(run):
    result = run("--help")
    assert result.exit_code == 0
    for name in COMMANDS:
        assert f"\n  {name} " in result.stdout
    assert "..." not in result.stdout.split("Commands:")[1]


@pytest.mark.parametrize("command", [[name] for name in COMMANDS] + [["clients", "new-key"]])
def test_every_command_explains_itself(run, command):
    result = run(*command, "-h")
    assert result.exit_code == 0
    assert "Usage:" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 100


def test_the_version_is_printed(run):
    result = run("--version")
    assert (result.exit_code, result.stdout.split()[0]) == (0, "freeroute")


@pytest.mark.parametrize(
    "args",
    [
        ["dance"],
        ["serve", "--port", "70000"],
        ["serve", "--port", "x"],
        ["explain"],
        ["chat", "--no-such", "a"],
    ],
)
def test_wrong_usage_exits_with_2(run, args):
    result = run(*args)
    assert result.exit_code == 2
    assert "Usage:" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    "command",
    [["serve"], ["check", "--no-network"], ["models", "--offline"], ["explain", "free", "--offline"]],
)
def test_wrong_settings_are_one_line_and_exit_2(run, tmp_path, command):
    file = tmp_path / "home" / "freeroute.yaml"
    file.write_text("routing: {max_attemps: 3}\n")
    result = run(*command)
    assert result.exit_code == 2
    assert result.stderr == (
        "freeroute: freeroute.yaml: routing.max_attemps: unknown field; did you mean `max_attempts`?\n"
    )
    assert result.stdout == ""


@pytest.mark.parametrize(
    "args",
    [["--help"], ["--version"], ["serve", "--help"], ["chat", "--help"], ["clients", "new-key", "alice"]],
)
def test_a_command_imports_nothing_that_it_does_not_need(args):
    code = (
        "import sys; from freeroute.__main__ import cli\n"
        f"assert cli.main({args!r}, standalone_mode=False) == 0\n"
        f"print('loaded:', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT, timeout=PATIENCE
    )
    assert done.stdout.splitlines()[-1] == "loaded: []"


def test_a_gateway_answers_before_anything_is_imported_that_answering_does_not_need(tmp_path):
    file = tmp_path / "freeroute.yaml"
    # Nobody listens there; what an answer without an answer takes is all that an answer takes.
    file.write_text(
        "discovery: {env: false, local: false}\n"
        "storage: {records: false}\n"
        "providers: {here: {base_url: 'http://127.0.0.1:1/v1', keys: [], models: [{id: m}]}}\n"
    )
    imported = tmp_path / "imported"
    with (
        imported.open("w") as told,
        process(
            "serve", "--port", "0", directory=tmp_path, stderr=told, env={"PYTHONPROFILEIMPORTTIME": "1"}
        ) as started,
    ):
        url = url_of(started) + "/v1/chat/completions"
        asked = {"model": "here/m", "messages": [{"role": "user", "content": "hello"}]}
        assert httpx.post(url, json=asked, timeout=PATIENCE, trust_env=False).status_code == 502
    names = {line.rpartition("|")[2].strip() for line in imported.read_text().splitlines()}
    assert {"litestar", "freeroute.upstreams.streams"} < names
    assert [name for name in NOT_SERVED if name in names] == []


def test_a_second_worker_is_refused_with_the_reason_why(run):
    result = run("serve", "--workers", "2")
    assert result.exit_code == 2
    assert "each would spend all of a quota" in result.stderr
    assert "docs/deployment.md" in result.stderr


def test_a_port_in_use_is_one_line_and_exit_2(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for command in (["demo"], ["serve"], ["demo", "--providers-only"]):
            with process(*command, "--port", port, directory=tmp_path) as started:
                out, err = started.communicate(timeout=PATIENCE)
            assert started.returncode == 2, err
            assert err.startswith("freeroute: server.port: cannot listen on 127.0.0.1:")
            assert err.count("\n") == 1
            assert out == ""


def test_a_wide_bind_without_a_key_is_refused_in_one_line(tmp_path):
    with process("serve", "--host", "0.0.0.0", "--port", "0", directory=tmp_path) as started:
        _, err = started.communicate(timeout=PATIENCE)
    assert started.returncode == 2
    assert err.startswith("freeroute: server.host: 0.0.0.0 is reachable from other machines")
    assert err.count("\n") == 1


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_being_stopped_is_no_crash(tmp_path, number, code):
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    with process("demo", "--port", "0", directory=tmp_path, env={"TMPDIR": str(temporary)}) as started:
        url_of(started)
        assert list(temporary.iterdir())
        started.send_signal(number)
        _, err = started.communicate(timeout=PATIENCE)
    assert started.returncode == code
    assert "Traceback" not in err
    assert not list(temporary.iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_lines_of_requests_just_before_the_stop_are_in_the_log(tmp_path, number):
    with process("demo", "--port", "0", directory=tmp_path) as started:
        url = url_of(started)
        for _ in range(3):
            asked = {"model": "free", "messages": [{"role": "user", "content": "Hello"}]}
            answer = httpx.post(f"{url}/v1/chat/completions", json=asked, trust_env=False, timeout=PATIENCE)
            assert answer.status_code == 200
        started.send_signal(number)
        _, err = started.communicate(timeout=PATIENCE)
    assert err.count(" request status=200 ") == 3


def test_a_log_that_nobody_reads_does_not_hold_up_answers(tmp_path):
    many = 64 * 2**10 // 100  # lines that fill a pipe
    with process("demo", "--port", "0", directory=tmp_path) as started:
        url = url_of(started)
        with httpx.Client(base_url=url, trust_env=False, timeout=PATIENCE) as client:
            for _ in range(many):
                asked = {"model": "x" * 100, "messages": []}
                assert client.post("/v1/chat/completions", json=asked).status_code in (400, 404)


@pytest.mark.skipif(sys.platform != "linux", reason="the limits of another process are Linux's to tell")
def test_a_gateway_may_open_many_files_though_it_is_started_with_few(tmp_path):
    files = resource.RLIMIT_NOFILE
    soft, hard = resource.getrlimit(files)
    resource.setrlimit(files, (512, hard))
    try:
        with process("demo", "--port", "0", directory=tmp_path) as started:
            url_of(started)
            most = MANY if hard == resource.RLIM_INFINITY else min(MANY, hard)
            assert resource.prlimit(started.pid, files) == (most, hard)
    finally:
        resource.setrlimit(files, (soft, hard))


def test_an_open_dashboard_does_not_hold_up_the_stop(tmp_path):
    with process("demo", "--port", "0", directory=tmp_path) as started:
        stream = f"{url_of(started)}/v1/status/events"
        with httpx.stream("GET", stream, trust_env=False, timeout=PATIENCE) as told:
            events = told.iter_lines()
            assert next(events) == "event: status"
            started.send_signal(signal.SIGTERM)
            list(events)  # to its end, which is a good one: after the grace it would be cut
        started.communicate(timeout=PATIENCE)
    assert started.returncode == 0


def test_output_that_nobody_reads_any_more_is_no_crash(tmp_path):
    reading, writing = os.pipe()
    os.close(reading)
    try:
        with process("models", "--offline", directory=tmp_path, stdout=writing) as started:
            _, err = started.communicate(timeout=PATIENCE)
    finally:
        os.close(writing)
    assert (started.returncode, err) == (1, "")
