"""Files of clients: changed whole or not at all, with a copy beside them, and as they were when asked to.

Beside a file that was changed lie ``.before-freeroute``, a plain copy of what it was, and
``.freeroute-undo``, which tells what was written.
"""

import contextlib
import difflib
import hashlib
import json
import os
import stat
from pathlib import Path as File
from typing import Any

import msgspec
from msgspec import Struct

from freeroute.commands.connecting.editing import Form, Wrote, edited, remaining, restored, undone
from freeroute.commands.connecting.trees import ABSENT, Path, Unfit, leaves, look_up, said
from freeroute.errors import ConfigError
from freeroute.stores.kept_file import write_whole

LARGEST = 4 * 2**20
"""Bytes of a file that is still edited. Own design: settings of people have some thousands."""

_BOM = "\ufeff"
_OFF = (ABSENT, None, False, "", "0", "false")


class Edit(Struct, frozen=True):
    """What a client's file at *path* is to hold; begun as *scaffold*. One with a *key* is its owner's alone.

    What is at *stronger* places goes before what is written. The file is not begun where a client reads
    *older* instead, and would not any more.
    """

    path: File
    form: Form
    values: dict[Path, Any]
    scaffold: str = ""
    key: str | None = None
    stronger: tuple[Path, ...] = ()
    older: File | None = None


class Change(Struct, frozen=True):
    """A file that changes from *before* to *after*; None is no file.

    If the *copy_is_gone* that tells what it was, it stays as it is. What is *left* where something was
    written is of somebody else; and *keeps_key* says whether a key is, that was written.
    """

    path: File
    before: str | None
    after: str | None
    copy_is_gone: bool = False
    left: tuple[str, ...] = ()
    keeps_key: bool = False

    def diff(self) -> str:
        """Return the change as a unified diff."""
        old, new = (text.splitlines(keepends=True) if text else [] for text in (self.before, self.after))
        names = [str(self.path) if text is not None else os.devnull for text in (self.before, self.after)]
        lines = difflib.unified_diff(old, new, names[0], names[1])
        return "".join(
            line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
        )


class _Record(Struct):
    """What was done to a file that had *mode*, None if there was none: what was *wrote*, the *keys* in that.

    *made* are digests of what it was and became last, as long as nobody else had a part in that.
    """

    mode: int | None
    wrote: list[Wrote]
    keys: list[str] = []
    made: list[str] = []


def change(edit: Edit) -> Change:
    """Return what *edit* makes of its file; raises ConfigError if that cannot be had safely."""
    before = _text(edit.path)
    if before is None and edit.older is not None and edit.older.exists():
        raise ConfigError(
            f"{edit.path}: is not there, and would be read instead of {edit.older}, all of it: begin it with"
            " what you need of that (https://docs.continue.dev/reference/yaml-migration); nothing was changed"
        )
    with _explaining(edit.path):
        bom, plain = _split(before or "")
        record = _known(edit.path)
        if record is not None and before is not None:
            stale = [one for one in record.wrote if one.path not in _leaves(edit)]
            plain = restored(edit.form, plain, _former(edit.path, record), stale)
        return Change(edit.path, before, bom + edited(edit.form, plain, edit.values, edit.scaffold))


def write(edit: Edit) -> Change:
    """Have what *edit* asks for in its file, and return what changed; raises ConfigError."""
    found = change(edit)
    if found.after == found.before:
        return found
    assert found.after is not None
    known = _known(edit.path)
    try:
        edit.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if known is None and found.before is not None:
            _replace(_copy(edit.path), found.before, 0o600)
        record = _recorded(edit, found, known)
        _replace(_journal(edit.path), msgspec.json.encode(record).decode(), 0o600)
        _replace(edit.path.resolve(), found.after, _mode(edit))
    except OSError as exc:
        if known is None:
            with contextlib.suppress(OSError):
                _forget(edit.path)
        raise ConfigError(f"{edit.path}: cannot be written: {exc.strerror}") from exc
    return found


def overruling(edit: Edit) -> list[str]:
    """Return what in the file of *edit* goes before what that writes; nothing of one that cannot be read."""
    try:
        tree = edit.form.editor.read(_split(_text(edit.path) or edit.form.editor.EMPTY)[1])
    except (ConfigError, Unfit):
        return []
    return [said(path) for path in edit.stronger if look_up(tree, path) not in _OFF]


def was_written(path: File) -> bool:
    """Say whether something was written to the file at *path* that was not taken back."""
    return _journal(path).exists()


def reverted(edit: Edit) -> Change | None:
    """Return what taking back all that was written changes; None if there is nothing to take back.

    Of the values of *edit* it only matters where they are. Raises ConfigError.
    """
    record = _record(edit.path)
    if record is None:
        return None
    now = _text(edit.path)
    if _lacks_copy(edit.path, record):
        return Change(edit.path, now, now, copy_is_gone=True)
    before = None if record.mode is None else _text(_copy(edit.path))
    if now is None or now == before or _digest(now) in record.made:
        return Change(edit.path, now, before)
    with _explaining(edit.path):
        bom, plain = _split(now)
        was = _former(edit.path, record)
        after = undone(edit.form, plain, was, record.wrote, edit.scaffold)
        if after is None:
            return Change(edit.path, now, None)
        places = dict.fromkeys((*edit.values, *(one.path for one in record.wrote)))
        left = dict.fromkeys(said(path) for path in remaining(edit.form, after, was, [*places]))
    keeps_key = any(key in after or json.dumps(key)[1:-1] in after for key in record.keys)
    return Change(edit.path, now, bom + after, left=tuple(left), keeps_key=keeps_key)


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
            private = found.keeps_key or (found.left and record.keys)
            mode = record.mode or 0o600
            _replace(edit.path.resolve(), found.after, mode & 0o700 if private else mode)
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


def _known(path: File) -> _Record | None:
    """Return what was done to the file at *path*, None if that was nothing or the copy is gone."""
    record = _record(path)
    return None if record is None or _lacks_copy(path, record) else record


def _former(path: File, record: _Record) -> str | None:
    """Return what the file at *path* was, without a byte order mark; None if there was none."""
    before = None if record.mode is None else _text(_copy(path))
    return None if before is None else _split(before)[1]


def _recorded(edit: Edit, found: Change, known: _Record | None) -> _Record:
    """Return what is *known*, and that *edit* was done: a value of before counts as ours still."""
    assert found.after is not None
    if known is None:
        known = _Record(None if found.before is None else _mode_of(edit.path), [])
        pure = True
    else:
        original = None if known.mode is None else _text(_copy(edit.path))
        pure = found.before in {None, original} or _digest(found.before or "") in known.made
    ours = {one.path: one.values for one in known.wrote}
    for path, value in _leaves(edit).items():
        ours[path] = [*(one for one in ours.get(path, []) if one != value), value]
    keys = dict.fromkeys([*known.keys, *([edit.key] if edit.key else [])])
    made = [_digest(text) for text in (found.before, found.after) if text is not None and pure]
    wrote = [Wrote(path, values) for path, values in ours.items()]
    return _Record(known.mode, wrote, [*keys], made)


def _leaves(edit: Edit) -> dict[Path, Any]:
    return {path: one for place, value in edit.values.items() for path, one in leaves(place, value).items()}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _mode_of(path: File) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _mode(edit: Edit) -> int:
    """Return who may read the file of *edit*: whoever could before, but only its owner what is secret."""
    mode = _mode_of(edit.path) if edit.path.exists() else 0o600
    return mode & 0o700 if edit.key else mode


def _replace(path: File, text: str, mode: int) -> None:
    """Have *text* at *path*, all of it or none of it; raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_whole(path, text.encode("utf-8"), mode, "freeroute-")
