import hashlib
from pathlib import Path

import pytest
from msgspec import UNSET

from freeroute.config.load import Overrides, Settings, load
from freeroute.domain.catalogue import Unit, WindowKind
from freeroute.domain.clients import hash_key
from freeroute.errors import ConfigError


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path


def read(here: Path, text: str | None = None, env: dict[str, str] | None = None, **flags) -> Settings:
    if text is not None:
        (here / "freeroute.yaml").write_text(text, encoding="utf-8")
    return load(Overrides(**flags), env or {}, here, here / "home")


def refused(here: Path, text: str | None = None, env: dict[str, str] | None = None, **flags) -> str:
    with pytest.raises(ConfigError) as caught:
        read(here, text, env, **flags)
    return str(caught.value)


def test_with_nothing_at_all_the_defaults_hold(here):
    settings = read(here)
    assert (settings.server.host, settings.server.port) == ("127.0.0.1", 3000)
    assert settings.state_dir == here / "home/.local/state/freeroute"
    assert float(settings.routing.max_wait) == 20
    assert (settings.file, settings.open, settings.admin_key, settings.clients) == (None, False, None, ())


def test_a_flag_wins_over_environment_over_file_over_default(here):
    text = "server: {port: 3001, host: 127.0.0.2, body_limit: 1MiB}\nlogging: {level: debug}"
    env = {"FREEROUTE_SERVER__PORT": "3002", "FREEROUTE_LOGGING__LEVEL": "error"}
    settings = read(here, text, env, port=3003)
    assert settings.server.port == 3003
    assert settings.logging.level == "error"
    assert settings.server.host == "127.0.0.2"
    assert settings.server.body_limit == 2**20
    assert settings.logging.format == "console"


def test_every_flag_reaches_its_setting(here):
    settings = read(
        here, host="::1", state_dir="state", keyless=True, open=True, log_format="json", log_level="warning"
    )
    assert settings.server.host == "::1"
    assert settings.state_dir == here / "state"
    assert settings.discovery.keyless
    assert settings.open
    assert (settings.logging.format, settings.logging.level) == ("json", "warning")


def test_scalars_lists_and_durations_come_from_the_environment(here):
    env = {
        "FREEROUTE_ROUTING__MAX_WAIT": "1m30s",
        "FREEROUTE_SERVER__HOSTS": "a.example, b.example",
        "FREEROUTE_SERVER__BODY_LIMIT": "64KiB",
        "FREEROUTE_DISCOVERY__LOCAL": "false",
        "FREEROUTE_PRIVACY": "no-train",
        "FREEROUTE_OPEN": "1",
        "FREEROUTE_ADMIN_KEY": "boss",
    }
    settings = read(here, env=env)
    assert float(settings.routing.max_wait) == 90
    assert settings.server.hosts == ("a.example", "b.example")
    assert settings.server.body_limit == 65536
    assert settings.discovery.local is False
    assert (settings.privacy, settings.open, settings.admin_key) == ("no-train", True, "boss")


def test_the_url_of_a_database_may_be_a_reference_and_is_never_shown(here):
    settings = read(here, "storage: {url: env:RECORDS}", {"RECORDS": "postgres://me:secret@db/records"})
    assert settings.storage.url == "postgresql://me:secret@db/records"
    assert "secret" not in repr(settings.storage)


def test_port_is_honoured_and_yields_to_the_gateways_own_variable(here):
    assert read(here, "server: {port: 1}", {"PORT": "8000"}).server.port == 8000
    assert read(here, env={"PORT": "8000", "FREEROUTE_SERVER__PORT": "9000"}).server.port == 9000


def test_the_settings_file_is_looked_for_in_order(here):
    home = here / "home/.config/freeroute"
    home.mkdir(parents=True)
    (home / "freeroute.yaml").write_text("server: {port: 1}")
    assert read(here).server.port == 1
    assert read(here, "server: {port: 2}").server.port == 2
    (here / "env.yaml").write_text("server: {port: 3}")
    (here / "flag.yaml").write_text("server: {port: 4}")
    env = {"FREEROUTE_CONFIG": "env.yaml"}
    assert read(here, env=env).server.port == 3
    assert read(here, env=env, config="flag.yaml").server.port == 4
    assert read(here, config=str(here / "flag.yaml")).file == here / "flag.yaml"


def test_a_dotenv_file_never_overrides_the_real_environment(here):
    (here / ".env").write_text("GROQ_API_KEY=from-file\nPORT=5000\nA=b\n")
    settings = read(here, env={"GROQ_API_KEY": "real"})
    assert settings.environ["GROQ_API_KEY"] == "real"
    assert settings.environ["A"] == "b"
    assert settings.server.port == 5000


def test_references_are_resolved_wherever_a_key_may_stand(here):
    (here / "key.txt").write_text("from-file\n")
    (here / "home/home.txt").write_text("from-home")
    text = """
server: {metrics_key: env:METRICS}
providers:
  groq:
    keys:
      - literal
      - env:SEVERAL
      - {key: file:key.txt, label: spare, account: team-b}
      - {key: env:MORE, label: more}
      - file:~/home.txt
  own: {base_url: http://x/v1, keys: []}
  gemini:
clients:
  - {name: alice, key: env:ALICE}
"""
    env = {"METRICS": "m", "SEVERAL": "one, two,,one", "MORE": "three,four", "ALICE": "a,b"}
    settings = read(here, text, env)
    assert settings.server.metrics_key == "m"
    keys = settings.providers["groq"].keys
    assert keys is not UNSET
    assert [(k.key, k.label, k.account) for k in keys if not isinstance(k, str)] == [
        ("literal", None, "default"),
        ("one", None, "default"),
        ("two", None, "default"),
        ("from-file", "spare", "team-b"),
        ("three", "more", "default"),
        ("four", "more-2", "default"),
        ("from-home", None, "default"),
    ]
    assert settings.providers["own"].keys == ()
    assert settings.providers["gemini"].keys is UNSET
    assert settings.clients[0].key_hash == hash_key("a,b")


def test_clients_get_their_limits_expiry_and_floor(here):
    hashed = hashlib.sha256(b"k").hexdigest()
    text = f"""
clients:
  - name: alice
    key_hash: sha256:{hashed}
    requests_per_minute: 20
    tokens_per_minute: 1000
    tokens_per_day: 5000
    tokens_per_month: 90000
    concurrency: 2
    max_wait: 1m
    note: paid by nobody
    models: [free*]
    expires: 2027-01-31
    privacy: no-train
  - {{name: bob, key: b, expires: '2027-01-31T00:00:00+02:00'}}
"""
    default, alice, bob = read(here, text, {"FREEROUTE_API_KEY": "main"}).clients
    assert (default.name, default.key_hash) == ("default", hash_key("main"))
    assert alice.key_hash == hash_key("k")
    assert [(limit.unit, limit.amount, limit.label) for limit in alice.limits] == [
        (Unit.REQUESTS, 20, "requests/minute"),
        (Unit.TOKENS, 1000, "tokens/minute"),
        (Unit.TOKENS, 5000, "tokens/day"),
        (Unit.CONCURRENCY, 2, "concurrency"),
        (Unit.TOKENS, 90000, "tokens/month"),
    ]
    assert alice.limits[-1].window is WindowKind.CALENDAR
    assert (alice.max_wait, alice.note, bob.max_wait) == (60.0, "paid by nobody", None)
    assert (alice.models, alice.no_train, alice.expires) == (("free*",), True, 1801353600.0)
    assert bob.expires == 1801353600.0 - 7200
    assert (bob.models, bob.no_train, bob.limits) == (None, False, ())


def test_sections_without_content_are_their_defaults(here):
    settings = read(here, "server:\nrouting:\nclients:\nproviders:\nmeta_models:\nmodel_aliases:\n")
    assert (settings.server.port, settings.clients, settings.providers) == (3000, (), {})


def test_no_key_shows_in_what_is_printed(here):
    text = """
server: {metrics_key: hush4}
providers: {groq: {keys: [hush, {key: hush2, label: a}]}}
clients: [{name: a, key: hush5}]
"""
    settings = read(here, text, {"FREEROUTE_ADMIN_KEY": "hush3"})
    for part in (settings, settings.server, settings.providers, settings.providers["groq"].keys):
        assert "hush" not in repr(part)


ORIGIN = "expected an origin such as https://app.example.com, or `*`"
DATABASE = "expected postgresql://user:password@host/database"
HOST = "expected a name such as gateway.example.com, without scheme, path or `*`"

# What stands in the file, and the error after the file's name.
RECEIVER = "endpoint must be a URL such as http://localhost:4318, without a key in it"
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
