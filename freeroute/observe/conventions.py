"""OpenTelemetry's words for what receipts say: metrics and spans share them."""

from freeroute.domain.receipt import Receipt
from freeroute.domain.tasks import Task
from freeroute.observe import faults

OTHER_ERROR = "_OTHER"
"""An ``error.type`` that is not in the list."""

# Names that OpenTelemetry gives to providers, where they are not those of the catalogue.
_PROVIDERS = {"gemini": "gcp.gemini", "mistral": "mistral_ai"}


def operation_of(receipt: Receipt) -> str:
    """Return ``gen_ai.operation.name``: OpenTelemetry's where it has one, else our word for the task."""
    return "text_completion" if receipt.task is Task.COMPLETIONS else receipt.task.value


def provider_name(provider: str | None) -> str:
    """Return ``gen_ai.provider.name``; empty where nobody answered."""
    return "" if provider is None else _PROVIDERS.get(provider, provider)


def error_type(receipt: Receipt) -> str:
    """Return ``error.type`` of a request; empty for none."""
    if receipt.code is None:
        return ""
    return receipt.code if receipt.code in faults.CODES else OTHER_ERROR
