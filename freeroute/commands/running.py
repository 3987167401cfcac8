"""Talking to a gateway that runs: where it is, which key to send, and what its errors mean here."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import click

from freeroute.commands.tables import plain
from freeroute.errors import ConfigError

if TYPE_CHECKING:
    import httpx

DEFAULT_PORT = "3000"
LOCAL = ("127.0.0.1", "localhost", "::1")
CONNECT_SECONDS = 5.0
# A gateway may wait for capacity and then for a slow model; who asks can always press Ctrl-C.
ANSWER_SECONDS = 900.0


class Failed(click.ClickException):
    """What was asked did not work; the command exits with 1."""

    def show(self, file: Any = None) -> None:
        """Print one line on stderr."""
        click.echo(f"freeroute: {self.message}", err=True)


def environment() -> Mapping[str, str]:
    """Return the environment over ``.env`` here, as the gateway itself reads them."""
    path = Path(".env")
    if not path.is_file():
        return os.environ
    from freeroute.config.sources import parse_env, read_text

    return {**parse_env(read_text(path, ".env"), ".env"), **os.environ}


def kept_admin_key(directory: Path) -> str | None:
    """Return the admin key that a gateway made in its state *directory*; None if there is none to be read."""
    try:
        return (directory / "admin_key").read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeDecodeError):
        return None


class Running:
    """A gateway at an address."""

    def __init__(self, url: str | None, env: Mapping[str, str]) -> None:
        """Take *url*, or what *env* says of it; raises ConfigError if it is none."""
        self.url = base_url(url, env)
        self._env = env

    @property
    def is_local(self) -> bool:
        """Say whether it is on this machine."""
        return urlsplit(self.url).hostname in LOCAL

    @contextmanager
    def client(self, *, operator: bool = False, admin: str | None = None) -> Iterator["httpx.Client"]:
        """Give a client for it, with the *admin* key if given.

        An *operator* may send the admin key where no client key is set.
        """
        import httpx

        with self.explaining(), httpx.Client(**self.terms(operator=operator, admin=admin)) as client:
            yield client

    def terms(self, *, operator: bool = False, admin: str | None = None) -> dict[str, Any]:
        """Return what a client of httpx for it is made with; raises Failed for a key that cannot be sent."""
        import httpx

        key = admin or self._env.get("FREEROUTE_API_KEY")
        if not key and operator:
            key = self._env.get("FREEROUTE_ADMIN_KEY")
        if key and not (key.isascii() and key.isprintable()):
            name = "the admin key" if admin else "FREEROUTE_API_KEY"
            raise Failed(f"{name} holds a character that no key has")
        return {
            "base_url": self.url,
            "headers": {"authorization": f"Bearer {key}"} if key else {},
            "timeout": httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
            # A proxy is for what is far away.
            "trust_env": not self.is_local,
        }

    @contextmanager
    def explaining(self) -> Iterator[None]:
        """Turn what goes wrong between here and there into Failed."""
        import httpx

        try:
            yield
        except httpx.ConnectError as exc:
            told = f"no gateway answers at {self.url}; start one with `freeroute serve` or name it with --url"
            raise Failed(told) from exc
        except httpx.TimeoutException as exc:
            raise Failed(f"{self.url} does not answer in time") from exc
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            raise Failed(f"{self.url}: the connection failed: {type(exc).__name__}") from exc
        except UnicodeEncodeError as exc:
            raise click.UsageError("what was given is not UTF-8 text") from exc

    def admin_key(self, config: str | None) -> str | None:
        """Return the admin key of a gateway: as told, or the one that it made for itself on this machine."""
        told = self._env.get("FREEROUTE_ADMIN_KEY")
        if told or not self.is_local:
            return told or None
        from freeroute.config.load import Overrides, load

        try:
            settings = load(Overrides(config=config), self._env, Path.cwd(), Path.home())
        except OSError:
            return None
        return kept_admin_key(settings.state_dir)

    def get(self, path: str, *, operator: bool = False, **query: str) -> dict[str, Any]:
        """Return the JSON object at *path*; raises Failed."""
        with self.client(operator=operator) as client:
            return content(client.get(path, params=query))

    def read(self, path: str, admin: str | None) -> dict[str, Any]:
        """Return what an admin route at *path* tells who has the *admin* key; raises Failed."""
        with self.client(admin=admin) as client:
            return content(client.get(path))

    def post(self, path: str, admin: str | None) -> dict[str, Any]:
        """Return what an admin route at *path* answers to the *admin* key; raises Failed."""
        with self.client(admin=admin) as client:
            return content(client.post(path))

    def change(
        self, method: str, path: str, admin: str | None, body: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return what an admin route answers to a change, nothing if it has nothing to say; raises Failed."""
        with self.client(admin=admin) as client:
            answer = client.request(method, path, json=body)
            return {} if answer.status_code == 204 else content(answer)


def base_url(url: str | None, env: Mapping[str, str]) -> str:
    """Return the address of the gateway, without the ``/v1`` that OpenAI clients want."""
    told = url or env.get("FREEROUTE_URL") or f"http://127.0.0.1:{env.get('PORT') or DEFAULT_PORT}"
    parts = urlsplit(told if "//" in told else f"http://{told}")
    try:
        sound = (
            parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port)
        )
    except ValueError:
        sound = False
    if not sound:
        raise ConfigError(f"{told!r} is not the address of a gateway, such as http://127.0.0.1:3000")
    path = re.sub(r"(/api)?/v1$", "", parts.path.rstrip("/"))
    return f"{parts.scheme}://{parts.netloc}{quote(path)}"


def content(response: "httpx.Response") -> dict[str, Any]:
    """Return the JSON object of *response*; raises Failed with the gateway's own words if it is an error."""
    try:
        found = json.loads(response.content)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Failed(f"{response.url}: this does not look like a gateway (status {response.status_code})")
    if response.status_code != 200:
        raise refusal(response.status_code, found)
    return found


def refusal(status: int, body: Mapping[str, Any]) -> Failed:
    """Return what the error *body* says, as one line, with what helps."""
    error = body.get("error")
    message = error.get("message") if isinstance(error, dict) else None
    if not isinstance(message, str):
        return Failed(f"the gateway answered with status {status}")
    hint = "; set FREEROUTE_API_KEY" if status == 401 and "FREEROUTE" not in message else ""
    return Failed(f"{plain(message)}{hint} (status {status})")
