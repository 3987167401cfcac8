"""Which metrics, labels and values expressions of Prometheus speak of: enough to see that they exist."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2] / "config"
ALERTS = ROOT / "prometheus" / "alerts.yml"
DASHBOARD = ROOT / "grafana" / "dashboards" / "freeroute.json"

# What Prometheus and its histograms add.
ADDED = {"job", "instance", "le"}
_SELECTOR = re.compile(r"([a-zA-Z_][a-zA-Z0-9_]*)\s*(\{[^}]*\})?")
_MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
_GROUPING = re.compile(r"\b(by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
# How Grafana asks for the values that a label has.
_VARIABLE = re.compile(r"label_values\((.+), (\w+)\)")
_WORDS = {
    *"and or unless by without on ignoring group_left group_right bool offset".split(),
    *"sum max min count topk rate increase changes histogram_quantile time".split(),
}


def metrics_in(expression: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Return each metric that *expression* names, and the values its labels are compared with."""
    bare = _bare(_GROUPING.sub(" ", _VARIABLE.sub(r"\1", expression)))
    for name, labels in _SELECTOR.findall(bare):
        if name not in _WORDS:
            yield name, {label: value for label, _, value in _MATCHER.findall(labels)}


def grouped_by(expression: str) -> set[str]:
    """Return the labels that *expression* groups or matches by."""
    lists = [*_GROUPING.findall(expression), *_VARIABLE.findall(expression)]
    return {label for _, names in lists for label in re.findall(r"\w+", names)}


def _bare(expression: str) -> str:
    """Return *expression* without spans of time and Grafana's variables, and numbers."""
    expression = re.sub(r"\[[^]]*\]", " ", expression)
    return re.sub(r"\b\d[\w.]*", " ", expression)


def alerts() -> list[dict[str, Any]]:
    """Return the rules that are shipped."""
    groups = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    """Return the dashboard that is shipped."""
    return json.loads(DASHBOARD.read_text(encoding="utf-8"))


def panels() -> list[dict[str, Any]]:
    """Return its panels, rows apart."""
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def expressions() -> list[str]:
    """Return every expression that is shipped."""
    board = dashboard()
    variables = [entry["definition"] for entry in board["templating"]["list"] if "definition" in entry]
    notes = [entry["expr"] for entry in board["annotations"]["list"]]
    drawn = [target["expr"] for panel in panels() for target in panel["targets"]]
    return [*(rule["expr"] for rule in alerts()), *drawn, *notes, *variables]
