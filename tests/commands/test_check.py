"""Checking settings and keys."""

import json

import httpx
import pytest
import respx

MODELS = "https://api.groq.com/openai/v1/models"
REFUSED = {
    "error": {"message": "Invalid API Key", "type": "invalid_request_error", "code": "invalid_api_key"}
}


@pytest.fixture
def groq(monkeypatch):
    monkeypatch.setenv("GROQ_API_KEY", "gsk_testtesttesttest1234")
    with respx.mock(assert_all_called=False) as router:
        yield router.get(MODELS)


def test_a_good_key_exits_with_0(run, groq):
    groq.respond(200, json={"object": "list", "data": []})
    result = run("check")
    assert result.exit_code == 0, result.stdout
    assert "valid" in result.stdout


def test_a_refused_key_exits_with_1_and_is_never_shown(run, groq):
    groq.respond(401, json=REFUSED)
    result = run("check", "groq")
    assert result.exit_code == 1
    assert "invalid" in result.stdout
    assert "gsk_test" not in result.output


def test_a_network_that_fails_says_nothing_of_the_key(run, groq):
    groq.mock(side_effect=httpx.ConnectError("no route"))
    found = json.loads(run("check", "--json").stdout)
    assert [(line["provider"], line["verdict"]) for line in found["keys"]] == [("groq", "unknown")]
    assert run("check").exit_code == 0


def test_without_the_network_nobody_is_called(run, groq):
    result = run("check", "--no-network", "--json")
    found = json.loads(result.stdout)
    assert result.exit_code == 0
    assert found["checked"] is False
    assert [line["verdict"] for line in found["keys"]] == [None]
    assert not groq.called


def test_a_provider_that_is_not_on_is_wrong_usage(run, groq):
    result = run("check", "cohere")
    assert result.exit_code == 2
    assert "'cohere' is not switched on; there is: groq" in result.stderr


def test_with_nothing_on_it_says_how_to_get_going(run):
    result = run("check")
    assert result.exit_code == 0
    assert "No provider is switched on" in result.stdout


def test_a_bind_that_serve_would_refuse_is_refused_here_too(run, monkeypatch):
    monkeypatch.setenv("FREEROUTE_SERVER__HOST", "0.0.0.0")
    result = run("check", "--no-network")
    assert result.exit_code == 2
    assert result.stderr.startswith("freeroute: server.host:")
