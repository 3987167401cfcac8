"""A small catalogue, and a place to keep what is entered over it."""

from tests.config.conftest import built, planned, safe

__all__ = ["built", "planned", "safe"]
