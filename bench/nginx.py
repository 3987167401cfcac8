"""nginx beside the gateway: as a proxy that decides nothing, and as what speaks TLS for the upstream."""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench import machine
from bench.processes import (
    LOOPBACK,
    BenchFailed,
    NotHere,
    Target,
    Upstream,
    free_port,
    is_listening,
    running,
    wait_until_served,
)

NAME = "nginx proxy_pass"

# One process without a master, so that it is the one that is pinned and measured. Connections are kept on
# both sides, as the gateway keeps them; nothing is buffered, so that an event leaves when it comes.
_CONF = """
daemon off;
master_process off;
pid nginx.pid;
error_log stderr error;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  keepalive_requests 100000000;
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_buffering off;
{servers}
}}
"""
_SERVER = """
  upstream to_{port} {{ {origins} keepalive 512; keepalive_requests 100000000; }}
  server {{ listen {host}:{port} backlog=4096 {tls}; location / {{ proxy_pass http://to_{port}; }} }}
"""
_PATIENCE = 5.0  # seconds for nginx to listen; it takes some hundredths


@contextmanager
def proxy(upstream: Upstream) -> Iterator[Target]:
    """Run nginx as a proxy in front of *upstream* until it serves; raises NotHere without nginx."""
    port = free_port()
    with _nginx(_server(port, upstream.ports), port, machine.cores().gateway) as process:
        target = Target(NAME, port, ("m",), pid=process.pid)
        wait_until_served(target, process)
        yield target


@contextmanager
def over_tls(upstream: Upstream) -> Iterator[Upstream]:
    """Give *upstream* over TLS, by nginx on the upstream's core; raises NotHere if a tool is missing."""
    try:
        import trustme
    except ModuleNotFoundError:  # an environment that only serves
        raise NotHere("trustme: not installed (make bench does it)") from None
    with tempfile.TemporaryDirectory(prefix="freeroute-bench-") as name:
        directory = Path(name)
        authority = trustme.CA()
        authority.cert_pem.write_to_path(directory / "authority.pem")
        authority.issue_cert(LOOPBACK).private_key_and_cert_chain_pem.write_to_path(directory / "own.pem")
        ports = tuple(free_port() for _ in upstream.ports)
        pairs = zip(ports, upstream.ports, strict=True)
        servers = "".join(_server(port, (origin,), directory / "own.pem") for port, origin in pairs)
        with _nginx(servers, ports[-1], machine.cores().load):
            yield Upstream(ports, f"{upstream.kind}, behind nginx", directory / "authority.pem")


def _server(port: int, origins: Sequence[int], certified: Path | None = None) -> str:
    """Return what nginx is told of one port, over TLS if it is *certified* by a file."""
    named = " ".join(f"server {LOOPBACK}:{origin};" for origin in origins)
    if certified is None:
        return _SERVER.format(host=LOOPBACK, port=port, origins=named, tls="")
    tls = f"ssl; ssl_certificate {certified}; ssl_certificate_key {certified}"
    return _SERVER.format(host=LOOPBACK, port=port, origins=named, tls=tls)


@contextmanager
def _nginx(servers: str, port: int, on: frozenset[int]) -> Iterator[subprocess.Popen[bytes]]:
    program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if program is None:
        raise NotHere("nginx: not installed (apt install nginx-light)")
    with tempfile.TemporaryDirectory(prefix="freeroute-bench-") as name:
        conf = Path(name) / "nginx.conf"
        conf.write_text(_CONF.format(servers=servers))
        with (
            (Path(name) / "log").open("wb") as log,
            running([program, "-p", name, "-c", conf], on, stderr=log) as process,
        ):
            _wait(process, port)
            yield process


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    ends = time.perf_counter() + _PATIENCE
    while process.poll() is None and time.perf_counter() < ends:
        if is_listening(port):
            return
        time.sleep(0.01)
    raise BenchFailed("nginx did not start")
