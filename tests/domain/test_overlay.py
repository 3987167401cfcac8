"""What was entered, as plain values."""

from msgspec import structs

from freeroute.domain.catalogue import Key, catalogue_of
from freeroute.domain.overlay import Address, EnteredKey, Overlay, origin_of, renewed
from tests.support.world import model, provider

MINE = EnteredKey("groq", "mine", "sealed", "https://groq.example")
YOURS = structs.replace(MINE, label="yours")
THERE = Address("https://relay.example/v1", ("key-1",))


def test_a_key_is_found_by_provider_and_label():
    overlay = Overlay().with_key(MINE).with_key(YOURS)
    assert overlay.key(("groq", "yours")) == YOURS
    assert overlay.key(("gemini", "mine")) is None
    assert overlay.keys == (MINE, YOURS)


def test_a_key_takes_the_place_of_the_one_before_it():
    changed = structs.replace(MINE, enabled=False)
    assert Overlay(keys=(MINE, YOURS)).with_key(changed).keys == (changed, YOURS)
    assert Overlay(keys=(MINE, YOURS)).without_key(MINE.place).keys == (YOURS,)


def test_switches_are_set_and_taken_back_one_by_one():
    overlay = Overlay().switched("groq", on=False).switched("groq/m", on=False).switched("groq", on=True)
    assert overlay.off == {"groq/m"}
    assert overlay.switched("never-off", on=True).off == {"groq/m"}


def test_an_address_is_entered_and_taken_back():
    overlay = Overlay().at("groq", THERE).at("gemini", THERE).at("groq", None)
    assert overlay.addresses == {"gemini": THERE}
    assert overlay.at("groq", None) == overlay


def test_an_origin_is_scheme_host_and_port_whatever_way_they_are_written():
    assert origin_of("https://A.example/v1") == origin_of("https://a.example:443") == "https://a.example"
    assert origin_of("http://a.example:443/x") == "http://a.example:443"
    assert origin_of("http://[::1]:8080/v1") == "http://[::1]:8080"


def test_keys_that_are_new_or_others_are_renewed_and_those_that_stay_are_not():
    one = provider("a", model("m"), keys=(Key("1", "x"), Key("2", "y")))
    two = structs.replace(one, keys=(Key("1", "x", enabled=False), Key("other", "y"), Key("3", "z")))
    assert renewed(catalogue_of([one], []), catalogue_of([two], [])) == [("a", "y"), ("a", "z")]
    assert renewed(catalogue_of([], []), catalogue_of([one], [])) == [("a", "x"), ("a", "y")]
