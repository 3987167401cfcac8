"""Makes what sends traces, without loading what speaks to their receivers unless somebody wants them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import structlog

from freeroute.config.specs import TracesSpec
from freeroute.errors import ConfigError
from freeroute.version import version

if TYPE_CHECKING:
    from freeroute.observe.traces import Traces

# Either asks for traces, as OpenTelemetry defines them; its libraries read these and the rest themselves.
ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_MISSING = "traces need OpenTelemetry's libraries: pip install 'freeroute-gateway[otel]'"


def traces_of(spec: TracesSpec, env: Mapping[str, str]) -> "Traces | None":
    """Return what sends traces as *spec* and the process' *env* say, None if nothing does.

    Raises ConfigError if the settings ask for them and the libraries are missing; of variables, which may
    have been set for others, the log tells.
    """
    if spec.endpoint is None and not any(env.get(name) for name in ENDPOINTS):
        return None
    if env.get("OTEL_SDK_DISABLED", "").lower() == "true" or env.get("OTEL_TRACES_EXPORTER") == "none":
        return None
    try:
        from freeroute.observe.traces import Traces
    except ImportError:
        if spec.endpoint is not None:
            raise ConfigError(f"traces.endpoint: {_MISSING}") from None
        structlog.get_logger("freeroute.traces").warning(f"no traces are sent: {_MISSING}")
        return None
    return Traces(spec.endpoint, version())
