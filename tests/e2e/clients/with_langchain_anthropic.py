"""LangChain's standard tests of chat models, on ChatAnthropic over the gateway, and how it takes errors."""

import asyncio
import os
from typing import Any

import anthropic
import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage
from langchain_tests.integration_tests import ChatModelIntegrationTests


class Standard(ChatModelIntegrationTests):
    """What LangChain asks of every chat model."""

    model_name = "free"

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatAnthropic

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {
            "model": self.model_name,
            "base_url": os.environ["GATEWAY_URL"],
            "api_key": "not-needed",
            "max_tokens": 1000,
        }

    @property
    def supports_model_override(self) -> bool:
        return True

    @property
    def model_override_value(self) -> str:
        # An answer names the model that gave it; of a family's name, it holds at least that.
        return "gpt-oss-120b"


class TestFree(Standard):
    """Groq's way of speaking."""


class TestGemini(Standard):
    model_name = "my-gemini/gemini-3.5-flash"


class TestMistral(Standard):
    model_name = "my-mistral/mistral-small-2603"


def chat(model: str) -> ChatAnthropic:
    return ChatAnthropic(
        model=model, base_url=os.environ["GATEWAY_URL"], api_key="not-needed", max_tokens=1000, max_retries=0
    )


@pytest.mark.usefixtures("stage")
@pytest.mark.parametrize(
    ("model", "kind"),
    [
        ("no-such-model", anthropic.NotFoundError),
        ("spent/openai/gpt-oss-120b", anthropic.RateLimitError),
    ],
)
def test_errors_are_anthropics(model, kind):
    with pytest.raises(kind):
        chat(model).invoke("Hello")


def test_it_shows_a_picture(stage):
    picture = {"type": "image", "base64": stage.picture, "mime_type": "image/png"}
    asked = HumanMessage([{"type": "text", "text": "What is it?"}, picture])
    assert chat("free-smart").invoke([asked]).text
    assert stage.showed_a_picture()


async def test_leaving_a_stream_ends_the_providers_work(stage):
    stage.slow()
    stream = chat("free-smart").astream("Hello")
    assert await anext(stream)
    await stream.aclose()
    assert await asyncio.to_thread(stage.left_behind)
