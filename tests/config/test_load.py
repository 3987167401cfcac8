"""Settings as they come to from flags, the environment and files."""

import hashlib

from msgspec import UNSET

from freeroute.domain.catalogue import Unit, WindowKind
from freeroute.domain.clients import hash_key
from tests.config.conftest import read


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
