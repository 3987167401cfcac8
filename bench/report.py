"""A run as people read it."""

import statistics
from collections.abc import Iterable, Mapping, Sequence

from bench.peers.budgets import Carried, of_calls, of_streams
from bench.peers.demands import beside
from bench.results import NOISE, Calls, Choosing, Dashboards, Feature, Leaving, Results, Starting, Streams
from bench.ways import LIMITED


def report(found: Results) -> str:
    """Return the tables of what was measured."""
    machine = found.machine
    where = (
        "gateway on one core, upstream and load on another"
        if machine.pinned
        else "one core for all: not comparable"
    )
    head = [f"{machine.cpu}, {machine.cores} cores, Linux {machine.kernel}, Python {machine.python}; {where}"]
    if found.upstream:
        head.append(f"upstream in {found.upstream}, closed loops by {found.tool}")
    parts = ["\n".join(head)]
    if found.start is not None:
        parts.append(_start(found.start))
    if found.calls is not None:
        parts.append(_calls(found.calls))
        costs = {way.name: cost for way in found.calls if (cost := way.busiest.cpu_ms)}
        parts += [*held_beside(costs), *held_to(of_calls(found.calls))]
    if found.direct_varied is not None:
        parts.append(_noise(found))
    if found.streams is not None:
        parts += [_streams(found.streams), *held_to(of_streams(found.streams))]
    if found.absent:
        parts.append("Not measured:\n" + "\n".join(f"- {reason}" for reason in found.absent))
    if found.leaving is not None:
        parts.append(_leaving(found.leaving))
    if found.choose is not None:
        parts.append(_choose(found.choose))
    if found.features is not None:
        parts.append(_features(found.features))
    if found.dashboards is not None:
        parts.append(_dashboards(found.dashboards))
    return "\n\n".join(parts)


def _start(start: Starting) -> str:
    rows = [
        ("cold start to the first 200", f"{start.first_200:.2f} s"),
        ("  CPU time until then", f"{start.cpu:.2f} s"),
        ("  of it imports", f"{start.imports - start.bare:.2f} s"),
        ("  of it the interpreter", f"{start.bare:.2f} s"),
        ("memory when idle", f"{start.rss_idle_mib:.0f} MiB"),
        ("  with the records open", f"{start.rss_records_mib:.0f} MiB"),
    ]
    return f"Start (median of {start.runs})\n" + table((), rows)


def _calls(ways: Sequence[Calls]) -> str:
    direct = ways[0]
    counts = [str(load.connections) for load in direct.loads]
    head = (
        "",
        *(f"req/s, {n} conn" for n in counts),
        "CPU ms/req",
        "of direct",
        "p50 ms",
        "p99 ms",
        "added p50",
        "p99",
        "RSS MiB",
    )
    rows = []
    for way in ways:
        load = way.busiest
        through = way is not direct
        rows.append(
            (
                way.name,
                *(f"{each.per_second:,.0f}" for each in way.loads),
                _number(load.cpu_ms, 3),
                f"{load.per_second / direct.busiest.per_second:.1%}" if through else "",
                _number(way.p50_ms, 2),
                _number(way.p99_ms, 2),
                _number(way.p50_ms - direct.p50_ms if through else None, 2),
                _number(way.p99_ms - direct.p99_ms if through else None, 2),
                _number(way.rss_mib, 0),
            )
        )
    failed = {way.name: way.failed + sum(load.failed for load in way.loads) for way in ways}
    told = "".join(f"\n{count:,} calls FAILED: {name}" for name, count in failed.items() if count)
    most = direct.busiest.connections
    title = f"JSON calls (CPU and share of direct: {most} connections; latencies: {direct.rate:g}/s)"
    return f"{title}\n{table(head, rows)}{told}"


def held_beside(costs: Mapping[str, float]) -> list[str]:
    """Return the table of all *costs* (CPU ms a request) beside freeroute's; none without that."""
    if not (found := beside(costs)):
        return []
    head = ("", "its CPU ms/req", "ratio", "must", "aim", "", "its figure is")
    rows = [
        (
            each.demand.name if each.ours == LIMITED else f"{each.ours}, beside without TLS",
            _number(each.cpu_ms, 3),
            f"{each.ratio:.1f}",
            f"{'at most' if each.demand.ceiling else 'at least'} {each.demand.must:g}",
            f"{each.demand.aim:g}",
            "met" if each.is_met else "MISSED",
            "quoted" if each.is_quoted else "of this run",
        )
        for each in found
    ]
    title = (
        f"{LIMITED}, beside others: requests for each second of CPU time (at most: how far it may be behind)"
    )
    note = "quoted: measured once elsewhere, and carried to this machine as the budgets are"
    return [f"{title}\n{table(head, rows)}\n{note}"]


def held_to(found: Sequence[Carried]) -> list[str]:
    """Return the table of freeroute beside its budgets, carried to this machine; none if none could be."""
    if not found:
        return []
    head = ("", "here", "must", "aim", "this machine is slower by", "must here", "aim", "")
    rows = [
        (
            each.budget.name,
            *map(_short, (each.figure, each.budget.must, each.budget.aim)),
            f"{each.slower:.1f}",
            *map(_short, (each.must, each.aim)),
            "met" if each.is_met else "MISSED",
        )
        for each in found
    ]
    title = f"{LIMITED}, beside the budgets of a quicker machine and what they come to on this one"
    note = "slower: what nginx, or the bare proxy, has of it here beside there, whichever allows less"
    return [f"{title}\n{table(head, rows)}\n{note}"]


def _features(found: Sequence[Feature]) -> str:
    usual = found[0]
    rows = []
    for each in found:
        more, least, most = each.more_us(usual)
        differs = (f"{more:+.0f}", f"{least:+.0f} to {most:+.0f}") if each is not usual else ("", "")
        rows.append((each.name, f"{statistics.median(each.cpu_ms):.3f}", *differs, f"{each.first_200:.2f}"))
    failed = sum(each.failed for each in found)
    rounds = len(usual.cpu_ms)
    title = f"What each feature costs (JSON calls; medians of {rounds} rounds, in which each has its turn)"
    head = ("", "CPU ms/req", "more us", "in single rounds", "cold start s")
    return f"{title}\n{table(head, rows)}" + (f"\n{failed} calls FAILED" if failed else "")


def _dashboards(found: Sequence[Dashboards]) -> str:
    head = ("", "open", "CPU of a core", "p50 ms", "p99 ms", "events/s", "KiB/s each")
    rows = [
        (
            each.name,
            str(count),
            f"{turn.cpu:.1%}",
            _number(turn.p50_ms, 2),
            _number(turn.p99_ms, 2),
            _number(turn.events, 2) if count else "",
            _number(turn.size / 1024, 1) if count else "",
        )
        for each in found
        for count, turn in ((0, each.alone), (each.open, each.beside))
    ]
    failed = sum(each.alone.failed + each.beside.failed for each in found)
    pages = [
        (
            each.name,
            _number(each.page_ms, 0),
            _number(each.page_cpu_ms, 0),
            f"{each.page_size:,}",
            _number(each.rss_mib, 0),
        )
        for each in found
    ]
    title = f"Open dashboards beside {found[0].rate:g} calls a second"
    told = f"{title}\n{table(head, rows)}" + (f"\n{failed} calls FAILED" if failed else "")
    return f"{told}\n\nA page of metrics\n{table(('', 'ms', 'CPU ms', 'bytes', 'RSS MiB'), pages)}"


def _noise(found: Results) -> str:
    text = f"The direct figures varied by {found.direct_varied:.1%} between their first and last pass"
    if found.is_noisy:
        return f"NOISY: {text}, more than {NOISE:.0%}: compare CPU per request, not requests per second."
    return f"{text}."


def _streams(ways: Sequence[Streams]) -> str:
    head = (
        "",
        "events",
        "CPU us/event",
        "first p50 ms",
        "p99 ms",
        "worst stall p50 ms",
        "of all ms",
        "latest event ms",
        "cut",
        "RSS MiB",
    )
    rows = [
        (
            way.name,
            f"{way.events:,}",
            _number(way.cpu_us, 1),
            _number(way.first_p50_ms, 2),
            _number(way.first_p99_ms, 2),
            _number(way.stall_p50_ms, 1),
            _number(way.stall_ms, 1),
            _number(way.late_ms, 1),
            str(way.cut),
            _number(way.rss_mib, 0),
        )
        for way in ways
    ]
    return f"{ways[0].streams} streams at once, an event every {ways[0].pace_ms:g} ms\n{table(head, rows)}"


def _leaving(ways: Sequence[Leaving]) -> str:
    head = (
        "",
        "begun",
        "events",
        "left",
        "cut",
        "CPU us/event",
        "worst stall p50 ms",
        "p99",
        "of all",
        "RSS MiB",
        "unsettled",
    )
    rows = [
        (
            way.name,
            f"{way.began:,}",
            f"{way.events:,}",
            str(way.left),
            str(way.cut),
            _number(way.cpu_us, 1),
            *(_number(stall, 1) for stall in (way.stall_p50_ms, way.stall_p99_ms, way.stall_ms)),
            " ".join(f"{rss:.0f}" for rss in way.rss_mib) or "-",
            "-" if way.unsettled is None else f"{way.unsettled:g} + {way.sockets}",
        )
        for way in ways
    ]
    first = ways[0]
    title = (
        f"{first.streams} streams kept up for {first.seconds:g} s, {first.share:.0%} left by their callers"
    )
    note = "RSS: before, after a third, at most, after. Unsettled: calls and slots in flight, then sockets."
    noise = ""
    if (kept := max(way.kept_waiting for way in ways)) > NOISE:
        noise = f"\nNOISY: others had the gateway's core for {kept:.0%} of the time; stalls are theirs too."
    return f"{title}\n{table(head, rows)}\n{note}{noise}"


def _choose(found: Sequence[Choosing]) -> str:
    head = ("", "providers", "candidates", "choose us", "eligible us")
    rows = [
        (
            each.strategy,
            str(each.providers),
            str(each.candidates),
            f"{each.choose_us:.0f}",
            f"{each.eligible_us:.0f}",
        )
        for each in found
    ]
    return f"One choice (median)\n{table(head, rows)}"


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 1_000 else f"{value:.3g}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return *rows* in columns: names to the left, figures to the right."""
    lines = [*([head] if head else []), *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )
