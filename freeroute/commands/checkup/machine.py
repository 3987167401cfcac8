"""Has the process what it needs, and does a gateway run already?"""

import platform
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import httpx

from freeroute.commands.checkup import storage
from freeroute.commands.checkup.finding import Finding, note, ok, problem, warning
from freeroute.commands.running import Failed, Running
from freeroute.config.load import Settings
from freeroute.errors import ConfigError
from freeroute.open_files import could_open
from freeroute.serving import listen
from freeroute.version import version

MACHINE, GATEWAY = "machine", "gateway"
# Own design: a request takes two, one to its caller and one to a provider.
FEW_FILES = 1024
ANSWER = 10.0
_SEVERITY = {"problem": problem, "warning": warning}


def examine() -> Iterator[Finding]:
    """Return what is to be said of the process' surroundings."""
    yield ok(MACHINE, f"freeroute {version()}, Python {platform.python_version()}, {sys.platform}")
    most = could_open()  # a gateway takes all that it may have
    if most < FEW_FILES:
        told = f"the process may open {most:,} files, which is enough for {most // 2:,} requests at once"
        yield warning(MACHINE, told, "ulimit -n 65536, or LimitNOFILE=65536 for systemd")
    else:
        yield ok(MACHINE, "the process may open enough files")


def address_of(settings: Settings) -> str:
    """Return where a gateway with these *settings* is to be found from this machine."""
    host = settings.server.host.strip("[]")
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.server.port}"


def gateway(running: Running, settings: Settings, admin: str | None, *, named: bool) -> Iterator[Finding]:
    """Return what is to be said of the gateway that runs, if one does.

    *named* says that somebody named its address: then there must be one.
    """
    timeout = httpx.Timeout(ANSWER)
    try:
        with running.client(operator=True, admin=admin) as client:
            front = _object(client.get("/", headers={"accept": "application/json"}, timeout=timeout))
            if front.get("name") != "freeroute":
                told = f"what answers at {running.url} is not freeroute"
                yield problem(GATEWAY, told, "stop it, or choose another port with --port or PORT")
                return
            yield ok(GATEWAY, f"one runs at {running.url}")
            answer = client.get("/v1/status", timeout=timeout)
            yield from _status(answer, _object(answer))
            if answer.status_code != 200:  # what everybody is told
                yield from _readiness(client.get("/readyz", timeout=timeout))
    except Failed as exc:
        if named or not isinstance(exc.__cause__, httpx.ConnectError):
            yield problem(GATEWAY, exc.message, "look at its log; --url names another one")
        else:
            yield from _nobody(settings)


def _nobody(settings: Settings) -> Iterator[Finding]:
    """Say that none runs at the address of the *settings*, and whether one could."""
    if storage.held(settings.state_dir):
        told = f"one runs on {settings.state_dir}, but not at {address_of(settings)}"
        yield note(GATEWAY, told, "name its address with --url, or stop it before another is started there")
    try:
        listen(settings.server.host, settings.server.port).close()
    except ConfigError as exc:
        yield problem(GATEWAY, str(exc), "stop what uses it, or choose another with --port or PORT")
    else:
        yield ok(GATEWAY, f"none runs, and port {settings.server.port} is free")


def _object(answer: httpx.Response) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _readiness(answer: httpx.Response) -> Iterator[Finding]:
    told = _object(answer)
    if answer.status_code != 200:
        yield warning(
            GATEWAY, f"it takes no requests: {told.get('status')}", "`freeroute maintenance off`, or wait"
        )
    if "state" in told:
        yield problem(GATEWAY, "what it learns is not being saved", "look at the disk of its state directory")
    if "records" in told:
        yield problem(GATEWAY, "receipts are not written", "look at its database, and at its log for why")


def _status(answer: httpx.Response, status: Mapping[str, Any]) -> Iterator[Finding]:
    if answer.status_code != 200 or "alerts" not in status:
        told = f"its status cannot be read (status {answer.status_code})"
        yield note(GATEWAY, told, "set FREEROUTE_ADMIN_KEY to its admin key")
        return
    if status["version"] != version():
        told = f"it is freeroute {status['version']}, and this command is {version()}"
        yield note(GATEWAY, told, "restart it if it was updated")
    yield from (_alert(alert) for alert in status["alerts"])


def _alert(alert: Mapping[str, Any]) -> Finding:
    made = _SEVERITY.get(alert["severity"], note)
    return made(GATEWAY, alert["what"], alert["do"])
