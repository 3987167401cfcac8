"""Which shapes of API there are: every module here with a ``build`` is a ``kind`` of provider."""

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


class Upstreams(dict[str, Upstream]):
    """The upstream of each kind over one transport, imported and built when first asked for."""

    def __init__(self, transport: Transport, clock: Clock) -> None:
        """Build them over *transport*."""
        super().__init__()
        self._transport = transport
        self._clock = clock

    def __missing__(self, kind: str) -> Upstream:
        """Return the upstream for providers of *kind*, which is there from now on."""
        if kind not in known():
            raise KeyError(kind)
        module = import_module(f"freeroute.upstreams.{kind}")
        built: Upstream = module.build(self._transport, self._clock)
        self[kind] = built
        return built
