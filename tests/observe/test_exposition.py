"""Prometheus' text format: whatever is written can be read back, in pieces that stay short."""

import math

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from freeroute.observe.exposition import PIECE, Breath, Gathered, labels_of, pieces


def gauge(*samples) -> Gathered:
    family = Gathered("freeroute_x", "gauge", "What it is.")
    for labels, value in samples:
        family.add(labels_of(labels), value)
    return family


def read(*families):
    text = b"".join(pieces(families)).decode()
    return {
        (sample.name, *sample.labels.items()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@given(st.text(max_size=20), st.floats())
def test_a_sample_can_be_read_back(label, value):
    told = read(gauge(({"name": label}, value)))[("freeroute_x", ("name", label))]
    assert told == value or (math.isnan(told) and math.isnan(value))


def test_a_long_family_is_written_in_pieces_with_one_head():
    written = list(pieces([gauge(*[({"n": str(n)}, 1.0) for n in range(3 * PIECE + 1)])]))
    assert len(written) == 4
    assert b"".join(written).count(b"# HELP") == 1


def test_work_without_text_leaves_room_for_others():
    assert list(pieces([Breath, Breath])) == [b"", b""]
