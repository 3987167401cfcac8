"""What /metrics counts of receipts."""

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from freeroute.domain.outcome import Kind, Outcome
from freeroute.domain.receipt import AttemptNote
from freeroute.domain.usage import Usage
from freeroute.engine.relay import Serving
from freeroute.errors import FreerouteError
from freeroute.observe.families import MOST_COUNTERS, MOST_HISTOGRAMS
from freeroute.observe.faults import FAULTS
from freeroute.observe.metrics import MOST_CLIENTS, TOGETHER, Metrics
from tests.observe.watched import Watched, a_receipt, page, samples
from tests.support.world import call, model, provider, read, streamed


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
    assert isinstance(served, Serving)
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
    receipt = a_receipt(code=f"x{code}", asked=asked, asked_known=False)
    metrics.saw(receipt)
    keys = [key for key in samples(metrics) if key[0] == "freeroute_requests_total"]
    assert len(keys) == 1
    assert "model=other" in keys[0]
    assert "code=_OTHER" in keys[0]


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
    metrics.saw(a_receipt(skipped=3, continued=2, queued=4.0))
    metrics.saw(a_receipt())
    found = samples(metrics)
    assert found["freeroute_stream_events_skipped_total",] == 3
    assert found["freeroute_streams_continued_total",] == 2
    assert (found["freeroute_wait_seconds_count",], found["freeroute_wait_seconds_sum",]) == (1, 4.0)


def test_opentelemetrys_names_of_providers_are_used_where_it_has_one():
    metrics = Metrics()
    note = AttemptNote("gemini", "m", "k1", Kind.SERVED, 0.5, usage=Usage(1, 1))
    metrics.saw(a_receipt(provider="gemini", attempts=(note,)))
    shown = {name[0] for name in samples(metrics) if "gen_ai_provider_name=gcp.gemini" in name}
    assert {"gen_ai_server_request_duration_seconds_sum", "gen_ai_client_token_usage_sum"} <= shown
    assert ("freeroute_attempts_total", "kind=served", "model=m", "provider=gemini") in samples(metrics)


@pytest.mark.parametrize("models", [1, 40, 1100], ids=["alike", "some", "more than are remembered"])
def test_whenever_it_is_read_all_is_counted_that_was_seen(models):
    metrics, last = Metrics(), 2 * TOGETHER + models + 3
    for number in range(1, last + 1):
        note = AttemptNote("groq", f"m{number % models}", "k1", Kind.SERVED, 0.5, usage=Usage(3, 4))
        metrics.saw(a_receipt(model=f"m{number % models}", attempts=(note,), unrecorded=1, total=0.25))
        if number in (1, TOGETHER + 5, last):
            found: defaultdict[str, float] = defaultdict(float)
            for (name, *_), value in samples(metrics).items():
                found[name] += value
            assert found["freeroute_requests_total"] == 2 * number
            assert found["freeroute_client_requests_total"] == 2 * number
            assert found["freeroute_attempts_total"] == number
            assert found["freeroute_tokens_total"] == found["freeroute_client_tokens_total"] == 7 * number
            assert found["gen_ai_client_token_usage_sum"] == 7 * number
            assert found["gen_ai_client_operation_duration_seconds_sum"] == 0.5 * number
            assert found["gen_ai_server_request_duration_seconds_sum"] == 0.25 * number
            assert found["freeroute_request_attempts_sum"] == number
            assert found["freeroute_overhead_seconds_count"] == number


def test_of_a_hundred_thousand_names_only_so_many_have_series():
    metrics = Metrics()
    for number in range(10_000):
        receipt = a_receipt(
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
        metrics.saw(a_receipt(client=f"c{number}"))
    found = samples(metrics)
    clients = {label for name in found for label in name if label.startswith("client=")}
    assert len(clients) == MOST_CLIENTS + 1
    assert "client=other" in clients
