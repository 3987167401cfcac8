"""OpenTelemetry's words for what receipts say: metrics and spans share them."""

from freeroute.domain.receipt import Likeness
from freeroute.domain.tasks import Task
from freeroute.observe import faults

OTHER_ERROR = "_OTHER"
"""An ``error.type`` that is not in the list."""

# Names that OpenTelemetry gives to providers, where they are not those of the catalogue.
_PROVIDERS = {"gemini": "gcp.gemini", "mistral": "mistral_ai"}


def operation_of(like: Likeness) -> str:
    """Return ``gen_ai.operation.name``: OpenTelemetry's where it has one, else our word for the task."""
    return "text_completion" if like.task is Task.COMPLETIONS else like.task.value


def provider_name(provider: str | None) -> str:
    """Return ``gen_ai.provider.name``; empty where nobody answered."""
    return "" if provider is None else _PROVIDERS.get(provider, provider)


def error_type(like: Likeness) -> str:
    """Return ``error.type`` of a request; empty for none."""
    if like.code is None:
        return ""
    return like.code if like.code in faults.CODES else OTHER_ERROR
