"""Texts under seal open for what they were sealed for, and for nothing else."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeroute.errors import ConfigError
from freeroute.stores.sealing import Seal, Unopened, key_of, new_key

SEAL = Seal(bytes(32))


@given(st.text(), st.lists(st.text(), max_size=4))
def test_what_is_sealed_opens_again_and_never_reads_the_same_twice(text, about):
    sealed = SEAL.close(text, *about)
    assert SEAL.open(sealed, *about) == text
    assert sealed != SEAL.close(text, *about)


@pytest.mark.parametrize("about", [(), ("a", "b"), ("ab", "c", ""), ("b", "a", "c"), ("a", "bc")])
def test_it_does_not_open_for_anything_else(about):
    with pytest.raises(Unopened):
        SEAL.open(SEAL.close("secret", "a", "b", "c"), *about)


@given(st.integers(0, 40), st.integers(1, 255))
def test_a_single_changed_byte_shuts_it(place, change):
    raw = bytearray(base64.b64decode(SEAL.close("a secret of some length", "x")))
    raw[place] ^= change
    with pytest.raises(Unopened):
        SEAL.open(base64.b64encode(raw).decode(), "x")


@pytest.mark.parametrize("sealed", ["", "AAAA", "not base64!", "é"])
def test_what_was_never_sealed_does_not_open(sealed):
    with pytest.raises(Unopened):
        SEAL.open(sealed, "x")


def test_another_key_does_not_open_it():
    with pytest.raises(Unopened):
        Seal(bytes(31) + b"1").open(SEAL.close("secret"))


def test_a_key_is_read_as_openssl_and_others_write_it():
    made = new_key()
    key = key_of(made, "here")
    assert len(key) == 32
    assert made != new_key()
    assert key_of(key.hex(), "here") == key
    assert key_of(base64.urlsafe_b64encode(key).decode().rstrip("="), "here") == key


@pytest.mark.parametrize("text", ["", "secret", "a" * 63, base64.b64encode(bytes(16)).decode(), "é" * 44])
def test_what_is_no_key_is_refused_by_where_it_stands(text):
    with pytest.raises(ConfigError, match=r"^here: expected 32 bytes .*openssl") as caught:
        key_of(text, "here")
    assert not text or text not in str(caught.value)


def test_no_key_is_shown():
    assert repr(SEAL) == "Seal()"
