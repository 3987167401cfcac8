"""A gateway in a process of its own, as `freeroute serve` runs it but without a grace."""

import asyncio
import contextlib
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
_SERVE = """
import sys
from freeroute.app import ServeOptions
from freeroute.commands.serve import stop_at_sigterm
from freeroute.config.load import Overrides
from freeroute.serving import serve

if len(sys.argv) > 1:
    import resource
    resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]),) * 2)
stop_at_sigterm()
wanted = ServeOptions(overrides=Overrides(port=0, log_format="json"))
serve(wanted, lambda started: print(started.url, flush=True), lambda *local: None, grace=0)
"""
_SETTINGS = """
discovery: {{env: false, local: false}}
providers:
  own:
    base_url: {url}
    keys: [sk-own]
    models: [{{id: m}}]
    limits: [{{unit: requests, amount: 1000, per: minute}}]
"""


@contextlib.asynccontextmanager
async def gateway(directory: Path, provider: str, files: int | None = None) -> AsyncIterator[Process]:
    """Run a gateway that keeps to *directory*, in front of the *provider* at this URL; end it on the way out.

    It may open so many *files*, or as many as this process.
    """
    (directory / "freeroute.yaml").write_text(_SETTINGS.format(url=provider))
    env = {"PATH": os.environ["PATH"], "HOME": str(directory), "PYTHONPATH": str(ROOT)}
    few = [] if files is None else [str(files)]
    started = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _SERVE, *few, cwd=directory, env=env, stdout=PIPE, stderr=PIPE
    )
    try:
        yield started
    finally:
        if started.returncode is None:
            started.kill()
            await started.communicate()


async def url_of(started: Process) -> str:
    """Return where the gateway listens, once it does."""
    assert started.stdout is not None
    return (await started.stdout.readline()).decode().strip().replace("localhost", "127.0.0.1")
