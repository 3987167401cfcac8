"""What lies in a state directory is its owner's alone, and where it is not that is known."""

import contextlib
import os
import stat
import tempfile
from pathlib import Path

import pytest

from freeroute.stores.permissions import Shut, open_to_others, shut

_NOBODY = 65534


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def directory(tmp_path):
    tmp_path.chmod(0o750)
    return tmp_path


@contextlib.contextmanager
def as_nobody():
    if os.geteuid() != 0:
        pytest.skip("only root can act as somebody else")
    os.seteuid(_NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_directory_of_its_own_is_shut(directory):
    (directory / "lost+found").mkdir()
    assert shut(directory) == Shut(shut=(f"{directory} (0750)",))
    assert mode_of(directory) == 0o700
    assert shut(directory) == Shut()


def test_the_right_of_the_owner_stays_what_it_is(directory):
    (directory / "admin_key").touch()
    (directory / "admin_key").chmod(0o444)
    shut(directory)
    assert mode_of(directory / "admin_key") == 0o400


def test_a_directory_that_anybody_may_write_to_stays_as_it_is_but_not_our_files_in_it(directory):
    directory.chmod(0o1777)
    (directory / "state.db").touch()
    (directory / "state.db").chmod(0o664)
    assert shut(directory) == Shut(shut=("state.db (0664)",), open=(f"{directory} (1777)",))
    assert mode_of(directory) == 0o1777


def test_a_link_is_left_to_whoever_made_it(directory):
    (directory / "elsewhere").touch()
    (directory / "elsewhere").chmod(0o644)
    (directory / "admin_key").symlink_to("elsewhere")
    shut(directory)
    assert mode_of(directory / "elsewhere") == 0o644
    assert open_to_others(directory / "admin_key") == 0


def test_what_is_not_there_is_no_trouble(tmp_path):
    assert shut(tmp_path / "missing") == Shut()


def test_what_belongs_to_somebody_else_is_told():
    with tempfile.TemporaryDirectory() as made:
        directory = Path(made)
        directory.chmod(0o755)
        (directory / "encryption_key").touch()
        (directory / "encryption_key").chmod(0o644)
        with as_nobody():
            found = shut(directory)
        assert found == Shut(open=(f"{directory} (0755)", "encryption_key (0644)"))
