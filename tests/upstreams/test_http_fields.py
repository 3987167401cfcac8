"""What an answer's head holds is what a parser finds that hands over each header, however it is cut."""

import contextlib
import itertools
import re

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser
from hypothesis import example, given, settings
from hypothesis import strategies as st

from freeroute.upstreams.content_coding import coding_of
from freeroute.upstreams.heads import Telling
from freeroute.upstreams.http_fields import taken_apart, telling
from freeroute.upstreams.transport import ProtocolError
from tests.support.heads import as_it_came

HEAD_BYTES, HEAD_FIELDS = 32 * 1024, 128
RATES = re.compile(rb"x-ratelimit-.+|x-trial-endpoint-call-.+")

Pairs = list[tuple[bytes, bytes]]


class Reader:
    """Keeps the headers of the first answer that is not an interim one; it is *done* once they are there."""

    def __init__(self) -> None:
        self.parser = HttpResponseParser(self)
        self.pairs: Pairs = []
        self.status = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.status:
            self.pairs.append((name, value))

    def on_headers_complete(self) -> None:
        status = self.parser.get_status_code()
        if self.status:
            return
        if status < 200:
            self.pairs = []
        else:
            self.status = status


def as_parsed(raw: bytes) -> tuple[int, Pairs] | None:
    """Return what the parser finds in *raw*; None if it holds no head, or more than we take."""
    reader = Reader()
    with contextlib.suppress(HttpParserError, HttpParserUpgrade):
        reader.parser.feed_data(raw)
    if not reader.status or len(reader.pairs) > HEAD_FIELDS:
        return None
    return reader.status, reader.pairs


def found(reads: list[bytes]) -> tuple[int, Pairs, Telling | None] | None:
    """Return what a connection finds in *reads*: all headers, and what they tell if the body can be read."""
    answer = as_it_came(reads)
    if not answer.status:
        return None
    told = None
    with contextlib.suppress(ProtocolError):
        told = telling(answer.lines)
    return answer.status, taken_apart(answer.lines), told


def told_by(pairs: Pairs) -> Telling | None:
    """Return what *pairs* tell, looking at each; None if the body cannot be read."""
    kinds = [value.decode("latin-1").lower() for name, value in pairs if name.lower() == b"content-type"]
    rates = [pair for pair in pairs if RATES.fullmatch(pair[0].lower())]
    names, values = tuple(name for name, _ in rates), tuple(value for _, value in rates)
    with contextlib.suppress(ProtocolError):
        return Telling((*kinds, "")[0], names, values, coding_of(pairs))
    return None


def cased(names: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    return st.builds(lambda name, how: how(name), names, st.sampled_from([bytes, bytes.upper, bytes.title]))


names = cased(
    st.sampled_from(
        [
            b"content-type",
            b"content-encoding",
            b"x-content-type",
            b"content-type-options",
            b"x-ratelimit-limit-tokens",
            b"x-ratelimit-",
            b"x-ratelimit",
            b"x-trial-endpoint-call-remaining",
            b"connection",
            b"a",
        ]
    )
    | st.from_regex(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,20}", fullmatch=True)
)
values = st.from_regex(rb"[\t\x20-\x7e\x80-\xff]{0,12}", fullmatch=True) | st.sampled_from(
    [b"\r\n x", b"GZip"]
)
lines = st.builds(b"%b:%b%b\r\n".__mod__, st.tuples(names, st.sampled_from([b"", b" ", b"\t "]), values))
heads = st.builds(
    lambda before, start, some, rest: before + start + b"".join(some) + b"\r\n" + rest,
    st.sampled_from([b"", b"", b"\r\n", b"\n\r\r\n\n", b"HTTP/1.1 103 E\r\nx-ratelimit-a: 1\r\n\r\n", b"?"]),
    st.sampled_from(
        [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 429\r\n", b"HTTP/1.1 500 a\x00/\r\n", b"HTTP/1.1 204 \n"]
    ),
    st.lists(lines, max_size=12),
    st.sampled_from([b"", b"content-type: none\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"]),
)


@settings(max_examples=100, deadline=None)
@given(
    heads,
    st.lists(st.integers(1, 300), max_size=4),
    st.none() | st.tuples(st.integers(0, 400), st.binary(max_size=2)),
)
@example(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 128 + b"\r\n", [], None)
@example(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 129 + b"\r\n", [], None)
def test_a_head_holds_what_a_parser_finds_that_hands_over_each_header(raw, cuts, spoiled):
    if spoiled is not None:
        raw = raw[: spoiled[0]] + spoiled[1] + raw[spoiled[0] + 1 :]
    edges = [0, *sorted(cut for cut in cuts if cut < len(raw)), len(raw)]
    came = found([raw[a:b] for a, b in itertools.pairwise(edges) if a < b])
    parsed = as_parsed(raw)
    if parsed is None:
        assert came is None
        return
    status, pairs = parsed
    assert came == (status, pairs, told_by(pairs))


def test_a_head_is_bounded_however_it_comes():
    for size in (HEAD_BYTES - 100, HEAD_BYTES + 100):
        raw = b"HTTP/1.1 200 OK\r\nx-a: " + b"b" * (size - 30) + b"\r\n\r\n"
        for reads in ([raw], [raw[:1_000], raw[1_000:]]):
            assert (as_it_came(reads).status != 0) is (size < HEAD_BYTES)


def test_interim_heads_are_bounded_together_however_they_come():
    interim, final = b"HTTP/1.1 103 Early Hints\r\n\r\n", b"HTTP/1.1 200 OK\r\na: b\r\n\r\n"
    most = (HEAD_BYTES - len(final)) // len(interim)
    for count in (most, most + 2):
        raw = interim * count + final
        for reads in ([raw], [raw[:1_000], raw[1_000:]], [raw[:-1], raw[-1:]]):
            assert (as_it_came(reads).status != 0) is (count == most)
