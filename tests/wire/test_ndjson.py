"""Lines of JSON, however the bytes are cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeroute.wire.ndjson import LineParser
from freeroute.wire.sse import EventTooLarge

LINE = st.binary(max_size=30).map(lambda raw: raw.replace(b"\n", b""))


@given(st.lists(LINE, max_size=8), st.booleans(), st.lists(st.integers(0, 250), max_size=8))
def test_any_split_gives_the_same_lines(lines: list[bytes], closed: bool, cuts: list[int]):
    data = b"\n".join(lines) + (b"\n" if closed else b"")
    ends = sorted(min(cut, len(data)) for cut in cuts)
    parser, read = LineParser(), list[bytes]()
    for start, end in zip([0, *ends], [*ends, len(data)], strict=True):
        read += parser.feed(data[start:end])
    read += parser.finish()
    assert read == [line.strip() for line in lines if line.strip()]
    assert parser.finish() == []


def test_a_line_is_as_long_as_the_parser_keeps_and_no_longer():
    parser = LineParser(limit=4)
    assert parser.feed(b"abcd\nab") == [b"abcd"]
    assert parser.feed(b"cd") == []
    with pytest.raises(EventTooLarge, match="a line of more than 4 bytes"):
        parser.feed(b"e")
