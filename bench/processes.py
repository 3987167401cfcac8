"""The processes of a run: the upstream, the gateway, and what is asked of the load."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from bench import ending, machine
from bench.upstream import payloads

ROOT = Path(__file__).parent.parent
SOURCE = Path(__file__).parent / "upstream" / "mock.c"
LOOPBACK = "127.0.0.1"


class Target(Struct, frozen=True):
    """Something that answers chat completions: the upstream itself, or a gateway in front of it.

    *models* are asked in turn, with *key* and *headers*. *pid* is of the process that is measured; None for
    the upstream.
    """

    name: str
    port: int
    models: tuple[str, ...]
    key: str = ""
    pid: int | None = None
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def asked(self) -> dict[str, Any]:
        """Return how the load generator is told of it."""
        return {"port": self.port, "models": self.models, "key": self.key, "headers": self.headers}


class Upstream(Struct, frozen=True):
    """The mock provider, each of its *ports* an origin of its own; *kind* tells how it was built.

    With *authority*, the file of a certificate to trust, it speaks TLS.
    """

    ports: tuple[int, ...]
    kind: str
    authority: Path | None = None

    @property
    def direct(self) -> Target:
        """Return it as a target: no gateway."""
        return Target("direct", self.ports[0], ("m",))

    @property
    def urls(self) -> tuple[str, ...]:
        """Return the base URL of each origin, without a path."""
        scheme = "http" if self.authority is None else "https"
        return tuple(f"{scheme}://{LOOPBACK}:{port}" for port in self.ports)


class BenchFailed(Exception):
    """A part of the benchmark did not come up; the message says which and how."""


class NotHere(BenchFailed):
    """What was to be measured is not on this machine; the message says what would bring it."""


@contextmanager
def running(
    command: Sequence[str | Path], on: frozenset[int], env: Mapping[str, str] | None = None, **given: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """Run *command* pinned to the cores *on*, and end it; if this process is killed, it ends too."""
    process = subprocess.Popen(command, env=env, preexec_fn=ending.bound(), **given)  # noqa: PLW1509
    try:
        if on:
            # It has hardly begun, and has no thread yet that would keep to another core.
            os.sched_setaffinity(process.pid, on)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


@contextmanager
def upstream(events: int, pace: float, ports: int, *, compiled: bool = True) -> Iterator[Upstream]:
    """Run the mock provider: streams of *events*, *pace* seconds apart, on as many *ports*.

    It is in C where that is wanted and can be compiled, else in Python.
    """
    with tempfile.TemporaryDirectory(prefix="freeroute-bench-") as directory:
        pieces = Path(directory)
        payloads.write(pieces)
        program = _compiled(pieces) if compiled else None
        start: list[str | Path] = [program] if program else [sys.executable, "-m", "bench.upstream.fallback"]
        told = [*start, pieces, str(events), str(round(pace * 1e6)), str(ports)]
        with running(told, machine.cores().load, stdout=subprocess.PIPE, cwd=ROOT) as process:
            assert process.stdout is not None
            found = tuple(int(port) for port in process.stdout.readline().split())
            if len(found) != ports:
                raise BenchFailed("the mock upstream did not start")
            yield Upstream(found, "C" if program else "Python")


def _compiled(directory: Path) -> Path | None:
    """Build the upstream in *directory*; None without a compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        return None
    program = directory / "mock"
    subprocess.run([compiler, "-O2", "-o", program, SOURCE], check=True)
    return program


def load(work: str, **wanted: Any) -> dict[str, Any]:
    """Run the load generator in a process of its own and return what it saw."""
    command = [sys.executable, "-m", "bench.load", work]
    with running(
        command, machine.cores().load, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    ) as process:
        out, _ = process.communicate(msgspec.json.encode(wanted))
    if process.returncode:
        raise BenchFailed(f"the load generator ended with {process.returncode}")
    try:
        found: dict[str, Any] = msgspec.json.decode(out)
    except msgspec.DecodeError:
        raise BenchFailed(f"the load generator told only {len(out)} bytes of its results") from None
    return found


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def is_listening(port: int) -> bool:
    """Say whether somebody listens on *port*."""
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


def wait_until_served(target: Target, process: subprocess.Popen[bytes], patience: float = 30.0) -> None:
    """Ask *target* for a chat completion until one is answered with 200."""
    request = chat_request(target.port, target.models[0], target.key, headers=target.headers)
    ends = time.perf_counter() + patience
    while process.poll() is None and time.perf_counter() < ends:
        if _status(target.port, request) == b"200":
            return
        time.sleep(0.002)
    raise BenchFailed(f"{target.name} did not answer a chat completion with 200")


def _status(port: int, request: bytes) -> bytes:
    try:
        with socket.create_connection((LOOPBACK, port), timeout=5) as connection:
            connection.sendall(request)
            return connection.recv(65536)[9:12]
    except OSError:
        return b""


def chat_request(
    port: int, model: str, key: str = "", *, stream: bool = False, headers: Sequence[tuple[str, str]] = ()
) -> bytes:
    """Return a chat completion request as bytes, about what a short turn of a client sends."""
    messages = [
        {"role": "system", "content": "You are a concise assistant."},
        {"role": "user", "content": "Explain in three sentences why the sky is blue."},
    ]
    body = msgspec.json.encode({"model": model, "messages": messages, "stream": stream})
    head = [
        "POST /v1/chat/completions HTTP/1.1",
        f"host: {LOOPBACK}:{port}",
        "content-type: application/json",
        "accept: application/json",
        f"content-length: {len(body)}",
    ]
    if key:
        head.append(f"authorization: Bearer {key}")
    head += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join([*head, "", ""]).encode() + body
