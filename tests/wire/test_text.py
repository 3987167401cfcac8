"""Text from outside is made safe for headers, logs and errors."""

import pytest

from freeroute.wire.text import printable


@pytest.mark.parametrize(
    ("given", "limit", "shown"),
    [
        ("plain", 128, "plain"),
        ("a\r\nb\x1bc\u00e9", 128, "a??b?c?"),
        ("d" * 128, 128, "d" * 128),
        ("d" * 129, 128, "d" * 125 + "..."),
        ("abcdef", 5, "ab..."),
    ],
)
def test_it_stays_on_one_line_and_within_its_length(given, limit, shown):
    assert printable(given, limit) == shown
