"""Finding a gateway, and asking it: models, explain, chat."""

import json

import httpx
import pytest
import respx
from hypothesis import given
from hypothesis import strategies as st

from freeroute.commands.running import base_url
from freeroute.commands.tables import ago, plain, table, tokens
from freeroute.errors import ConfigError

GATEWAY = "http://127.0.0.1:3000"
CHAT = f"{GATEWAY}/v1/chat/completions"
ANSWERED = {"x-freeroute-provider": "groq", "x-freeroute-model": "m", "x-freeroute-attempts": "2"}
PIECES = [
    {"choices": [{"delta": {"role": "assistant", "content": ""}}]},
    {"choices": [{"delta": {"content": "Hel"}}]},
    {"choices": [{"delta": {"content": "lo"}, "finish_reason": "stop"}]},
    {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}},
]


@pytest.fixture
def gateway():
    with respx.mock(assert_all_called=False) as router:
        yield router


def stream(*events, done=True):
    body = b"".join(f"data: {json.dumps(event)}\n\n".encode() for event in events)
    headers = {"content-type": "text/event-stream", **ANSWERED}
    return httpx.Response(200, headers=headers, content=body + (b"data: [DONE]\n\n" if done else b""))


@pytest.mark.parametrize(
    ("told", "env", "found"),
    [
        (None, {}, "http://127.0.0.1:3000"),
        (None, {"PORT": "8080"}, "http://127.0.0.1:8080"),
        (None, {"PORT": "8080", "FREEROUTE_URL": "https://ai.example/"}, "https://ai.example"),
        ("http://a:1/v1", {"FREEROUTE_URL": "http://b:2"}, "http://a:1"),
        ("localhost:9", {}, "http://localhost:9"),
        ("http://[::1]:9/api/v1/", {}, "http://[::1]:9"),
        ("https://ai.example/gateway/v1", {}, "https://ai.example/gateway"),
    ],
)
def test_the_address_comes_from_the_flag_the_variables_or_the_usual_port(told, env, found):
    assert base_url(told, env) == found


@pytest.mark.parametrize("told", ["ftp://x", "http://", "http://x:port", "http://x:99999", "//"])
def test_what_is_no_address_is_refused(told):
    with pytest.raises(ConfigError, match="is not the address of a gateway"):
        base_url(told, {})


def test_an_answer_is_printed_and_who_gave_it_is_told_on_stderr(run, gateway):
    asked = gateway.post(CHAT).mock(return_value=stream(*PIECES))
    result = run("chat", "Say", "hello", "-s", "Be brief.")
    assert (result.exit_code, result.stdout) == (0, "Hello\n")
    assert result.stderr == "[groq/m, 3 + 2 tokens, 2 attempts]\n"
    body = json.loads(asked.calls.last.request.content)
    assert body["model"] == "free"
    assert body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Say hello"},
    ]
    assert "authorization" not in asked.calls.last.request.headers


def test_the_client_key_is_sent_and_may_stand_in_dotenv(run, gateway, tmp_path):
    (tmp_path / "home" / ".env").write_text("FREEROUTE_API_KEY=fr-secret\nPORT=3100\n")
    asked = gateway.post("http://127.0.0.1:3100/v1/chat/completions").mock(return_value=stream(*PIECES))
    assert run("chat", "hi").exit_code == 0
    assert asked.calls.last.request.headers["authorization"] == "Bearer fr-secret"


def test_a_dash_stands_for_standard_input(run, gateway):
    asked = gateway.post(CHAT).mock(return_value=stream(*PIECES))
    assert run("chat", "Review:", "-", input="a change\n").exit_code == 0
    assert json.loads(asked.calls.last.request.content)["messages"][0]["content"] == "Review: a change"


def test_without_a_question_nobody_is_asked(run, gateway):
    asked = gateway.post(CHAT)
    assert run("chat", input="  \n").exit_code == 2
    assert not asked.called


def test_an_error_of_the_gateway_is_one_line_and_exit_1(run, gateway):
    error = {"error": {"message": "all 4 candidates are out of quota", "code": "capacity_exhausted"}}
    gateway.post(CHAT).respond(429, json=error)
    for how in ([], ["--json"]):
        result = run("chat", "hi", *how)
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr == "freeroute: all 4 candidates are out of quota (status 429)\n"


def test_a_stream_that_dies_keeps_what_came_and_exits_with_1(run, gateway):
    told = {"error": {"message": "the provider stopped in the middle of its answer"}, "choices": []}
    gateway.post(CHAT).mock(return_value=stream(*PIECES[:2], told))
    result = run("chat", "hi")
    assert (result.exit_code, result.stdout) == (1, "Hel\n")
    assert "stopped in the middle" in result.stderr


def test_a_stream_without_its_end_is_not_taken_for_whole(run, gateway):
    gateway.post(CHAT).mock(return_value=stream(*PIECES, done=False))
    result = run("chat", "hi")
    assert (result.exit_code, result.stderr) == (1, "freeroute: the answer broke off\n")


def test_where_nothing_listens_it_says_how_to_start_one(run, gateway):
    gateway.route().mock(side_effect=httpx.ConnectError("refused"))
    for command in (["chat", "hi"], ["models"], ["explain", "free"]):
        result = run(*command)
        assert result.exit_code == 1
        assert result.stderr.startswith(f"freeroute: no gateway answers at {GATEWAY}; start one with")


def test_something_else_on_that_port_is_not_taken_for_a_gateway(run, gateway):
    gateway.get(f"{GATEWAY}/v1/models").respond(200, html="<h1>It works</h1>")
    result = run("models")
    assert result.exit_code == 1
    assert "this does not look like a gateway" in result.stderr


def test_explain_may_use_the_admin_key_and_the_others_never_do(run, gateway, monkeypatch):
    monkeypatch.setenv("FREEROUTE_ADMIN_KEY", "fa-secret")
    plan = gateway.get(f"{GATEWAY}/v1/plan").respond(404, json={"error": {"message": "no such model"}})
    listed = gateway.get(f"{GATEWAY}/v1/models").respond(401, json={"error": {"message": "No key was sent."}})
    assert run("explain", "free").exit_code == 1
    assert plan.calls.last.request.headers["authorization"] == "Bearer fa-secret"
    assert "set FREEROUTE_API_KEY" in run("models").stderr
    assert "authorization" not in listed.calls.last.request.headers


CANDIDATE = {
    "place": 1,
    "provider": "groq",
    "model": "m",
    "key": "key-1",
    "usable": True,
    "reason": None,
    "back_at": None,
    "tier": 1,
    "expected_seconds": 0.5,
    "quota_left": 0.5,
    "suspect": False,
    "dropped": [],
    "left_out": [],
    "changed": {},
}


@pytest.mark.parametrize(
    ("told", "remark"),
    [
        ({}, ""),
        ({"dropped": ["seed", "user"]}, "without seed, user"),
        ({"dropped": ["seed"], "suspect": True}, "failed last time; without seed"),
        ({"dropped": ["seed"], "place": None, "reason": "no tools"}, "no tools; without seed"),
    ],
)
def test_explain_says_what_is_amiss_with_a_candidate(run, gateway, told, remark):
    plan = {"model": "auto", "stands_for": "free", "strategy": "free", "candidates": [{**CANDIDATE, **told}]}
    gateway.get(f"{GATEWAY}/v1/plan").respond(200, json=plan)
    shown = run("explain", "auto").stdout
    assert shown.startswith("auto is free (free): 1 candidates,")
    assert shown.rstrip().endswith(f"50%         {remark}".rstrip())


def test_explain_says_what_providers_do_not_take_as_it_is(run, gateway):
    cohere = {"provider": "cohere", "left_out": ["seed"], "changed": {"temperature": [0, 1.5]}}
    groq = {"left_out": ["user", "messages[].name"], "changed": {"reasoning_effort": ["low", "high"]}}
    entries = [{**CANDIDATE, **cohere}, {**CANDIDATE, **groq}, {**CANDIDATE, "provider": "ollama"}]
    plan = {"model": "auto", "stands_for": "free", "strategy": "free", "candidates": entries}
    gateway.get(f"{GATEWAY}/v1/plan").respond(200, json=plan)
    *_, empty, head, first, second = run("explain", "free").stdout.splitlines()
    assert [line.split(maxsplit=1) for line in (empty, head, first, second)] == [
        [],
        ["PROVIDER", "CHANGES REQUESTS"],
        ["cohere", "temperature from 0 to 1.5; without seed"],
        ["groq", "without user, messages[].name"],
    ]


RESET = f"{GATEWAY}/v1/status/providers/groq/reset"
FRESH = {
    "id": "groq",
    "state": "healthy",
    "candidates": [{"model": "m", "key": "key-1", "state": "healthy", "reason": None}],
}


def test_a_provider_is_reset_with_the_admin_key(run, gateway, monkeypatch):
    monkeypatch.setenv("FREEROUTE_ADMIN_KEY", "fa-secret")
    monkeypatch.setenv("FREEROUTE_API_KEY", "fr-client")
    asked = gateway.post(RESET).respond(200, json=FRESH)
    result = run("reset", "groq")
    assert (result.exit_code, result.stdout.splitlines()[0]) == (0, "groq: healthy")
    assert "m (key-1)" in result.stdout
    assert asked.calls.last.request.headers["authorization"] == "Bearer fa-secret"
    assert json.loads(run("reset", "groq", "--json").stdout) == FRESH


def test_a_gateway_on_this_machine_is_reset_with_the_key_it_keeps(run, gateway, monkeypatch, tmp_path):
    monkeypatch.setenv("FREEROUTE_SERVER__STATE_DIR", str(tmp_path / "state"))
    asked = gateway.post(RESET).respond(200, json=FRESH)
    assert run("reset", "groq").exit_code == 0
    assert "authorization" not in asked.calls.last.request.headers
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "admin_key").write_text("fa-kept\n")
    assert run("reset", "groq").exit_code == 0
    assert asked.calls.last.request.headers["authorization"] == "Bearer fa-kept"
    far = gateway.post("https://ai.example/v1/status/providers/groq/reset").respond(200, json=FRESH)
    assert run("reset", "groq", "--url", "https://ai.example").exit_code == 0
    assert "authorization" not in far.calls.last.request.headers


def test_an_unknown_provider_is_told_and_nothing_is_reset(run, gateway, monkeypatch):
    monkeypatch.setenv("FREEROUTE_ADMIN_KEY", "fa-secret")
    error = {"error": {"message": "provider 'a/b' is not switched on; there is: groq"}}
    gateway.post(f"{GATEWAY}/v1/status/providers/a%2Fb/reset").respond(404, json=error)
    result = run("reset", "a/b")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "is not switched on" in result.stderr
    monkeypatch.setenv("FREEROUTE_ADMIN_KEY", "f\u00e4")
    assert "the admin key holds a character that no key has" in run("reset", "groq").stderr


def test_models_are_listed_from_the_settings_without_a_gateway(run, monkeypatch):
    monkeypatch.setenv("GROQ_API_KEY", "gsk_test")
    result = run("models", "--offline")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0].split() == ["MODEL", "CONTEXT", "QUALITY", "PRIVACY", "STATE"]
    assert "groq/openai/gpt-oss-120b" in result.stdout
    ids = [entry["id"] for entry in json.loads(run("models", "--offline", "--json").stdout)["data"]]
    assert ids[:3] == ["free", "free-fast", "free-smart"]


def test_a_model_is_explained_from_the_settings_without_a_gateway(run, monkeypatch):
    monkeypatch.setenv("GROQ_API_KEY", "gsk_test")
    result = run("explain", "free-smart", "--offline")
    assert result.exit_code == 0
    assert result.stdout.startswith("free-smart (smart): ")
    assert "100%" in result.stdout
    unknown = run("explain", "fre-smart", "--offline")
    assert unknown.exit_code == 1
    assert "did you mean free-smart" in unknown.stderr


def test_columns_are_aligned_and_nothing_is_cut_off():
    assert table(["A", "B", ""], [["long-long", "1", "x y"], ["s", "22", ""]]).splitlines() == [
        "A          B",
        "long-long  1   x y",
        "s          22",
    ]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-3, "0 s"), (41.2, "41 s"), (119, "119 s"), (600, "10 min"), (9000, "2 h"), (9e5, "10 d")],
)
def test_lengths_of_time_are_said_in_one_unit(seconds, said):
    assert ago(seconds) == said


@pytest.mark.parametrize(("count", "said"), [(None, "-"), (900, "900"), (131072, "131k"), (1048576, "1.0M")])
def test_numbers_of_tokens_are_said_in_short(count, said):
    assert tokens(count) == said


@given(st.text())
def test_no_error_of_a_gateway_can_steer_the_terminal(text):
    assert plain(text).isprintable()


def test_a_question_that_is_not_utf8_is_called_that(run, gateway):
    result = run("chat", "-", input=b"a\xff")
    assert result.exit_code == 2
    assert "standard input is not UTF-8 (byte 1)" in result.stderr


@pytest.mark.parametrize("args", [["\udcff"], ["-m", "\udcff", "Hi"], ["-s", "\udcff", "Hi"]])
def test_arguments_that_are_not_utf8_are_called_that(run, gateway, args):
    result = run("chat", *args)
    assert result.exit_code == 2
    assert "not UTF-8" in result.stderr
    assert "FREEROUTE_API_KEY" not in result.stderr


def test_a_model_that_is_not_utf8_is_called_that(run, gateway):
    result = run("explain", "\udcff")
    assert result.exit_code == 2
    assert "not UTF-8" in result.stderr
