"""The state directory has one owner and keeps its secret."""

import stat

import pytest
from structlog.testing import capture_logs

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


def test_what_others_could_read_is_the_owners_alone_from_the_start_on_and_told(tmp_path):
    path = tmp_path / "state"
    path.mkdir()
    path.chmod(0o755)
    for name in ("records.db", "state.db-wal", "encryption_key", ".clients.json.x1", "records.spool"):
        (path / name).touch()
        (path / name).chmod(0o644)
    (path / "notes.txt").touch(mode=0o644)
    with capture_logs() as log:
        StateDir(path).close()
    assert [(line["log_level"], len(line["files"])) for line in log] == [("warning", 6)]
    assert f"{path} (0755)" in log[0]["files"]
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in (path, *path.iterdir())}
    assert modes.pop("state") == 0o700
    assert modes.pop("notes.txt") == 0o644
    assert set(modes.values()) == {0o600}
    with capture_logs() as log:
        StateDir(path).close()
    assert log == []


def test_what_it_makes_its_owner_alone_can_read(tmp_path):
    StateDir(tmp_path / "state").close()
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "state" / "lock").stat().st_mode) == 0o600


def test_a_directory_that_others_work_in_is_told_and_left(tmp_path):
    tmp_path.chmod(0o755)
    (tmp_path / "theirs").mkdir()
    with capture_logs() as log:
        StateDir(tmp_path).close()
    assert [(line["log_level"], line["files"]) for line in log] == [("error", (f"{tmp_path} (0755)",))]
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755
