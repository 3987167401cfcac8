"""A file that is changed at run time: whoever stops in the middle holds nobody up for long."""

import fcntl
import math
import os

import pytest
from msgspec import Struct

from freeroute.errors import ConfigError
from freeroute.stores.kept_file import KeptFile


class Names(Struct, frozen=True):
    format: int = 1
    names: tuple[str, ...] = ()
    amount: float = 0.0
    most: float | None = None


def test_a_lock_that_somebody_keeps_is_waited_for_only_so_long(tmp_path):
    kept = KeptFile(tmp_path / "names.json", Names(), patience=0.05)
    kept.update(lambda known: Names(names=(*known.names, "a")))
    descriptor = os.open(tmp_path / "names.json.lock", os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        with pytest.raises(ConfigError, match=r"names\.json: cannot be written: another process holds"):
            kept.update(lambda known: Names(names=(*known.names, "b")))
        assert kept.read().names == ("a",)
    finally:
        os.close(descriptor)
    assert kept.update(lambda known: Names(names=(*known.names, "c"))).names == ("a", "c")


def test_a_file_nested_too_deeply_is_damaged(tmp_path):
    (tmp_path / "names.json").write_bytes(b'{"format": 1, "names": ' + b"[" * 100_000)
    with pytest.raises(ConfigError, match="is damaged"):
        KeptFile(tmp_path / "names.json", Names()).read()


@pytest.mark.parametrize(
    ("amount", "told"),
    [({"amount": 10**400}, "could not be read again"), ({"most": math.inf}, "would read otherwise")],
)
def test_what_could_not_be_read_again_is_not_written(tmp_path, amount, told):
    kept = KeptFile(tmp_path / "names.json", Names())
    kept.update(lambda known: Names(names=("a",)))
    before = kept.path.read_bytes()
    with pytest.raises(ConfigError, match=told):
        kept.update(lambda known: Names(names=("b",), **amount))
    assert kept.path.read_bytes() == before
    assert kept.read().names == ("a",)
