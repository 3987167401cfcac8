"""Other gateways, as `make bench-peers` installs them, in front of the same upstream.

They run without keys of clients, limits and databases, so they do less than freeroute does beside them.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from bench import machine
from bench.processes import (
    ROOT,
    BenchFailed,
    NotHere,
    Target,
    Upstream,
    free_port,
    running,
    wait_until_served,
)

_INSTALLED = ROOT / ".venv" / "peers"
# LiteLLM takes five seconds to start where nothing else runs; much more than that is a failure.
_PATIENCE = 120.0
_LOG_SHOWN = 1000


@contextmanager
def litellm(upstream: Upstream) -> Iterator[Target]:
    """Run LiteLLM's proxy, one worker, until it serves; raises NotHere, or BenchFailed if it never does."""
    program = _INSTALLED / "litellm" / "bin" / "litellm"
    port = free_port()
    told = {
        "model_list": [
            {
                "model_name": "m",
                "litellm_params": {"model": "openai/m", "api_base": f"{url}/v1", "api_key": "k"},
            }
            for url in upstream.urls
        ]
    }
    with tempfile.TemporaryDirectory(prefix="freeroute-bench-") as name:
        config = Path(name) / "config.yaml"
        config.write_bytes(msgspec.yaml.encode(told))
        command: list[str | Path] = [
            program,
            "--config",
            config,
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--telemetry",
            "False",
        ]
        env = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}
        with _served("LiteLLM", command, env, Path(name), port) as target:
            yield target


@contextmanager
def portkey(upstream: Upstream) -> Iterator[Target]:
    """Run Portkey's gateway until it serves; raises NotHere, or BenchFailed if it never does."""
    package = _INSTALLED / "portkey" / "node_modules" / "@portkey-ai" / "gateway"
    node = shutil.which("node")
    if node is None:
        raise NotHere("Portkey: not installed (it needs Node.js)")
    port = free_port()
    headers = (("x-portkey-provider", "openai"), ("x-portkey-custom-host", f"{upstream.urls[0]}/v1"))
    with tempfile.TemporaryDirectory(prefix="freeroute-bench-") as name:
        script = package / "build" / "start-server.js"
        command: list[str | Path] = [Path(node), script, f"--port={port}", "--headless"]
        env = {"NODE_ENV": "production"}
        with _served("Portkey", command, env, Path(name), port, headers) as target:
            yield target


@contextmanager
def _served(
    name: str,
    command: Sequence[str | Path],
    env: Mapping[str, str],
    directory: Path,
    port: int,
    headers: tuple[tuple[str, str], ...] = (),
) -> Iterator[Target]:
    """Run *command* with its log in *directory*, and no variable of whoever runs this but the path."""
    if missing := [
        part for part in command if isinstance(part, Path) and part.is_absolute() and not part.exists()
    ]:
        raise NotHere(f"{name}: not installed (make bench-peers); there is no {missing[0]}")
    own = {"PATH": os.environ.get("PATH", ""), "HOME": str(directory), **env}
    path = directory / "log"
    on = machine.cores().gateway
    with path.open("wb") as log, running(command, on, own, cwd=directory, stdout=log, stderr=log) as process:
        target = Target(name, port, ("m",), "k", process.pid, headers)
        try:
            wait_until_served(target, process, _PATIENCE)
        except BenchFailed as exc:
            said = path.read_text(errors="replace").strip()[-_LOG_SHOWN:]
            raise BenchFailed(f"{exc}; its log ends with:\n{said}") from None
        yield target
