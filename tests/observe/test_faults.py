"""Whose business an ending is."""

import pytest

from freeroute.domain.outcome import Kind
from freeroute.observe import faults


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        (Kind.SERVED, ""),
        (Kind.OUTRUN, ""),
        (Kind.CALLER_LEFT, "caller"),
        (Kind.REJECTED, "caller"),
        (Kind.FAULT, "provider"),
        (Kind.RATE_LIMITED, "provider"),
        (Kind.STALLED, "provider"),
        (Kind.KEY_INVALID, "gateway"),
        (Kind.INTERNAL, "gateway"),
        (Kind.SHUTTING_DOWN, "gateway"),
        (Kind.REDIRECTED, "gateway"),
        (Kind.CROWDED, "gateway"),
    ],
)
def test_an_attempt_is_the_business_of_whoever_can_mend_it(kind, fault):
    assert faults.of_attempt(kind) == fault


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        (None, ""),
        ("invalid_request", "caller"),
        ("invalid_api_key", "caller"),
        ("caller_left", "caller"),
        ("model_not_found", "caller"),
        ("rate_limit_exceeded", "policy"),
        ("model_not_allowed", "policy"),
        ("maintenance", "policy"),
        ("capacity_exhausted", "provider"),
        ("upstream_timeout", "provider"),
        ("stalled", "provider"),
        ("internal_error", "gateway"),
        ("shutting_down", "gateway"),
        ("no_provider_configured", "gateway"),
        ("never heard of", "gateway"),
    ],
)
def test_a_request_is_the_business_of_whoever_can_mend_it(code, fault):
    assert faults.of_request(code) == fault


def test_every_ending_is_somebodys():
    assert set(faults.CODES.values()) <= set(faults.FAULTS)
    assert {faults.of_attempt(kind) for kind in Kind} <= set(faults.FAULTS)
