"""Files of clients: changed whole or not at all, with a copy beside them, and as they were when asked to.

Beside a file that was changed lie ``.before-freeroute``, a plain copy of what it was, and
``.freeroute-undo``, which tells what was written.
"""

import contextlib
import difflib
import hashlib
import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path as File
from typing import Any

import msgspec
from msgspec import Struct

from freeroute.commands.connecting.editing import Form, Wrote, edited, undone
from freeroute.commands.connecting.trees import Path, Unfit
from freeroute.errors import ConfigError
from freeroute.stores.kept_file import hand_over, settled

LARGEST = 4 * 2**20
"""Bytes of a file that is still edited. Own design: settings of people have some thousands."""

_BOM = "\ufeff"


class Edit(Struct, frozen=True):
    """What a client's file at *path* is to hold; begun as *scaffold*. A *secret* is its owner's alone."""

    path: File
    form: Form
    values: dict[Path, Any]
    scaffold: str = ""
    secret: bool = False


class Change(Struct, frozen=True):
    """A file that changes from *before* to *after*; None is no file.

    If the *copy_is_gone* that tells what it was, it stays as it is.
    """

    path: File
    before: str | None
    after: str | None
    copy_is_gone: bool = False

    def diff(self) -> str:
        """Return the change as a unified diff."""
        old, new = (text.splitlines(keepends=True) if text else [] for text in (self.before, self.after))
        names = [str(self.path) if text is not None else os.devnull for text in (self.before, self.after)]
        lines = difflib.unified_diff(old, new, names[0], names[1])
        return "".join(
            line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
        )


class _Record(Struct):
    """What was done to a file: the *mode* it had, None if there was none, and what was *wrote*.

    *left* is the hash of what the last writing left, empty if others changed the file between two of ours.
    """

    mode: int | None
    wrote: list[Wrote]
    left: str = ""


def change(edit: Edit) -> Change:
    """Return what *edit* makes of its file; raises ConfigError if that cannot be had safely."""
    before = _text(edit.path)
    with _explaining(edit.path):
        bom, plain = _split(before or "")
        return Change(edit.path, before, bom + edited(edit.form, plain, edit.values, edit.scaffold))


def write(edit: Edit) -> Change:
    """Have what *edit* asks for in its file, and return what changed; raises ConfigError."""
    found = change(edit)
    if found.after == found.before:
        return found
    assert found.after is not None
    known = _record(edit.path)
    if known is not None and _lacks_copy(edit.path, known):
        known = None
    try:
        edit.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        record = known or _Record(None if found.before is None else _mode_of(edit.path), [])
        if known is None and found.before is not None:
            _replace(_copy(edit.path), found.before, 0o600)
        is_ours = known is None or known.left == _hash(found.before)
        record.wrote = _merged(record.wrote, edit.values)
        record.left = _hash(found.after) if is_ours else ""
        _replace(_journal(edit.path), msgspec.json.encode(record).decode(), 0o600)
        _replace(edit.path.resolve(), found.after, _mode(edit))
    except OSError as exc:
        if known is None:
            with contextlib.suppress(OSError):
                _forget(edit.path)
        raise ConfigError(f"{edit.path}: cannot be written: {exc.strerror}") from exc
    return found


def held(path: File, form: Form) -> dict[str, Any]:
    """Return what is in the file at *path*; nothing if there is none, or none that can be read."""
    try:
        found: dict[str, Any] = form.editor.read(_split(_text(path) or form.editor.EMPTY)[1])
    except (ConfigError, Unfit):
        return {}
    return found


def was_written(path: File) -> bool:
    """Say whether something was written to the file at *path* that was not taken back."""
    return _journal(path).exists()


def reverted(edit: Edit) -> Change | None:
    """Return what taking back all that was written changes; None if there is nothing to take back.

    The values of *edit* do not matter. Raises ConfigError.
    """
    record = _record(edit.path)
    if record is None:
        return None
    now = _text(edit.path)
    if now is None or _lacks_copy(edit.path, record):
        return Change(edit.path, now, now, copy_is_gone=now is not None)
    before = None if record.mode is None else _text(_copy(edit.path))
    if record.left == _hash(now):
        return Change(edit.path, now, before)
    with _explaining(edit.path):
        bom, plain = _split(now)
        was = None if before is None else _split(before)[1]
        after = undone(edit.form, plain, was, record.wrote, edit.scaffold)
    return Change(edit.path, now, None if after is None else before if after == was else bom + after)


def undo(edit: Edit) -> Change | None:
    """Take back all that was written to the file of *edit*, and return what changed; raises ConfigError."""
    found = reverted(edit)
    record = _record(edit.path)
    if found is None or record is None:
        return None
    try:
        if found.after is None:
            edit.path.resolve().unlink(missing_ok=True)
        elif found.after != found.before:
            _replace(edit.path.resolve(), found.after, record.mode or 0o600)
        _forget(edit.path)
    except OSError as exc:
        raise ConfigError(f"{edit.path}: cannot be written: {exc.strerror}") from exc
    return found


@contextlib.contextmanager
def _explaining(path: File) -> Any:
    try:
        yield
    except Unfit as exc:
        raise ConfigError(f"{path}: {exc}; nothing was changed") from exc


def _copy(path: File) -> File:
    return path.with_name(f"{path.name}.before-freeroute")


def _journal(path: File) -> File:
    return path.with_name(f"{path.name}.freeroute-undo")


def _lacks_copy(path: File, record: _Record) -> bool:
    return record.mode is not None and not _copy(path).exists()


def _forget(path: File) -> None:
    """Remove what lies beside the file at *path*; raises OSError."""
    _journal(path).unlink(missing_ok=True)  # first: a copy by itself is in nobody's way
    _copy(path).unlink(missing_ok=True)


def _text(path: File) -> str | None:
    """Return what is in the file at *path*, None if there is none; raises ConfigError."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode) or found.st_size > LARGEST:
            raise ConfigError(f"{path}: is not a file of at most {LARGEST} bytes; nothing was changed")
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be read: {exc.strerror}; nothing was changed") from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{path}: is not UTF-8 (byte {exc.start}); nothing was changed") from exc


def _split(text: str) -> tuple[str, str]:
    """Return the byte order mark of *text*, if it has one, and the rest."""
    return (_BOM, text[1:]) if text.startswith(_BOM) else ("", text)


def _record(path: File) -> _Record | None:
    text = _text(_journal(path))
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=_Record)
    except msgspec.DecodeError as exc:
        raise ConfigError(f"{_journal(path)}: is damaged: {exc}; nothing was changed") from exc


def _merged(wrote: list[Wrote], values: Mapping[Path, Any]) -> list[Wrote]:
    """Return what was *wrote* with *values* added: a value of before counts as ours still."""
    known = {one.path: one.values for one in wrote}
    for path, value in values.items():
        known[path] = [*(one for one in known.get(path, []) if one != value), value]
    return [Wrote(path, ours) for path, ours in known.items()]


def _hash(text: str | None) -> str:
    return hashlib.sha256((text or "").encode()).hexdigest()


def _mode_of(path: File) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _mode(edit: Edit) -> int:
    """Return who may read the file of *edit*: whoever could before, but only its owner what is secret."""
    mode = _mode_of(edit.path) if edit.path.exists() else 0o600
    return mode & 0o700 if edit.secret else mode


def _replace(path: File, text: str, mode: int) -> None:
    """Have *text* at *path*, all of it or none of it; raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    prefix = f".{path.name}.freeroute-"
    for left in path.parent.glob(f"{prefix}*"):
        left.unlink(missing_ok=True)  # by one that was killed
    descriptor, made = tempfile.mkstemp(prefix=prefix, dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            hand_over(descriptor, path.parent)
            os.fchmod(descriptor, mode)
            file.write(text.encode("utf-8"))
            file.flush()
            os.fsync(descriptor)
        File(made).replace(path)
        settled(path.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            File(made).unlink()
        raise
