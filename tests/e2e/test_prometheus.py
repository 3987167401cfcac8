"""Prometheus itself reads the metrics, the rules and the dashboard's expressions (apt: prometheus)."""

import json
import shutil
import socket
import subprocess
import time
from pathlib import Path

import httpx
import pytest
import yaml

from tests.commands.conftest import process, url_of
from tests.observe.watched import everything, page
from tests.support import promql

HERE = Path(__file__).parent
PROMTOOL, PROMETHEUS = shutil.which("promtool"), shutil.which("prometheus")
PATIENCE = 60.0

pytestmark = pytest.mark.skipif(PROMTOOL is None or PROMETHEUS is None, reason="prometheus is not installed")


def promtool(*arguments: object, said: str | None = None, directory: Path | None = None) -> str:
    done = subprocess.run(
        [str(PROMTOOL), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        input=said,
        cwd=directory,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


async def test_it_objects_to_no_metric():
    assert promtool("check", "metrics", said=page((await everything()).metrics)) == ""


def test_it_accepts_the_configuration_and_the_rules_do_what_they_say(tmp_path):
    promtool("check", "config", "--syntax-only", promql.ALERTS.with_name("prometheus.yml"))
    for path in (promql.ALERTS, HERE / "prometheus" / "alerts_test.yml"):
        shutil.copy(path, tmp_path)
    promtool("check", "rules", "alerts.yml", directory=tmp_path)
    promtool("test", "rules", "alerts_test.yml", directory=tmp_path)


@pytest.fixture
def prometheus(tmp_path):
    """Return the address of a Prometheus that scrapes a demo gateway each second."""
    with process("demo", "--port", "0", directory=tmp_path) as demo:
        url = url_of(demo)
        config = yaml.safe_load(promql.ALERTS.with_name("prometheus.yml").read_text())
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        (job,) = config["scrape_configs"]
        del job["authorization"]
        job["static_configs"] = [{"targets": [url.removeprefix("http://")]}]
        (tmp_path / "prometheus.yml").write_text(json.dumps(config))
        shutil.copy(promql.ALERTS, tmp_path)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{free.getsockname()[1]}"
        running = subprocess.Popen(
            [
                str(PROMETHEUS),
                f"--config.file={tmp_path / 'prometheus.yml'}",
                f"--storage.tsdb.path={tmp_path / 'data'}",
                f"--web.listen-address={address}",
            ],
            stderr=subprocess.DEVNULL,
        )
        try:
            with httpx.Client(base_url=f"http://{address}", trust_env=False) as client:
                ask_for_a_while(url, client)
                yield client
        finally:
            running.terminate()
            running.wait(PATIENCE)


def ask_for_a_while(url, client):
    """Ask the gateway until Prometheus has seen it twice."""
    end = time.monotonic() + PATIENCE
    body = {"model": "free", "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
    while time.monotonic() < end:
        httpx.post(f"{url}/v1/chat/completions", json=body, trust_env=False, timeout=PATIENCE)
        try:
            seen = client.get("/api/v1/query", params={"query": "rate(freeroute_requests_total[1m])"})
        except httpx.TransportError:
            time.sleep(0.2)
            continue
        if seen.json().get("data", {}).get("result"):
            return
        time.sleep(0.2)
    raise AssertionError("Prometheus saw nothing of the gateway")


def test_it_understands_every_expression_and_draws_what_there_is(prometheus):
    empty = []
    for expression in promql.expressions():
        if "label_values" in expression:
            continue
        query = (
            expression.replace("$__rate_interval", "1m").replace("$instance", ".*").replace("$provider", ".*")
        )
        answer = prometheus.get("/api/v1/query", params={"query": query}).json()
        assert answer["status"] == "success", (expression, answer)
        if not answer["data"]["result"]:
            empty.append(expression)
    drawn = [target["expr"] for panel in promql.panels() for target in panel["targets"]]
    # Nothing went wrong in the demo's first seconds, so what counts mishaps has nothing to draw yet.
    assert len([one for one in drawn if one not in empty]) > len(drawn) / 2
    rules = prometheus.get("/api/v1/rules").json()["data"]["groups"]
    assert {rule["health"] for group in rules for rule in group["rules"]} <= {"ok", "unknown"}
