"""The streams of the corpus, cut on the wire in every way: the same events, the same answer."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freeroute.domain.catalogue import Candidate, Key, Model
from freeroute.engine.ports import Sent
from freeroute.upstreams.kinds import Upstreams
from freeroute.wire.decode import decode_chat
from freeroute.wire.ndjson import LineParser
from freeroute.wire.sse import DONE, SseParser
from tests.conformance.conftest import plan
from tests.support.asking import TERMS, rest, stream_of
from tests.support.clocks import ManualClock
from tests.support.corpus import Entry, Heard, entries
from tests.support.transports import PlayedTransport

STREAMS = [entry for entry in entries() if entry.streams]
LONGEST = max(len(entry.body) for entry in STREAMS)
MIB = 1024 * 1024


def parser(entry: Entry) -> SseParser | LineParser:
    return SseParser() if entry.ending == ".sse" else LineParser()


def events(entry: Entry, *cuts: int) -> list[bytes]:
    reading, found = parser(entry), list[bytes]()
    for piece in entry.reply(*cuts).steps:
        assert isinstance(piece, bytes)
        found += reading.feed(piece)
    return found + reading.finish()


# One stream of each provider has every way of framing that this provider has.
@pytest.mark.parametrize("entry", [pytest.param(e, id=e.id) for e in STREAMS if e.scenario == "chat"])
def test_cut_in_two_at_any_byte_the_events_are_the_same(entry: Entry):
    whole = events(entry)
    assert len(whole) > 6
    assert all(msgspec.json.decode(event) for event in whole if event != DONE)
    for cut in range(len(entry.body) + 1):
        assert events(entry, cut) == whole, cut


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(STREAMS), st.lists(st.integers(0, LONGEST), max_size=12))
def test_cut_anywhere_any_number_of_times_the_events_are_the_same(entry: Entry, places: list[int]):
    cuts = sorted(place % (len(entry.body) + 1) for place in places)
    assert events(entry, *cuts) == events(entry)


async def sent(entry: Entry, directory, *cuts: int) -> Sent:
    [provider] = plan(entry.provider, directory).assembly.catalogue.providers.values()
    asked = Candidate(provider, Model("m", "m"), Key("k", "key-1"), "c", ())
    body = {"model": "m", "messages": [{"role": "user", "content": "Hello!"}], **entry.asked}
    upstream = Upstreams(PlayedTransport(entry.reply(*cuts)), ManualClock())[provider.kind]
    return await upstream.send(decode_chat(msgspec.json.encode(body)), asked, TERMS)


@pytest.mark.parametrize("entry", [pytest.param(e, id=e.id) for e in STREAMS])
async def test_byte_by_byte_the_answer_is_the_same(entry: Entry, directory):
    async def heard(*cuts: int) -> tuple[Heard, object]:
        stream = stream_of(await sent(entry, directory, *cuts))
        said = Heard.stream(await rest(stream))
        said.ids = ()  # made anew where the provider gives none
        return said, stream.outcome

    whole = await heard()
    assert await heard(*range(1, len(entry.body))) == whole


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_an_event_of_a_mebibyte_is_read_in_pieces_of_any_size(end: bytes):
    payload = b'{"a":"' + "é".encode() * (MIB // 2) + b'"}'
    body = b"data: " + payload + end + end + b"data: [DONE]" + end + end
    for size in (1447, 65536, len(body)):
        reading = SseParser()
        found = [e for at in range(0, len(body), size) for e in reading.feed(body[at : at + size])]
        assert found + reading.finish() == [payload, DONE]
