"""Whether the gateway is in maintenance, kept in a file."""

import stat

import pytest

from freeroute.engine.view import Maintenance
from freeroute.errors import ConfigError
from freeroute.stores.maintenance_file import NAME, MaintenanceFile


def test_there_is_none_until_it_was_kept_and_none_again_afterwards(tmp_path):
    kept = MaintenanceFile(tmp_path)
    assert kept.read() is None
    kept.write(Maintenance(1_790_000_000.5, "neue Platten, ü"))
    assert MaintenanceFile(tmp_path).read() == Maintenance(1_790_000_000.5, "neue Platten, ü")
    assert stat.S_IMODE((tmp_path / NAME).stat().st_mode) == 0o600
    kept.write(None)
    assert MaintenanceFile(tmp_path).read() is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"format": 2}', "newer freeroute"),
        (b'{"format": 1}', "damaged"),
        (b'{"format": 1, "maintenance": {"since": "now"}}', "damaged"),
        (b"", "damaged"),
    ],
)
def test_a_file_that_says_nothing_sensible_opens_nothing(tmp_path, content, said):
    (tmp_path / NAME).write_bytes(content)
    with pytest.raises(ConfigError, match=said):
        MaintenanceFile(tmp_path).read()
