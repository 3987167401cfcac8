"""What a head of a known layout tells is what its lines tell to whoever looks through them."""

import contextlib
import itertools

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from freeroute.upstreams.http_connection import Answer
from freeroute.upstreams.http_fields import taken_apart, telling
from freeroute.upstreams.http_layouts import Layouts
from freeroute.upstreams.transport import ProtocolError
from tests.support.heads import as_it_came

GROQ = (
    b"HTTP/1.1 200 OK\r\nDate: Sun, 22 Nov 2026 23:%02d:11 GMT\r\nContent-Type: application/json\r\n"
    b"Content-Length: 2\r\nx-ratelimit-limit-requests: 14400\r\nX-RateLimit-Remaining-Requests: 143%02d\r\n"
    b"x-ratelimit-reset-requests:  %d.5ms \r\nCF-RAY: 9a2\r\n\r\n{}"
)

Line = tuple[bytes, bytes, bytes]  # name, what is between, value

names = st.sampled_from(
    [
        b"Content-Type",
        b"content-type",
        b"Content-Encoding",
        b"x-ratelimit-limit-tokens",
        b"X-RateLimit-Limit-Tokens",
        b"x-ratelimit-reset",
        b"x-ratelimit-",
        b"x-trial-endpoint-call-remaining",
        b"set-cookie",
        b"a",
        b"Content-Length",
        b"Transfer-Encoding",
        b"Connection",
    ]
) | st.from_regex(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,9}", fullmatch=True)
LINED = (b"1\nx-ratelimit-reset: 1", b"1\r\n 1", b"1\rx-ratelimit-reset: 1")  # as if it were two
gaps = st.sampled_from([b": ", b": ", b":", b":\t ", b" :"])
values = st.sampled_from(
    [
        b"",
        b"0",
        b"7",
        b"application/json",
        b"text/event-stream",
        b"gzip",
        b"chunked",
        b"close",
        b"1 ",
        b"x:y",
        *LINED,
    ]
)
values |= st.sampled_from(LINED) | st.from_regex(rb"[\x00-\xff]{0,9}|[\t -~\x80-\xff]{0,9}", fullmatch=True)
lines = st.lists(st.tuples(names, gaps, values), max_size=8)
starts = st.sampled_from([b"HTTP/1.1 200 OK", b"HTTP/1.1 200 ", b"HTTP/1.0 200 OK", b"HTTP/1.1 429 a:b"])
rests = st.sampled_from([b"", b"{}", b"2\r\n{}\r\n0\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"])


@st.composite
def likes(draw: st.DrawFn, old: tuple[bytes, list[Line]]) -> bytes:
    """Return a head that is like *old*, but for some values and perhaps more."""
    start, some = old[0], list(old[1])
    for place in draw(st.lists(st.integers(0, 7), max_size=4)):
        if place < len(some):
            some[place] = (*some[place][:2], draw(values))
    match draw(st.integers(0, 9)):
        case 0:
            start = draw(starts)
        case 1:
            some.insert(draw(st.integers(0, len(some))), (draw(names), draw(gaps), draw(values)))
        case 2 if some:
            del some[draw(st.integers(0, len(some) - 1))]
        case 3 if some:
            place = draw(st.integers(0, len(some) - 1))
            some[place] = (some[place][0].swapcase(), *some[place][1:])
        case 4:
            some = draw(st.permutations(some))
    head = b"".join([start, b"\r\n", *(b"%b%b%b\r\n" % line for line in some), b"\r\n", draw(rests)])
    match draw(st.integers(0, 9)):
        case 0:
            at = draw(st.integers(0, len(head)))
            head = head[:at] + draw(st.binary(max_size=2)) + head[at + 1 :]
        case 1:
            head = (
                draw(st.sampled_from([b"\r\n", b"HTTP/1.1 103 E\r\n\r\n", b"HTTP/1.1 103 E\r\na: b\r\n\r\n"]))
                + head
            )
    return head


@st.composite
def followings(draw: st.DrawFn) -> list[bytes]:
    """Return heads of which most are like those before."""
    first = draw(st.tuples(starts, lines))
    return [draw(likes(first)) for _ in range(draw(st.integers(3, 7)))]


def seen(answer: Answer) -> object:
    """Return all that is known of an *answer*."""
    if answer.failure is not None or not answer.status:
        return type(answer.failure), str(answer.failure), answer.status
    told = answer.told
    with contextlib.suppress(ProtocolError):  # of a body that cannot be read
        told = told or telling(answer.lines)
    return answer.status, taken_apart(answer.lines), told, answer.framed, answer.pieces, answer.complete


@settings(max_examples=300, deadline=None)
@given(followings(), st.lists(st.integers(1, 200), max_size=3))
@example([GROQ % (1, 2, 3), GROQ % (4, 5, 6), GROQ % (7, 8, 9)], [])
@example([b"HTTP/1.1 200 OK\r\n" + b"a:b\r\n" * 129 + b"\r\n"] * 3, [])
def test_heads_tell_the_same_whether_their_layout_is_known_or_not(heads, cuts):
    layouts = Layouts()
    for raw in heads:
        edges = [0, *sorted(cut for cut in cuts if cut < len(raw)), len(raw)]
        reads = [raw[a:b] for a, b in itertools.pairwise(edges) if a < b]
        assert seen(as_it_came(reads, layouts)) == seen(as_it_came(reads))


def test_the_third_of_like_heads_is_known_and_tells_what_is_its_own():
    layouts = Layouts()
    for number in (1, 2):
        assert as_it_came([GROQ % (number, number, number)], layouts).told is None
    told = as_it_came([GROQ % (3, 4, 5)], layouts).told
    assert told == telling((GROQ % (3, 4, 5)).partition(b"\r\n\r\n")[0])
    assert told.values == (b"14400", b"14304", b"5.5ms ")


@pytest.mark.parametrize(
    "other",
    [
        GROQ.replace(b"/json", b"/yaml"),
        GROQ.replace(b"CF-RAY", b"x-ratelimit-reset-tokens"),
        GROQ.replace(b"CF-RAY: 9a2", b"CF-RAY: 9a2\r\nContent-Encoding: gzip"),
        GROQ.replace(b"200 OK", b"429 No"),
    ],
)
def test_a_head_that_says_more_or_something_else_is_not_of_the_layout(other):
    layouts = Layouts()
    for number in (1, 2):
        as_it_came([GROQ % (number, number, number)], layouts)
    assert as_it_came([other % (3, 4, 5)], layouts).told is None
    assert as_it_came([GROQ % (3, 4, 5)], layouts).told is not None


def test_a_peer_that_changes_its_heads_is_learned_anew_and_one_that_always_does_costs_few_lessons():
    layouts, other = Layouts(), GROQ.replace(b"CF-RAY", b"via")
    for number in (1, 2):
        as_it_came([GROQ % (number, number, number)], layouts)
    until = next(n for n in range(200) if as_it_came([other % (3, 4, 5)], layouts).told is not None)
    assert until < 10
    known = layouts.layout
    for number in range(200):
        as_it_came([GROQ.replace(b"CF-RAY", b"x-%d" % number) % (3, 4, 5)], layouts)
    assert layouts.layout is known


def test_heads_that_are_long_or_whose_body_is_compressed_are_never_known():
    long = GROQ.replace(b"9a2", b"9" * 5_000)
    for head in (long, GROQ.replace(b"CF-RAY", b"Content-Encoding")):
        layouts = Layouts()
        for number in range(8):
            assert as_it_came([head % (number, 1, 1)], layouts).told is None


def test_a_head_of_a_known_layout_is_bounded_like_any_other():
    layouts = Layouts()
    for _ in range(2):
        as_it_came([GROQ % (1, 1, 1)], layouts)
    for size in (20_000, 33_000):
        head = GROQ.replace(b"9a2", b"9" * size) % (1, 1, 1)
        assert (as_it_came([head], layouts).status != 0) is (size < 32_000)
