"""Clients that are added, rotated and revoked while a gateway runs."""

from collections.abc import Callable
from pathlib import Path

import httpx

from freeroute.clock import SystemClock
from freeroute.stores.clients_file import ClientsFile
from tests.commands.conftest import process, url_of
from tests.commands.test_clients import added
from tests.support.patience import PATIENCE

CLOCK = SystemClock()
SETTINGS = "discovery: {env: false, local: false}\n"


def status(url: str, key: str | None = None) -> int:
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    return httpx.get(f"{url}/v1/key", headers=headers, timeout=PATIENCE).status_code


def comes_about(answers: Callable[[], bool]) -> bool:
    """Say whether it comes to that; that it does within a second is a matter of `stores.followed.PAUSE`."""
    began = CLOCK.now().mono
    while not (so := answers()) and CLOCK.now().mono - began < PATIENCE:
        pass
    return so


def test_a_running_gateway_goes_by_every_change_without_a_restart(run):
    home = Path.home()
    (home / "freeroute.yaml").write_text(SETTINGS)
    with process("serve", "--port", "0", directory=home) as started:
        url = url_of(started)
        assert status(url) == 200
        first = added(run, "alice", "--requests-per-minute", "5")
        assert comes_about(lambda: status(url) == 401)
        assert status(url, first) == 200
        told = httpx.get(f"{url}/v1/key", headers={"x-api-key": first}, timeout=PATIENCE).json()["data"]
        assert (told["label"], told["rate_limit"]["requests"]) == ("alice", 5)
        run("clients", "rotate", "alice", "--overlap", "1h")
        assert status(url, first) == 200
        second = _rotated(run, "--overlap", "1s")
        assert comes_about(lambda: status(url, second) == 200)
        run("clients", "revoke", "alice")
        assert comes_about(lambda: status(url, second) == 401)
        assert "was revoked" in httpx.get(f"{url}/v1/key", headers={"api-key": second}, timeout=PATIENCE).text
        assert status(url) == 401


def test_a_gateway_knows_those_who_were_added_before_it_started(run):
    home = Path.home()
    (home / "freeroute.yaml").write_text(SETTINGS)
    key = added(run, "alice")
    with process("serve", "--port", "0", "--host", "0.0.0.0", directory=home) as started:
        url = url_of(started)
        assert (status(url, key), status(url)) == (200, 401)


def test_a_damaged_file_ends_the_start_with_what_is_wrong(run):
    home = Path.home()
    added(run, "alice")
    ClientsFile(home / ".local/state/freeroute").path.write_text("{")
    with process("serve", "--port", "0", directory=home) as started:
        _, complaint = started.communicate(timeout=PATIENCE)
    assert started.returncode == 2
    assert "clients.json: is damaged" in complaint


def _rotated(run, *options: str) -> str:
    return run("clients", "rotate", "alice", "--json", *options).stdout.split('"key": "')[1].split('"')[0]
