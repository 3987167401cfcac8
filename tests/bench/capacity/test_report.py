"""The report of the capacity benchmark: demands, contenders, providers, and when it is no result."""

from bench.capacity.figures import Figures, PoolFigures
from bench.capacity.musts import Must
from bench.capacity.report import Result, markdown, report

POOL = PoolFigures("alder", 10, 8, 16, 2, {"500": 1}, wait_p50=0.5, wait_p95=1.5)


def figures(contender="freeroute", delivered=8) -> Figures:
    return Figures(
        scenario="overload",
        contender=contender,
        seconds=300.0,
        tokens=False,
        calls=12,
        delivered=delivered,
        theoretical=10,
        refused=2,
        errors={"429 capacity_exhausted": 4},
        interrupted=0,
        wait_p50=0.5,
        wait_p95=1.5,
        pools=(POOL,),
    )


def result(*, met=True, late=0.0) -> Result:
    musts = [Must("0 calls refused upstream", "2", met)]
    return Result(
        "overload", "steady overload", {"freeroute": figures(), "ideal": figures("ideal", 10)}, musts, late
    )


def test_every_contender_and_every_provider_has_its_line():
    lines = report([result()]).splitlines()
    freeroute = next(line for line in lines if line.startswith("freeroute "))
    assert freeroute.split()[1:6] == ["12", "8", "10", "80.0%", "2"]
    alder = next(line for line in lines if line.startswith("alder"))
    assert alder.split()[1:6] == ["10", "8", "16", "50.0%", "2"]
    assert alder.endswith("1 500")


def test_a_missed_demand_fails_the_run_and_is_told_in_the_table():
    missed = result(met=False)
    assert result().passed
    assert not missed.passed
    assert "FAIL  0 calls refused upstream: 2" in report([missed])
    assert "2 (missed)" in markdown([missed])
    assert "| 100.0%, 2 refused, 4 errors |" in markdown([missed])


def test_a_bench_that_was_late_itself_gives_no_result():
    assert "NOISY" not in report([result(late=0.05)])
    assert "NOISY: the bench itself was late by 0.70 s" in report([result(late=0.7)])
