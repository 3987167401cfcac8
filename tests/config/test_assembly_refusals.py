"""What dangles or contradicts in the settings is refused by name."""

import pytest

from freeroute.errors import ConfigError

OWN = "providers: {{mine: {{like: {like}, base_url: 'http://x/v1', keys: [k], models: [{{id: m}}]}}{more}}}"

KEY = "keys: [k]"
DAILY = "{unit: requests, amount: 1, per: day}"
CALENDAR = "{unit: requests, amount: 1, per: day, window: calendar}"
MINUTE = "{unit: requests, amount: 1, per: minute, scope: account}"
SIXTY = "{unit: requests, amount: 1, per: 60s}"
ACCOUNT = "{unit: requests, amount: 1, per: day, scope: account}"
ONE = f"{{id: a, limits: [{ACCOUNT}]}}"
OTHER = f"{{id: b, limits: [{ACCOUNT[:-1]}, window: calendar}}]}}"
TWICE = "the provider's own limits already count requests/day per account"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("providers: {groq: {}}", "providers.groq: has no key: set GROQ_API_KEY or give `keys`"),
        (
            "providers: {mine: {base_url: 'http://x', models: [{id: m}]}}",
            "providers.mine: has no key: give `keys`; `keys: []` sends none",
        ),
        (
            f"providers: {{mine: {{{KEY}, models: [{{id: m}}]}}}}",
            "providers.mine.base_url: is required for a provider that is not in the catalogue",
        ),
        (f"providers: {{mine: {{{KEY}, base_url: 'http://x'}}}}", "providers.mine.models: lists no model"),
        (
            f"providers: {{groq: {{{KEY}, base_url: 'ftp://x'}}}}",
            "providers.groq.base_url: expected an address such as https://api.example.com/v1",
        ),
        (
            f"providers: {{groq: {{{KEY}, base_url: 'http://[::1'}}}}",
            "providers.groq.base_url: expected an address such as https://api.example.com/v1",
        ),
        (
            f"providers: {{groq: {{{KEY}, base_url: 'http://u:secret@x/v1'}}}}",
            "providers.groq.base_url: may not carry a user, a query or a fragment; keys go into `keys`",
        ),
        (
            f"providers: {{groq: {{{KEY}, kind: soap}}}}",
            "providers.groq.kind: there is no adapter of this kind; there is ollama, openai",
        ),
        (
            f"providers: {{cloudflare: {{{KEY}}}}}",
            "providers.cloudflare.base_url: needs the environment variable CF_ACCOUNT as well",
        ),
        (
            f"providers: {{groq: {{{KEY}, like: gemini}}}}",
            "providers.groq.like: `like` is for providers of your own; groq is in the catalogue",
        ),
        (
            OWN.format(like="grok", more=""),
            "providers.mine.like: there is no provider `grok`; did you mean `groq`?",
        ),
        (OWN.format(like="mine", more=""), "providers.mine.like: leads back to itself"),
        (
            OWN.format(like="b", more=", b: {like: mine}"),
            "providers.mine.like: leads back to itself",
        ),
        (
            f"providers: {{groq: {{{KEY}, models: {{only: [gpt-oss]}}}}}}",
            "providers.groq.models.only[0]: there is no model `gpt-oss`; did you mean `openai/gpt-oss-20b`?",
        ),
        (
            f"providers: {{groq: {{{KEY}, models: [{{id: a}}, {{id: a}}]}}}}",
            "providers.groq.models[1].id: the same model is given twice",
        ),
        (
            f"providers: {{gemini: {{{KEY}, models: [{{id: a, retires: soon}}]}}}}",
            "providers.gemini.models[1].retires: expected a date such as 2027-01-31",
        ),
        (
            f"providers: {{gemini: {{{KEY}, limits: [{DAILY}, {DAILY}]}}}}",
            "providers.gemini.limits[1]: requests/day is limited twice",
        ),
        (
            f"providers: {{gemini: {{{KEY}, limits: [{MINUTE}, {DAILY}, {SIXTY}]}}}}",
            "providers.gemini.limits[2]: requests/60s is limited twice (it is requests/minute as well)",
        ),
        (
            f"providers: {{gemini: {{{KEY}, limits: [{SIXTY}], models: [{{id: m, limits: [{MINUTE}]}}]}}}}",
            f"providers.gemini.models[1].limits: {TWICE.replace('day', 'minute')}",
        ),
        (
            f"providers: {{groq: {{{KEY}, precharge: {{default: -1}}}}}}",
            "providers.groq.precharge.default: expected integer >= 1",
        ),
        (
            f"providers: {{groq: {{{KEY}, quirks: {{default_max_tokens: 0}}}}}}",
            "providers.groq.quirks.default_max_tokens: expected integer >= 1",
        ),
        (
            f"providers: {{groq: {{{KEY}, quirks: {{clamps: {{temperature: [1, 0]}}}}}}}}",
            "providers.groq.quirks.clamps.temperature: expected the lowest value and then the highest",
        ),
        (
            f"providers: {{groq: {{{KEY}, errors: [{{kind: fault, status: 99}}]}}}}",
            "providers.groq.errors[0].status: expected integer >= 100",
        ),
        (
            f"providers: {{gemini: {{{KEY}, limits: [{DAILY}, {CALENDAR}]}}}}",
            "providers.gemini.limits[1]: requests/day is limited twice",
        ),
        (
            f"providers: {{gemini: {{{KEY}, models: [{{id: m, limits: [{CALENDAR}, {DAILY}]}}]}}}}",
            "providers.gemini.models[1].limits[1]: requests/day is limited twice",
        ),
        (
            f"providers: {{gemini: {{{KEY}, models: [{ONE}, {OTHER}]}}}}",
            "providers.gemini.models[2].limits: a counts requests/day per account in another way",
        ),
        (
            f"providers: {{groq: {{{KEY}, key_check: '@elsewhere.example/'}}}}",
            "providers.groq.key_check: expected a path such as /models, or a whole address",
        ),
        (
            f"providers: {{groq: {{{KEY}, limits: [{DAILY}], models: [{{id: m, limits: [{ACCOUNT}]}}]}}}}",
            f"providers.groq.models[4].limits: {TWICE}",
        ),
        (
            "providers: {groq: {keys: [{key: a, label: x}, {key: b, label: x}]}}",
            "providers.groq.keys[1].label: another key has this label",
        ),
        (
            "providers: {groq: {keys: [{key: a, label: 'x/y'}]}}",
            "providers.groq.keys[0].label: is made of letters, digits, `.`, `_`, `@` and `-`",
        ),
        (
            'providers: {groq: {keys: [{key: a, label: "x\\n"}]}}',
            "providers.groq.keys[0].label: is made of letters, digits, `.`, `_`, `@` and `-`",
        ),
        (
            'providers: {groq: {keys: [{key: a, account: "x\\e[2J"}]}}',
            "providers.groq.keys[0].account: is made of letters, digits, `.`, `_`, `@` and `-`",
        ),
        (
            "providers: {groq: {keys: [{key: a, account: ''}]}}",
            "providers.groq.keys[0].account: is made of letters, digits, `.`, `_`, `@` and `-`",
        ),
        (
            f"providers: {{groq: {{{KEY}, headers: {{'a b': c}}}}}}",
            "providers.groq.headers: holds a name or a value that no header can carry",
        ),
        (
            f"providers: {{groq: {{{KEY}, errors: [{{kind: no_capasity}}]}}}}",
            "providers.groq.errors[0].kind: there is no kind `no_capasity`; did you mean `no_capacity`?",
        ),
        (
            f"providers: {{groq: {{{KEY}, errors: [{{kind: rate_limited, window: year}}]}}}}",
            "providers.groq.errors[0].window: expected one of second, minute, hour, day, week, month",
        ),
        (
            f"providers: {{groq: {{{KEY}, max_context: 8192}}}}",
            "providers.groq.max_context: only `kind: ollama` asks its server for a context",
        ),
        (
            "meta_models: {m: {models: [groq/gpt-oss-1]}}",
            "meta_models.m.models[0]: there is no model `groq/gpt-oss-1`; did you mean `groq/gpt-oss-120b`?",
        ),
        (
            "meta_models: {m: {models: [llama9]}}",
            "meta_models.m.models[0]: there is no model `llama9`; a local model is written ollama/NAME",
        ),
        (
            "model_aliases: {'gpt-4*': groq/gpt-oss-1}",
            "model_aliases.gpt-4*: there is no model `groq/gpt-oss-1`; did you mean `groq/gpt-oss-120b`?",
        ),
        (
            "model_aliases: {'gpt-4*': groq/*}",
            "model_aliases.gpt-4*: leads to one name; `meta_models` puts several models under one",
        ),
    ],
)
def test_what_dangles_or_contradicts_is_refused_by_name(built, text, error):
    with pytest.raises(ConfigError) as caught:
        built(text)
    assert str(caught.value) == f"freeroute.yaml: {error}"


@pytest.mark.parametrize(
    ("env", "error"),
    [
        ({"GROQ_API_KEY": "sk secret"}, "environment: GROQ_API_KEY: holds a character that no key has"),
        (
            {"GROQ_API_KEY": "a,b", "FREEROUTE_ADMIN_KEY": "b"},
            (
                "environment: GROQ_API_KEY: is the same key as FREEROUTE_ADMIN_KEY: no provider is shown a"
                " key of this gateway"
            ),
        ),
        (
            {"OLLAMA_HOST": "a b"},
            "environment: OLLAMA_HOST: expected an address such as https://api.example.com/v1",
        ),
    ],
)
def test_a_bad_variable_is_named_without_its_value(built, env, error):
    with pytest.raises(ConfigError) as caught:
        built(env=env)
    assert str(caught.value) == error


def test_a_variable_cannot_change_the_host_of_an_address(built):
    with pytest.raises(ConfigError) as caught:
        built("providers: {cloudflare: {}}", {"CF_TOKEN": "t", "CF_ACCOUNT": "a/../b"})
    problem = "CF_ACCOUNT holds a character that does not belong into an address"
    assert str(caught.value) == f"freeroute.yaml: providers.cloudflare.base_url: {problem}"
