"""Which key a request sends, and whether it is one."""

from hypothesis import given
from hypothesis import strategies as st

from freeroute.domain.clients import LONGEST_KEY, hash_key
from freeroute.surfaces.sent import Keys, keys_in

KEY = st.sampled_from(["fr-a", "fr-b", "\udcff", "a" * LONGEST_KEY, "a" * (LONGEST_KEY + 1)])


@given(st.none() | KEY, st.lists(KEY, max_size=3))
def test_the_bearer_is_the_key_or_else_the_first_and_two_are_several(bearer, others):
    keys = Keys(bearer, others)
    sent = [key for key in (bearer, *others) if key is not None]
    assert keys.bearer == bearer
    assert keys.sent == (sent[0] if sent else None)
    assert keys.several == (len(set(sent)) > 1)
    hashed = hash_key(sent[0]) if sent and len(sent[0]) <= LONGEST_KEY else None
    assert keys.hashed == keys.hashed == hashed


def test_keys_are_where_each_api_has_them():
    headers = {b"authorization": b"bearer  fr-a ", b"api-key": b" ", b"x-goog-api-key": b"fr-b"}
    keys = keys_in(headers)
    assert (keys.bearer, keys.sent, keys.several) == ("fr-a", "fr-a", True)
    assert keys_in({b"x-api-key": b"fr-b"}).sent == "fr-b"
    assert keys_in({b"authorization": b"Basic fr-a"}).sent is None
