"""The `llm` command and library: the gateway's models in its file of extra OpenAI models."""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import llm
import pytest

WAYS = ["free-smart", "my-gemini/gemini-3.5-flash", "my-mistral/mistral-small-2603"]
ENTRY = """
- model_id: {model}
  model_name: {model}
  api_base: {url}
  supports_tools: true
  supports_schema: true
  vision: true
"""
SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}}
FUNCTIONS = 'def get_weather(city: str) -> str:\n    "The weather in a city"\n    return f"Rain in {city}"\n'


def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"Rain in {city}"


@pytest.fixture(autouse=True)
def folder(stage, tmp_path, monkeypatch) -> Path:
    """A user's folder that knows the gateway's models."""
    named = [*WAYS, "no-such-model", "spent/openai/gpt-oss-120b"]
    texts = [ENTRY.format(model=model, url=stage.url) for model in named]
    (tmp_path / "extra-openai-models.yaml").write_text("".join(texts))
    monkeypatch.setenv("LLM_USER_PATH", str(tmp_path))
    monkeypatch.setenv("OPENAI_API_KEY", "not-needed")
    return tmp_path


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "llm", *words], env=os.environ, capture_output=True, text=True, check=False
    )


def said(*words: str) -> str:
    done = command(*words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_prompts_and_streams():
    assert said("-m", "free-smart", "Hello").startswith("This is a simulated answer")
    assert said("-m", "free-smart", "--no-stream", "Hello").startswith("This is a simulated answer")


def test_it_continues_a_conversation_from_its_log():
    said("-m", "free-smart", "Hello")
    assert said("-c", "And then?").startswith("This is a simulated answer")


def test_it_calls_a_function_and_answers():
    done = command("-m", "free-smart", "--functions", FUNCTIONS, "--td", "Use get_weather for 'Oslo'.")
    assert done.returncode == 0, done.stderr
    assert "Rain in Oslo" in done.stderr
    assert "This is a simulated answer" in done.stdout


def test_it_fills_a_schema():
    told = said("-m", "free-smart", "--schema", json.dumps(SCHEMA), "'Ada' is 36.")
    assert json.loads(told) == {"name": "Ada", "age": 36}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", WAYS)
def test_the_library_knows_chat_schemas_and_tools(model, stream):
    served = llm.get_model(model)
    response = served.prompt("Hello", stream=stream)
    assert response.text().startswith("This is a simulated answer")
    assert response.usage().output > 0
    filled = served.prompt("'Ada' is 36.", schema=SCHEMA, stream=stream).text()
    assert json.loads(filled) == {"name": "Ada", "age": 36}
    chain = served.chain("Use get_weather for 'Oslo'.", tools=[get_weather], stream=stream)
    assert chain.text().startswith("This is a simulated answer")
    assert [result.output for result in list(chain.responses())[-1].prompt.tool_results] == ["Rain in Oslo"]


async def test_the_library_works_asynchronously():
    response = llm.get_async_model("free-smart").prompt("Hello")
    assert [piece async for piece in response]
    assert (await response.usage()).output > 0


def test_it_shows_a_picture(stage, folder):
    (folder / "dot.png").write_bytes(base64.b64decode(stage.picture))
    assert said("-m", "free-smart", "-a", str(folder / "dot.png"), "What is it?")
    assert stage.showed_a_picture()


def test_a_failing_provider_is_not_noticed(stage):
    stage.steer("groq", faults=[503])
    assert llm.get_model("free-smart").prompt("Hello").text()
    assert stage.last()["provider"] == "beta"


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("no-such-model", "404 - model 'no-such-model' does not exist"),
        ("spent/openai/gpt-oss-120b", "429 - "),
    ],
)
def test_errors_are_told(model, told):
    done = command("-m", model, "Hello")
    assert done.returncode != 0
    assert told in done.stderr


def test_a_stream_that_breaks_is_told(stage):
    stage.steer("groq", faults=[{"kind": "cut", "after": 3}])
    done = command("-m", "free-smart", "Hello")
    assert done.returncode != 0
    assert "stopped in the middle" in done.stderr


def test_interrupting_it_ends_the_providers_work(stage):
    stage.slow()
    words = [sys.executable, "-m", "llm", "-m", "free-smart", "Hello"]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read(4) == b"This"
        process.terminate()
    assert stage.left_behind()
