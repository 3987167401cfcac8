"""Which freeroute this is."""

from functools import cache
from importlib import metadata


@cache
def version() -> str:
    """Return the installed version, or ``0`` in a tree that was never installed."""
    try:
        return metadata.version("freeroute-gateway")
    except metadata.PackageNotFoundError:
        return "0"
