"""The page of metrics: how it is written, for whom, and that the documentation lists it."""

import asyncio
import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from freeroute.observe.exposition import CONTENT_TYPE
from freeroute.observe.metrics import Metrics
from tests.observe.watched import PER_MODEL, Watched, a_receipt, everything, page
from tests.support.promlint import objections
from tests.support.world import model, provider

DOCS = Path(__file__).parents[2] / "docs" / "metrics.md"


async def test_who_scrapes_at_the_same_time_gets_the_same_page_and_others_have_their_turn():
    world = Watched(provider("groq", *[model(f"m{n}", limits=(PER_MODEL,)) for n in range(200)]))
    first, second = asyncio.create_task(world.metrics.render()), asyncio.create_task(world.metrics.render())
    turns = 0
    while not first.done():
        turns += 1
        await asyncio.sleep(0)
    assert (await first)[0] is (await second)[0]
    assert turns > 20
    assert (await world.metrics.render())[0] is not (await first)[0]


async def test_a_scraper_that_leaves_takes_the_page_from_nobody():
    world = Watched(provider("groq"))
    first, second = asyncio.create_task(world.metrics.render()), asyncio.create_task(world.metrics.render())
    await asyncio.sleep(0)
    first.cancel()
    assert b"freeroute_info" in (await second)[0]


async def test_without_a_view_counters_are_shown_alone():
    metrics = Metrics()
    metrics.saw(a_receipt())
    body, content_type = await metrics.render()
    assert content_type == CONTENT_TYPE
    assert b"freeroute_requests_total" in body
    assert b"freeroute_quota_used" not in body


async def test_the_documentation_lists_every_metric_with_its_type_and_labels():
    world = await everything()
    shown = {}
    for family in text_string_to_metric_families(page(world.metrics)):
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        name = f"{family.name}_total" if family.type == "counter" else family.name
        if not name.startswith("process_"):
            shown[name] = (family.type, frozenset(labels))
    assert _documented() == shown


async def test_names_and_units_are_as_prometheus_wants_them():
    world = await everything()
    assert objections(page(world.metrics)) == []


@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=30))
def test_names_of_any_kind_can_be_read_back(client, named, key):
    world = Watched(provider("groq", model(f"m{named}"), keys=(f"k{key}",)))
    world.metrics.saw(a_receipt(client=client))
    told = {
        (sample.name, label, value)
        for family in text_string_to_metric_families(page(world.metrics))
        for sample in family.samples
        for label, value in sample.labels.items()
    }
    assert ("freeroute_client_requests_total", "client", client) in told
    assert ("freeroute_candidate_usable", "model", f"m{named}") in told
    assert ("freeroute_candidate_usable", "key", f"k{key}") in told


def test_the_documentation_lists_every_label():
    text = DOCS.read_text()
    labels = set().union(*(labels for _, labels in _documented().values()))
    table = text[text.index("## Labels") : text.index("## Questions")]
    # Clear by their names, or told beside their metrics.
    told = {"version", "demo", "source", "type", "cause", "state", "gen_ai_token_type"}
    assert {label for label in labels if f"`{label}`" not in table} == told


def _documented():
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| ([`\w ]*)\|", DOCS.read_text(), re.MULTILINE)
    return {name: (kind, frozenset(re.findall(r"\w+", labels))) for name, kind, labels in rows}
