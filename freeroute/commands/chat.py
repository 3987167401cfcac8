"""``freeroute chat``: one question to a running gateway, its answer as it comes."""

import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from freeroute.commands import options
from freeroute.commands.running import Failed, Running, content, environment, refusal
from freeroute.commands.tables import plain

if TYPE_CHECKING:
    import httpx

_PATH = "/v1/chat/completions"


@click.command()
@click.argument("text", nargs=-1)
@click.option(
    "--model", "-m", default="free", show_default=True, help="The model to ask; see `freeroute models`."
)
@click.option("--system", "-s", metavar="TEXT", help="What the model is told beforehand.")
@options.url
@options.as_json
def chat(text: tuple[str, ...], model: str, system: str | None, url: str | None, as_json: bool) -> int:
    """Ask a running gateway and print the answer as it comes.

    A `-` stands for what comes on standard input. Who answered, and with how many tokens, is told on
    stderr at the end. If the gateway asks for a key, FREEROUTE_API_KEY is sent.

    \b
    freeroute chat "Why is the sky blue?"
    freeroute chat -m free-smart "Review this change:" - < change.diff
    """
    messages = [{"role": "system", "content": _sound(system)}] if system else []
    messages.append({"role": "user", "content": _question(text)})
    body: dict[str, Any] = {"model": _sound(model), "messages": messages}
    running = Running(url, environment())
    if as_json:
        with running.client() as client:
            click.echo(json.dumps(content(client.post(_PATH, json=body)), indent=2))
        return 0
    body |= {"stream": True, "stream_options": {"include_usage": True}}
    with running.client() as client, client.stream("POST", _PATH, json=body) as response:
        if response.status_code != 200:
            response.read()
            content(response)
        return _tell(response)


def _question(text: tuple[str, ...]) -> str:
    if not text and sys.stdin.isatty():
        raise click.UsageError('say what to ask: freeroute chat "Why is the sky blue?"')
    parts = [_input() if part == "-" else _sound(part) for part in text or ("-",)]
    question = " ".join(parts).strip()
    if not question:
        raise click.UsageError("there is nothing to ask: the text is empty")
    return question


def _input() -> str:
    """Return what comes on standard input, whatever encoding the terminal has."""
    data = sys.stdin.buffer.read()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise click.UsageError(f"what comes on standard input is not UTF-8 (byte {exc.start})") from exc


def _sound(text: str) -> str:
    """Return *text* from the command line; bytes that are no UTF-8 stand in it as halves of characters."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as exc:
        raise click.UsageError("the text is not UTF-8") from exc
    return text


def _tell(response: "httpx.Response") -> int:
    """Print the answer in *response* while it comes."""
    usage: dict[str, Any] = {}
    ended = False
    for event in _events(response):
        if event is None:
            ended = True
            continue
        if isinstance(event.get("error"), dict):
            click.echo()
            raise refusal(response.status_code, event)
        usage = event.get("usage") or usage
        for choice in event.get("choices") or ():
            click.echo(_fit((choice.get("delta") or {}).get("content") or ""), nl=False)
            sys.stdout.flush()
    click.echo()
    if not ended:
        raise Failed("the answer broke off")
    click.echo(_credits(response.headers, usage), err=True)
    return 0


def _events(response: "httpx.Response") -> Iterator[dict[str, Any] | None]:
    """Give every event of the stream, and None for its proper end."""
    from freeroute.wire.sse import SseParser

    parser = SseParser()
    for data in response.iter_bytes():
        for payload in parser.feed(data):
            if payload == b"[DONE]":
                yield None
                continue
            try:
                event = json.loads(payload)
            except ValueError:
                continue
            if isinstance(event, dict):
                yield event


def _fit(text: str) -> str:
    """Return *text* without what would steer the terminal; what goes into a file stays as it is."""
    if not sys.stdout.isatty():
        return text
    return "".join(char for char in text if char in "\n\t" or char.isprintable())


def _credits(headers: "httpx.Headers", usage: dict[str, Any]) -> str:
    who = f"{headers.get('x-freeroute-provider', '?')}/{headers.get('x-freeroute-model', '?')}"
    prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
    counted = f", {prompt} + {completion} tokens" if prompt is not None and completion is not None else ""
    attempts = headers.get("x-freeroute-attempts", "1")
    tried = f", {attempts} attempts" if attempts != "1" else ""
    return plain(f"[{who}{counted}{tried}]")
