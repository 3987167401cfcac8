"""Prometheus' text format, written piece by piece so that a long page holds up no stream."""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec import Struct
from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

PIECE = 250
"""Samples that are written before others have their turn. Own design: half a millisecond."""

_ESCAPED = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


class Family(Struct):
    """One metric: its *kind* (counter, gauge or histogram), its HELP *text* and its lines.

    A line is a sample's name with its labels as they are written, and its value.
    """

    name: str
    kind: str
    text: str
    lines: Iterable[tuple[str, float]]


class Gathered(Family):
    """A family whose samples are gathered one by one."""

    lines: list[tuple[str, float]] = []

    def add(self, labels: str, value: float) -> None:
        """Add a sample; *labels* come from `labels_of`."""
        self.lines.append((self.name + labels, value))


Breath = None
"""Among families: nothing to write yet, but others may have their turn."""


def labels_of(labels: Mapping[str, str]) -> str:
    """Return *labels* as they are written behind a name; nothing if there are none."""
    if not labels:
        return ""
    return "{" + ",".join([f'{name}="{_escaped(value)}"' for name, value in labels.items()]) + "}"


def pieces(families: Iterable[Family | None]) -> Iterator[bytes]:
    """Return the text of *families* in short pieces; an empty one stands for work that took as long."""
    for family in families:
        if family is Breath:
            yield b""
            continue
        text = [f"# HELP {family.name} {family.text}\n# TYPE {family.name} {family.kind}\n"]
        for count, (name, value) in enumerate(family.lines, 1):
            text.append(f"{name} {number(value)}\n")
            if count % PIECE == 0:
                yield "".join(text).encode()
                text.clear()
        yield "".join(text).encode()


def collected(collector: Collector) -> Iterator[Family]:
    """Return what *collector* of the client library counts."""
    for metric in collector.collect():
        name = f"{metric.name}_total" if metric.type == "counter" else metric.name
        lines = [(sample.name + labels_of(sample.labels), sample.value) for sample in metric.samples]
        yield Family(name, metric.type, metric.documentation, lines)


def _escaped(value: Any) -> str:
    text = str(value)
    return text if text.isalnum() else text.translate(_ESCAPED)


def number(value: float) -> str:
    """Return *value* as Prometheus reads it."""
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return "NaN" if math.isnan(value) else repr(value)
