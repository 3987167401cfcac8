"""The tables of a run, and what makes a run noisy."""

from msgspec.structs import replace

from bench.machine import Machine
from bench.report import report
from bench.results import (
    Calls,
    Choosing,
    Dashboards,
    Feature,
    Leaving,
    Load,
    Results,
    Starting,
    Streams,
    Watched,
    quantile,
)

MACHINE = Machine(cpu="a CPU", cores=2, python="3.11.7", kernel="6.1", pinned=True)


def way(name, per_second, cpu_ms=None, failed=0) -> Calls:
    load = Load(64, per_second, p50_ms=1.0, p99_ms=2.0, failed=failed, cpu_ms=cpu_ms)
    return Calls(name, (load,), rate=50.0, p50_ms=0.1 if cpu_ms is None else 0.9, p99_ms=2.0, failed=0)


def results(**given) -> Results:
    return Results(MACHINE, upstream="C", tool="wrk", **given)


def test_calls_are_shown_beside_the_direct_ones_of_the_same_run():
    text = report(results(calls=[way("direct", 40_000), way("freeroute", 4_000, cpu_ms=0.25)]))
    line = next(line for line in text.splitlines() if line.startswith("freeroute"))
    assert line.split()[1:] == ["4,000", "0.250", "10.0%", "0.90", "2.00", "0.80", "0.00", "-"]
    assert "FAILED" not in text


def beside_others(*ways) -> dict[str, list[str]]:
    lines = report(results(calls=[way("direct", 40_000), *ways])).split("beside others")[-1].splitlines()
    return {line.split("  ")[0]: line.split() for line in lines}


def test_freeroute_is_held_beside_others_in_cpu_time_and_what_was_not_measured_is_marked():
    found = beside_others(
        way("nginx proxy_pass", 30_000, cpu_ms=0.01),
        way("freeroute, with limits", 4_000, cpu_ms=0.2),
        way("freeroute, limits, TLS", 3_000, cpu_ms=0.25),
        way("LiteLLM", 100, cpu_ms=8.0),
    )
    nginx, litellm = found["nginx proxy_pass"], found["LiteLLM"]
    assert nginx[2:] == ["0.010", "20.0", "at", "most", "16", "10", "MISSED", "of", "this", "run"]
    assert litellm[1:] == ["8.000", "40.0", "at", "least", "37", "60", "met", "of", "this", "run"]
    over_tls = found["freeroute, limits, TLS, beside without TLS"]
    assert over_tls[-10:-6] == ["0.200", "1.2", "at", "most"]


def test_what_is_quoted_of_another_machine_counts_as_much_more_as_this_one_is_slower():
    found = beside_others(
        way("nginx proxy_pass", 30_000, cpu_ms=0.027),  # 0.0135 there
        way("bare proxy in Python", 7_000, cpu_ms=0.108),  # 0.036 there
        way("freeroute, with limits", 2_000, cpu_ms=0.4),
    )
    assert found["FreeLLM"][1:] == ["0.920", "2.3", "at", "least", "2", "3", "met", "quoted"]


def test_with_nothing_that_tells_how_slow_the_machine_is_what_is_quoted_stands_as_it_is():
    found = beside_others(way("freeroute, with limits", 4_000, cpu_ms=0.2))
    assert found["FreeLLM"][1:3] == ["0.460", "2.3"]


def budgets(**given) -> dict[str, list[str]]:
    lines = report(results(**given)).split("beside the budgets")[-1].splitlines()
    return {line.split("  ")[0]: line.split("  ")[1:] for line in lines}


def budget(of: str, **given) -> list[str]:
    return [cell.strip() for cell in budgets(**given)[of] if cell.strip()]


def test_budgets_are_carried_to_a_slower_machine_by_the_way_that_allows_less():
    calls = [
        way("direct", 40_000),
        replace(way("nginx proxy_pass", 32_750, cpu_ms=0.027), p50_ms=0.4),
        replace(way("bare proxy in Python", 5_000, cpu_ms=0.144), p50_ms=1.1),
        replace(way("freeroute, with limits", 2_000, cpu_ms=0.45), p50_ms=1.4),
    ]
    assert budget("CPU ms/req", calls=calls) == ["0.45", "0.22", "0.12", "2.0", "0.44", "0.24", "MISSED"]
    assert budget("req/s", calls=calls) == ["2,000", "4,800", "8,000", "2.0", "2,400", "4,000", "MISSED"]
    # 0.3 ms are added by nginx where 0.15 were, 1 ms by the bare proxy where 0.25 were
    added = budget("added p50 ms at 50/s", calls=calls)
    assert added == ["1.3", "0.7", "0.4", "2.0", "1.4", "0.8", "met"]


def test_one_way_alone_carries_a_budget_too():
    calls = [
        way("direct", 40_000),
        way("bare proxy in Python", 8_000, cpu_ms=0.072),
        way("freeroute, with limits", 3_000, cpu_ms=0.44),
    ]
    assert budget("CPU ms/req", calls=calls)[-4:] == ["2.0", "0.44", "0.24", "met"]


def test_without_a_way_that_decides_nothing_there_is_no_telling_what_budgets_come_to():
    calls = [way("direct", 40_000), way("freeroute, with limits", 3_000, cpu_ms=0.44)]
    assert "beside the budgets" not in report(results(calls=calls))


def test_streams_are_held_to_their_budget():
    ours = Streams("freeroute, with limits", 500, 50.0, 50_000, 0.1, 0.2, 1.0, 4.0, cut=0, cpu_us=60.0)
    ways = [
        replace(ours, name="direct", cpu_us=None),
        replace(ours, name="nginx proxy_pass", cpu_us=24.0),
        ours,
    ]
    assert budget("CPU us/event", streams=ways) == ["60", "35", "20", "2.0", "70", "40", "met"]


def test_without_freeroute_nothing_is_held_beside_others():
    assert "beside others" not in report(results(calls=[way("direct", 40_000)]))


def test_what_could_not_be_measured_is_told_with_its_reason():
    assert "- LiteLLM: not installed" in report(
        results(absent=("LiteLLM: not installed (make bench-peers)",))
    )


def test_failed_calls_are_told():
    assert "3 calls FAILED: direct" in report(results(calls=[way("direct", 40_000, failed=3)]))


def test_a_run_is_noisy_when_the_direct_figure_varies_by_more_than_a_tenth():
    assert not results(direct_varied=0.1).is_noisy
    assert results(direct_varied=0.11).is_noisy
    assert "NOISY" in report(results(direct_varied=0.11))
    assert "NOISY" not in report(results(direct_varied=0.05))


def test_every_part_has_its_table():
    stream = Streams("direct", 500, 50.0, 50_000, 0.1, 0.2, 1.0, 4.0, cut=0)
    text = report(
        results(
            start=Starting(
                first_200=0.5,
                cpu=0.4,
                imports=0.4,
                bare=0.1,
                rss_idle_mib=60,
                rss_records_mib=70,
                runs=5,
            ),
            streams=[stream],
            choose=[Choosing(19, 360, "free", eligible_us=150, choose_us=90)],
        )
    )
    assert "0.50 s" in text
    assert "0.30 s" in text
    assert "500 streams at once, an event every 50 ms" in text
    assert "free         19         360         90          150" in text


def test_a_quantile_of_nothing_is_zero():
    assert quantile([], 0.5) == 0.0
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert quantile([3.0, 1.0, 2.0], 1.0) == 3.0


def test_streams_that_were_left_are_shown_with_what_stayed_behind():
    direct = Leaving("direct", 500, 60.0, 0.1, 5500, 550, 0, 500_000, 10.0, 50.0, 90.0)
    through = replace(
        direct, name="freeroute", cpu_us=70.0, rss_mib=(70.0, 100.0, 101.0, 99.0), unsettled=0.0, sockets=0
    )
    text = report(results(leaving=[direct, through]))
    assert "500 streams kept up for 60 s, 10% left by their callers" in text
    line = next(line for line in text.splitlines() if line.startswith("freeroute"))
    assert "70 100 101 99" in line
    assert line.endswith("0 + 0")
    assert "NOISY" not in text
    busy = replace(through, kept_waiting=0.3)
    assert "others had the gateway's core for 30% of the time" in report(results(leaving=[direct, busy]))


def test_what_a_feature_costs_is_the_median_difference_within_rounds():
    text = report(
        results(
            features=[
                Feature("all on", (0.5, 0.3, 0.4), 0.9, failed=0),
                Feature("without records", (0.4, 0.25, 0.1), 1.0, failed=2),
            ]
        )
    )
    line = next(line for line in text.splitlines() if line.startswith("without records"))
    assert line.split()[2:] == ["0.250", "-100", "-300", "to", "-50", "1.00"]
    assert "2 calls FAILED" in text


def test_what_dashboards_cost_is_shown_beside_the_calls_alone():
    alone = Watched(cpu=0.05, p50_ms=1.0, p99_ms=2.0, failed=0)
    beside = replace(alone, cpu=0.08, failed=3, events=1.0, size=2048.0)
    text = report(
        results(dashboards=[Dashboards("ordinary", 100, 50.0, alone, beside, 20.0, 10.0, 5000, 80.0)])
    )
    first, second = [line.split() for line in text.splitlines() if line.startswith("ordinary")][:2]
    assert first[1:] == ["0", "5.0%", "1.00", "2.00"]
    assert second[1:] == ["100", "8.0%", "1.00", "2.00", "1.00", "2.0"]
    assert "3 calls FAILED" in text
    assert text.splitlines()[-1].split() == ["ordinary", "20", "10", "5,000", "80"]
