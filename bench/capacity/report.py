"""Plays as people read them."""

from collections.abc import Sequence

from msgspec import Struct

from bench.capacity.figures import Figures
from bench.capacity.musts import Must
from bench.report import table

NOISE = 0.1
"""Seconds that providers and callers may be late: less than what the demands tell apart."""


class Result(Struct, frozen=True):
    """One scenario: the figures of each contender, and what freeroute's must show.

    *late* is the longest, in seconds, that the bench itself was late meanwhile.
    """

    scenario: str
    title: str
    figures: dict[str, Figures]
    musts: list[Must]
    late: float = 0.0

    @property
    def passed(self) -> bool:
        """Say whether freeroute met every demand."""
        return all(must.met for must in self.musts)

    @property
    def noisy(self) -> bool:
        """Say whether the machine had too little time for the bench to judge anybody by it."""
        return self.late > NOISE


def report(results: Sequence[Result]) -> str:
    """Return every scenario with its demands, contenders and providers."""
    return "\n\n".join(_one(result) for result in results)


def _one(result: Result) -> str:
    lines = [f"{result.scenario}: {result.title}"]
    if result.noisy:
        lines.append(f"  NOISY: the bench itself was late by {result.late:.2f} s: this is no result")
    lines += [f"  {'pass' if must.met else 'FAIL'}  {must.demand}: {must.seen}" for must in result.musts]
    head = ("", "calls", "delivered", "theoretical", "share", "refused", "wait p50 s", "p95 s", "errors")
    lines.append(table(head, [_row(found) for found in result.figures.values()]))
    if (freeroute := result.figures.get("freeroute")) is not None:
        head = (
            "freeroute, by provider",
            "calls",
            "delivered",
            "alone",
            "share",
            "refused",
            "wait p50 s",
            "p95 s",
            "endings",
        )
        lines.append(table(head, _pools(freeroute)))
    return "\n".join(lines)


def _row(found: Figures) -> tuple[str, ...]:
    return (
        found.contender,
        str(found.calls),
        f"{found.delivered:,}",
        f"{found.theoretical:,}",
        f"{found.share:.1%}",
        str(found.refused),
        f"{found.wait_p50:.1f}",
        f"{found.wait_p95:.1f}",
        _counts(found.errors),
    )


def _pools(found: Figures) -> list[tuple[str, ...]]:
    return [
        (
            pool.name,
            str(pool.calls),
            f"{pool.delivered:,}",
            f"{pool.alone:,}",
            f"{pool.delivered / pool.alone:.1%}" if pool.alone else "-",
            str(pool.refused),
            f"{pool.wait_p50:.1f}",
            f"{pool.wait_p95:.1f}",
            _counts(pool.endings),
        )
        for pool in found.pools
    ]


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items())) or "-"


def markdown(results: Sequence[Result]) -> str:
    """Return the table of the documentation: what must be, what was, and the baselines beside it."""
    lines = [
        "| Scenario | Must | freeroute | naive | ideal |",
        "|---|---|---|---|---|",
    ]
    for result in results:
        musts = "; ".join(must.demand for must in result.musts)
        seen = "; ".join(f"{must.seen}{'' if must.met else ' (missed)'}" for must in result.musts)
        beside = [_beside(result.figures.get(name)) for name in ("naive", "ideal")]
        lines.append(f"| {result.title} | {musts} | {seen} | {' | '.join(beside)} |")
    return "\n".join(lines) + "\n"


def _beside(found: Figures | None) -> str:
    if found is None:
        return "-"
    failed = sum(found.errors.values())
    return f"{found.share:.1%}, {found.refused} refused, {failed} errors"
