"""What may be entered is checked against the settings first; what is refused changes nothing."""

import pytest
from msgspec import structs

from freeroute.config import entering as module
from freeroute.config.entering import Entering
from freeroute.errors import ConfigError, Conflict, InvalidRequest, NotFound

SECRET = "gsk_entered-secret-1234"
GROQ = {"GROQ_API_KEY": "gsk_of-the-environment"}


@pytest.fixture
def entering(planned, safe) -> Entering:
    return Entering(planned(env=GROQ), safe, lambda provider, model: (provider, model) == ("ollama", "found"))


@pytest.mark.parametrize("key", ["env:GROQ_API_KEY", "file:/etc/passwd"])
def test_references_are_for_the_settings_file(entering, safe, key):
    with pytest.raises(InvalidRequest, match="belong into the settings file") as caught:
        entering.add_key("groq", "mine", key, wall=1.0)
    assert caught.value.param == "key"
    assert safe.mark() is None


@pytest.mark.parametrize("key", ["", "two words", "line\nbreak", "é", "x" * 4097])
def test_what_cannot_be_a_key_is_refused_without_being_shown(entering, safe, key):
    with pytest.raises(InvalidRequest) as caught:
        entering.add_key("groq", "mine", key, wall=1.0)
    assert caught.value.param == "key"
    assert not key or key not in caught.value.message
    assert safe.mark() is None


@pytest.mark.parametrize("name", ["", "a b", "a/b", "a#b", "é", "x" * 65, "a\n"])
def test_labels_and_accounts_are_names(entering, name):
    with pytest.raises(InvalidRequest, match="label is made of"):
        entering.add_key("groq", name, SECRET, wall=1.0)
    with pytest.raises(InvalidRequest, match="account is made of"):
        entering.add_key("groq", "mine", SECRET, name, wall=1.0)


def test_a_provider_that_nobody_knows_is_named_with_its_nearest(entering):
    for act in (
        lambda: entering.add_key("grok", "mine", SECRET, wall=1.0),
        lambda: entering.switch("grok", on=False),
        lambda: entering.remove_key("grok", "mine"),
    ):
        with pytest.raises(NotFound, match="did you mean groq"):
            act()


def test_what_a_provider_needs_besides_a_key_is_said_at_once(entering):
    with pytest.raises(InvalidRequest, match="needs the environment variable CF_ACCOUNT") as caught:
        entering.add_key("cloudflare", "mine", SECRET, wall=1.0)
    assert caught.value.param == "provider"


def test_a_label_is_used_once(entering):
    with pytest.raises(Conflict, match="the settings have a key key-1") as caught:
        entering.add_key("groq", "key-1", SECRET, wall=1.0)
    assert caught.value.param == "label"
    entering.add_key("groq", "mine", SECRET, wall=1.0)
    with pytest.raises(Conflict, match="there is a key mine already"):
        entering.add_key("groq", "mine", "another-secret", wall=1.0)


def test_a_key_is_entered_once(entering):
    with pytest.raises(Conflict, match="the settings have this key already"):
        entering.add_key("groq", "mine", GROQ["GROQ_API_KEY"], wall=1.0)
    entering.add_key("groq", "mine", SECRET, wall=1.0)
    with pytest.raises(Conflict, match="this key is there as mine") as caught:
        entering.add_key("groq", "other", SECRET, wall=1.0)
    assert SECRET not in caught.value.message
    entering.add_key("gemini", "mine", SECRET, wall=1.0)


def test_a_damaged_key_does_not_keep_others_from_being_entered(entering, safe):
    entering.add_key("groq", "mine", SECRET, wall=1.0)
    safe.update(lambda overlay, _: overlay.with_key(structs.replace(overlay.keys[0], sealed="AAAA")))
    entering.add_key("groq", "other", SECRET, wall=1.0)
    assert safe.read().secrets == {("groq", "other"): SECRET}
    with pytest.raises(Conflict, match="the key mine is damaged"):
        entering.move("groq", "https://relay.example", ["mine"])


def test_there_is_an_end_to_keys(entering, safe, monkeypatch):
    monkeypatch.setattr(module, "MOST_KEYS", 2)
    for label in ("a", "b"):
        entering.add_key("groq", label, f"secret-{label}", wall=1.0)
    with pytest.raises(Conflict, match="there are 2 keys already"):
        entering.add_key("groq", "c", "secret-c", wall=1.0)


def test_keys_of_the_settings_are_changed_there(entering):
    for act in (
        lambda: entering.switch_key("groq", "key-1", on=False),
        lambda: entering.remove_key("groq", "key-1"),
    ):
        with pytest.raises(Conflict, match="key-1 is a key of the settings"):
            act()


def test_a_key_that_is_not_there_is_named_with_its_nearest(entering):
    entering.add_key("groq", "mine", SECRET, wall=1.0)
    with pytest.raises(NotFound, match="no key 'min'; did you mean mine"):
        entering.remove_key("groq", "min")


def test_a_removed_key_leaves_nothing(entering, safe):
    entering.add_key("groq", "mine", SECRET, wall=1.0)
    entering.remove_key("groq", "mine")
    assert safe.read().overlay.keys == ()


def test_models_are_switched_by_their_names(entering, safe):
    entering.switch_model("groq", "openai/gpt-oss-120b", on=False)
    entering.switch_model("ollama", "found", on=False)
    assert safe.read().overlay.off == {"groq/openai/gpt-oss-120b", "ollama/found"}
    entering.switch_model("groq", "openai/gpt-oss-120b", on=True)
    assert safe.read().overlay.off == {"ollama/found"}
    with pytest.raises(NotFound, match=r"groq has no model 'gpt-oss-120b'; did you mean openai/gpt-oss-120b"):
        entering.switch_model("groq", "gpt-oss-120b", on=False)
    with pytest.raises(NotFound):
        entering.switch_model("ollama", "lost", on=False)
    with pytest.raises(Conflict, match="is switched off in the settings, or retired"):
        entering.switch_model("groq", "old-model", on=True)


def test_providers_are_switched_whether_they_are_on_or_not(entering, safe):
    entering.switch("groq", on=False)
    entering.switch("gemini", on=False)
    assert safe.read().overlay.off == {"groq", "gemini"}
    entering.switch("groq", on=True)
    assert safe.read().overlay.off == {"gemini"}


@pytest.mark.parametrize(
    "url",
    ["", "groq.example", "ftp://x.example", "https://user:pw@x.example", "https://x.example/?a=b", "http://x.example",
     "http://10.0.0.7/v1", "https://{X}.example", "http://127.0.0.1.evil.example"],
)  # fmt: skip
def test_an_address_is_a_sound_one_that_keeps_keys_from_listeners(entering, safe, url):
    with pytest.raises(InvalidRequest, match="base_url") as caught:
        entering.move("groq", url, ())
    assert caught.value.param == "base_url"
    assert safe.mark() is None


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/v1", "http://localhost/v1", "http://[::1]:9", "https://x.example"]
)
def test_this_machine_and_https_are_fine(entering, safe, url):
    entering.move("groq", url, ())
    assert safe.read().overlay.addresses["groq"].url == url


def test_where_the_settings_go_in_the_clear_so_may_others(planned, safe):
    settings = "providers: {lan: {base_url: 'http://10.0.0.5/v1', keys: [k], models: [{id: m}]}}"
    Entering(planned(settings), safe).move("lan", "http://10.0.0.7/v1", ())
    assert safe.read().overlay.addresses["lan"].url == "http://10.0.0.7/v1"


def test_only_keys_that_are_there_can_be_confirmed(entering, safe):
    with pytest.raises(NotFound, match="groq has no key 'mine'") as caught:
        entering.move("groq", "https://relay.example", ["mine"])
    assert caught.value.param == "send_keys"
    assert safe.mark() is None


def test_a_provider_that_cannot_be_on_can_still_be_told_of(planned, safe):
    with pytest.raises(InvalidRequest):
        Entering(planned(), safe).switch("cloudflare", on=False)


def test_a_disk_that_is_full_is_told(entering, safe):
    safe.path.parent.write_text("not a directory")
    with pytest.raises(ConfigError, match="cannot be written"):
        entering.switch("groq", on=False)
