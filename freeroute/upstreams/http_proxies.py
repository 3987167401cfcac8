"""The proxies that the environment names, for calls that leave this machine."""

import functools
import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]

_NAMES = {"https": "HTTPS_PROXY", "http": "HTTP_PROXY", "all": "ALL_PROXY"}


class Proxies:
    """What `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` come to; lower case counts first."""

    def __init__(self, env: Mapping[str, str]) -> None:
        """Go by *env*, as it is now."""
        told = {scheme: env.get(name.lower()) or env.get(name) or "" for scheme, name in _NAMES.items()}
        self._urls = {scheme: url for scheme, url in told.items() if url.startswith("http://")}
        self._without = {"no": env.get("no_proxy") or env.get("NO_PROXY") or ""}
        self.unusable = tuple(
            f"{name.upper()}_PROXY" for name in told if told[name] and name not in self._urls
        )
        """The variables that name a proxy of a kind that cannot be used."""
        self.of = functools.lru_cache(maxsize=1024)(self._of) if self._urls else _none

    def _of(self, url: str) -> str | None:
        """Return the proxy for *url*, None to go there directly, as to this machine itself."""
        try:
            parts = urlsplit(url)
            host = parts.hostname or ""
        except ValueError:
            return None
        proxy = self._urls.get(parts.scheme) or self._urls.get("all")
        if proxy is None or _is_here(host) or proxy_bypass_environment(host, self._without):
            return None
        return proxy


def _none(url: str) -> None:
    """Send nobody through a proxy."""


def _is_here(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
