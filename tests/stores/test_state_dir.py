"""The state directory has one owner and keeps its secret."""

import stat

import pytest

from freeroute.errors import ConfigError
from freeroute.stores.state_dir import StateDir


def test_a_second_owner_is_refused_until_the_first_lets_go(tmp_path):
    first = StateDir(tmp_path / "state")
    with pytest.raises(ConfigError, match="another freeroute already runs"):
        StateDir(tmp_path / "state")
    first.close()
    StateDir(tmp_path / "state").close()


def test_the_admin_key_is_made_once_and_only_its_owner_can_read_it(tmp_path):
    state = StateDir(tmp_path)
    key = state.admin_key()
    assert key == state.admin_key()
    assert len(key) > 40
    assert stat.S_IMODE((tmp_path / "admin_key").stat().st_mode) == 0o600
    state.close()


def test_an_empty_admin_key_is_refused_rather_than_accepted(tmp_path):
    (tmp_path / "admin_key").write_text("\n")
    state = StateDir(tmp_path)
    with pytest.raises(ConfigError, match="is empty"):
        state.admin_key()
    state.close()


def test_a_path_that_is_no_directory_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"server\.state_dir: cannot use .*/file/state"):
        StateDir(tmp_path / "file" / "state")
