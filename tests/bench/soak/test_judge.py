"""A gateway under load for long may not grow, and may leave nothing behind."""

from msgspec.structs import replace

from bench.soak.judge import Sample, judge

AT_REST = Sample(0.0, 80.0, 100_000, tasks=12, threads=5, files=30, callers=0, unsettled=0.0)


def samples(rss=lambda at: 90.0, objects=lambda at: 120_000) -> list[Sample]:
    return [replace(AT_REST, at=10.0 * n, rss_mib=rss(n), objects=objects(n)) for n in range(181)]


def missed(seen, after=AT_REST) -> list[str]:
    return [each.what for each in judge(seen, AT_REST, after) if not each.is_met]


def test_a_gateway_that_stays_as_it_is_passes():
    assert missed(samples()) == []


def test_what_it_gains_in_the_first_third_is_warming_up():
    assert missed(samples(rss=lambda n: 60.0 + min(n, 60))) == []


def test_memory_that_grows_after_that_is_told():
    assert missed(samples(rss=lambda n: 90.0 + n / 10)) == [
        "memory grows by 5 MiB at most after the first third"
    ]


def test_objects_that_grow_after_that_are_told():
    assert missed(samples(objects=lambda n: 120_000 + 50 * n)) == [
        "objects grow by 2% at most after the first third"
    ]


def test_a_single_high_reading_is_none():
    assert missed(samples(rss=lambda n: 190.0 if n == 175 else 90.0)) == []


def test_whatever_is_left_behind_is_told():
    after = replace(AT_REST, tasks=13, files=31, callers=1, unsettled=2.0)
    assert missed(samples(), after) == [
        "no request and no slot is left",
        "no connection of a caller is left",
        "no more tasks than before",
        "no more open files than before",
    ]
