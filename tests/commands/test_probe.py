"""Showing how a provider answers and refuses."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.commands.answering import answering
from tests.commands.conftest import lines_of, process

KEY = "demo-0123456789abcdef0123"
ORG = "org_01hxabcdefabcdef"
WHOLE = {
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "length"}]
}
CALLS = [
    "a completion of one token",
    "a model that does not exist",
    "a parameter out of its range (temperature 99)",
    "a wrong key",
]


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("FREEROUTE_DISCOVERY__LOCAL", "false")
    return tmp_path / "home"


def settings(home: Path, **providers: Any) -> None:
    (home / "freeroute.yaml").write_text(json.dumps({"providers": providers}))


def played(url: str, **given: Any) -> dict[str, Any]:
    """Return the settings of a provider at *url*."""
    key = {"key": KEY, "label": "mine", "account": "acme-team"}
    return {"like": "groq", "base_url": f"{url}/v1", "keys": [key], "models": [{"id": "m"}]} | given


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """Give where the providers of the demo are."""
    with process(
        "demo", "--providers-only", "--port", "0", directory=tmp_path_factory.mktemp("demo")
    ) as started:
        urls: dict[str, str] = {}
        for line in lines_of(started):
            if found := re.fullmatch(r"(\w+) +(http\S+)", line.strip()):
                urls[found[1]] = found[2]
            if "How the next calls" in line:
                break
        yield urls


@pytest.mark.parametrize("name", ["groq", "gemini", "mistral", "cerebras"])
def test_a_provider_is_shown_with_what_is_made_of_it(run, home, simulated, name):
    settings(home, **{name: {"base_url": simulated[name], "keys": [KEY]}})
    result = run("probe", name, "--yes")
    assert result.exit_code == 0
    found = yaml.safe_load(result.stdout)
    assert [call["call"] for call in found["calls"]] == CALLS
    assert [call["as_expected"] for call in found["calls"]] == [True] * 4
    first, absent, _, wrong = found["calls"]
    assert (first["status"], first["understood"]["kind"]) == (200, "served")
    assert absent["understood"]["holds"][0]["place"] == "model"
    assert (wrong["understood"]["kind"], wrong["understood"]["blamed"]) == ("key_invalid", "key")
    assert wrong["understood"]["holds"][0]["seconds"] == "until the key is replaced"
    assert KEY not in result.output


def test_what_was_learned_of_limits_stands_beside_the_headers(run, home, simulated):
    settings(home, groq={"base_url": simulated["groq"], "keys": [KEY]})
    first = json.loads(run("probe", "groq", "--yes", "--json", "-m", "gpt-oss-120b").stdout)["calls"][0]
    assert first["model"] == "openai/gpt-oss-120b"
    assert first["headers"]["x-ratelimit-limit-requests"] == "1000"
    requests, tokens = first["understood"]["rates"]
    assert (requests["counter"], requests["limit"], requests["catalogue"]) == ("requests/day", 1000.0, 1000.0)
    assert tokens["counter"] == "tokens/minute"


def test_nothing_is_sent_without_a_yes_and_what_would_be_is_listed(run, home):
    with answering(chat__completions=WHOLE) as provider:
        settings(home, alpha=played(provider.url))
        result = run("probe", "alpha", input="n\n")
    assert (result.exit_code, result.stdout) == (1, "")
    for words in (
        *CALLS,
        "4 calls to 127.0.0.1, with the key mine and m",
        "at most 4 requests",
        "nothing was sent",
    ):
        assert words in result.stderr
    assert provider.asked == []


def test_nothing_that_is_somebodys_is_in_the_dump(run, home, monkeypatch):
    monkeypatch.setenv("CLOUDFLARE_ACCOUNT_ID", "cafe-account")
    told = (
        f"Rate limit reached in organization `{ORG}` (Acme Corp) of jane@acme.example for key {KEY} on tokens"
        f" per day (TPD): Limit 200000, Used 199999, Requested 10. See cafe-account, acme-team. Again in 7m."
    )
    error = {"message": told, "type": "tokens", "code": "rate_limit_exceeded", "organization": "Acme Corp"}
    head = {"x-ratelimit-limit-tokens": "200000", "retry-after": "432", "x-request-id": ORG, "cf-ray": "8f00"}
    with answering(chat__completions=(429, {"error": error, "user_id": "user_1"}, head)) as provider:
        settings(home, alpha=played(provider.url))
        result = run("probe", "alpha", "-y", "-o", "alpha.yaml")
    assert (result.exit_code, result.stdout) == (0, "")
    assert re.search(r"rate_limited +not as expected", result.stderr)
    written = (home / "alpha.yaml").read_text()
    for hidden in (KEY, KEY[:8], ORG, "Acme", "jane", "cafe-account", "acme-team", "8f00", "mine", "user_1"):
        assert hidden not in written, hidden
    first = yaml.safe_load(written)["calls"][0]
    assert "Limit 200000, Used 199999, Requested 10." in first["body"]["error"]["message"]
    understood = first["understood"]
    assert (understood["kind"], understood["window"], understood["unit"]) == ("rate_limited", "day", "tokens")
    assert understood["holds"][0]["seconds"] == 432.0
    assert understood["rates"][0]["limit"] == 200000.0


def test_a_wrong_key_is_no_key_of_the_user_and_the_other_calls_are_as_planned(run, home):
    with answering(chat__completions=WHOLE) as provider:
        settings(home, alpha=played(provider.url, quirks={"drops": ["temperature"]}))
        assert run("probe", "alpha", "-y").exit_code == 0
    sent = [headers["authorization"].removeprefix("Bearer ") for _, headers in provider.asked]
    assert sent == [KEY, KEY, KEY, "freeroute-not-a-key"]
    bodies = [json.loads(body) for body in provider.bodies]
    assert [body["model"] for body in bodies] == ["m", "freeroute-no-such-model", "m", "m"]
    assert [body.get("temperature") for body in bodies] == [None, None, 99, None]
    assert {body["max_tokens"] for body in bodies} == {1}


def test_pages_and_endless_answers_are_cut(run, home):
    with answering(
        chat__completions=(503, "<html>" + "busy " * 50_000, {"content-type": "text/html"})
    ) as provider:
        settings(home, alpha=played(provider.url))
        found = json.loads(run("probe", "alpha", "-y", "--json").stdout)["calls"][0]
    assert len(found["body"]) < 500
    assert found["understood"]["blamed"] == "provider"
    assert found["understood"]["suspect"] is True


def test_a_provider_that_cannot_be_reached_is_shown_as_that(run, home):
    with answering() as gone:
        pass
    settings(home, alpha=played(gone.url))
    result = run("probe", "alpha", "-y", "--json")
    assert result.exit_code == 1
    first = json.loads(result.stdout)["calls"][0]
    assert (first["status"], first["understood"]["kind"]) == (None, "unreachable")


def test_a_local_server_is_asked_for_its_models_first(run, home, monkeypatch):
    monkeypatch.setenv("FREEROUTE_DISCOVERY__LOCAL", "true")
    models = {"data": [{"id": "m", "owned_by": "vllm", "max_model_len": 8192}]}
    with answering(version={"version": "1"}, models=models, chat__completions=WHOLE) as server:
        settings(home, vllm={"base_url": f"{server.url}/v1"})
        assert run("probe", "vllm", "-y").exit_code == 0
    result = run("probe", "vllm", "-y")
    assert result.exit_code == 1
    assert "no model server answers at" in result.stderr


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["beta"], "'beta' is not switched on; there is: alpha"),
        (["alpha", "-m", "n"], "there is no such model; there is: m"),
        (["alpha", "--key", "other"], "there is no such key in use; there is: mine"),
    ],
)
def test_what_is_not_there_is_wrong_usage(run, home, args, told):
    settings(home, alpha=played("http://127.0.0.1:9"))
    result = run("probe", *args, "-y")
    assert result.exit_code == 2
    assert told in result.stderr


def test_a_file_that_cannot_be_written_is_told(run, home):
    with answering(chat__completions=WHOLE) as provider:
        settings(home, alpha=played(provider.url))
        result = run("probe", "alpha", "-y", "-o", "no/such/place.yaml")
    assert result.exit_code == 1
    assert "cannot be written" in result.stderr
