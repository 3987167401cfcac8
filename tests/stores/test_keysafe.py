"""Keys at rest: sealed, bound, and sealed anew with another encryption key without a moment of danger."""

import contextlib
import os
import stat
import subprocess
import sys
import threading

import pytest
from msgspec import structs

from freeroute.domain.overlay import EnteredKey, Overlay
from freeroute.errors import ConfigError
from freeroute.stores.keysafe import KeySafe, Locked
from freeroute.stores.sealing import new_key
from tests.support.patience import PATIENCE

SECRET = "gsk_a-secret-of-groq-1234"
PLACE = ("groq", "mine")
ORIGIN = "https://api.groq.com"


def entered(place=PLACE, secret=SECRET, origin=ORIGIN):
    def change(overlay, sealing):
        sealed = sealing.close(place, origin, secret)
        return overlay.with_key(EnteredKey(provider=place[0], label=place[1], sealed=sealed, origin=origin))

    return change


def filled(directory, told=None) -> KeySafe:
    safe = KeySafe(directory, told)
    safe.update(entered())
    return safe


def altered(safe, **fields) -> None:
    """Change the one key in the file, as somebody who can write it might."""
    safe.update(
        lambda overlay, _: structs.replace(overlay, keys=(structs.replace(overlay.keys[0], **fields),))
    )


def test_nothing_entered_is_nothing_kept(tmp_path):
    safe = KeySafe(tmp_path, None)
    assert safe.read().overlay == Overlay()
    assert safe.mark() is None
    assert list(tmp_path.iterdir()) == []


def test_a_key_is_kept_sealed_and_both_files_are_the_owners_alone(tmp_path):
    safe = filled(tmp_path)
    assert safe.read().secrets == {PLACE: SECRET}
    for path in (safe.path, safe.key_path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert SECRET not in path.read_text()
    assert SECRET not in repr(safe.read())


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o602])
def test_an_encryption_key_that_others_can_use_opens_and_seals_nothing(tmp_path, mode):
    safe = filled(tmp_path)
    safe.key_path.chmod(mode)
    before = safe.mark()
    opened = safe.read()
    assert opened.secrets == {}
    assert "chmod 600" in (opened.problem or "")
    for change in (lambda: safe.update(entered(("groq", "other"))), safe.rekey):
        with pytest.raises(Locked, match="others than its owner"):
            change()
    safe.key_path.chmod(0o600)
    assert safe.mark() != before
    assert safe.read().secrets == {PLACE: SECRET}


def test_a_key_that_is_told_needs_no_file_that_others_can_use(tmp_path):
    told = new_key()
    filled(tmp_path, told)
    (tmp_path / "encryption_key").write_text(new_key())
    (tmp_path / "encryption_key").chmod(0o644)
    assert KeySafe(tmp_path, told).read().secrets == {PLACE: SECRET}


def test_switches_need_no_encryption_key(tmp_path):
    safe = KeySafe(tmp_path, None)
    safe.update(lambda overlay, _: overlay.switched("groq", on=False))
    assert safe.read().overlay.off == {"groq"}
    assert not safe.key_path.exists()


def test_an_encryption_key_that_is_told_needs_no_file(tmp_path):
    told = new_key()
    safe = filled(tmp_path, told)
    assert not safe.key_path.exists()
    assert KeySafe(tmp_path, told).read().secrets == {PLACE: SECRET}


def test_a_wrong_encryption_key_is_told_as_such_and_keeps_the_rest_in_use(tmp_path):
    filled(tmp_path, new_key()).update(lambda overlay, _: overlay.switched("gemini", on=False))
    opened = KeySafe(tmp_path, new_key()).read()
    assert (opened.secrets, opened.damaged) == ({}, frozenset())
    assert opened.overlay.off == {"gemini"}
    assert opened.problem is not None
    assert "sealed with another encryption key" in opened.problem


def test_a_lost_encryption_key_is_told_and_nothing_is_sealed_with_a_new_one(tmp_path):
    safe = filled(tmp_path)
    safe.key_path.unlink()
    assert safe.read().problem is not None
    with pytest.raises(Locked, match="bring that one back"):
        safe.update(entered(("groq", "other")))
    assert not safe.key_path.exists()


@pytest.mark.parametrize("content", [b"nonsense\n", b"\xff\xfe"])
def test_a_damaged_file_of_encryption_keys_is_told(tmp_path, content):
    safe = filled(tmp_path)
    safe.key_path.write_bytes(content)
    problem = safe.read().problem
    assert problem is not None
    assert str(safe.key_path) in problem


@pytest.mark.parametrize(
    "fields",
    [{"label": "other"}, {"provider": "gemini"}, {"origin": "https://evil.example"}, {"sealed": "AAAA"}],
)
def test_a_key_that_was_moved_or_damaged_does_not_open_and_the_others_do(tmp_path, fields):
    safe = filled(tmp_path)
    altered(safe, **fields)
    safe.update(entered(("groq", "second")))
    opened = safe.read()
    assert opened.secrets == {("groq", "second"): SECRET}
    assert opened.damaged == {(fields.get("provider", "groq"), fields.get("label", "mine"))}
    assert opened.problem is None


def test_a_telling_of_what_is_no_key_names_the_variable_and_not_the_value(tmp_path):
    with pytest.raises(ConfigError, match="FREEROUTE_ENCRYPTION_KEY") as caught:
        KeySafe(tmp_path, "hunter2hunter2")
    assert "hunter2" not in str(caught.value)


# --- another encryption key ----------------------------------------------------------------------------


def test_rekeying_makes_a_new_key_and_leaves_nothing_of_the_old_one(tmp_path):
    safe = filled(tmp_path)
    old, before = safe.key_path.read_text(), safe.path.read_text()
    assert safe.rekey() == 1
    assert safe.read().secrets == {PLACE: SECRET}
    assert old.strip() not in safe.key_path.read_text()
    assert len(safe.key_path.read_text().split()) == 1
    assert safe.path.read_text() != before


def test_rekeying_goes_to_the_first_key_that_is_told(tmp_path):
    old, new = new_key(), new_key()
    filled(tmp_path, old)
    both = KeySafe(tmp_path, f"{new}, {old}")
    assert both.read().problem is None
    both.rekey()
    assert KeySafe(tmp_path, new).read().secrets == {PLACE: SECRET}
    assert KeySafe(tmp_path, old).read().problem is not None
    with pytest.raises(ConfigError, match="already: set it to NEW,OLD"):
        KeySafe(tmp_path, new).rekey()


def test_rekeying_moves_from_the_file_to_the_environment(tmp_path):
    filled(tmp_path)
    told = new_key()
    safe = KeySafe(tmp_path, told)
    safe.rekey()
    assert not safe.key_path.exists()
    assert safe.read().secrets == {PLACE: SECRET}


def test_rekeying_is_refused_whole_if_one_key_is_damaged(tmp_path):
    safe = filled(tmp_path)
    safe.update(entered(("groq", "second")))
    altered(safe, sealed="AAAA")
    before = safe.path.read_bytes()
    with pytest.raises(ConfigError, match="the key mine is damaged: remove it first"):
        safe.rekey()
    assert safe.path.read_bytes() == before


def test_rekeying_with_a_wrong_key_changes_nothing(tmp_path):
    filled(tmp_path, new_key())
    before = (tmp_path / "providers.json").read_bytes()
    with pytest.raises(Locked):
        KeySafe(tmp_path, f"{new_key()},{new_key()}").rekey()
    assert (tmp_path / "providers.json").read_bytes() == before


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("step", range(8))
def test_whenever_rekeying_ends_what_is_there_opens(tmp_path, monkeypatch, step):
    safe = filled(tmp_path)
    left = step

    def fsync(descriptor: int) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Killed

    monkeypatch.setattr(os, "fsync", fsync)  # the disk's doing: every step of ours ends in one
    with contextlib.suppress(Killed):
        safe.rekey()
    monkeypatch.undo()
    assert KeySafe(tmp_path, None).read().secrets == {PLACE: SECRET}
    safe.rekey()
    assert KeySafe(tmp_path, None).read().secrets == {PLACE: SECRET}
    assert len(safe.key_path.read_text().split()) == 1


def test_what_a_process_that_was_killed_left_is_gone_with_the_next_change(tmp_path):
    safe = filled(tmp_path)
    left = [tmp_path / ".encryption_key.abc", tmp_path / ".providers.json.abc"]
    for path in left:
        path.write_text(new_key())
    safe.rekey()
    assert not [path for path in left if path.exists()]
    assert safe.read().secrets == {PLACE: SECRET}


def test_whoever_reads_meanwhile_never_finds_it_shut(tmp_path):
    safe, seen, begun, over = filled(tmp_path), [], threading.Event(), threading.Event()

    def look() -> None:
        while not over.is_set():
            seen.append(KeySafe(tmp_path, None).read().problem)
            begun.set()

    reader = threading.Thread(target=look)
    reader.start()
    assert begun.wait(PATIENCE)
    for _ in range(40):
        safe.rekey()
    over.set()
    reader.join()
    assert set(seen) == {None}


def test_what_changes_either_file_changes_the_mark(tmp_path):
    safe = filled(tmp_path)
    marks = [safe.mark()]
    safe.update(lambda overlay, _: overlay.switched("groq", on=False))
    marks.append(safe.mark())
    safe.key_path.write_text(new_key())
    marks.append(safe.mark())
    safe.key_path.unlink()
    marks.append(safe.mark())
    assert len(set(map(repr, marks))) == 4


def test_nothing_is_imported_for_what_is_not_sealed(tmp_path):
    code = (
        "import sys, pathlib; from freeroute.stores.keysafe import KeySafe;"
        f"safe = KeySafe(pathlib.Path({str(tmp_path)!r}), {new_key()!r});"
        "safe.update(lambda overlay, _: overlay.switched('groq', on=False)); safe.read();"
        "assert not [name for name in sys.modules if name.startswith('cryptography')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=dict(os.environ))
