"""References to secrets, ``env:NAME`` and ``file:PATH``, and what may be a key."""

import string
from collections.abc import Mapping
from pathlib import Path

from freeroute.config.schema import Where
from freeroute.config.sources import read_text
from freeroute.errors import ConfigError
from freeroute.wire.text import printable

_KEY_CHARACTERS = frozenset(string.ascii_letters + string.digits + string.punctuation)


class References:
    """Looks up ``env:NAME`` and ``file:PATH``. Errors name the reference, never what it holds."""

    def __init__(self, env: Mapping[str, str], beside: Path, home: Path) -> None:
        self._env = env
        self._beside = beside
        self._home = home

    def all(self, text: str, where: Where) -> list[str]:
        """Return the keys that *text* stands for: a variable may hold several, separated by commas."""
        if text.startswith("env:"):
            return [checked(key, where) for key in self._variable(text[4:], where)]
        return [checked(self._file(text[5:], where) if text.startswith("file:") else text, where)]

    def one(self, text: str, where: Where) -> str:
        """Return the single key that *text* stands for."""
        if text.startswith("env:"):
            return checked(",".join(self._variable(text[4:], where)), where)
        return self.all(text, where)[0]

    def _variable(self, name: str, where: Where) -> list[str]:
        keys = split(self._env.get(name, ""))
        if not keys:
            raise where.error(f"the environment variable {printable(name)} is not set, nor is it in .env")
        return keys

    def _file(self, name: str, where: Where) -> str:
        try:
            return read_text(self._beside / expanded(name, self._home), f"file:{printable(name)}").strip()
        except ConfigError as exc:
            raise where.error(str(exc)) from exc


def split(text: str) -> list[str]:
    """Return the keys in *text*, a variable's value such as ``key1,key2``; repeated ones once."""
    return list(dict.fromkeys(key.strip() for key in text.split(",") if key.strip()))


def checked(key: str, where: Where) -> str:
    """Return *key* if a header can carry it."""
    if not key:
        raise where.error("is empty")
    if not set(key) <= _KEY_CHARACTERS:
        raise where.error("holds a character that no key has, such as a space or a line break")
    return key


def expanded(path: str, home: Path) -> Path:
    """Return *path* with a leading ``~/`` replaced by *home*."""
    return home / path[2:] if path.startswith("~/") else Path(path)
