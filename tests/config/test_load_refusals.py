"""What cannot be loaded is refused in one clear line, which tells where it stands and no key."""

import hashlib
from pathlib import Path

import pytest

from freeroute.errors import ConfigError
from tests.config.conftest import read


def refused(here: Path, text: str | None = None, env: dict[str, str] | None = None, **flags) -> str:
    with pytest.raises(ConfigError) as caught:
        read(here, text, env, **flags)
    return str(caught.value)


ORIGIN = "expected an origin such as https://app.example.com, or `*`"
DATABASE = "expected postgresql://user:password@host/database"
HOST = "expected a name such as gateway.example.com, without scheme, path or `*`"
RECEIVER = "endpoint must be a URL such as http://localhost:4318, without a key in it"

# What stands in the file, and the error after the file's name.
BAD_FILES = [
    ("servr: {}", "servr: unknown field; did you mean `server`?"),
    ("server: 3", "server: expected mapping, got integer"),
    ("server: {port: 99999}", "server.port: expected integer <= 65535"),
    ("server: {port: '80'}", "server.port: expected integer, got str"),
    ("server: {prot: 80}", "server.prot: unknown field; did you mean `port`?"),
    ("server: {body_limit: lots}", "server.body_limit: expected a size such as 64KiB or 20MiB"),
    ("server: {body_limit: 1023}", "server: body_limit must be 1KiB or more"),
    (f"server: {{body_limit: {'9' * 400}GiB}}", "server.body_limit: expected a size such as 64KiB or 20MiB"),
    ("server: {cors: ['*', app.example.com]}", f"server.cors[1]: {ORIGIN}"),
    ("server: {cors: ['https://a.example/app']}", f"server.cors[0]: {ORIGIN}"),
    ("server: {cors: ['https://*.a.example']}", f"server.cors[0]: {ORIGIN}"),
    ("server: {cors: ['null']}", f"server.cors[0]: {ORIGIN}"),
    ("server: {hosts: ['https://a.example']}", f"server.hosts[0]: {HOST}"),
    ("server: {hosts: [a.example/app]}", f"server.hosts[0]: {HOST}"),
    ("server: {hosts: [a.example, '*']}", f"server.hosts[1]: {HOST}"),
    ("server: {hosts: ['*.a.example']}", f"server.hosts[0]: {HOST}"),
    ('server: {hosts: ["a.example\\n"]}', f"server.hosts[0]: {HOST}"),
    ("server: {port: 1, port: 2}", "freeroute.yaml:1: `port` is given twice"),
    ("discovery: {env: yes}", "discovery.env: expected true or false, got str"),
    ("privacy: none", "privacy: expected one of any, no-train"),
    ("logging: {level: loud}", "logging.level: expected one of debug, error, info, warning"),
    ("routing: {max_attempts: 0}", "routing.max_attempts: expected integer >= 1"),
    ("routing: {max_attempts: 1001}", "routing.max_attempts: expected integer <= 1000"),
    ("routing: {deadline: 0}", "routing: deadline must be longer than zero"),
    ("routing: {affinity: 401d}", "routing.affinity: may be 400 days at most"),
    ("storage: {keep: 30s}", "storage: keep must be a minute or more; `records: false` stores nothing"),
    ("traces: {endpoint: localhost:4318}", f"traces: {RECEIVER}"),
    ("traces: {endpoint: 'https://me:secret@a.example'}", f"traces: {RECEIVER}"),
    ("traces: {sample: 2}", "traces.sample: expected number <= 1.0"),
    ("storage: {max_size: 1MB}", "storage: max_size must be 1MiB or more"),
    ("storage: {url: mysql://a/b}", f"storage.url: {DATABASE}"),
    ("storage: {url: 'postgresql:'}", f"storage.url: {DATABASE}"),
    ("storage: {url: env:NOPE}", "storage.url: the environment variable NOPE is not set, nor is it in .env"),
    ("providers: [groq]", "providers: expected a mapping of names to entries"),
    ("providers: {groq: 3}", "providers.groq: expected mapping, got integer"),
    (
        "providers: {a/b: {}}",
        (
            "providers.a/b: a name is made of letters, digits, `.`, `_` and `-`, and begins with a "
            "letter or digit"
        ),
    ),
    (
        "providers: {groq: {limits: [{unit: requests, amount: x, per: day}]}}",
        "providers.groq.limits[0].amount: expected number, got str",
    ),
    ("providers: {groq: {rpmm: 3}}", "providers.groq.rpmm: unknown field"),
    (
        "providers: {groq: {keys: [a, env:NOPE]}}",
        "providers.groq.keys[1]: the environment variable NOPE is not set, nor is it in .env",
    ),
    (
        "providers: {groq: {keys: [env:EMPTY]}}",
        "providers.groq.keys[0]: the environment variable EMPTY is not set, nor is it in .env",
    ),
    (
        "providers: {groq: {keys: [file:nope.txt]}}",
        "providers.groq.keys[0]: file:nope.txt: cannot be read: No such file or directory",
    ),
    (
        "providers: {groq: {keys: ['sk secret']}}",
        "providers.groq.keys[0]: holds a character that no key has, such as a space or a line break",
    ),
    ("providers: {groq: {keys: ['']}}", "providers.groq.keys[0]: is empty"),
    ("providers: {groq: {keys: [a, a]}}", "providers.groq.keys[1]: repeats an earlier key"),
    (
        "{providers: {groq: {keys: [a, k]}}, clients: [{name: alice, key: k}]}",
        (
            "providers.groq.keys[1]: is the same key as that of the client alice:"
            " no provider is shown a key of this gateway"
        ),
    ),
    (
        "{providers: {groq: {keys: [m]}}, server: {metrics_key: m}}",
        (
            "providers.groq.keys[0]: is the same key as server.metrics_key:"
            " no provider is shown a key of this gateway"
        ),
    ),
    (
        "meta_models: {coding: {strategy: best}}",
        "meta_models.coding.strategy: expected one of fast, free, smart",
    ),
    (
        "meta_models: {coding: {require: [tools, json_shema]}}",
        (
            "meta_models.coding.require[1]: expected one of audio, audio_output, chat, completions, "
            "dimensions, embeddings, files, image_output, images, json_object, json_schema, moderation, "
            "reasoning, rerank, speech, tools, transcription, video; did you mean `json_schema`?"
        ),
    ),
    ("model_aliases: [free]", "model_aliases: expected a mapping of names to entries"),
    ("model_aliases: {gpt-4: 5}", "model_aliases.gpt-4: expected str or nothing, got integer"),
    ("model_aliases: {4: free}", "model_aliases.4: a pattern of names is a text of 1 to 256 characters"),
    ("clients: {alice: {}}", "clients: expected list, got mapping"),
    ("clients: [{name: a, key: k, weight: 0}]", "clients[0].weight: expected number >= 0.001"),
    ("clients: [{name: a, key: k, weight: 1.0e-320}]", "clients[0].weight: expected number >= 0.001"),
    (
        f"clients: [{{name: a, key: k, tokens_per_day: 1{'0' * 309}}}]",
        "clients[0].tokens_per_day: expected integer <= 1000000000000000",
    ),
    ("clients: [{key: a}]", "clients[0].name: is required"),
    ("clients: [{name: a}]", "clients[0]: give either `key` or `key_hash`"),
    ("clients: [{name: a, key: k}, {name: a, key: l}]", "clients[1].name: another client has this name"),
    ("clients: [{name: a, key: k}, {name: b, key: k}]", "clients[1].key: another client has this key"),
    (
        "clients: [{name: a, key: k, expires: soon}]",
        "clients[0].expires: expected a date such as 2027-01-31, or a date with a time",
    ),
    (
        "clients: [{name: a, key: env:NOPE}]",
        "clients[0].key: the environment variable NOPE is not set, nor is it in .env",
    ),
    (f"clients: [{{name: a, key: {'k' * 513}}}]", "clients[0].key: is longer than 512 characters"),
    (
        'clients: [{name: a, key: k, note: "a\\nb"}]',
        "clients[0]: note holds a line break or another control character",
    ),
    (
        'clients: [{name: a, key: k, models: ["free*", "m\\0"]}]',
        "clients[0]: models holds a line break or another control character",
    ),
    (
        "clients: [{name: other, key: k}]",
        "clients[0]: name `other` stands for all clients beyond those that are counted apart",
    ),
    (
        "clients: [{name: a, key: k, models: ['']}]",
        "clients[0].models[0]: expected str of length >= 1",
    ),
]


ALONE = "a key that callers hold may open nothing else"
HUSH = hashlib.sha256(b"hush").hexdigest()


BAD_ENVIRONMENTS = [
    ({"FREEROUTE_SERVER__PORT": "x"}, "environment: FREEROUTE_SERVER__PORT: expected integer, got str"),
    ({"PORT": "-1"}, "environment: PORT: expected integer >= 0"),
    ({"FREEROUTE_SERVER__PROT": "1"}, "environment: FREEROUTE_SERVER__PROT: there is no setting server.prot"),
    ({"FREEROUTE_CLIENTS__0": "1"}, "environment: FREEROUTE_CLIENTS__0: there is no setting clients.0"),
    (
        {"FREEROUTE_LOGGING__LEVEL": "loud"},
        "environment: FREEROUTE_LOGGING__LEVEL: expected one of debug, error, info, warning",
    ),
    (
        {"FREEROUTE_SERVER__CORS": "https://a.example,b.example"},
        f"environment: FREEROUTE_SERVER__CORS[1]: {ORIGIN}",
    ),
    ({"FREEROUTE_SERVER__BODY_LIMIT": "1"}, "FREEROUTE_SERVER__BODY_LIMIT: body_limit must be 1KiB or more"),
    ({"FREEROUTE_ROUTING__DEADLINE": "0s"}, "FREEROUTE_ROUTING__DEADLINE: deadline must be longer than zero"),
    (
        {"FREEROUTE_API_KEY": "hush", "FREEROUTE_ADMIN_KEY": "hush"},
        f"environment: FREEROUTE_API_KEY: is the same key as FREEROUTE_ADMIN_KEY: {ALONE}",
    ),
    ({"FREEROUTE_OPEN": "perhaps"}, "environment: FREEROUTE_OPEN: expected 1 or 0"),
    (
        {"FREEROUTE_API_KEY": "a b"},
        (
            "environment: FREEROUTE_API_KEY: holds a character that no key has, such as a space or a "
            "line break"
        ),
    ),
    ({"FREEROUTE_CONFIG": "nope.yaml"}, "nope.yaml: there is no such settings file"),
]


@pytest.mark.parametrize(("text", "error"), BAD_FILES)
def test_a_bad_setting_is_refused_in_one_clear_line(here, text, error):
    assert refused(here, text, {"EMPTY": " , "}).removeprefix("freeroute.yaml: ") == error


@pytest.mark.parametrize(("env", "error"), BAD_ENVIRONMENTS)
def test_a_bad_variable_is_refused_by_its_name(here, env, error):
    assert refused(here, env=env) == error


@pytest.mark.parametrize(
    ("text", "env", "error"),
    [
        (
            "clients: [{name: a, key: b}, {name: b, key: hush}]",
            {"FREEROUTE_ADMIN_KEY": "hush"},
            "freeroute.yaml: clients[1].key: is the same key as FREEROUTE_ADMIN_KEY",
        ),
        (
            f"clients: [{{name: a, key_hash: {HUSH}}}]",
            {"FREEROUTE_ADMIN_KEY": "hush"},
            "freeroute.yaml: clients[0].key_hash: is the same key as FREEROUTE_ADMIN_KEY",
        ),
        (
            "server: {metrics_key: env:METRICS}\nclients: [{name: a, key: hush}]",
            {"METRICS": "hush"},
            "freeroute.yaml: clients[0].key: is the same key as server.metrics_key",
        ),
        (
            "server: {metrics_key: hush}",
            {"FREEROUTE_API_KEY": "hush"},
            "environment: FREEROUTE_API_KEY: is the same key as server.metrics_key",
        ),
    ],
)
def test_a_callers_key_opens_neither_the_admin_routes_nor_the_metrics(here, text, env, error):
    assert refused(here, text, env) == f"{error}: {ALONE}"


def test_the_key_for_metrics_is_not_the_operator_s(here):
    told = refused(here, "server: {metrics_key: hush}", {"FREEROUTE_ADMIN_KEY": "hush"})
    assert told.startswith("freeroute.yaml: server.metrics_key: is the same key as FREEROUTE_ADMIN_KEY")
    assert "hush" not in told


def test_a_bad_flag_is_named(here):
    assert refused(here, port=99999) == "--port: expected integer <= 65535"


def test_a_bad_dotenv_file_is_named_with_its_line(here):
    (here / ".env").write_text("GROQ_API_KEY\n")
    assert refused(here) == ".env:1: expected NAME=value"


def test_a_key_file_that_is_empty_is_refused(here):
    (here / "key.txt").write_text("\n")
    error = refused(here, "providers: {groq: {keys: [file:key.txt]}}")
    assert error == "freeroute.yaml: providers.groq.keys[0]: is empty"
