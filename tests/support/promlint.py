"""What ``promtool check metrics`` objects to, as far as it concerns what we choose: names, units, HELP."""

import re
from collections.abc import Iterator

from prometheus_client.parser import text_string_to_metric_families

_NO_BASE_UNIT = re.compile(
    r"_(ms|millis\w*|micro\w*|nano\w*|minutes?|hours?|days?|percent\w*|kb|mb|kib|mib|kilo\w*)(_|$)"
)
_OF_HISTOGRAMS = ("_bucket", "_count", "_sum")


def objections(text: str) -> list[str]:
    """Return what is wrong with the metrics in *text*."""
    families = list(text_string_to_metric_families(text))
    names = [family.name for family in families]
    twice = [f"{name}: twice" for name in set(names) if names.count(name) > 1]
    return [*twice, *(f"{family.name}: {told}" for family in families for told in _of(family))]


def _of(family) -> Iterator[str]:
    name = family.name
    if not family.documentation:
        yield "no HELP"
    if family.type not in ("counter", "gauge", "histogram"):
        yield f"no type but {family.type}"
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        yield "not lower case with underscores, or with a colon"
    if family.type == "counter" and not all(sample.name == f"{name}_total" for sample in family.samples):
        yield "a counter ends in _total"
    if family.type != "counter" and name.endswith("_total"):
        yield "only counters end in _total"
    if family.type == "gauge" and name.endswith(_OF_HISTOGRAMS):
        yield "only histograms end like this"
    if _NO_BASE_UNIT.search(name):
        yield "not in seconds, bytes or a ratio"
    if set(name.split("_")) & {"gauge", "counter", "histogram", "summary"}:
        yield "its type is in its name"
    seen = [(sample.name, tuple(sorted(sample.labels.items()))) for sample in family.samples]
    if len(seen) != len(set(seen)):
        yield "a series twice"
