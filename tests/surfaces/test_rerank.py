"""What a request for an order of documents is expected to take, and what is refused."""

import json
from typing import cast

import pytest

from freeroute.domain.usage import demand_of
from freeroute.errors import InvalidRequest
from freeroute.surfaces.http import Request
from freeroute.surfaces.rerank import MOST_DOCUMENTS, understand

REQUEST = cast("Request", None)  # what is asked is in the body


def asked(query: str, documents: list[str]):
    body = json.dumps({"model": "m", "query": query, "documents": documents}).encode()
    return understand(REQUEST, body).call


def test_the_query_counts_once_for_each_document():
    query = "what is it about? " * 100
    one = demand_of(query.encode(), 0, 0).prompt
    assert 50 * one < asked(query, ["a"] * 50).demand.prompt < 50 * (one + 5)


def test_a_long_query_of_many_documents_is_not_multiplied_in_memory():
    assert asked("q" * 2**20, ["a"] * MOST_DOCUMENTS).demand.prompt > 2**30 / 10


def test_more_documents_than_anybody_takes_are_refused():
    with pytest.raises(InvalidRequest, match="at most"):
        asked("q", ["a"] * (MOST_DOCUMENTS + 1))
