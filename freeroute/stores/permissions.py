"""Who can read what lies in a state directory: its owner alone, however it came to be there."""

import contextlib
import os
import stat
from pathlib import Path

from msgspec import Struct

_OURS = (
    "lock",
    "admin_key",
    "encryption_key",
    "clients.json",
    "operators.json",
    "providers.json",
    "maintenance.json",
    "audit.jsonl",
    "state.db",
    "records.db",
    "records.spool",
    "records.new",
)
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class Shut(Struct, frozen=True):
    """What others could reach, each with its mode: what was *shut* now, and what is still *open*."""

    shut: tuple[str, ...] = ()
    open: tuple[str, ...] = ()


def shut(directory: Path) -> Shut:
    """Take from others what they may do with *directory* and with the files of a gateway in it.

    While no file of SQLite is open. A directory that others work in as well stays as it is: one that anybody
    may write to, such as /tmp, and one with directories in it, such as /var/lib.
    """
    found: dict[bool, list[str]] = {True: [], False: []}
    with contextlib.suppress(OSError):
        names = sorted(os.listdir(directory))  # noqa: PTH208 - names are what is asked for
        for path in _places(directory, names):
            with contextlib.suppress(FileNotFoundError):
                if mode := open_to_others(path):
                    may = path != directory or not _is_shared(directory, names)
                    done = may and _without_others(path, mode)
                    found[done].append(_told(path, directory, mode))
    return Shut(tuple(found[True]), tuple(found[False]))


def reachable(directory: Path) -> tuple[str, ...]:
    """Return what others may use of *directory* and of the files of a gateway in it, each with its mode."""
    found = []
    with contextlib.suppress(OSError):
        for path in _places(directory, sorted(os.listdir(directory))):  # noqa: PTH208 - names are what is asked for
            with contextlib.suppress(FileNotFoundError):
                if mode := open_to_others(path):
                    found.append(_told(path, directory, mode))
    return tuple(found)


def _places(directory: Path, names: list[str]) -> tuple[Path, ...]:
    return (directory, *(directory / name for name in names if _is_ours(name)))


def _told(path: Path, directory: Path, mode: int) -> str:
    return f"{path if path == directory else path.name} ({mode:04o})"


def open_to_others(path: Path) -> int:
    """Return the mode of the file or directory *path* if anybody but its owner may use it, else 0.

    Of a link it is 0, for its own mode says nothing. Raises OSError.
    """
    mode = path.lstat().st_mode
    return 0 if stat.S_ISLNK(mode) or not mode & _OTHERS else stat.S_IMODE(mode)


def _without_others(path: Path, mode: int) -> bool:
    try:
        path.chmod(mode & ~_OTHERS)
    except OSError:
        return False
    return not open_to_others(path)  # some file systems only say that they did


def _is_ours(name: str) -> bool:
    name = name.removeprefix(".")
    return any(name == ours or name.startswith((f"{ours}.", f"{ours}-")) for ours in _OURS)


def _is_shared(directory: Path, names: list[str]) -> bool:
    others = (name for name in names if name != "lost+found" and not _is_ours(name))
    return bool(directory.stat().st_mode & stat.S_ISVTX) or any(
        (directory / name).is_dir() for name in others
    )
