import pytest
from msgspec import structs

from freeroute.config.assembly import with_local
from freeroute.config.providers import ollama_url
from freeroute.domain.catalogue import Key, LocalRank, Model, Privacy, Provider, Scope, Unit, WindowKind
from freeroute.domain.resolve import Names, Target


def models(provider: Provider) -> dict[str, Model]:
    return {model.id: model for model in provider.models}


# --- what is on ----------------------------------------------------------------------------------------


def test_with_nothing_set_nothing_is_on_and_local_servers_are_looked_for(built):
    assembly = built()
    assert assembly.catalogue.providers == {}
    assert [server.id for server in assembly.local] == ["ollama"]
    assert set(assembly.catalogue.meta_models) == {"free", "free-fast", "free-smart"}


def test_an_unambiguous_variable_switches_its_provider_on(built):
    assembly = built(env={"GROQ_API_KEY": "one, two", "GEMINI_API_KEY": ""})
    assert list(assembly.catalogue.providers) == ["groq"]
    assert assembly.catalogue.providers["groq"].keys == (
        Key("one", "key-1", source="environment"),
        Key("two", "key-2", source="environment"),
    )
    on = assembly.switched_on[0]
    assert (on.provider, on.name, on.why, on.privacy) == (
        "groq", "Groq", "GROQ_API_KEY is set", Privacy.NO_TRAIN,
    )  # fmt: skip
    assert on.terms == "One account. None."


def test_a_variable_people_hold_for_other_uses_only_brings_a_hint(built):
    assembly = built(env={"GOOGLE_API_KEY": "g", "CF_TOKEN": "c", "OVH_TOKEN": "o"})
    assert assembly.catalogue.providers == {}
    assert assembly.hints[0] == (
        "GOOGLE_API_KEY is set, but gemini is used only when listed: `providers: {gemini: {}}`"
    )
    assert len(assembly.hints) == 3


def test_listing_a_provider_makes_its_other_variables_count(built):
    assembly = built("providers:\n  gemini:", {"GOOGLE_API_KEY": "g"})
    assert assembly.catalogue.providers["gemini"].keys == (Key("g", "key-1", source="environment"),)
    assert assembly.switched_on[0].why == "listed in freeroute.yaml"
    assert assembly.hints == ()


def test_keyless_providers_are_on_only_when_asked_for(built):
    assembly = built("discovery: {keyless: true}", {"OVH_TOKEN": "paid"})
    ovh = assembly.catalogue.providers["ovh"]
    assert ovh.keys == (Key("", "anonymous"),)
    assert assembly.switched_on[0].why == "used without a key"
    assert built("providers: {ovh: {}}").catalogue.providers["ovh"].keys == (Key("", "anonymous"),)


def test_discovery_can_be_switched_off(built):
    assembly = built("discovery: {env: false, local: false}", {"GROQ_API_KEY": "k"})
    assert (assembly.catalogue.providers, assembly.local) == ({}, ())
    listed = built("discovery: {env: false}\nproviders: {groq: {}}", {"GROQ_API_KEY": "k"})
    assert "groq" in listed.catalogue.providers


def test_variables_are_put_into_the_addresses(built):
    cloudflare = built("providers: {cloudflare: {}}", {"CF_TOKEN": "t", "CF_ACCOUNT": "abc"})
    provider = cloudflare.catalogue.providers["cloudflare"]
    assert provider.base_url == "https://cf.example/abc/v1"
    assert provider.key_check == "https://cf.example/abc/check"


# --- merging -------------------------------------------------------------------------------------------


def test_scalars_limits_and_keys_replace_what_the_catalogue_says(built):
    text = """
providers:
  groq:
    keys: [mine]
    name: My Groq
    base_url: http://127.0.0.1:9100/v1/
    privacy: unknown
    local: first
    timeouts: {total: 60s}
    limits: [{unit: tokens, amount: 5, per: 5h, window: bucket}]
"""
    groq = built(text, {"GROQ_API_KEY": "env"}).catalogue.providers["groq"]
    assert groq.keys == (Key("mine", "key-1"),)
    assert (groq.name, groq.base_url, groq.privacy) == (
        "My Groq", "http://127.0.0.1:9100/v1", Privacy.UNKNOWN,
    )  # fmt: skip
    assert groq.local is LocalRank.FIRST
    assert (groq.timeouts.total, groq.timeouts.first_event, groq.timeouts.connect) == (60, 10, 3)
    (limit,) = groq.limits
    assert (limit.unit, limit.amount, limit.seconds, limit.span) == (Unit.TOKENS, 5, 18000, "")
    assert (limit.window, limit.scope, limit.confidence) == (WindowKind.BUCKET, Scope.ACCOUNT, "configured")
    assert groq.precharge.default == 1024
    assert len(groq.models) == 4


def test_models_merge_by_id(built):
    text = """
providers:
  groq:
    models:
      - {id: openai/gpt-oss-120b, quality: 99, speed: {tokens_per_second: 7}}
      - {id: brand-new, limits: [{unit: requests, amount: 2, per: day}]}
"""
    groq = built(text, {"GROQ_API_KEY": "k"}).catalogue.providers["groq"]
    changed, new = models(groq)["openai/gpt-oss-120b"], models(groq)["brand-new"]
    assert (changed.quality, changed.first_token, changed.tokens_per_second) == (99, 0.2, 7)
    assert changed.capabilities == {"tools"}
    assert (new.quality, new.family, new.auto) == (30, "brand-new", True)
    assert new.limits[0].scope is Scope.MODEL
    assert groq.origin == "settings"


def test_only_restricts_a_catalogue_entry(built):
    groq = built("providers: {groq: {models: {only: [openai/gpt-oss-20b]}}}", {"GROQ_API_KEY": "k"})
    assert list(models(groq.catalogue.providers["groq"])) == ["openai/gpt-oss-20b"]


@pytest.mark.parametrize(
    ("model", "auto"),
    [
        ("{id: new}", True),
        ("{id: new, price: {}}", True),
        ("{id: new, price: {input: 0.1}}", False),
        ("{id: new, price: {input: 0.1}, auto: true}", True),
        ("{id: new, auto: false}", False),
        ("{id: openai/gpt-oss-120b, price: {output: 1}}", False),
        ("{id: openai/gpt-oss-20b}", False),
    ],
)
def test_what_costs_money_is_no_member_of_free_unless_told(built, model, auto):
    text = f"providers: {{groq: {{models: [{model}]}}}}"
    groq = models(built(text, {"GROQ_API_KEY": "k"}).catalogue.providers["groq"])
    name = model.split(",")[0].removeprefix("{id: ").rstrip("}")
    assert groq[name].auto is auto


def test_retired_models_are_off_unless_the_operator_insists(built):
    env = {"GROQ_API_KEY": "k"}
    groq = models(built(env=env).catalogue.providers["groq"])
    assert (groq["old-model"].enabled, groq["old-model"].retires) == (False, "2026-08-16")
    assert groq["soon-gone"].enabled
    listed = built("providers: {groq: {models: [{id: old-model}]}}", env)
    assert not models(listed.catalogue.providers["groq"])["old-model"].enabled
    insisted = built("providers: {groq: {models: [{id: old-model, enabled: true}]}}", env)
    assert models(insisted.catalogue.providers["groq"])["old-model"].enabled


def test_keys_have_labels_and_accounts(built):
    text = """
providers:
  groq:
    keys: [a, {key: b, label: spare, account: team-b}, {key: c, enabled: false}]
"""
    keys = built(text).catalogue.providers["groq"].keys
    assert keys == (
        Key("a", "key-1"),
        Key("b", "spare", "team-b"),
        Key("c", "key-3", enabled=False),
    )
    assert {c.key.label for c in built(text).catalogue.candidates} == {"key-1", "spare"}


# --- providers of one's own ----------------------------------------------------------------------------

OWN = "providers: {{mine: {{like: {like}, base_url: 'http://x/v1', keys: [k], models: [{{id: m}}]}}{more}}}"


def test_like_takes_over_how_to_talk_but_nothing_else(built):
    mine = built(OWN.format(like="groq", more="")).catalogue.providers["mine"]
    assert (mine.headers, mine.quirks.message_name, mine.precharge.output) == (
        {"x-app": "freeroute"}, False, True,
    )  # fmt: skip
    assert (mine.privacy, mine.timeouts.first_event) == (Privacy.NO_TRAIN, 10)
    assert [rule.kind for rule in mine.errors] == ["no_capacity"]
    assert (mine.limits, mine.key_check, mine.name) == ((), "/models", "mine")
    assert list(models(mine)) == ["m"]


def test_like_never_takes_over_where_another_provider_checks_its_keys(built):
    text = OWN.format(like="cloudflare", more="").replace("models:", "limits: [], models:")
    assert built(text).catalogue.providers["mine"].key_check is None


def test_like_follows_what_the_settings_changed_and_what_is_like_another(built):
    other = "{like: mine, base_url: 'http://y/v1', keys: [], models: [{id: n}]}"
    more = f", groq: {{privacy: trains, keys: [g]}}, other: {other}"
    providers = built(OWN.format(like="groq", more=more)).catalogue.providers
    assert providers["mine"].privacy is Privacy.TRAINS
    assert (providers["other"].privacy, providers["other"].headers) == (
        Privacy.TRAINS, {"x-app": "freeroute"},
    )  # fmt: skip
    assert providers["other"].keys == (Key("", "anonymous"),)


def test_a_server_like_ollama_is_looked_for_where_it_was_named(built):
    text = "providers: {box: {like: ollama, base_url: 'http://box:11434/v1'}}"
    assembly = built(text, {"OLLAMA_HOST": "other"})
    assert {server.id: server.base_url for server in assembly.local} == {
        "ollama": "http://other:11434/v1",
        "box": "http://box:11434/v1",
    }
    box = next(server for server in assembly.local if server.id == "box")
    assert (box.privacy, box.origin, box.engine) == (Privacy.LOCAL, "settings", "ollama")


def test_how_much_context_is_asked_for_is_a_setting_of_ollamas_own_api(built):
    text = "providers: {ollama: {kind: ollama, max_context: 8192}}"
    assert [(server.kind, server.max_context) for server in built(text).local] == [("ollama", 8192)]


def test_a_local_server_with_models_of_its_own_needs_no_looking_for(built):
    text = "providers: {ollama: {models: [{id: 'llama3.2:3b'}]}}"
    assembly = built(text)
    assert assembly.local == ()
    assert [c.id for c in assembly.catalogue.candidates] == ["ollama/llama3.2:3b#anonymous"]


@pytest.mark.parametrize(
    ("told", "url"),
    [
        ("0.0.0.0", "http://127.0.0.1:11434/v1"),
        ("0.0.0.0:9999", "http://127.0.0.1:9999/v1"),
        (":9999", "http://127.0.0.1:9999/v1"),
        ("box", "http://box:11434/v1"),
        ("http://box:11434", "http://box:11434/v1"),
        ("http://box:11434/v1/", "http://box:11434/v1"),
        ("https://box.example", "https://box.example/v1"),
        ("[::]:11434", "http://[::1]:11434/v1"),
    ],
)
def test_ollamas_own_variables_say_where_it_is(told, url):
    assert ollama_url(told) == url


def test_a_found_local_server_joins_the_catalogue_and_replaces_what_was_found_before(built):
    assembly = built(env={"GROQ_API_KEY": "k"})
    first = structs.replace(
        assembly.local[0], keys=(Key("", "k"),), models=(Model(id="a", family="a"),), origin="discovered"
    )
    once = with_local(assembly.catalogue, [first])
    again = with_local(once, [structs.replace(first, models=(Model(id="b", family="b"),))])
    assert list(again.providers) == ["groq", "ollama"]
    assert [c.name for c in again.candidates if c.provider.id == "ollama"] == ["ollama/b"]
    assert with_local(again, []).providers == assembly.catalogue.providers


# --- meta-models ---------------------------------------------------------------------------------------


def test_a_meta_model_of_ones_own(built):
    patterns = "[groq/*, gemini/gemini-3.5-flash]"
    text = f"meta_models: {{coding: {{strategy: smart, models: {patterns}, require: [tools]}}}}"
    catalogue = built(text, {"GROQ_API_KEY": "k"}).catalogue
    target = Names(catalogue).resolve("coding")
    assert isinstance(target, Target)
    assert target.strategy == "smart"
    assert [c.name for c in target.candidates] == ["groq/openai/gpt-oss-120b"]


@pytest.mark.parametrize(
    ("meta", "noted"),
    [
        ("{models: [gemini/*]}", True),
        ("{models: [groq/*], require: [video]}", True),
        ("{require: [images]}", True),
        ("{models: [groq/*]}", False),
        ("{require: [tools]}", False),
        ("{models: [ollama/*]}", False),
    ],
)
def test_a_meta_model_that_nothing_switched_on_fits_is_noted(built, meta, noted):
    hints = built(f"meta_models: {{m: {meta}}}", {"GROQ_API_KEY": "k"}).hints
    text = "meta_models.m is empty: no model that is on fits its `models` and `require`"
    assert hints == ((text,) if noted else ())


def test_while_nothing_is_on_an_empty_meta_model_is_no_news(built):
    assert built("meta_models: {m: {models: [gemini/*]}}").hints == ()


@pytest.mark.parametrize(
    "pattern",
    ["gpt-oss-120b", "openai/gpt-oss-20b", "groq/gpt-oss-20b", "*-flash", "ollama/llama3.2:3b", "x/*"],
)
def test_patterns_may_name_what_is_known_though_not_switched_on(built, pattern):
    assert built(f"meta_models: {{m: {{models: ['{pattern}']}}}}").catalogue.meta_models["m"].models == (
        pattern,
    )


# --- aliases -------------------------------------------------------------------------------------------


def test_aliases_of_ones_own_come_before_those_that_are_built_in(built):
    text = "model_aliases: {'gpt-5*': groq/gpt-oss-120b, 'gpt-4*': free, 'claude-*': null}"
    aliases = built(text, {"GROQ_API_KEY": "k"}).catalogue.model_aliases
    assert list(aliases.items())[:4] == [
        ("gpt-5*", "groq/gpt-oss-120b"),
        ("gpt-4*", "free"),
        ("claude-*", None),
        ("auto", "free"),
    ]
    assert (aliases["claude-*haiku*"], aliases["smart"]) == ("free-fast", "free-smart")


@pytest.mark.parametrize(
    ("name", "noted"),
    [("gemini/gemini-3.5-flash", True), ("gpt-oss-120b", False), ("ollama/llama3.2", False)],
)
def test_an_alias_that_leads_to_nothing_switched_on_is_noted(built, name, noted):
    hints = built(f"model_aliases: {{m: {name}}}", {"GROQ_API_KEY": "k"}).hints
    text = f"model_aliases.m leads nowhere: nothing that is on has the name {name}"
    assert hints == ((text,) if noted else ())


def test_aliases_stay_while_local_servers_come_and_go(built):
    catalogue = built("model_aliases: {'x-*': free}", {"GROQ_API_KEY": "k"}).catalogue
    assert with_local(catalogue, []).model_aliases == catalogue.model_aliases
    assert "x-*" in catalogue.model_aliases


# --- limits nobody knows -------------------------------------------------------------------------------


def own(address: str, more: str = "keys: [k]") -> str:
    return f"providers: {{own: {{base_url: '{address}', {more}, models: [{{id: m}}]}}}}"


def unknown(assembly) -> list[tuple[str, ...]]:
    """Return of each candidate the labels of its limits that nobody knows."""
    found = [[pool.limit for pool in c.pools] for c in assembly.catalogue.candidates]
    return [tuple(limit.label for limit in limits if limit.confidence == "unknown") for limits in found]


@pytest.mark.parametrize(
    "settings",
    [
        own("https://llm.example.com/v1"),
        own("https://llm.example.com/v1", "keys: []"),
        own("http://127.0.0.1:9100/v1"),
        own("https://llm.example.com/v1", "keys: [k], limits: [{unit: tokens, amount: 9, per: minute}]"),
    ],
)
def test_a_remote_model_without_a_limit_of_requests_has_one_to_be_found(built, settings):
    [candidate] = built(settings).catalogue.candidates
    assert unknown(built(settings)) == [("requests/minute",)]
    assert candidate.pools[-1].id == "own/account:default/model:m/requests/minute"


@pytest.mark.parametrize(
    "settings",
    [
        own("http://127.0.0.1:9100/v1", "keys: []"),
        own("http://localhost:9100/v1", "keys: []"),
        own("http://192.168.1.7:9100/v1", "keys: []"),
        own("http://llm.example.com/v1", "keys: [k], privacy: local"),
        own("https://llm.example.com/v1", "keys: [k], limits: [{unit: requests, amount: 9, per: day}]"),
    ],
)
def test_ones_own_servers_and_limits_that_are_given_are_not_guessed_at(built, settings):
    assert unknown(built(settings)) == [()]
