"""When traces are sent, and when nothing of them is even loaded."""

import subprocess
import sys

import pytest

from freeroute.config.specs import TracesSpec
from freeroute.errors import ConfigError
from freeroute.tracing import traces_of

HERE = "http://127.0.0.1:1"


@pytest.mark.parametrize(
    ("spec", "env"),
    [
        (TracesSpec(), {}),
        (TracesSpec(), {"OTEL_EXPORTER_OTLP_ENDPOINT": ""}),
        (TracesSpec(), {"OTEL_EXPORTER_OTLP_ENDPOINT": HERE, "OTEL_SDK_DISABLED": "TRUE"}),
        (TracesSpec(endpoint=HERE), {"OTEL_TRACES_EXPORTER": "none"}),
    ],
)
def test_nothing_is_sent_unless_somebody_asks_for_it(spec, env):
    assert traces_of(spec, env) is None


@pytest.mark.parametrize(
    ("spec", "env"),
    [
        (TracesSpec(endpoint=HERE), {}),
        (TracesSpec(), {"OTEL_EXPORTER_OTLP_ENDPOINT": HERE}),
        (TracesSpec(), {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{HERE}/v1/traces"}),
    ],
)
async def test_the_settings_or_opentelemetrys_variables_ask_for_it(spec, env):
    pytest.importorskip("opentelemetry.sdk", reason="the extra `otel` is not installed")
    traces = traces_of(spec, env)
    assert traces is not None
    await traces.close()


def test_what_is_missing_ends_the_start_only_if_the_settings_ask_for_it(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "freeroute.observe.traces", None)
    with pytest.raises(ConfigError, match="pip install 'freeroute-gateway"):
        traces_of(TracesSpec(endpoint=HERE), {})
    assert traces_of(TracesSpec(), {"OTEL_EXPORTER_OTLP_ENDPOINT": HERE}) is None


def test_a_start_without_traces_loads_nothing_of_them():
    code = "import sys, freeroute.serving; sys.exit(any(n.startswith('opentelemetry') for n in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
