"""LangChain's standard tests of chat models, on ChatOpenAI over the gateway, and how it takes errors."""

import asyncio
import os
from typing import Any

import openai
import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from langchain_tests.integration_tests import ChatModelIntegrationTests, EmbeddingsIntegrationTests


def chat(model: str = "free-smart", **given: Any) -> ChatOpenAI:
    url = f"{os.environ['GATEWAY_URL']}/v1"
    # With an address of one's own, LangChain asks for a stream's usage only if told to.
    return ChatOpenAI(
        model=model, base_url=url, api_key="not-needed", max_retries=0, stream_usage=True, **given
    )


class Standard(ChatModelIntegrationTests):
    """What LangChain asks of every chat model."""

    model_name = "free"

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatOpenAI

    @property
    def chat_model_params(self) -> dict[str, Any]:
        url = f"{os.environ['GATEWAY_URL']}/v1"
        return {"model": self.model_name, "base_url": url, "api_key": "not-needed", "stream_usage": True}

    @property
    def supports_json_mode(self) -> bool:
        return True

    @property
    def supports_model_override(self) -> bool:
        return True

    @property
    def model_override_value(self) -> str:
        # An answer names the model that gave it; of a family's name, it holds at least that.
        return "gpt-oss-120b"


class TestFree(Standard):
    """Groq's way of speaking."""


class TestResponses(Standard):
    """OpenAI's Responses API."""

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {**super().chat_model_params, "use_responses_api": True}


class TestGemini(Standard):
    model_name = "my-gemini/gemini-3.5-flash"


class TestMistral(Standard):
    model_name = "my-mistral/mistral-small-2603"


class TestOpenRouter(Standard):
    model_name = "my-openrouter/google/gemma-4-31b-it:free"


class TestEmbeddings(EmbeddingsIntegrationTests):
    """What LangChain asks of everything that makes vectors."""

    @property
    def embeddings_class(self) -> type[OpenAIEmbeddings]:
        return OpenAIEmbeddings

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        url = f"{os.environ['GATEWAY_URL']}/v1"
        # Cutting texts into tokens itself needs a vocabulary that LangChain would download.
        given = {"api_key": "not-needed", "check_embedding_ctx_length": False}
        return {"model": "gemini-embedding-001", "base_url": url, **given}


@pytest.mark.parametrize("responses", [False, True])
def test_it_shows_a_picture(stage, responses):
    picture = {"type": "image", "base64": stage.picture, "mime_type": "image/png"}
    asked = HumanMessage([{"type": "text", "text": "What is it?"}, picture])
    assert chat(use_responses_api=responses).invoke([asked]).text
    assert stage.showed_a_picture()


def test_a_failing_provider_is_not_noticed(stage):
    stage.steer("groq", faults=[503])
    assert chat().invoke("Hello").text
    assert stage.last()["provider"] == "beta"


@pytest.mark.parametrize("responses", [False, True])
def test_an_unknown_model_is_openais_error(responses):
    with pytest.raises(openai.NotFoundError) as error:
        chat("no-such-model", use_responses_api=responses).invoke("Hello")
    assert error.value.code == "model_not_found"


def test_a_spent_quota_is_openais_error():
    with pytest.raises(openai.RateLimitError) as error:
        chat("spent/openai/gpt-oss-120b").invoke("Hello")
    assert error.value.code == "capacity_exhausted"


def test_a_stream_that_breaks_raises(stage):
    stage.steer("groq", faults=[{"kind": "cut", "after": 3}])
    said = []
    with pytest.raises(openai.APIError, match="stopped in the middle"):
        said.extend(chunk.text for chunk in chat().stream("Hello"))
    assert "".join(said).startswith("This is a")


@pytest.mark.parametrize("responses", [False, True])
async def test_leaving_a_stream_ends_the_providers_work(stage, responses):
    stage.slow()
    stream = chat(use_responses_api=responses).astream("Hello")
    assert await anext(stream)
    await stream.aclose()
    assert await asyncio.to_thread(stage.left_behind)
