"""The rules, the dashboard and the services that are shipped speak of what there is."""

import asyncio
import re
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from freeroute.domain.outcome import Kind
from freeroute.observe import faults
from freeroute.observe.gauges import STATES
from tests.observe.watched import everything, page
from tests.support import promql

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
CLOSED = {
    "state": set(STATES),
    "fault": set(faults.FAULTS),
    "kind": {kind.value for kind in Kind},
    "code": set(faults.CODES) | {""},
    "cause": {"capacity", "client_limit"},
    "served": {"true", "false"},
    "connection": {"idle", "new"},
    "type": {"input", "output", "cached", "reasoning"},
}
# Of Prometheus itself.
OUTSIDE = {"up": {"job", "instance"}}


@pytest.fixture(scope="module")
def known():
    """Every sample's name with its labels."""
    found = dict(OUTSIDE)
    for family in text_string_to_metric_families(page(asyncio.run(everything()).metrics)):
        for sample in family.samples:
            found[sample.name] = set(sample.labels) | promql.ADDED
    return found


@pytest.mark.parametrize("expression", promql.expressions())
def test_an_expression_names_metrics_labels_and_values_that_exist(expression, known):
    named = dict(promql.metrics_in(expression))
    assert named
    assert set(named) <= set(known), expression
    labels = set().union(*(known[name] for name in named))
    assert promql.grouped_by(expression) <= labels
    for name, compared in named.items():
        assert set(compared) <= known[name]
        for label, value in compared.items():
            if label in CLOSED and "$" not in value:
                assert set(value.split("|")) <= CLOSED[label], expression


@pytest.mark.parametrize("rule", promql.alerts(), ids=lambda rule: rule["alert"])
def test_an_alert_says_what_it_is_and_what_to_do(rule, known):
    assert rule["alert"].startswith("Freeroute")
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert set(rule["annotations"]) == {"summary", "description"}
    told = " ".join(rule["annotations"].values())
    labels = set().union(*(known[name] for name, _ in promql.metrics_in(rule["expr"])))
    kept = promql.grouped_by(rule["expr"]) if " by (" in rule["expr"] else labels
    assert set(re.findall(r"\$labels\.(\w+)", told)) <= kept
    assert set(re.findall(r"\b(?:freeroute|process)_\w+", told)) <= set(known)


def test_the_documentation_lists_every_alert():
    text = (ROOT / "docs" / "observability.md").read_text()
    rows = dict(re.findall(r"^\| `(Freeroute\w+)` \| (\w+) \|", text, re.MULTILINE))
    assert rows == {rule["alert"]: rule["labels"]["severity"] for rule in promql.alerts()}


def test_panels_lie_side_by_side_and_each_says_what_it_shows():
    taken: set[tuple[int, int]] = set()
    for panel in promql.dashboard()["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert panel["title"]
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells
    numbers = [panel["id"] for panel in promql.dashboard()["panels"]]
    assert len(set(numbers)) == len(numbers)


def test_the_dashboard_knows_no_data_source_by_name():
    sources = {target["datasource"]["uid"] for panel in promql.panels() for target in panel["targets"]}
    assert sources == {"${datasource}"}


def test_services_of_the_profile_find_their_files_and_are_published_on_this_computer_alone():
    services = {
        name: one for name, one in COMPOSE["services"].items() if "observability" in one.get("profiles", ())
    }
    assert set(services) == {"prometheus", "grafana"}
    for service in services.values():
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        mounted = [volume.split(":")[0] for volume in service["volumes"]]
        assert all((ROOT / path).is_dir() for path in mounted if path.startswith("."))
        assert {path for path in mounted if not path.startswith(".")} <= set(COMPOSE["volumes"])


def test_prometheus_finds_its_rules_its_key_and_the_gateway():
    scrape = yaml.safe_load((ROOT / "config" / "prometheus" / "prometheus.yml").read_text())
    assert [promql.ALERTS.parent / name for name in scrape["rule_files"]] == [promql.ALERTS]
    (job,) = scrape["scrape_configs"]
    name = job["authorization"]["credentials_file"].removeprefix("/run/secrets/")
    assert COMPOSE["secrets"][name]["environment"] == "FREEROUTE_SERVER__METRICS_KEY"
    assert COMPOSE["services"]["prometheus"]["secrets"] == [name]
    assert job["static_configs"] == [{"targets": ["gateway:3000"]}]
    assert all('job="freeroute"' in e for e in promql.expressions() if "process_" in e)
    assert job["job_name"] == "freeroute"


def test_grafana_finds_its_data_source_and_its_dashboard():
    directory = ROOT / "config" / "grafana" / "provisioning"
    (source,) = yaml.safe_load((directory / "datasources" / "prometheus.yml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    (provider,) = yaml.safe_load((directory / "dashboards" / "freeroute.yml").read_text())["providers"]
    volumes = COMPOSE["services"]["grafana"]["volumes"]
    assert f"./config/grafana/dashboards:{provider['options']['path']}:ro" in volumes
    home = COMPOSE["services"]["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{provider['options']['path']}/{promql.DASHBOARD.name}"
