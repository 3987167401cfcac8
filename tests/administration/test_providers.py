"""What may be entered is checked against the settings first; what is refused changes nothing."""

import pytest
from msgspec import UNSET, structs

from freeroute.administration import providers as module
from freeroute.administration.providers import ProviderBook
from freeroute.errors import ConfigError, Conflict, InvalidRequest, NotFound, Unavailable
from tests.support.providers import book, quiet

SECRET = "gsk_entered-secret-1234"
GROQ = {"GROQ_API_KEY": "gsk_of-the-environment"}


@pytest.fixture
def entering(planned, safe) -> ProviderBook:
    return book(
        planned(env=GROQ), safe, found=lambda provider, model: (provider, model) == ("ollama", "found")
    )


@pytest.mark.parametrize("key", ["env:GROQ_API_KEY", "file:/etc/passwd"])
def test_references_are_for_the_settings_file(entering, safe, key):
    with pytest.raises(InvalidRequest, match="belong into the settings file") as caught:
        entering.add_key("groq", "mine", key, quiet)
    assert caught.value.param == "key"
    assert safe.mark() is None


@pytest.mark.parametrize("key", ["", "two words", "line\nbreak", "é", "x" * 4097])
def test_what_cannot_be_a_key_is_refused_without_being_shown(entering, safe, key):
    with pytest.raises(InvalidRequest) as caught:
        entering.add_key("groq", "mine", key, quiet)
    assert caught.value.param == "key"
    assert not key or key not in caught.value.message
    assert safe.mark() is None


@pytest.mark.parametrize("name", ["", "a b", "a/b", "a#b", "é", "x" * 65, "a\n"])
def test_labels_and_accounts_are_names(entering, name):
    with pytest.raises(InvalidRequest, match="label: up to 64"):
        entering.add_key("groq", name, SECRET, quiet)
    with pytest.raises(InvalidRequest, match="account: up to 64"):
        entering.add_key("groq", "mine", SECRET, quiet, name)


def test_a_provider_that_nobody_knows_is_named_with_its_nearest(entering):
    for act in (
        lambda: entering.add_key("grok", "mine", SECRET, quiet),
        lambda: entering.switch("grok", quiet, on=False),
        lambda: entering.remove_key("grok", "mine", quiet),
    ):
        with pytest.raises(NotFound, match="did you mean groq"):
            act()


def test_what_a_provider_needs_besides_a_key_is_said_at_once(entering):
    with pytest.raises(InvalidRequest, match="needs the environment variable CF_ACCOUNT") as caught:
        entering.add_key("cloudflare", "mine", SECRET, quiet)
    assert caught.value.param == "provider"


def test_a_label_is_used_once(entering):
    with pytest.raises(Conflict, match="the settings have a key key-1") as caught:
        entering.add_key("groq", "key-1", SECRET, quiet)
    assert caught.value.param == "label"
    entering.add_key("groq", "mine", SECRET, quiet)
    with pytest.raises(Conflict, match="there is a key mine already"):
        entering.add_key("groq", "mine", "another-secret", quiet)


def test_a_key_is_entered_once(entering):
    with pytest.raises(Conflict, match="the settings have this key already"):
        entering.add_key("groq", "mine", GROQ["GROQ_API_KEY"], quiet)
    entering.add_key("groq", "mine", SECRET, quiet)
    with pytest.raises(Conflict, match="this key is there as mine") as caught:
        entering.add_key("groq", "other", SECRET, quiet)
    assert SECRET not in caught.value.message
    entering.add_key("gemini", "mine", SECRET, quiet)


def test_a_damaged_key_does_not_keep_others_from_being_entered(entering, safe):
    entering.add_key("groq", "mine", SECRET, quiet)
    safe.update(lambda overlay, _: overlay.with_key(structs.replace(overlay.keys[0], sealed="AAAA")))
    entering.add_key("groq", "other", SECRET, quiet)
    assert safe.read().secrets == {("groq", "other"): SECRET}
    with pytest.raises(Conflict, match="the key mine is damaged"):
        entering.move("groq", "https://relay.example", ["mine"], quiet)


def test_there_is_an_end_to_keys(entering, safe, monkeypatch):
    monkeypatch.setattr(module, "MOST_KEYS", 2)
    for label in ("a", "b"):
        entering.add_key("groq", label, f"secret-{label}", quiet)
    with pytest.raises(Conflict, match="there are 2 keys already"):
        entering.add_key("groq", "c", "secret-c", quiet)


def test_keys_of_the_settings_are_changed_there(entering):
    for act in (
        lambda: entering.switch_key("groq", "key-1", quiet, on=False),
        lambda: entering.remove_key("groq", "key-1", quiet),
    ):
        with pytest.raises(Conflict, match="key-1 is a key of the settings"):
            act()


def test_a_key_that_is_not_there_is_named_with_its_nearest(entering):
    entering.add_key("groq", "mine", SECRET, quiet)
    with pytest.raises(NotFound, match="no key 'min'; did you mean mine"):
        entering.remove_key("groq", "min", quiet)


def test_a_removed_key_leaves_nothing(entering, safe):
    entering.add_key("groq", "mine", SECRET, quiet)
    entering.remove_key("groq", "mine", quiet)
    assert safe.read().overlay.keys == ()


def test_models_are_switched_by_their_names(entering, safe):
    entering.switch_model("groq", "openai/gpt-oss-120b", quiet, on=False)
    entering.switch_model("ollama", "found", quiet, on=False)
    assert safe.read().overlay.off == {"groq/openai/gpt-oss-120b", "ollama/found"}
    entering.switch_model("groq", "openai/gpt-oss-120b", quiet, on=True)
    assert safe.read().overlay.off == {"ollama/found"}
    with pytest.raises(NotFound, match=r"groq has no model 'gpt-oss-120b'; did you mean openai/gpt-oss-120b"):
        entering.switch_model("groq", "gpt-oss-120b", quiet, on=False)
    with pytest.raises(NotFound):
        entering.switch_model("ollama", "lost", quiet, on=False)
    with pytest.raises(Conflict, match="is switched off in the settings, or retired"):
        entering.switch_model("groq", "old-model", quiet, on=True)


def test_providers_are_switched_whether_they_are_on_or_not(entering, safe):
    entering.switch("groq", quiet, on=False)
    entering.switch("gemini", quiet, on=False)
    assert safe.read().overlay.off == {"groq", "gemini"}
    entering.switch("groq", quiet, on=True)
    assert safe.read().overlay.off == {"gemini"}


@pytest.mark.parametrize(
    "url",
    ["", "groq.example", "ftp://x.example", "https://user:pw@x.example", "https://x.example/?a=b", "http://x.example",
     "http://10.0.0.7/v1", "https://{X}.example", "http://127.0.0.1.evil.example"],
)  # fmt: skip
def test_an_address_is_a_sound_one_that_keeps_keys_from_listeners(entering, safe, url):
    with pytest.raises(InvalidRequest, match="base_url") as caught:
        entering.move("groq", url, (), quiet)
    assert caught.value.param == "base_url"
    assert safe.mark() is None


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/v1", "http://localhost/v1", "http://[::1]:9", "https://x.example"]
)
def test_this_machine_and_https_are_fine(entering, safe, url):
    entering.move("groq", url, (), quiet)
    assert safe.read().overlay.addresses["groq"].url == url


def test_where_the_settings_go_in_the_clear_so_may_others(planned, safe):
    settings = "providers: {lan: {base_url: 'http://10.0.0.5/v1', keys: [k], models: [{id: m}]}}"
    book(planned(settings), safe).move("lan", "http://10.0.0.7/v1", (), quiet)
    assert safe.read().overlay.addresses["lan"].url == "http://10.0.0.7/v1"


def test_only_keys_that_are_there_can_be_confirmed(entering, safe):
    with pytest.raises(NotFound, match="groq has no key 'mine'") as caught:
        entering.move("groq", "https://relay.example", ["mine"], quiet)
    assert caught.value.param == "send_keys"
    assert safe.mark() is None


def test_a_provider_that_cannot_be_on_can_be_switched_but_not_moved(planned, safe):
    entering = book(planned(), safe)
    entering.switch("cloudflare", quiet, on=False)
    assert not entering.show("cloudflare")["enabled"]
    with pytest.raises(InvalidRequest, match="CF_ACCOUNT"):
        entering.move("cloudflare", "https://relay.example", (), quiet)


def test_a_confirmation_alone_leaves_the_address(entering, safe):
    entering.move("groq", "https://relay.example", (), quiet)
    entering.move("groq", UNSET, ["key-1"], quiet)
    assert safe.read().overlay.addresses["groq"].keys == ("key-1",)
    entering.move("groq", None, (), quiet)
    entering.move("groq", UNSET, ["key-1"], quiet)
    assert safe.read().overlay.addresses == {}


def test_every_change_is_noted_before_it_is_made_and_without_the_key(entering, safe):
    seen = []

    def note(before, after):
        seen.append((before, after, safe.read().overlay))

    origin = {"account": "default", "enabled": True, "origin": "https://api.groq.example"}
    entering.add_key("groq", "mine", SECRET, note)
    entering.switch_key("groq", "mine", note, on=False)
    entering.move("groq", "https://relay.example", ["mine"], note)
    entering.remove_key("groq", "mine", note)
    entering.switch("groq", note, on=False)
    assert [change[:2] for change in seen] == [
        (None, origin),
        (origin, origin | {"enabled": False}),
        (
            {"base_url": "https://api.groq.example/openai/v1"},
            {"base_url": "https://relay.example", "send_keys": ["mine"]},
        ),
        ({"account": "default", "enabled": False, "origin": "https://relay.example"}, None),
        ({"enabled": True}, {"enabled": False}),
    ]
    assert seen[0][2].keys == ()
    assert seen[-1][2].off == frozenset()


def test_without_the_encryption_key_nothing_is_sealed_and_all_else_can_be_done(entering, safe):
    entering.add_key("groq", "mine", SECRET, quiet)
    assert entering.problems() == ()
    safe.key_path.unlink()
    assert ["bring that one back" in problem for problem in entering.problems()] == [True]
    for act in (
        lambda: entering.add_key("groq", "other", "another-secret", quiet),
        lambda: entering.move("groq", "https://relay.example", ["mine"], quiet),
    ):
        with pytest.raises(Conflict, match="bring that one back"):
            act()
    entering.switch_key("groq", "mine", quiet, on=False)
    entering.move("groq", "https://relay.example", ["key-1"], quiet)
    entering.remove_key("groq", "mine", quiet)
    assert not safe.key_path.exists()


def test_what_cannot_be_noted_is_not_made(entering, safe):
    def broken(before, after):
        raise Unavailable("the disk is full")

    for act in (
        lambda: entering.add_key("groq", "mine", SECRET, broken),
        lambda: entering.switch("groq", broken, on=False),
        lambda: entering.move("groq", "https://relay.example", (), broken),
    ):
        with pytest.raises(Unavailable):
            act()
    assert safe.mark() is None


def test_a_disk_that_is_full_is_told(entering, safe):
    safe.path.parent.write_text("not a directory")
    with pytest.raises(ConfigError, match="cannot be written"):
        entering.switch("groq", quiet, on=False)


def test_a_key_that_opens_a_door_of_the_gateway_is_no_provider_s(planned, safe):
    entering = book(planned(env=GROQ), safe, own={"fa-walrus": "the admin key"}.get)
    with pytest.raises(InvalidRequest, match="is the admin key of this gateway") as caught:
        entering.add_key("groq", "mine", "fa-walrus", quiet)
    assert caught.value.param == "key"
    assert "walrus" not in caught.value.message
    assert safe.mark() is None
    entering.add_key("groq", "mine", SECRET, quiet)
