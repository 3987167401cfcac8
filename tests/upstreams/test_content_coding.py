"""Compressed bodies: every way to cut them gives the same bytes, and nothing unfolds without bound."""

import contextlib
import gzip
import itertools
import random
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeroute.upstreams.content_coding import Inflate, coding_of
from freeroute.upstreams.transport import ProtocolError, Truncated


def decoded(coding: bytes, *pieces: bytes) -> bytes:
    inflate = Inflate(coding)
    whole = b""
    for piece in pieces:
        inflate.feed(piece)
        while part := inflate.take():
            whole += part
    inflate.finish()
    return whole


def bare(data: bytes) -> bytes:
    squeeze = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return squeeze.compress(data) + squeeze.flush()


WRITERS: dict[str, tuple[bytes, Callable[[bytes], bytes]]] = {
    "gzip": (b"gzip", gzip.compress),
    "deflate": (b"deflate", zlib.compress),
    "deflate without its envelope": (b"deflate", bare),
    "gzip in two members": (b"gzip", lambda data: gzip.compress(data[:7]) + gzip.compress(data[7:])),
}


@pytest.mark.parametrize("written", WRITERS)
@given(data=st.binary(max_size=400), cuts=st.lists(st.integers(0, 500), max_size=5))
def test_a_body_cut_anywhere_is_decoded_to_the_same_bytes(written, data, cuts):
    coding, compress = WRITERS[written]
    packed = compress(data)
    edges = [0, *sorted(min(cut, len(packed)) for cut in cuts), len(packed)]
    pieces = [packed[a:b] for a, b in itertools.pairwise(edges)]
    assert decoded(coding, *pieces) == data


def test_a_body_larger_than_one_piece_comes_whole():
    data = random.Random(7).randbytes(50_000) * 60
    assert decoded(b"gzip", gzip.compress(data)) == data


def test_an_event_is_there_as_soon_as_the_sender_has_flushed_it():
    squeeze = zlib.compressobj(wbits=31)
    inflate = Inflate(b"gzip")
    inflate.feed(squeeze.compress(b"data: 1\n\n") + squeeze.flush(zlib.Z_SYNC_FLUSH))
    assert inflate.take() == b"data: 1\n\n"


@pytest.mark.parametrize("zeros", [4 << 20, 100 << 20])
def test_a_bomb_is_stopped_before_it_unfolds(zeros):
    squeeze = zlib.compressobj(9, wbits=31)
    packed = b"".join(squeeze.compress(bytes(1 << 20)) for _ in range(zeros >> 20)) + squeeze.flush()
    inflate = Inflate(b"gzip")
    inflate.feed(packed)
    unfolded = 0
    with pytest.raises(ProtocolError, match="beyond all measure"):
        while piece := inflate.take():
            unfolded += len(piece)
    assert unfolded <= max(1 << 20, 200 * len(packed))


@given(st.binary(min_size=2, max_size=100))
def test_garbage_is_a_protocol_error_or_a_truncation_and_nothing_else(garbage):
    for coding in (b"gzip", b"deflate"):
        with contextlib.suppress(ProtocolError, Truncated):
            decoded(coding, garbage)


@pytest.mark.parametrize("kept", [1, 5, 20])
def test_a_body_that_stops_early_is_truncated(kept):
    with pytest.raises(Truncated):
        decoded(b"gzip", gzip.compress(b"all of it")[:kept])


def test_something_after_the_compressed_body_is_a_protocol_error():
    with pytest.raises(ProtocolError):
        decoded(b"deflate", zlib.compress(b"x") + b"more")


def test_an_empty_body_needs_no_decoding():
    assert decoded(b"gzip") == b""


@pytest.mark.parametrize(
    ("value", "coding"),
    [(b"gzip", b"gzip"), (b"X-GZip", b"gzip"), (b"identity", None), (b"", None), (b"deflate", b"deflate")],
)
def test_the_coding_is_told_by_the_head(value, coding):
    assert coding_of([(b"Content-Encoding", value)]) == coding
    assert coding_of([(b"content-type", value)]) is None


@pytest.mark.parametrize("value", [b"br", b"zstd", b"gzip, gzip"])
def test_a_coding_that_cannot_be_undone_is_a_protocol_error(value):
    with pytest.raises(ProtocolError):
        coding_of([(b"Content-Encoding", value)])
