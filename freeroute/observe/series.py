"""The series of one metric: found by one look-up, and bounded whatever callers do."""

from collections.abc import Collection, Sequence
from typing import Generic, TypeVar

from prometheus_client import Counter, Histogram

M = TypeVar("M", Counter, Histogram)

OTHER = "other"
"""Stands for names that have no series of their own."""


class Series(Generic[M]):
    """The children of *metric*. Beyond *most* of them, the labels in *names* are `OTHER`.

    The other labels are enumerations, so what comes then is bounded too.
    """

    def __init__(self, metric: M, labels: Sequence[str], names: Collection[str], most: int) -> None:
        """Start without any."""
        self._metric: M = metric
        self._names = tuple(label in names for label in labels)
        self._most = most
        self._children: dict[tuple[str, ...], M] = {}
        if not labels:
            self._children[()] = metric

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._children)

    def of(self, *labels: str) -> M:
        """Return the series with *labels*, in the metric's order."""
        found = self._children.get(labels)
        return self._new(labels) if found is None else found

    def _new(self, labels: tuple[str, ...]) -> M:
        if len(self._children) >= self._most:
            labels = tuple(
                OTHER if is_name else label for label, is_name in zip(labels, self._names, strict=True)
            )
        found = self._children.get(labels)
        if found is None:
            found = self._children[labels] = self._metric.labels(*labels)
        return found
