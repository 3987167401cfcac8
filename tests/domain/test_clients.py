"""Clients: who holds a key, what they may ask, what they charge."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from freeroute.domain.catalogue import Limit, Unit
from freeroute.domain.clients import (
    LONGEST_KEY,
    MOST_FORMER,
    Client,
    FormerKey,
    Problem,
    Roster,
    enrolled,
    hash_key,
    name_of,
    rotated,
)
from freeroute.domain.resolve import Names, Target
from tests.support.receipts import receipt
from tests.support.world import catalogue, model, provider

ALICE, BOB = Client("alice", hash_key("a")), Client("bob", hash_key("b"))


def test_a_key_finds_its_holder_and_no_other():
    roster = Roster([ALICE, BOB])
    assert roster.find("b", 0.0) is BOB
    assert roster.find("c", 0.0) is Problem.UNKNOWN
    assert Roster([]).find("a", 0.0) is Problem.UNKNOWN


def test_of_two_with_one_key_the_first_holds_it():
    assert Roster([ALICE, Client("twin", hash_key("a"))]).find("a", 0.0) is ALICE


def test_a_key_ends_at_its_expiry():
    late = Client("late", hash_key("a"), expires=100.0)
    assert Roster([late]).find("a", 99.9) is late
    assert Roster([late]).find("a", 100.0) is Problem.EXPIRED


def test_a_key_that_was_replaced_lasts_until_its_time_is_over():
    turned = Client("alice", hash_key("new"), former=(FormerKey(hash_key("old"), 100.0),))
    roster = Roster([turned])
    assert len(roster) == 2
    assert roster.find("new", 200.0) is turned
    assert roster.find("old", 99.9) is turned
    assert roster.find("old", 100.0) is Problem.REPLACED


@given(st.none() | st.sampled_from([50.0, 100.0]), st.sampled_from([50.0, 100.0]))
def test_a_key_opens_what_it_does_until_its_holder_or_itself_is_over(expires: float | None, former: float):
    holder = Client("a", hash_key("new"), former=(FormerKey(hash_key("old"), former),), expires=expires)
    roster = Roster([holder])
    for key in ("new", "old"):
        until = roster.until(hash_key(key))
        for wall in (0.0, 49.9, 50.0, 99.9, 100.0, 1000.0):
            assert (roster.find(key, wall) is holder) == (wall < until)


def test_none_of_the_keys_of_a_revoked_client_opens_anything():
    gone = Client("gone", hash_key("new"), former=(FormerKey(hash_key("old"), 100.0),), revoked=1.0)
    assert Roster([gone]).find("new", 50.0) is Problem.REVOKED
    assert Roster([gone]).find("old", 50.0) is Problem.REVOKED


def test_what_is_too_long_to_be_a_key_is_not_even_hashed():
    longest = "k" * LONGEST_KEY
    holder = Client("long", hash_key(longest))
    assert Roster([holder]).find(longest, 0.0) is holder
    assert Roster([Client("long", hash_key(longest + "k"))]).find(longest + "k", 0.0) is Problem.OVERLONG


@given(st.text(max_size=600))
def test_no_other_key_opens_the_door_whatever_it_is_made_of(key):
    assert Roster([Client("alice", hash_key("fr-key"))]).find(key, 0.0) in (
        Problem.UNKNOWN,
        Problem.OVERLONG,
    )


def test_a_key_of_any_bytes_is_hashed():
    assert len(hash_key("\udcff")) == 32


def may_ask(name: str, *patterns: str) -> bool:
    known = Names(
        catalogue(
            provider("groq", model("openai/gpt-oss-20b", family="gpt-oss-20b"), model("llama")),
            provider("other", model("gpt-oss-20b")),
        )
    )
    target = known.resolve(name)
    assert isinstance(target, Target)
    return Client("alice", b"", models=patterns or None).may_ask(name, target)


def test_without_a_list_a_client_may_ask_anything():
    assert may_ask("free")
    assert may_ask("groq/llama")


def test_patterns_name_what_a_client_may_ask():
    assert may_ask("free-fast", "free*", "groq/*")
    assert may_ask("groq/openai/gpt-oss-20b", "free*", "groq/*")
    assert not may_ask("other/gpt-oss-20b", "free*", "groq/*")


def test_a_name_is_allowed_by_what_it_stands_for():
    assert may_ask("fast", "free*")
    assert may_ask("GPT-OSS-20B", "gpt-oss-20b")
    assert may_ask("groq/openai/gpt-oss-20b", "gpt-oss-20b")
    assert may_ask("llama", "groq/*")


def test_a_name_is_not_allowed_where_it_reaches_more_than_the_list():
    assert not may_ask("gpt-oss-20b", "groq/*")
    assert not may_ask("free", "groq/*", "other/*")


def test_every_client_has_counters_of_its_own():
    limit = Limit(Unit.REQUESTS, 20, 60.0, span="minute")
    [pool] = Client("alice", b"", limits=(limit,)).pools
    assert pool.id == "client:alice/requests/minute"


def test_a_rotation_leaves_the_former_key_for_its_time_and_forgets_what_is_over():
    once = rotated(ALICE, hash_key("b"), until=100.0, wall=0.0)
    assert once.key_hash == hash_key("b")
    assert once.former == (FormerKey(hash_key("a"), 100.0),)
    twice = rotated(once, hash_key("c"), until=50.0, wall=50.0)
    assert twice.former == once.former
    assert rotated(twice, hash_key("d"), until=150.0, wall=100.0).former == (FormerKey(hash_key("c"), 150.0),)


def test_a_revoked_client_gets_no_other_key():
    with pytest.raises(ValueError, match="alice was revoked"):
        rotated(structs.replace(ALICE, revoked=1.0), hash_key("b"), 9.0, 0.0)


def test_so_many_former_keys_open_the_door_and_no_more():
    client = ALICE
    for number in range(MOST_FORMER):
        client = rotated(client, hash_key(f"k{number}"), 100.0, 0.0)
    with pytest.raises(ValueError, match="alice has 8 former keys"):
        rotated(client, hash_key("more"), 100.0, 0.0)
    assert rotated(client, hash_key("more"), 10.0, 10.0).key_hash == hash_key("more")


def test_a_key_that_was_made_just_now_is_not_lost_to_another_rotation():
    once = rotated(ALICE, hash_key("b"), until=0.0, wall=10.0)
    for wall in (10.0, 14.9, 5.1):
        with pytest.raises(ValueError, match="alice got another key just now"):
            rotated(once, hash_key("c"), until=wall, wall=wall)
        kept = rotated(once, hash_key("c"), until=wall + 1, wall=wall)
        assert kept.former == (FormerKey(hash_key("b"), wall + 1),)
    assert rotated(once, hash_key("c"), until=15.0, wall=15.0).key_hash == hash_key("c")


def test_a_client_says_how_it_stands():
    late = structs.replace(ALICE, expires=5.0)
    assert [late.state(4.9), late.state(5.0)] == ["active", "expired"]
    assert structs.replace(late, revoked=1.0).state(9.0) == "revoked"


def test_a_name_or_a_key_of_the_settings_is_theirs():
    same_name = Client("alice", hash_key("x"))
    same_key = Client("other", hash_key("a"))
    assert enrolled([ALICE], [same_name, BOB, same_key]) == ((ALICE, BOB), ("alice", "other"))


def test_a_client_that_was_added_anew_is_another_one_of_the_same_name():
    limits = (Limit(Unit.REQUESTS, 1, 60.0, span="minute"),)
    given, first, second = (Client("a", b"a", limits=limits, created=at) for at in (None, 1.5, 2.5))
    assert len({one.holder for one in (given, first, second)}) == 3
    assert len({one.pools[0].id for one in (given, first, second)}) == 3
    assert {name_of(one.holder) for one in (given, first, second)} == {"a"}
    assert structs.replace(first, limits=(), key_hash=b"b").holder == first.holder


def test_a_receipt_says_which_holder_of_the_name_it_is_of():
    client = Client("a", b"a", created=1.5)
    first = receipt(client="a", created=1.5)
    assert first.like.holder == client.holder
    assert receipt(client="a").like.holder == "a"


def test_answers_tell_of_limits_of_requests_and_tokens_only():
    limits = (Limit(Unit.CONCURRENCY, 2), Limit(Unit.TOKENS, 9, 60.0), Limit(Unit.REQUESTS, 3, 60.0))
    client = Client("alice", b"", limits=limits)
    assert client.told_pools == client.pools[1:]
