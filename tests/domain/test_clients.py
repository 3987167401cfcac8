"""Clients: who holds a key, what they may ask, what they charge."""

from freeroute.domain.catalogue import Limit, Unit
from freeroute.domain.clients import Client, find_client, hash_key


def test_a_key_finds_its_holder_and_no_other():
    alice, bob = Client("alice", hash_key("a")), Client("bob", hash_key("b"))
    assert find_client((alice, bob), "b", 0.0) is bob
    assert find_client((alice, bob), "c", 0.0) is None
    assert find_client((), "a", 0.0) is None


def test_a_key_ends_at_its_expiry():
    alice = Client("alice", hash_key("a"), expires=100.0)
    assert find_client((alice,), "a", 99.9) is alice
    assert find_client((alice,), "a", 100.0) is None


def test_a_key_of_any_bytes_is_hashed():
    assert len(hash_key("\udcff")) == 32


def test_patterns_name_what_a_client_may_ask():
    assert Client("alice", b"").may_ask("anything")
    alice = Client("alice", b"", models=("free*", "groq/*"))
    assert alice.may_ask("free-fast")
    assert alice.may_ask("groq/openai/gpt-oss-20b")
    assert not alice.may_ask("gemini/x")


def test_every_client_has_counters_of_its_own():
    limit = Limit(Unit.REQUESTS, 20, 60.0, span="minute")
    [pool] = Client("alice", b"", limits=(limit,)).pools
    assert pool.id == "client:alice/requests/minute"
