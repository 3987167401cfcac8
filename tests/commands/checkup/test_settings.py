"""What the doctor finds in the settings, the variables and the limits."""

from tests.commands.checkup.conftest import KEY, about, alpha, settings

# --- settings and variables ---------------------------------------------------------------------------------


def test_variables_that_look_like_keys_and_are_not_used_are_explained(examined, home, monkeypatch):
    for name in ("GEMINI_KEY", "OPENAI_API_KEY", "MISTRAL_API_KEY", "GROQ_API_KEY", "CEREBRAS_API_KEY"):
        monkeypatch.setenv(name, f"value-of-{name}")
    monkeypatch.setenv("COHERE_API_KEY", "")
    monkeypatch.setenv("OPENROUTER_API_KEY", " ")
    monkeypatch.setenv("ALICE_API_KEY", "alices-own-key")
    monkeypatch.setenv("API_KEYBOARD", "dvorak")
    settings(
        home,
        discovery={"env": False, "local": False},
        providers={"groq": {"keys": [KEY]}, "cerebras": {}},
        clients=[{"name": "alice", "key": "env:ALICE_API_KEY"}],
    )
    found, _ = examined("--offline")
    assert about(found, "environment") == [
        "warning environment: GEMINI_KEY is set, and nobody reads it",
        "note environment: GROQ_API_KEY is set, and not used: providers.groq.keys says which keys are",
        "note environment: MISTRAL_API_KEY is set, and not used: discovery.env is off",
        "note environment: OPENAI_API_KEY looks like a key, and no provider of the catalogue takes it",
        "note environment: empty: COHERE_API_KEY, OPENROUTER_API_KEY",
    ]


def test_of_two_variables_of_a_provider_the_second_is_explained(examined, home, monkeypatch):
    monkeypatch.setenv("GEMINI_API_KEY", "one-key")
    monkeypatch.setenv("GOOGLE_API_KEY", "another-key")
    found, _ = examined("--offline")
    (line,) = [line for line in found if "GOOGLE_API_KEY is set" in line]
    assert line.startswith("note ")


def test_a_file_with_keys_that_others_may_read_is_a_warning(examined, home):
    settings(home, providers={"groq": {"keys": [KEY]}})
    (home / "freeroute.yaml").chmod(0o644)
    (home / ".env").write_text("NOTHING=secret\n")
    found, _ = examined("--offline")
    told = [line for line in found if "may read it" in line]
    assert told == [
        "warning settings: ~/freeroute.yaml: holds keys, and others on this machine may read it (mode 0644)"
    ]


def test_a_bind_that_serve_would_refuse_is_a_problem_and_an_open_one_a_warning(examined, home, monkeypatch):
    monkeypatch.setenv("FREEROUTE_SERVER__HOST", "0.0.0.0")
    found, code = examined("--offline")
    assert code == 1
    assert any(line.startswith("problem settings: server.host: 0.0.0.0 is reachable") for line in found)
    monkeypatch.setenv("FREEROUTE_OPEN", "1")
    found, _ = examined("--offline")
    assert any("may spend your quota" in line for line in found if line.startswith("warning"))


def test_clients_that_cannot_be_read_and_keys_that_do_not_open_are_problems(examined, home, state, run):
    assert run("keys", "add", "groq", "mine", input=f"{KEY}\n").exit_code == 0
    (state / "encryption_key").unlink()
    (state / "clients.json").write_text("{")
    found, code = examined("--offline")
    assert code == 1
    assert any("clients.json: is damaged" in line for line in found if line.startswith("problem settings"))
    assert any("sealed with another" in line or "locked" in line for line in about(found, "keys"))


def test_traces_without_their_libraries_are_told(examined, home, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
    found, _ = examined("--offline")
    assert any("OTEL_EXPORTER_OTLP_ENDPOINT is set, and no traces" in line for line in found)
    settings(home, traces={"endpoint": "http://127.0.0.1:4318"})
    found, _ = examined("--offline")
    assert "problem settings: traces.endpoint is set, and OpenTelemetry's libraries are missing" in found


# --- limits -------------------------------------------------------------------------------------------------


def test_limits_that_are_odd_or_shared_are_told(examined, home):
    more = [{"unit": "requests", "amount": 300, "per": "minute", "scope": "model"}]
    groq = {"keys": [KEY, f"{KEY}-second"], "limits": more}
    settings(home, providers={"groq": groq, "spare": alpha("https://api.groq.com", limits=[])})
    found, _ = examined("--offline")
    higher = "providers.groq.limits: 300 requests per minute are more than the 30 that are published"
    assert about(found, "limits") == [
        "note limits: groq: 2 keys share the limits of the account default",
        f"warning limits: {higher}",
        "note limits: providers.groq.limits leaves out requests per day, which is published",
        "note limits: providers.groq.limits leaves out tokens per minute, which is published",
        "note limits: providers.groq.limits leaves out tokens per day, which is published",
        "note limits: spare: nobody tells its limits; they are found by what it refuses",
        "warning limits: groq and spare use the same key: each counts its own calls against the one quota",
    ]
