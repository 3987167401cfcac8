"""Which shapes of API there are: every module here with a ``build`` is a ``kind`` of provider."""

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path

from freeroute.clock import Clock
from freeroute.engine.ports import Upstream
from freeroute.upstreams.transport import Transport


@cache
def known() -> tuple[str, ...]:
    """Return the names of all kinds, without importing any."""
    files = Path(__file__).parent.glob("*.py")
    return tuple(sorted(file.stem for file in files if "\ndef build(" in file.read_text(encoding="utf-8")))


class Upstreams(Mapping[str, Upstream]):
    """The upstream of each kind over one transport, imported and built when first asked for."""

    def __init__(self, transport: Transport, clock: Clock) -> None:
        """Build them over *transport*."""
        self._transport = transport
        self._clock = clock
        self._built: dict[str, Upstream] = {}

    def __getitem__(self, kind: str) -> Upstream:
        """Return the upstream for providers of *kind*."""
        found = self._built.get(kind)
        if found is None:
            if kind not in known():
                raise KeyError(kind)
            module = import_module(f"freeroute.upstreams.{kind}")
            found = self._built[kind] = module.build(self._transport, self._clock)
        return found

    def __iter__(self) -> Iterator[str]:
        """Return the names of all kinds."""
        return iter(known())

    def __len__(self) -> int:
        """Return how many kinds there are."""
        return len(known())
