"""What ``serve`` and ``demo`` print once they listen: texts, made from plain values."""

import os.path
import shlex
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

WIDTH = 100
QUESTION = '{"model": "free-fast", "messages": [{"role": "user", "content": "Hello!"}]}'

_PRIVACY = {
    "trains": "may train on prompts",
    "no-train": "does not train on prompts",
    "unknown": "does not say whether it trains on prompts",
    "local": "prompts stay on your machines",
}


class On(Protocol):
    """A provider that is switched on, as `assembly.SwitchedOn` tells of it."""

    @property
    def provider(self) -> str:
        """Its name in the settings."""

    @property
    def why(self) -> str:
        """What switched it on."""

    @property
    def privacy(self) -> str:
        """What it does with prompts."""

    @property
    def terms(self) -> str:
        """Its terms in a sentence."""


def curl_line(url: str) -> str:
    """Return a first request for a shell."""
    return f"curl {url}/v1/chat/completions -d '{QUESTION}'"


def python_snippet(url: str) -> str:
    """Return a first request for any Python 3, with nothing to install."""
    return (
        "import json, urllib.request\n"
        f"question = {QUESTION}\n"
        f'reply = urllib.request.urlopen("{url}/v1/chat/completions", json.dumps(question).encode())\n'
        'print(json.load(reply)["choices"][0]["message"]["content"])'
    )


def program(started_as: str, on_path: str | None, python: str, here: Path) -> str:
    """Return how to call freeroute again from *here*: what this was started as, unless a shell finds it."""
    if Path(started_as).name == "__main__.py":
        return f"{_from(here, python)} -m freeroute"
    if on_path is not None and os.path.realpath(on_path) == os.path.realpath(started_as):
        return "freeroute"
    return _from(here, started_as)


def _from(here: Path, path: str) -> str:
    """Return *path* for a shell that stands *here*; links stay, as they make a virtual environment."""
    whole = Path(os.path.normpath(here / path))
    if not whole.is_relative_to(here):
        return shlex.quote(str(whole))
    near = whole.relative_to(here)
    # A name without any directory would be looked for on the path.
    return shlex.quote(str(near) if len(near.parts) > 1 else f"./{near}")


def demo_banner(url: str, freeroute: str = "freeroute") -> str:
    """Return what the demo says of itself; *freeroute* is how to call the program."""
    title = "freeroute demo: simulated providers, no key, no network"
    return (
        f"{_addresses(title, url, 'signed in already')}\n\n"
        f"Ask from a shell:\n\n{curl_line(url)}\n\n"
        f"From Python:\n\n{python_snippet(url)}\n\n"
        f"{_any_client(url)}\n"
        f'From another terminal here: {freeroute} chat --url {url} "Hello!"\n\n'
        "Ctrl-C ends it."
    )


def start_message(
    switched_on: Sequence[On],
    url: str,
    *,
    version: str = "",
    hints: Sequence[str] = (),
    looking_for_local: bool = False,
    state_dir: Path | None = None,
    admin_key_set: bool = False,
    needs_key: bool = False,
) -> str:
    """Return what ``serve`` says: where it listens, what is on and why, and what each does with prompts."""
    admin = (
        "as FREEROUTE_ADMIN_KEY says"
        if admin_key_set or state_dir is None
        else f"in {state_dir / 'admin_key'}"
    )
    parts = [_addresses(f"freeroute {version}".strip(), url, f"admin key: {admin}")]
    if switched_on:
        parts.append("Providers:\n" + "\n".join(_line(on) for on in switched_on))
    else:
        parts.append(nothing_on_message())
    if looking_for_local:
        parts.append("Local servers are being looked for; what is found is listed below.")
    parts.extend(_wrapped(f"Note: {hint}", "      ") for hint in hints)
    if switched_on:
        callers = "Callers need a client key." if needs_key else "Callers need no key."
        parts.append(f"{callers} {_any_client(url)}\nTry: {curl_line(url)}" if not needs_key else callers)
    return "\n\n".join(parts)


def local_line(on: On) -> str:
    """Return what to say when a local server was found."""
    return _line(on)


def nothing_on_message() -> str:
    """Return how to get going with nothing at all."""
    return (
        "No provider is switched on. Any one of these gets you going:\n"
        "  set a key          GROQ_API_KEY=... freeroute serve   (or write it into .env; see .env.example)\n"
        "  run a local model  start Ollama, LM Studio, llama.cpp or vLLM, then freeroute again\n"
        "  use no key         freeroute serve --keyless          (prompts go to providers that need none)\n"
        "  look around        freeroute demo                     (simulated providers, no network)"
    )


def _addresses(title: str, url: str, about_dashboard: str) -> str:
    return (
        f"{title}\n\n"
        f"  API        {url}/v1\n"
        f"  Dashboard  {url}/dashboard   ({about_dashboard})\n"
        f"  Metrics    {url}/metrics"
    )


def _any_client(url: str) -> str:
    return f'Any OpenAI client works: OpenAI(base_url="{url}/v1", api_key="not-needed")'


def _line(on: On) -> str:
    said = f"  {on.provider:<14} {on.why}; {_PRIVACY.get(on.privacy, on.privacy)}"
    if on.terms and on.privacy != "local":
        said += f". {on.terms}"
    return _wrapped(said, " " * 17)


def _wrapped(text: str, indent: str) -> str:
    return "\n".join(textwrap.wrap(text, WIDTH, subsequent_indent=indent, break_long_words=False))
