"""What the doctor finds of the process it is, and of a gateway that runs."""

import resource
from typing import Any

from freeroute.stores.state_dir import StateDir
from freeroute.version import version
from tests.commands.answering import answering
from tests.commands.checkup.conftest import about
from tests.commands.conftest import process, url_of
from tests.support.servers import nobody_listens

FRONT = {"name": "freeroute"}


def test_few_open_files_are_a_warning(examined, home, monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda which: (128, 256))
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
    with nobody_listens() as port:
        closed = f"http://127.0.0.1:{port}"
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
