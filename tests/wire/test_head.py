"""The lines an answer leaves with are its headers to whoever looks into them."""

from hypothesis import given
from hypothesis import strategies as st

from freeroute.wire.head import Head

VALUES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E)).map(str.strip)
NAMES = st.from_regex(r"x-[a-z]{1,8}", fullmatch=True)


def head(headers):
    return Head("".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode())


@given(st.dictionaries(NAMES, VALUES))
def test_headers_are_found_in_their_lines(headers):
    told = head(headers)
    assert told == headers
    assert list(told.items()) == list(headers.items())
    assert list(told) == list(headers)
    assert len(told) == len(headers)
    assert all(told[name] == value for name, value in headers.items())
