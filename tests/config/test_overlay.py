"""What was entered lies over the settings, and nothing in it keeps a gateway from starting."""

import pytest
from msgspec import structs

from freeroute.administration.telling import Telling, asked_about
from freeroute.config.overlay import DAMAGED, DISABLED, HIDDEN, LOCKED, REPEATED, Laid, laid
from freeroute.domain.catalogue import Key
from freeroute.domain.overlay import Address, origin_of
from freeroute.errors import Conflict, NotFound
from freeroute.stores.keysafe import KeySafe, Opened
from freeroute.stores.sealing import new_key
from tests.support.providers import Known, book, quiet

SECRET = "gsk_entered-secret-1234"
START = 1_790_000_000.0  # of the manual clock
GROQ = {"GROQ_API_KEY": "gsk_of-the-environment"}
THERE = "https://relay.example/v1"


def keys(found: Laid, provider="groq") -> dict[str, bool]:
    return {key.label: key.enabled for key in found.assembly.catalogue.providers[provider].keys}


def told(plan, safe, provider="groq", **states):
    return Telling(Known(plan, safe), **states).provider(provider)


def test_nothing_entered_changes_nothing(planned):
    plan = planned(env=GROQ)
    found = laid(plan, Opened())
    assert found.assembly == plan.assembly
    assert (found.shut, found.problems) == ({}, ())


def test_a_key_switches_its_provider_on_in_the_order_of_the_catalogue(planned, safe):
    plan = planned(env={"GEMINI_API_KEY": "g"})
    book(plan, safe).add_key("groq", "mine", SECRET, quiet, "work")
    found = laid(plan, safe.read()).assembly
    assert list(found.catalogue.providers) == ["groq", "gemini"]
    assert found.catalogue.providers["groq"].keys == (Key(SECRET, "mine", "work", source="entered"),)
    assert [line.why for line in found.switched_on] == ["a key was entered", "GEMINI_API_KEY is set"]
    assert {c.provider.id for c in found.catalogue.candidates} == {"groq", "gemini"}


def test_a_name_of_ones_own_is_not_called_empty_once_a_key_fills_it(planned, safe):
    plan = planned("meta_models: {mine: {models: ['gemini/*']}}", GROQ)
    assert [hint for hint in laid(plan, safe.read()).assembly.hints if "is empty" in hint]
    book(plan, safe).add_key("gemini", "mine", SECRET, quiet)
    assert laid(plan, safe.read()).assembly.hints == ()


def test_a_key_is_added_to_those_of_the_settings(planned, safe):
    plan = planned(env=GROQ)
    book(plan, safe).add_key("groq", "mine", SECRET, quiet)
    assert keys(laid(plan, safe.read())) == {"key-1": True, "mine": True}


def test_a_key_takes_the_place_of_calling_without_one_while_it_is_used(planned, safe):
    plan = planned("discovery: {keyless: true}")
    entering = book(plan, safe)
    entering.add_key("ovh", "mine", SECRET, quiet)
    assert keys(laid(plan, safe.read()), "ovh") == {"mine": True}
    entering.switch_key("ovh", "mine", quiet, on=False)
    assert keys(laid(plan, safe.read()), "ovh") == {"anonymous": True, "mine": False}


def test_a_local_server_is_looked_for_with_the_key_that_was_entered(planned, safe):
    plan = planned()
    book(plan, safe).add_key("ollama", "mine", SECRET, quiet)
    assert [server.keys for server in laid(plan, safe.read()).assembly.local] == [
        (Key(SECRET, "mine", source="entered"),)
    ]
    assert told(plan, safe, "ollama")["why"] == "local server"


def test_a_key_that_is_switched_off_gives_no_candidate(planned, safe):
    plan = planned()
    entering = book(plan, safe)
    entering.add_key("groq", "mine", SECRET, quiet)
    entering.switch_key("groq", "mine", quiet, on=False)
    found = laid(plan, safe.read())
    assert found.assembly.catalogue.candidates == ()
    assert found.shut == {("groq", "mine"): DISABLED}
    entering.switch_key("groq", "mine", quiet, on=True)
    assert laid(plan, safe.read()).assembly.catalogue.candidates


def test_settings_that_come_to_have_its_label_hide_it(planned, safe):
    book(planned(), safe).add_key("groq", "key-1", SECRET, quiet)
    plan = planned(env=GROQ)
    found = laid(plan, safe.read())
    assert [key.secret for key in found.assembly.catalogue.providers["groq"].keys] == [
        "gsk_of-the-environment"
    ]
    assert found.shut == {("groq", "key-1"): HIDDEN}
    shown = [(key["source"], key["state"], key["reason"]) for key in told(plan, safe)["keys"]]
    assert shown == [("environment", "unknown", None), ("entered", "off", HIDDEN)]


def test_settings_that_come_to_have_the_key_itself_are_used_alone(planned, safe):
    book(planned(), safe).add_key("groq", "mine", SECRET, quiet)
    found = laid(planned(env={"GROQ_API_KEY": SECRET}), safe.read())
    assert keys(found) == {"key-1": True, "mine": False}
    assert found.shut == {("groq", "mine"): REPEATED}


def test_without_the_encryption_key_entered_keys_are_off_and_it_is_told(planned, tmp_path, safe):
    book(planned(env=GROQ), safe).add_key("groq", "mine", SECRET, quiet)
    safe.key_path.unlink()
    found = laid(planned(env=GROQ), KeySafe(tmp_path / "state", new_key()).read())
    assert keys(found) == {"key-1": True, "mine": False}
    assert found.shut == {("groq", "mine"): LOCKED}
    assert "sealed with another encryption key" in found.problems[0]
    assert found.problems[0] in found.assembly.hints


def test_a_damaged_key_is_told_by_name(planned, safe):
    book(planned(), safe).add_key("groq", "mine", SECRET, quiet)
    safe.update(lambda overlay, _: overlay.with_key(structs.replace(overlay.keys[0], sealed="AAAA")))
    found = laid(planned(), safe.read())
    assert found.shut == {("groq", "mine"): DAMAGED}
    assert found.problems == (f"groq: the key mine is {DAMAGED}",)


def test_a_provider_that_cannot_be_on_is_told_and_the_others_are(planned, safe):
    book(planned(env={"CF_ACCOUNT": "a1"}), safe).add_key("cloudflare", "mine", SECRET, quiet)
    plan = planned(env=GROQ)
    found = laid(plan, safe.read())
    assert list(found.assembly.catalogue.providers) == ["groq"]
    [problem] = found.problems
    assert "cloudflare has a key but cannot be switched on: " in problem
    assert "CF_ACCOUNT" in problem
    [key] = told(plan, safe, "cloudflare")["keys"]
    assert (key["state"], key["source"]) == ("off", "entered")
    assert "CF_ACCOUNT" in key["reason"]


def test_a_key_of_a_provider_that_nobody_knows_any_more_does_no_harm(planned, safe):
    book(
        planned("providers: {mine: {base_url: 'https://m.example', keys: [], models: [{id: m}]}}"), safe
    ).add_key("mine", "k", SECRET, quiet)
    assert laid(planned(), safe.read()).assembly.catalogue.providers == {}


# --- other addresses -----------------------------------------------------------------------------------


def test_no_key_follows_to_another_host_unless_it_was_confirmed(planned, safe):
    plan = planned(env=GROQ)
    entering = book(plan, safe)
    entering.add_key("groq", "mine", SECRET, quiet)
    entering.move("groq", THERE, (), quiet)
    found = laid(plan, safe.read())
    assert found.assembly.catalogue.providers["groq"].base_url == THERE
    assert keys(found) == {"key-1": False, "mine": False}
    reason = "it is for https://api.groq.example: confirm that it may be sent to https://relay.example"
    assert found.shut == {("groq", "key-1"): reason, ("groq", "mine"): reason}
    entering.move("groq", THERE, ["mine"], quiet)
    assert keys(laid(plan, safe.read())) == {"key-1": False, "mine": True}
    entering.move("groq", THERE, ["key-1"], quiet)
    assert keys(laid(plan, safe.read())) == {"key-1": True, "mine": True}


def test_back_home_the_settings_keys_work_and_those_that_moved_have_to_be_confirmed(planned, safe):
    plan = planned(env=GROQ)
    entering = book(plan, safe)
    entering.add_key("groq", "mine", SECRET, quiet)
    entering.move("groq", THERE, ["mine", "key-1"], quiet)
    entering.move("groq", None, (), quiet)
    assert keys(laid(plan, safe.read())) == {"key-1": True, "mine": False}
    entering.move("groq", None, ["mine"], quiet)
    assert keys(laid(plan, safe.read())) == {"key-1": True, "mine": True}
    assert safe.read().overlay.addresses == {}


def test_another_path_on_the_same_host_needs_no_confirmation(planned, safe):
    plan = planned(env=GROQ)
    entering = book(plan, safe)
    entering.add_key("groq", "mine", SECRET, quiet)
    entering.move("groq", "https://API.groq.example:443/v2/", (), quiet)
    found = laid(plan, safe.read())
    assert keys(found) == {"key-1": True, "mine": True}
    assert found.assembly.catalogue.providers["groq"].base_url == "https://API.groq.example:443/v2"


def test_what_was_confirmed_for_one_host_is_not_confirmed_for_the_next(planned, safe):
    plan = planned(env=GROQ)
    entering = book(plan, safe)
    entering.move("groq", THERE, ["key-1"], quiet)
    entering.move("groq", "https://third.example/v1", (), quiet)
    assert keys(laid(plan, safe.read())) == {"key-1": False}


def test_settings_that_move_a_provider_shut_the_keys_entered_for_the_old_host(planned, safe):
    book(planned(), safe).add_key("groq", "mine", SECRET, quiet)
    found = laid(planned("providers: {groq: {base_url: 'https://new.example/v1', keys: [k]}}"), safe.read())
    assert keys(found) == {"key-1": True, "mine": False}


def test_a_check_at_the_old_host_is_not_asked_with_keys_for_the_new_one(planned, safe):
    plan = planned("providers: {cloudflare: {keys: [k]}}", {"CF_ACCOUNT": "a1"})
    book(plan, safe).move("cloudflare", THERE, ["key-1"], quiet)
    assert laid(plan, safe.read()).assembly.catalogue.providers["cloudflare"].key_check is None
    book(plan, safe).move("cloudflare", "https://cf.example/other", (), quiet)
    found = laid(plan, safe.read()).assembly.catalogue.providers["cloudflare"]
    assert found.key_check == "https://cf.example/a1/check"


def test_an_address_that_somebody_wrote_into_the_file_is_checked_too(planned, safe):
    plan = planned(env=GROQ)
    safe.update(lambda overlay, _: overlay.at("groq", Address("https://user@evil.example")))
    found = laid(plan, safe.read())
    assert found.assembly.catalogue.providers["groq"].base_url == "https://api.groq.example/openai/v1"
    assert "is not used" in found.problems[0]


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://A.example/v1", "https://a.example"),
        ("https://a.example:443", "https://a.example"),
        ("http://a.example:443/", "http://a.example:443"),
        ("http://[::1]:80/x", "http://[::1]"),
    ],
)
def test_an_origin_is_what_decides_who_gets_a_key(url, origin):
    assert origin_of(url) == origin


# --- what is told --------------------------------------------------------------------------------------


def test_every_provider_is_told_those_that_are_on_first(planned, safe):
    plan = planned(env=GROQ)
    found = Telling(Known(plan, safe)).all()
    assert [entry["id"] for entry in found] == ["groq", "ollama", "gemini", "cloudflare", "ovh"]
    assert [entry["on"] for entry in found] == [True, True, False, False, False]
    assert found[0]["keys"][0] | {"created": 0} == {
        "label": "key-1", "account": "default", "source": "environment", "enabled": True, "ends_with": "ment",
        "created": 0, "state": "unknown", "until": None, "reason": None,
    }  # fmt: skip


def test_a_key_is_told_by_its_end_and_only_if_it_is_long(planned, safe):
    plan = planned(env={"GROQ_API_KEY": "short"})
    entering = book(plan, safe)
    entering.add_key("groq", "mine", SECRET, quiet)
    entering.switch("groq", quiet, on=False)
    entering.switch_model("groq", "openai/gpt-oss-20b", quiet, on=False)
    shown = told(plan, safe, states=lambda p, k: {"state": f"{p} {k}", "until": 1.0, "reason": "r"})
    assert [(key["ends_with"], key["created"], key["state"]) for key in shown["keys"]] == [
        ("", None, "groq key-1"), ("1234", START, "groq mine"),
    ]  # fmt: skip
    assert (shown["enabled"], shown["models_off"]) == (False, ["openai/gpt-oss-20b"])
    assert SECRET not in str(shown)


def test_a_key_that_the_settings_switch_off_is_told_so(planned, safe):
    plan = planned("providers: {groq: {keys: [{key: k, label: a, enabled: false}, b]}}")
    shown = {key["label"]: (key["enabled"], key["reason"]) for key in told(plan, safe)["keys"]}
    assert shown == {"a": (False, "switched off in the settings"), "key-2": (True, None)}


def test_whoever_wants_to_test_a_key_gets_it_unless_it_is_for_another_host(planned, safe):
    plan = planned(env=GROQ)
    entering = book(plan, safe)
    entering.add_key("groq", "mine", SECRET, quiet)
    entering.switch_key("groq", "mine", quiet, on=False)
    assert asked_about(laid(plan, safe.read()), "groq", "mine")[1].secret == SECRET
    assert asked_about(laid(plan, safe.read()), "groq", "key-1")[1].secret == GROQ["GROQ_API_KEY"]
    entering.move("groq", THERE, (), quiet)
    with pytest.raises(Conflict, match="confirm that it may be sent to"):
        asked_about(laid(plan, safe.read()), "groq", "mine")
    with pytest.raises(NotFound, match="no key 'min'; did you mean mine"):
        asked_about(laid(plan, safe.read()), "groq", "min")
    with pytest.raises(NotFound, match="'grok' is not switched on; did you mean groq"):
        asked_about(laid(plan, safe.read()), "grok", "mine")
    with pytest.raises(Conflict, match="key-1 is a key of the settings"):
        entering.show_key("groq", "key-1")
    assert entering.show_key("groq", "mine")["label"] == "mine"
