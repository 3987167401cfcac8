"""Counters and histograms: their series are found by one look-up, and bounded whatever callers do.

Made for one thread: the client library's own take a lock for each event, and hold up the loop while hundreds
of their series are collected.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Generic, Protocol, TypeVar

from freeroute.observe.exposition import Family, labels_of, number

OTHER = "other"
"""Stands for names that have no series of their own."""


class Child(Protocol):
    """One series of a metric."""

    def lines(self, name: str, labels: dict[str, str]) -> Iterator[tuple[str, float]]:
        """Return what is written of it."""
        ...


C = TypeVar("C", bound=Child)


class Counter:
    """A number that only grows."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        """Start from zero."""
        self.value = 0.0

    def inc(self, amount: float = 1.0) -> None:
        """Add *amount*, 0 or more."""
        self.value += amount

    def lines(self, name: str, labels: dict[str, str]) -> Iterator[tuple[str, float]]:
        """Return its one line."""
        yield name + labels_of(labels), self.value


class Histogram:
    """How many values were at most as large as each of *bounds*, ascending, and the sum of all."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        """Start without any."""
        self._bounds = (*bounds, math.inf)
        self._counts = [0] * len(self._bounds)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Count *value*."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def take(self, values: list[float]) -> None:
        """Count *values*, and leave none: to sort many costs less than to look for the place of each."""
        bounds = self._bounds
        self._sum = sum(values, self._sum)
        values.sort()
        begin = 0
        while begin < len(values):
            place = bisect_left(bounds, values[begin])
            end = bisect_right(values, bounds[place], begin + 1)
            self._counts[place] += end - begin
            begin = end
        values.clear()

    def lines(self, name: str, labels: dict[str, str]) -> Iterator[tuple[str, float]]:
        """Return its buckets, each with those below it, and its count and sum."""
        total = 0
        for bound, count in zip(self._bounds, self._counts, strict=True):
            total += count
            yield f"{name}_bucket{labels_of({**labels, 'le': number(bound)})}", total
        yield f"{name}_count{labels_of(labels)}", total
        yield f"{name}_sum{labels_of(labels)}", self._sum


class Series(Generic[C]):
    """The series of one metric, each made by *make*; one without *labels* has its one series at once.

    Beyond *most*, the labels in *names* are `OTHER`. The other labels are enumerations, so what comes then is
    bounded too.
    """

    def __init__(
        self,
        family: Family,
        make: Callable[[], C],
        labels: Sequence[str],
        names: Collection[str],
        most: int,
    ) -> None:
        """Start without any, but for *family*'s name, kind and text."""
        self._family = family
        self._make = make
        self._labels = tuple(labels)
        self._names = tuple(label in names for label in labels)
        self._most = most
        self._children: dict[tuple[str, ...], C] = {} if labels else {(): make()}

    def of(self, *labels: str) -> C:
        """Return the series with *labels*, in the metric's order."""
        found = self._children.get(labels)
        return self._new(labels) if found is None else found

    def family(self) -> Family:
        """Return what is written of the metric, to be read at leisure: series may be added meanwhile."""
        family = self._family
        return Family(family.name, family.kind, family.text, self._lines())

    def _lines(self) -> Iterator[tuple[str, float]]:
        for values, child in list(self._children.items()):
            yield from child.lines(self._family.name, dict(zip(self._labels, values, strict=True)))

    def _new(self, labels: tuple[str, ...]) -> C:
        if len(self._children) >= self._most:
            labels = tuple(
                OTHER if is_name else label for label, is_name in zip(labels, self._names, strict=True)
            )
        found = self._children.get(labels)
        if found is None:
            found = self._children[labels] = self._make()
        return found
