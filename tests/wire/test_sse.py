"""The SSE codec: exact for any split of the bytes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freeroute.wire.sse import DONE, EventTooLarge, SseParser, frame


def events(*pieces: bytes) -> list[bytes]:
    parser = SseParser()
    found = [event for piece in pieces for event in parser.feed(piece)]
    return found + parser.finish()


def test_an_event_is_the_text_after_data_up_to_the_blank_line():
    assert events(b'data: {"a":1}\n\ndata:[DONE]\n\n') == [b'{"a":1}', DONE]


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_every_line_end_of_the_standard_is_understood(end: bytes):
    stream = end.join([b"data: one", b"", b"data: two", b"data: lines", b"", b""])
    assert events(stream) == [b"one", b"two\nlines"]


def test_only_one_space_after_the_colon_is_taken_away():
    assert events(b"data:  two spaces\n\n") == [b" two spaces"]


def test_comments_names_ids_and_retry_times_are_passed_over():
    stream = b": PROCESSING\n\nevent: message\nid: 7\nretry: 10\ndata: x\n\n:\n\n"
    assert events(stream) == [b"x"]


def test_a_field_that_only_begins_like_data_is_not_data():
    assert events(b"dataset: x\ndata: y\n\n") == [b"y"]


def test_a_piece_of_an_answer_that_lost_its_field_is_data_all_the_same():
    chunk = b'{"choices":[]}'
    assert events(chunk + b"\n\ndata: x\n\n") == [chunk, b"x"]
    assert events(b"ata: " + chunk + b"\n\n") == [b"ata: " + chunk]
    assert events(b": " + chunk + b"\n\nevent: " + chunk + b"\n\n") == []


def test_a_byte_order_mark_at_the_start_is_ignored_even_if_it_comes_in_pieces():
    assert events(b"\xef", b"\xbb", b"\xbfdata: x\n\n") == [b"x"]
    assert events(b"data: \xef\xbb\xbfx\n\n") == [b"\xef\xbb\xbfx"]


def test_a_carriage_return_ends_the_line_before_its_line_feed_has_come():
    parser = SseParser()
    assert parser.feed(b"data: x\r\n\r") == [b"x"]
    assert parser.feed(b"\ndata: y\r\n\r\n") == [b"y"]


def test_the_last_event_counts_without_its_blank_line():
    assert events(b"data: x\n\ndata: y") == [b"x", b"y"]
    assert events(b"data: x\n\ndata: y\n") == [b"x", b"y"]


def test_an_empty_data_line_is_an_empty_event_and_a_blank_line_is_none():
    assert events(b"data\n\n\n\ndata:\n\n") == [b"", b""]


def test_an_event_that_never_ends_is_refused():
    parser = SseParser(limit=100)
    with pytest.raises(EventTooLarge):
        for _ in range(30):
            parser.feed(b"data: xxxxx\n")
    parser = SseParser(limit=100)
    with pytest.raises(ValueError):
        for _ in range(30):
            parser.feed(b"data: xxxxx")


def test_the_bound_is_per_event_and_not_per_stream():
    parser = SseParser(limit=100)
    assert len([e for _ in range(50) for e in parser.feed(b"data: xxxxx\n\n")]) == 50


def test_a_bare_json_line_is_kept_aside():
    parser = SseParser()
    assert parser.feed(b'data: x\n\n{"error":"gone"}\n') == [b"x"]
    assert parser.stray == b'{"error":"gone"}'


@pytest.mark.parametrize("bare", [b'{\n  "error": {\n    "code": 429\n  }\n}', b'[\n{"error": "gone"}\n]'])
def test_bare_json_may_stand_on_several_lines(bare):
    parser = SseParser()
    assert parser.feed(b"event: error\n" + bare.replace(b"\n", b"\n: so\n") + b"\n\n") == []
    assert parser.stray == bare


def test_only_the_last_bare_json_is_kept_and_a_bounded_part_of_it():
    parser = SseParser()
    assert parser.stray is None
    parser.feed(b"{oops\n" + b'{\n  "error": 1\n}\n' + b"x" * 70_000 + b"\n")
    assert parser.stray == b'{\n  "error": 1\n}'


LINES = st.lists(
    st.one_of(
        st.binary(max_size=12),
        st.sampled_from([b"", b"data: a", b"data:b", b"data", b": c", b"id: 1", b"data: \xf0\x9f\x98\x80"]),
    ),
    max_size=12,
)


@settings(max_examples=300, deadline=None)
@given(lines=LINES, ends=st.lists(st.sampled_from([b"\n", b"\r", b"\r\n"]), min_size=1), data=st.data())
def test_any_split_gives_the_same_events(lines: list[bytes], ends: list[bytes], data: st.DataObject):
    stream = b"".join(line + ends[i % len(ends)] for i, line in enumerate(lines))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    whole = events(stream)
    assert events(*pieces) == whole
    assert events(*(stream[i : i + 1] for i in range(len(stream)))) == whole


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text().map(lambda t: t.encode().replace(b"\r", b"")), max_size=5))
def test_what_is_framed_is_read_back(payloads: list[bytes]):
    assert events(b"".join(map(frame, payloads))) == payloads
