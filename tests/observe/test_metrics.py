"""What /metrics tells of receipts and of the gateway's state."""

import asyncio
import contextlib
import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from freeroute.clock import Now
from freeroute.domain.catalogue import Limit, Scope, Unit
from freeroute.domain.clients import Client
from freeroute.domain.outcome import Kind, Outcome
from freeroute.domain.receipt import AttemptNote, Receipt
from freeroute.domain.usage import Usage
from freeroute.engine.view import Maintenance, Recording
from freeroute.errors import FreerouteError
from freeroute.observe.exposition import CONTENT_TYPE
from freeroute.observe.families import MOST_COUNTERS, MOST_HISTOGRAMS
from freeroute.observe.faults import FAULTS
from freeroute.observe.metrics import MOST_CLIENTS, Metrics
from tests.support.promlint import objections
from tests.support.world import PER_MINUTE, World, call, model, provider, read, streamed

DOCS = Path(__file__).parents[2] / "docs" / "metrics.md"
HISTOGRAM_PARTS = ("_bucket", "_sum", "_count")
SLOTS = Limit(Unit.CONCURRENCY, 4)
PER_MODEL = Limit(Unit.TOKENS, 1000, 86400.0, span="day", scope=Scope.MODEL)


class Watched(World):
    """A world whose gateway is measured."""

    def __init__(self, *providers, **given) -> None:
        super().__init__(*providers, **given)
        self.metrics = Metrics()
        self.metrics.watch(self.gateway.view)

    async def ask(self, *args, **given):
        try:
            return await super().ask(*args, **given)
        finally:
            if self.receipts.seen:
                self.metrics.saw(self.receipts.seen[-1])

    async def begin(self):
        """Begin a stream, and leave its end to the test."""
        return await self.gateway.chat(call("free", stream=True), self.context())


async def everything() -> Watched:
    """Return a world of whose metrics each has a series."""
    world = Watched(provider("groq", model(limits=(PER_MODEL,)), limits=(PER_MINUTE,)))
    world.gateway.recording = Recording()
    ann = Client("ann", b"", limits=(PER_MINUTE,))
    world.gateway.enrol([ann])
    await world.ask("free", stream=True, context=world.context(client=ann))
    stalled = AttemptNote("groq", "m", "k1", Kind.STALLED, 0.5, first_event=0.1)
    served = AttemptNote("groq", "m", "k2", Kind.SERVED, 0.5, usage=Usage(10, 20, reasoning=5, cached=2))
    world.metrics.saw(msgspec.structs.replace(_receipt(), attempts=(stalled, served), queued=1.0))
    return world


def page(metrics: Metrics) -> str:
    return b"".join(metrics.pieces()).decode()


def samples(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """Every sample by its name and its labels as ``name=value``, sorted; buckets and processes apart."""
    text = page(metrics)
    return {
        (sample.name, *sorted(f"{k}={v}" for k, v in sample.labels.items() if v)): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.name.endswith("_bucket") and not sample.name.startswith("process_")
    }


async def test_a_served_request_is_counted_with_its_model_provider_and_tokens():
    world = Watched(provider("groq"))
    await world.ask("free")
    found = samples(world.metrics)
    assert found["freeroute_requests_total", "model=free", "status=200", "surface=openai"] == 1
    assert found["freeroute_attempts_total", "kind=served", "model=m", "provider=groq"] == 1
    assert found["freeroute_tokens_total", "model=m", "provider=groq", "type=input"] == 10
    assert found["freeroute_tokens_total", "model=m", "provider=groq", "type=output"] == 20
    assert found["freeroute_client_requests_total", "client=-"] == 1
    assert found["freeroute_client_tokens_total", "client=-", "type=output"] == 20
    assert found["freeroute_request_attempts_sum",] == 1


async def test_each_failed_attempt_is_counted_by_its_kind():
    world = Watched(provider("groq"), provider("cerebras"), groq=[Kind.FAULT], cerebras=[Kind.FAULT])
    with pytest.raises(FreerouteError):
        await world.ask("free")
    found = samples(world.metrics)
    assert found["freeroute_attempts_total", "fault=provider", "kind=fault", "model=m", "provider=groq"] == 1
    assert (
        found["freeroute_attempts_total", "fault=provider", "kind=fault", "model=m", "provider=cerebras"] == 1
    )
    refused = ("freeroute_requests_total", "code=upstream_failed", "fault=provider", "model=free")
    assert found[*refused, "status=502", "surface=openai"] == 1


async def test_only_streams_have_a_time_to_the_first_token():
    world = Watched(provider("groq"), seconds=0.25)
    await world.ask("free")
    name = "gen_ai_server_time_to_first_token_seconds_sum"
    assert not [key for key in samples(world.metrics) if key[0] == name]
    await world.ask("free", stream=True)
    labels = ["gen_ai_operation_name=chat", "gen_ai_provider_name=groq", "gen_ai_request_model=free"]
    assert samples(world.metrics)[name, *labels, "gen_ai_response_model=m"] == pytest.approx(0.25)


async def test_a_stream_that_dies_counts_as_a_failed_attempt_and_not_as_a_served_one():
    cut = streamed(ending=Outcome(Kind.TRUNCATED))
    world = Watched(provider("groq"), groq=[cut])
    await world.ask("free", stream=True)
    found = samples(world.metrics)
    assert (
        found["freeroute_attempts_total", "fault=provider", "kind=truncated", "model=m", "provider=groq"] == 1
    )
    assert ("freeroute_attempts_total", "kind=served", "model=m", "provider=groq") not in found
    asked = ("freeroute_requests_total", "code=truncated", "fault=provider", "model=free")
    assert found[*asked, "status=200", "surface=openai"] == 1


async def test_the_whole_of_a_stream_belongs_to_its_attempt():
    world = Watched(provider("groq"), seconds=0.5)
    served = await world.begin()
    world.clock.advance(1.5)
    await read(served)
    await served.finish()
    world.metrics.saw(world.receipts.last)
    name = "gen_ai_client_operation_duration_seconds_sum"
    labels = ["gen_ai_operation_name=chat", "gen_ai_provider_name=groq", "gen_ai_request_model=m"]
    assert samples(world.metrics)[name, *labels] == pytest.approx(2.0)


async def test_of_an_answer_in_two_parts_each_provider_has_its_own():
    begun = b'{"id":"i","choices":[{"index":0,"delta":{"content":"one"}}]}'
    first = streamed([begun], ending=Kind.STALLED, usage=Usage(10, 3))
    second = streamed([begun], usage=Usage(10, 7))
    world = Watched(provider("groq"), provider("cerebras"), seconds=0.5, groq=[first], cerebras=[second])
    context = world.context(continues=True)
    served = await world.gateway.chat(call(stream=True, max_output=5), context)
    assert served.teller.won.leased.candidate.provider.id == "groq"
    await read(served)
    world.clock.advance(2.0)
    await served.finish()
    world.metrics.saw(world.receipts.last)
    found = samples(world.metrics)
    for name, tokens, seconds, error in (("groq", 3, 0.5, ["error_type=stalled"]), ("cerebras", 7, 2.5, [])):
        labels = ["gen_ai_operation_name=chat", f"gen_ai_provider_name={name}", "gen_ai_request_model=m"]
        made = ["model=m", f"provider={name}", "type=output"]
        assert found["freeroute_tokens_total", *made] == tokens
        assert found["gen_ai_client_operation_time_to_first_chunk_seconds_sum", *labels] == 0.5
        assert found["gen_ai_client_operation_duration_seconds_sum", *error, *labels] == seconds


async def test_a_caller_who_left_is_no_error_of_the_gateway():
    world = Watched(provider("groq"))
    served = await world.begin()
    await served.finish(caller_left=True)
    world.metrics.saw(world.receipts.last)
    found = samples(world.metrics)
    left = ("freeroute_requests_total", "code=caller_left", "fault=caller", "model=free")
    assert found[*left, "status=499", "surface=openai"] == 1
    assert (
        found["freeroute_attempts_total", "fault=caller", "kind=caller_left", "model=m", "provider=groq"] == 1
    )


async def test_names_that_callers_make_up_share_one_series():
    world = Watched(provider("groq"))
    for name in ("nonsense-1", "nonsense-2", "groq/none"):
        with pytest.raises(FreerouteError):
            await world.ask(name)
    refused = ("freeroute_requests_total", "code=model_not_found", "fault=caller", "model=other")
    assert samples(world.metrics)[*refused, "status=404", "surface=openai"] == 3


async def test_spellings_and_aliases_of_a_model_share_its_series():
    world = Watched(provider("groq", model("gpt-oss", family="gpt-oss")))
    for name in ("gpt-oss", "GPT-OSS", "Gpt-Oss"):
        await world.ask(name)
    await world.ask("auto")
    counted = {
        key[1]: value for key, value in samples(world.metrics).items() if key[0] == "freeroute_requests_total"
    }
    assert counted == {"model=gpt-oss": 3, "model=free": 1}


@given(st.text(max_size=20), st.text(max_size=20))
def test_codes_and_models_from_anywhere_open_no_series_of_their_own(code, asked):
    metrics = Metrics()
    receipt = msgspec.structs.replace(_receipt(), code=f"x{code}", asked=asked, asked_known=False)
    metrics.saw(receipt)
    keys = [key for key in samples(metrics) if key[0] == "freeroute_requests_total"]
    assert len(keys) == 1
    assert "model=other" in keys[0]
    assert "code=_OTHER" in keys[0]


async def test_quota_is_shown_as_used_of_its_limit_with_the_limits_source():
    world = Watched(provider("groq", model(limits=(PER_MODEL,)), limits=(PER_MINUTE, SLOTS)))
    await world.ask("free")
    found = samples(world.metrics)
    pool = ("limit=requests/minute", "pool=groq/account:default/requests/minute", "provider=groq")
    assert found["freeroute_quota_used", *pool] == 1
    assert found["freeroute_quota_limit", *pool, "source=configured"] == 30
    wall = world.clock.now().wall
    assert 59 <= found["freeroute_quota_reset_timestamp_seconds", *pool] - wall <= 61
    owned = ("limit=tokens/day", "model=m", "pool=groq/account:default/model:m/tokens/day", "provider=groq")
    assert found["freeroute_quota_used", *owned] == 30


async def test_breakers_holds_and_use_are_read_when_asked_for():
    world = Watched(provider("groq"), groq=[Kind.FAULT] * 3)
    candidate = ("key=k1", "model=m", "provider=groq")
    before = samples(world.metrics)
    assert before["freeroute_breaker_state", *candidate] == 0
    assert before["freeroute_candidate_usable", *candidate] == 1
    for _ in range(3):
        with pytest.raises(FreerouteError):
            await world.ask("free")
    failed = samples(world.metrics)
    assert failed["freeroute_breaker_state", *candidate] == 2
    assert failed["freeroute_candidate_usable", *candidate] == 0
    assert failed["freeroute_candidate_held", *candidate] == 0
    assert failed["freeroute_provider_breaker_state", "provider=groq"] == 0
    world.gateway.standing.hold(("provider", "groq"), world.clock.now().mono + 5, "told to")
    held = samples(world.metrics)
    assert held["freeroute_candidate_held", *candidate] == 1
    assert held["freeroute_candidates", "provider=groq", "state=held"] == 1
    assert held["freeroute_candidates", "provider=groq", "state=usable"] == 0
    assert held["freeroute_key_refused", "key=k1", "provider=groq"] == 0


async def test_a_breaker_that_opens_and_closes_again_is_counted_each_time():
    world = Watched(provider("groq"), groq=[Kind.FAULT] * 3)
    for _ in range(3):
        with pytest.raises(FreerouteError):
            await world.ask("free")
    world.gateway.reset("groq")
    found = samples(world.metrics)
    assert found["freeroute_breaker_openings_total", "key=k1", "model=m", "provider=groq"] == 1
    assert found["freeroute_breaker_state", "key=k1", "model=m", "provider=groq"] == 0
    assert found["freeroute_provider_breaker_openings_total", "provider=groq"] == 0


async def test_a_key_that_its_provider_refuses_is_told():
    world = Watched(provider("groq"), provider("cerebras"), groq=[Kind.KEY_INVALID])
    await world.ask("free")
    found = samples(world.metrics)
    refused = {name for name, value in found.items() if name[0] == "freeroute_key_refused" and value}
    assert refused == {("freeroute_key_refused", "key=k1", "provider=groq")}
    kind = ("fault=gateway", "kind=key_invalid")
    assert found["freeroute_attempts_total", *kind, "model=m", "provider=groq"] == 1


async def test_a_fallback_is_counted_by_who_failed_why_and_whether_it_helped():
    world = Watched(
        provider("groq"), provider("cerebras"), groq=[Kind.FAULT], cerebras=[Kind.SERVED, Kind.FAULT]
    )
    await world.ask("free")
    found = samples(world.metrics)
    assert found["freeroute_fallbacks_total", "kind=fault", "provider=groq", "served=true"] == 1
    assert len([name for name in found if name[0] == "freeroute_fallbacks_total"]) == 1


async def test_a_stream_that_broke_off_is_told_from_an_attempt_that_never_began():
    world = Watched(provider("groq"), groq=[streamed(ending=Outcome(Kind.STALLED)), Kind.FAULT])
    await world.ask("free", stream=True)
    with pytest.raises(FreerouteError):
        await world.ask("free", stream=True)
    found = {name: value for name, value in samples(world.metrics).items() if "streams_broken" in name[0]}
    assert found == {("freeroute_streams_broken_total", "kind=stalled", "model=m", "provider=groq"): 1}


def test_what_was_skipped_continued_and_waited_for_is_counted():
    metrics = Metrics()
    metrics.saw(msgspec.structs.replace(_receipt(), skipped=3, continued=2, queued=4.0))
    metrics.saw(_receipt())
    found = samples(metrics)
    assert found["freeroute_stream_events_skipped_total",] == 3
    assert found["freeroute_streams_continued_total",] == 2
    assert (found["freeroute_wait_seconds_count",], found["freeroute_wait_seconds_sum",]) == (1, 4.0)


async def test_who_waits_is_counted():
    world = Watched(provider("groq", limits=(Limit(Unit.REQUESTS, 1, 60.0, span="minute"),)))
    await world.ask("free")
    waiting = asyncio.create_task(world.ask("free", context=world.context(max_wait=100.0)))
    for _ in range(10):
        await asyncio.sleep(0)
    found = samples(world.metrics)
    assert found["freeroute_waiting_requests", "cause=capacity"] == 1
    assert found["freeroute_waiting_requests", "cause=client_limit"] == 0
    assert found["freeroute_waiting_room_size",] == 1000
    waiting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await waiting


async def test_limits_of_clients_are_shown_once_they_have_asked():
    world = Watched(provider("groq"))
    clients = [Client(name, b"", limits=(PER_MINUTE,)) for name in ("ann", "bob")]
    world.gateway.enrol(clients)
    await world.ask("free", context=world.context(client=clients[0]))
    found = samples(world.metrics)
    assert {name: value for name, value in found.items() if name[0].startswith("freeroute_client_quota")} == {
        ("freeroute_client_quota_used", "client=ann", "limit=requests/minute"): 1,
        ("freeroute_client_quota_limit", "client=ann", "limit=requests/minute"): 30,
    }


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


def test_opentelemetrys_names_of_providers_are_used_where_it_has_one():
    metrics = Metrics()
    note = AttemptNote("gemini", "m", "k1", Kind.SERVED, 0.5, usage=Usage(1, 1))
    metrics.saw(msgspec.structs.replace(_receipt(), provider="gemini", attempts=(note,)))
    shown = {name[0] for name in samples(metrics) if "gen_ai_provider_name=gcp.gemini" in name}
    assert {"gen_ai_server_request_duration_seconds_sum", "gen_ai_client_token_usage_sum"} <= shown
    assert ("freeroute_attempts_total", "kind=served", "model=m", "provider=gemini") in samples(metrics)


async def test_requests_being_answered_are_in_flight_until_they_are_finished():
    world = Watched(provider("groq"))
    served = await world.begin()
    assert samples(world.metrics)["freeroute_requests_in_flight",] == 1
    await served.finish()
    assert samples(world.metrics)["freeroute_requests_in_flight",] == 0
    with pytest.raises(FreerouteError):
        await world.ask("no-such-model")
    assert samples(world.metrics)["freeroute_requests_in_flight",] == 0


def test_of_a_hundred_thousand_names_only_so_many_have_series():
    metrics = Metrics()
    for number in range(10_000):
        receipt = msgspec.structs.replace(
            _receipt(),
            client=f"client-{number}",
            asked=f"made up {number}",
            asked_known=False,
            provider=f"p{number % 19}",
            model=f"m{number}",
            attempts=(
                AttemptNote(f"p{number % 19}", f"m{number}", "k1", Kind.STALLED, 0.5, first_event=0.1),
                AttemptNote("p1", f"m{number}", "k1", Kind.SERVED, 0.5, usage=Usage(10, 20)),
            ),
            stream=True,
            first_event=0.2,
        )
        metrics.saw(receipt)
    kinds = len(Kind) * len(FAULTS)
    for family in text_string_to_metric_families(page(metrics)):
        series = {
            tuple(sorted((name, value) for name, value in sample.labels.items() if name != "le"))
            for sample in family.samples
        }
        most = MOST_HISTOGRAMS if family.type == "histogram" else MOST_COUNTERS
        if family.name.startswith("freeroute_client"):
            most = len(FAULTS) * (MOST_CLIENTS + 1)
        assert len(series) <= most + kinds, family.name


def test_so_many_clients_have_series_of_their_own_and_the_rest_share_one():
    metrics = Metrics()
    for number in range(MOST_CLIENTS + 3):
        metrics.saw(msgspec.structs.replace(_receipt(), client=f"c{number}"))
    found = samples(metrics)
    clients = {label for name in found for label in name if label.startswith("client=")}
    assert len(clients) == MOST_CLIENTS + 1
    assert "client=other" in clients


async def test_without_a_view_counters_are_shown_alone():
    metrics = Metrics()
    metrics.saw(_receipt())
    body, content_type = await metrics.render()
    assert content_type == CONTENT_TYPE
    assert b"freeroute_requests_total" in body
    assert b"freeroute_quota_used" not in body


def test_records_are_counted_where_they_are_kept():
    world = Watched(provider("groq"))
    assert not [name for name, *_ in samples(world.metrics) if "records" in name]
    world.gateway.recording = Recording(failing=True, written=3, lost=2, spooled=400, queued=7)
    assert {name: value for (name, *_), value in samples(world.metrics).items() if "records" in name} == {
        "freeroute_records_failing": 1,
        "freeroute_records_queued": 7,
        "freeroute_records_spooled_bytes": 400,
        "freeroute_records_written_total": 3,
        "freeroute_records_lost_total": 2,
    }


def test_maintenance_is_seen():
    world = Watched(provider("groq"))
    assert samples(world.metrics)["freeroute_maintenance",] == 0
    world.gateway.maintenance = Maintenance(0.0)
    assert samples(world.metrics)["freeroute_maintenance",] == 1


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
    world.metrics.saw(msgspec.structs.replace(_receipt(), client=client))
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


def _receipt():
    return Receipt(
        request_id="r",
        at=Now(0.0, 0.0),
        surface="openai",
        client="-",
        asked="free",
        asked_known=True,
        stream=False,
        status=200,
        code=None,
        provider="groq",
        model="m",
        key="k1",
        attempts=(AttemptNote("groq", "m", "k1", Kind.SERVED, 0.5, 200),),
        usage=Usage(10, 20, reasoning=5, cached=2),
        finish="stop",
        queued=0.0,
        overhead=0.001,
        first_event=None,
        total=0.5,
    )
