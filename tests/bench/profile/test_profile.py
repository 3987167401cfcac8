"""Stacks become shares of parts and a picture; threads that only wait are in neither."""

import xml.etree.ElementTree as ET
from collections import Counter

from bench.profile.flame import drawn
from bench.profile.stacks import folded, shares

BEGINNING = "main (freeroute/__main__.py:123);Runner.run (asyncio/runners.py:118)"
LINES = [
    f"{BEGINNING};Loop.chat (freeroute/engine/gateway.py:7);acquire (freeroute/domain/leases.py:3) 60",
    f"{BEGINNING};Loop.chat (freeroute/engine/gateway.py:9);dumps (json/encoder.py:3) 20",
    f"{BEGINNING};data_received (uvicorn/protocols/http/httptools_impl.py:3) 15",
    f"{BEGINNING} 5",
    "Thread.run (threading.py:982);_worker (concurrent/futures/thread.py:81) 1000",
]


def test_time_belongs_to_the_innermost_room_of_freeroute_with_the_libraries_it_calls():
    assert [(name.partition(":")[0], share) for name, share in shares(folded(LINES))] == [
        ("domain", 0.6),
        ("engine", 0.2),
        ("HTTP from callers", 0.15),
        ("event loop, sockets, the interpreter", 0.05),
    ]


def test_calls_from_different_lines_of_a_function_are_one_frame():
    assert {stack[0] for stack in folded(LINES) if len(stack) == 2} == {
        "Loop.chat (freeroute/engine/gateway.py)"
    }


def test_the_picture_is_well_formed_and_shows_each_frame_with_its_share():
    picture = ET.fromstring(drawn(folded(LINES), "calls & streams"))
    titles = [title.text for title in picture.iter("{http://www.w3.org/2000/svg}title")]
    assert titles[0] == "calls & streams"
    assert "Loop.chat (freeroute/engine/gateway.py) 80.0%" in titles
    assert "acquire (freeroute/domain/leases.py) 60.0%" in titles


def test_what_is_too_narrow_to_be_seen_is_not_drawn():
    assert "rare" not in drawn(Counter({("often",): 10_000, ("rare",): 1}), "")
