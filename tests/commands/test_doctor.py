"""Looking for what is wrong with an installation."""

import datetime as dt
import json
import os
import resource
import shutil
import socket
import sqlite3
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeroute.clock import SystemClock
from freeroute.commands.checkup import storage
from freeroute.commands.checkup.finding import note, presentable
from freeroute.commands.checkup.network import _skew
from freeroute.stores.state_dir import StateDir
from freeroute.version import version
from tests.commands.answering import answering
from tests.commands.conftest import process, url_of

KEY = "gsk_testtesttesttest1234"
LISTED = {"data": [{"id": "openai/gpt-oss-20b"}]}
VLLM = {"data": [{"id": "m", "owned_by": "vllm", "max_model_len": 8192}]}
FRONT = {"name": "freeroute"}


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """Give the user's directory, with a free port in the settings' place."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        monkeypatch.setenv("PORT", str(free.getsockname()[1]))
    monkeypatch.setenv("FREEROUTE_DISCOVERY__LOCAL", "false")
    return tmp_path / "home"


@pytest.fixture
def state(home) -> Path:
    """Give the state directory, as a gateway made it."""
    directory = home / ".local/state/freeroute"
    StateDir(directory).close()
    return directory


@pytest.fixture
def examined(run, home):
    """Run the doctor; gives what it found as lines, and the exit code."""

    def look(*args: str) -> tuple[list[str], int]:
        result = run("doctor", "--json", *args)
        found = json.loads(result.stdout)["findings"]
        return [f"{one['severity']} {one['area']}: {one['what']}" for one in found], result.exit_code

    return look


def settings(home: Path, **content: Any) -> None:
    (home / "freeroute.yaml").write_text(json.dumps(content))
    (home / "freeroute.yaml").chmod(0o600)


def alpha(url: str, **given: Any) -> dict[str, Any]:
    """Return the settings of a provider at *url*."""
    limits = [{"unit": "requests", "amount": 100, "per": "minute"}]
    entry = {"like": "groq", "base_url": f"{url}/v1", "keys": [KEY], "limits": limits}
    return entry | {"models": [{"id": "openai/gpt-oss-20b"}]} | given


def about(lines: list[str], area: str) -> list[str]:
    return [line for line in lines if line.split(": ")[0].endswith(f" {area}")]


def test_a_sound_installation_has_nothing_but_good_findings(examined, home, state, run):
    with answering(models=LISTED) as provider:
        settings(home, providers={"alpha": alpha(provider.url)})
        found, code = examined()
        assert code == 0
        assert {line.split()[0] for line in found} == {"ok"}
        assert about(found, "keys") == ["ok keys: alpha: key-1: valid"]
        assert "ok providers: 1 of 1 hosts answer" in found
        assert run("doctor").stdout.endswith("\n\nno problems, no warnings, no notes\n")
    asked = {path: headers.get("authorization") for path, headers in provider.asked}
    assert asked == {"/v1": None, "/v1/models": f"Bearer {KEY}"}


def test_each_finding_comes_with_what_helps(run, home):
    lines = run("doctor", "--offline").stdout.splitlines()
    place = lines.index("problem  settings: no provider is switched on")
    assert (
        lines[place + 1]
        == "         -> set a key such as GROQ_API_KEY, start a local model, or say --keyless"
    )
    assert lines[-1] == "1 problem, no warnings, 1 note"


def test_settings_that_cannot_be_read_are_a_problem_not_the_end(examined, home):
    (home / "freeroute.yaml").write_text("routing: {max_attemps: 3}\n")
    found, code = examined()
    assert code == 1
    assert found[-1].startswith("problem settings: freeroute.yaml: routing.max_attemps: unknown field")


# --- providers, keys, the clock ----------------------------------------------------------------------------


def test_a_refused_key_is_a_problem_and_never_shown(run, examined, home):
    refused: Any = (401, {"error": {"message": f"no such key: {KEY}", "code": "invalid_api_key"}}, {})
    with answering(models=refused) as provider:
        settings(home, providers={"alpha": alpha(provider.url)})
        found, code = examined()
        assert code == 1
        (line,) = about(found, "keys")
        assert line.startswith("problem keys: alpha: key-1: invalid")
        assert KEY not in run("doctor").output


def test_a_key_without_credit_is_a_warning(examined, home):
    with answering(models=(402, {"error": {"message": "Payment required"}}, {})) as provider:
        settings(home, providers={"alpha": alpha(provider.url)})
        found, code = examined()
    assert code == 0
    assert about(found, "keys")[0].startswith("warning keys: alpha: key-1: valid (but without credit")


def test_offline_calls_no_provider(examined, home):
    with answering(models=LISTED) as provider:
        settings(home, providers={"alpha": alpha(provider.url)})
        found, _ = examined("--offline")
    assert provider.asked == []
    assert found[-1] == "note providers: no provider was called (--offline)"


def test_hosts_that_cannot_be_asked_are_told_in_plain_words(examined, home):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        closed = f"http://127.0.0.1:{taken.getsockname()[1]}"
    with answering(models=LISTED) as provider, answering(models=LISTED) as plain:
        tls = plain.url.replace("http:", "https:")
        others = {"beta": alpha(closed), "gamma": alpha("http://nowhere.invalid"), "delta": alpha(tls)}
        settings(home, providers={"alpha": alpha(provider.url), **others})
        found, code = examined()
        assert code == 0
        assert about(found, "providers") == [
            "ok providers: 1 of 4 hosts answer",
            "warning providers: beta: 127.0.0.1 cannot be asked: connection refused",
            "warning providers: gamma: nowhere.invalid cannot be asked: name does not resolve",
            "warning providers: delta: 127.0.0.1 cannot be asked: TLS handshake or certificate failed",
        ]
    settings(home, providers={"beta": alpha(closed)})
    found, code = examined()
    assert (code, about(found, "providers")[0].split()[0]) == (1, "problem")
    assert about(found, "keys") == ["note keys: beta: key-1: unknown (could not be asked: ConnectError)"]


@pytest.mark.parametrize(
    ("proxy", "told"),
    [
        (
            "http://user:secret@127.0.0.1:9",
            "note providers: HTTPS_PROXY is set: calls to providers go through",
        ),
        ("socks5://user:secret@127.0.0.1:9", "warning providers: HTTPS_PROXY is no http:// proxy"),
    ],
)
def test_a_proxy_of_the_environment_is_told(examined, home, monkeypatch, proxy, told):
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with answering(models=LISTED) as provider:
        settings(home, providers={"alpha": alpha(provider.url)})
        found, _ = examined()
    assert [line for line in found if line.startswith(told)]
    assert not [line for line in found if "secret" in line]


def test_local_servers_are_told_when_they_are_listed_or_there(examined, home, monkeypatch):
    monkeypatch.setenv("FREEROUTE_DISCOVERY__LOCAL", "true")
    with answering(tags={"models": []}) as nothing:
        settings(home, providers={"vllm": {"base_url": f"{nothing.url}/v1"}}, discovery={"env": False})
        found, _ = examined()
    assert f"warning providers: vllm: no model server answers at {nothing.url}/v1" in found
    with answering(version={"version": "1"}, models=VLLM) as there:
        settings(home, providers={"vllm": {"base_url": f"{there.url}/v1"}}, discovery={"env": False})
        found, _ = examined()
    assert "ok providers: vllm: found, with 1 models" in found


@pytest.mark.parametrize(
    ("ahead", "told"),
    [
        (0, "ok clock: this clock agrees with that of 1 providers"),
        (20, "warning clock: this clock is"),
        (-20, "warning clock: this clock is"),
        (3600, "problem clock: this clock is 3,"),
    ],
)
def test_a_clock_that_is_off_is_told(examined, home, ahead, told):
    at = dt.datetime.fromtimestamp(SystemClock().now().wall + ahead, dt.UTC)
    with answering(models=LISTED, v1=(404, {}, {"date": format_datetime(at, usegmt=True)})) as provider:
        settings(home, providers={"alpha": alpha(provider.url)})
        found, _ = examined()
    (line,) = about(found, "clock")
    assert line.startswith(told)
    assert ("behind" in line) == (ahead > 0)


@given(began=st.floats(0, 2e9), took=st.floats(0, 30), at=st.floats(0, 1), skew=st.integers(-9999, 9999))
def test_no_skew_is_read_into_a_date_that_may_be_right(began, took, at, skew):
    ended = began + took
    written = int(began + took * at + skew + 10_000)
    date = format_datetime(dt.datetime.fromtimestamp(written, dt.UTC), usegmt=True)
    found = _skew(date, began + 10_000, ended + 10_000)
    assert found is not None
    if skew == 0:
        assert found == 0
    elif skew > 0:
        assert skew - took - 1 <= found <= skew
    else:
        assert skew <= found <= min(skew + took + 1, 0)


@pytest.mark.parametrize("date", ["", "yesterday", "Mon, 99 Nov 2026 10:00:00 GMT", "0"])
def test_a_date_that_is_none_says_nothing_of_the_clock(date):
    assert _skew(date, 1.0, 2.0) is None


# --- settings and variables ---------------------------------------------------------------------------------


def test_variables_that_look_like_keys_and_are_not_used_are_explained(examined, home, monkeypatch):
    for name in ("GEMINI_KEY", "OPENAI_API_KEY", "MISTRAL_API_KEY", "GROQ_API_KEY", "CEREBRAS_API_KEY"):
        monkeypatch.setenv(name, f"value-of-{name}")
    monkeypatch.setenv("COHERE_API_KEY", "")
    monkeypatch.setenv("OPENROUTER_API_KEY", " ")
    monkeypatch.setenv("ALICE_API_KEY", "alices-own-key")
    monkeypatch.setenv("API_KEYBOARD", "dvorak")
    settings(
        home,
        discovery={"env": False, "local": False},
        providers={"groq": {"keys": [KEY]}, "cerebras": {}},
        clients=[{"name": "alice", "key": "env:ALICE_API_KEY"}],
    )
    found, _ = examined("--offline")
    assert about(found, "environment") == [
        "warning environment: GEMINI_KEY is set, and nobody reads it",
        "note environment: GROQ_API_KEY is set, and not used: providers.groq.keys says which keys are",
        "note environment: MISTRAL_API_KEY is set, and not used: discovery.env is off",
        "note environment: OPENAI_API_KEY looks like a key, and no provider of the catalogue takes it",
        "note environment: empty: COHERE_API_KEY, OPENROUTER_API_KEY",
    ]


def test_of_two_variables_of_a_provider_the_second_is_explained(examined, home, monkeypatch):
    monkeypatch.setenv("GEMINI_API_KEY", "one-key")
    monkeypatch.setenv("GOOGLE_API_KEY", "another-key")
    found, _ = examined("--offline")
    (line,) = [line for line in found if "GOOGLE_API_KEY is set" in line]
    assert line.startswith("note ")


def test_a_file_with_keys_that_others_may_read_is_a_warning(examined, home):
    settings(home, providers={"groq": {"keys": [KEY]}})
    (home / "freeroute.yaml").chmod(0o644)
    (home / ".env").write_text("NOTHING=secret\n")
    found, _ = examined("--offline")
    told = [line for line in found if "may read it" in line]
    assert told == [
        "warning settings: ~/freeroute.yaml: holds keys, and others on this machine may read it (mode 0644)"
    ]


def test_a_bind_that_serve_would_refuse_is_a_problem_and_an_open_one_a_warning(examined, home, monkeypatch):
    monkeypatch.setenv("FREEROUTE_SERVER__HOST", "0.0.0.0")
    found, code = examined("--offline")
    assert code == 1
    assert any(line.startswith("problem settings: server.host: 0.0.0.0 is reachable") for line in found)
    monkeypatch.setenv("FREEROUTE_OPEN", "1")
    found, _ = examined("--offline")
    assert any("may spend your quota" in line for line in found if line.startswith("warning"))


def test_clients_that_cannot_be_read_and_keys_that_do_not_open_are_problems(examined, home, state, run):
    assert run("keys", "add", "groq", "mine", input=f"{KEY}\n").exit_code == 0
    (state / "encryption_key").unlink()
    (state / "clients.json").write_text("{")
    found, code = examined("--offline")
    assert code == 1
    assert any("clients.json: is damaged" in line for line in found if line.startswith("problem settings"))
    assert any("sealed with another" in line or "locked" in line for line in about(found, "keys"))


def test_traces_without_their_libraries_are_told(examined, home, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
    found, _ = examined("--offline")
    assert any("OTEL_EXPORTER_OTLP_ENDPOINT is set, and no traces" in line for line in found)
    settings(home, traces={"endpoint": "http://127.0.0.1:4318"})
    found, _ = examined("--offline")
    assert "problem settings: traces.endpoint is set, and OpenTelemetry's libraries are missing" in found


# --- limits -------------------------------------------------------------------------------------------------


def test_limits_that_are_odd_or_shared_are_told(examined, home):
    more = [{"unit": "requests", "amount": 300, "per": "minute", "scope": "model"}]
    groq = {"keys": [KEY, f"{KEY}-second"], "limits": more}
    settings(home, providers={"groq": groq, "spare": alpha("https://api.groq.com", limits=[])})
    found, _ = examined("--offline")
    higher = "providers.groq.limits: 300 requests per minute are more than the 30 that are published"
    assert about(found, "limits") == [
        "note limits: groq: 2 keys share the limits of the account default",
        f"warning limits: {higher}",
        "note limits: providers.groq.limits leaves out requests per day, which is published",
        "note limits: providers.groq.limits leaves out tokens per minute, which is published",
        "note limits: providers.groq.limits leaves out tokens per day, which is published",
        "note limits: spare: nobody tells its limits; they are found by what it refuses",
        "warning limits: groq and spare use the same key: each counts its own calls against the one quota",
    ]


# --- storage ------------------------------------------------------------------------------------------------


def test_files_that_others_can_use_are_named_and_left_as_they_are(examined, state):
    (state / "admin_key").write_text("fa-secret")
    (state / "admin_key").chmod(0o644)
    found, _ = examined("--offline")
    (told,) = [line for line in found if "others on this machine can use" in line]
    assert told == "warning storage: others on this machine can use admin_key (0644)"
    assert (state / "admin_key").stat().st_mode & 0o777 == 0o644


def test_whole_files_are_told_from_damaged_ones_and_nothing_is_changed(examined, state):
    with sqlite3.connect(state / "state.db") as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE kept (name TEXT)")
    connection.close()
    (state / "records.db").write_bytes(b"no database at all, but long enough to be looked at" * 100)
    (state / "state.db.corrupt-20261101-120000").write_bytes(b"x" * 2**20)
    before = sorted(path.name for path in state.iterdir())
    found, code = examined("--offline")
    assert code == 1
    assert "ok storage: state.db is whole" in found
    assert "problem storage: records.db: file is not a database" in found
    aside = "note storage: damaged files were set aside: state.db.corrupt-20261101-120000 (1.0 MiB)"
    assert aside in found
    assert sorted(path.name for path in state.iterdir()) == before


def test_a_file_that_takes_too_long_to_look_through_is_said_to_open(tmp_path):
    with sqlite3.connect(tmp_path / "records.db") as connection:
        connection.execute("CREATE TABLE receipts (id TEXT)")
        connection.executemany(
            "INSERT INTO receipts VALUES (?)", ((str(number),) for number in range(20_000))
        )
    connection.close()
    (found,) = storage.whole(tmp_path / "records.db", patience=0)
    assert (found.severity, "too large to be looked through in 0 s" in found.what) == ("ok", True)
    assert next(storage.whole(tmp_path / "records.db")).what == "records.db is whole"
    assert not list(storage.whole(tmp_path / "nothing.db"))


def test_records_of_a_newer_freeroute_are_a_problem(examined, state):
    with sqlite3.connect(state / "records.db") as connection:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("INSERT INTO alembic_version VALUES ('9999')")
    connection.close()
    found, code = examined("--offline")
    assert code == 1
    assert any("was written by a newer freeroute" in line for line in about(found, "storage"))


@pytest.mark.parametrize(
    ("size", "severity"), [(2**20, None), (8 * 2**20, "warning"), (40 * 2**20, "problem")]
)
def test_receipts_that_wait_are_told_by_how_many_they_are(examined, state, size, severity):
    with (state / "records.spool").open("wb") as spool:
        spool.truncate(size)
    found, _ = examined("--offline")
    assert [line.split()[0] for line in found if "of receipts wait" in line] == [severity] * bool(severity)


@pytest.mark.parametrize(("free", "severity"), [(2**30, "ok"), (2**28, "warning"), (2**20, "problem")])
def test_a_disk_that_fills_up_is_told(examined, state, monkeypatch, free, severity):
    monkeypatch.setattr(
        shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(2**40, 2**40 - free, free)
    )
    found, _ = examined("--offline")
    assert [line.split()[0] for line in found if "are free on the disk" in line] == [severity]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_that_cannot_be_written_to_is_a_problem(examined, state, home):
    state.chmod(0o500)
    found, code = examined("--offline")
    assert code == 1
    assert "problem storage: ~/.local/state/freeroute: is no directory that can be written to" in found


def test_a_state_directory_that_is_a_file_is_a_problem(examined, home, monkeypatch):
    (home / "file").write_text("")
    monkeypatch.setenv("FREEROUTE_SERVER__STATE_DIR", str(home / "file"))
    found, code = examined("--offline")
    assert code == 1
    assert any(line.startswith("problem settings: ~/file") for line in found)


# --- the process, and the gateway ---------------------------------------------------------------------------


def test_few_open_files_are_a_warning(examined, home, monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda which: (256, 4096))
    found, _ = examined("--offline")
    told = "the process may open 256 files, which is enough for 128 requests at once"
    assert f"warning machine: {told}" in found


def test_a_port_that_something_else_uses_is_a_problem(examined, home, monkeypatch):
    with answering(front="<h1>It works</h1>") as other:
        monkeypatch.setenv("PORT", other.url.rpartition(":")[2])
        found, code = examined("--offline")
        assert code == 1
        assert about(found, "gateway") == [f"problem gateway: what answers at {other.url} is not freeroute"]


def test_a_port_that_nobody_may_use_is_a_problem(examined, home, monkeypatch):
    monkeypatch.setenv("FREEROUTE_SERVER__HOST", "192.0.2.1")
    monkeypatch.setenv("FREEROUTE_API_KEY", "fr-client")
    found, _ = examined("--offline", "--url", "")
    (line,) = about(found, "gateway")
    assert line.startswith("problem gateway: ")


def test_a_gateway_on_the_same_directory_but_elsewhere_is_told(examined, state):
    running = StateDir(state)
    try:
        found, _ = examined("--offline")
    finally:
        running.close()
    assert any(
        line.startswith("note gateway: one runs on ~/.local/state/freeroute, but not at") for line in found
    )


def test_a_gateway_that_is_named_must_be_there(examined, home):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        closed = f"http://127.0.0.1:{taken.getsockname()[1]}"
    found, code = examined("--offline", "--url", closed)
    assert code == 1
    assert any(line.startswith(f"problem gateway: no gateway answers at {closed}") for line in found)


def test_what_a_running_gateway_says_of_itself_is_passed_on(examined, home, monkeypatch):
    told = [
        ("problem", "no candidate is left."),
        ("warning", "groq refuses a key."),
        ("note", "a quota is low."),
    ]
    alerts = [{"severity": severity, "what": what, "do": "Do this."} for severity, what in told]
    monkeypatch.setenv("FREEROUTE_ADMIN_KEY", "fa-secret")
    with answering(front=FRONT, status={"version": "0.0.1", "alerts": alerts}) as gateway:
        found, code = examined("--offline", "--url", gateway.url)
        assert code == 1
        assert about(found, "gateway") == [
            f"ok gateway: one runs at {gateway.url}",
            f"note gateway: it is freeroute 0.0.1, and this command is {version()}",
            *(f"{severity} gateway: {what}" for severity, what in told),
        ]
        assert gateway.asked[-1][1]["authorization"] == "Bearer fa-secret"


def test_of_a_gateway_that_tells_us_nothing_the_readiness_is_known(examined, home):
    refused: Any = (401, {"error": {"message": "No key was sent."}}, {})
    trouble: Any = (503, {"status": "maintenance", "state": "not saved", "records": "not written"}, {})
    with answering(front=FRONT, status=refused, readyz=trouble) as gateway:
        found, code = examined("--offline", "--url", gateway.url)
        assert code == 1
        assert about(found, "gateway")[1:] == [
            "note gateway: its status cannot be read (status 401)",
            "warning gateway: it takes no requests: maintenance",
            "problem gateway: what it learns is not being saved",
            "problem gateway: receipts are not written",
        ]
        gateway.answers |= {"readyz": {"status": "ready"}}
        assert len(about(examined("--offline", "--url", gateway.url)[0], "gateway")) == 2


def test_a_gateway_that_runs_is_found_and_well(examined, home, tmp_path):
    with process("demo", "--port", "0", directory=tmp_path) as started:
        url = url_of(started).replace("localhost", "127.0.0.1")
        found, _ = examined("--offline", "--url", url)
    assert about(found, "gateway") == [f"ok gateway: one runs at {url}"]


@given(st.text(), st.text(alphabet="abcdefghijklmnop0123456789", min_size=24, max_size=60))
def test_no_finding_tells_a_key_or_where_the_user_lives(text, key):
    home = Path("/home/someone")
    if sum(map(str.isdigit, key)) < 3 or key.isdigit():
        key += "a123"
    (shown,) = presentable([note("a", f"{home}/x {text} gsk_{key} {text}", f"Bearer {key}")], home)
    told = shown.what + shown.remedy
    assert f"gsk_{key}" not in told
    assert f"Bearer {key}" not in told
    assert "/home/someone" not in told
    assert told.isprintable()
