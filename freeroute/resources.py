"""Where the files that are not code lie: beside the package in a checkout, inside it once installed."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def config_dir() -> Path:
    """The catalogue, the example settings and the files for monitoring."""
    return _find("config")


def dashboard_dir() -> Path:
    """The static files of the dashboard."""
    return _find("dashboard")


def _find(name: str) -> Path:
    # A wheel carries its own copies. A checkout has none, so its top level is served and edits show at once.
    shipped = _PACKAGE / "_data" / name
    return shipped if shipped.is_dir() else _PACKAGE.parent / name
