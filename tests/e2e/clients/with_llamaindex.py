"""LlamaIndex: OpenAILike, tools, agents and structured prediction over the gateway."""

import asyncio
from typing import Any

import openai
import pytest
from llama_index.core import Document, VectorStoreIndex
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms import ChatMessage, ImageBlock, TextBlock
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from llama_index.embeddings.openai_like import OpenAILikeEmbedding
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel

HELLO = [ChatMessage(role="user", content="Hello")]
DIALECTS = ["free", "my-gemini/gemini-3.5-flash", "my-mistral/mistral-small-2603"]


class City(BaseModel):
    """A city."""

    name: str
    people: int


def get_weather(city: str) -> str:
    """Tell the weather in a city."""
    return f"It rains in {city}."


@pytest.fixture
def ask(stage):
    def llm(model: str = "free-smart", **given: Any) -> OpenAILike:
        return OpenAILike(
            model=model,
            api_base=stage.url,
            api_key="not-needed",
            is_chat_model=True,
            is_function_calling_model=True,
            context_window=128_000,
            max_retries=0,
            **given,
        )

    return llm


def test_it_completes_and_chats(ask):
    assert ask().complete("Hello").text.startswith("This is a simulated answer")
    assert ask().chat(HELLO).message.content.startswith("This is a simulated answer")


@pytest.mark.parametrize("model", DIALECTS)
async def test_it_streams(ask, model):
    llm = ask(model)
    pieces = [chunk.delta for chunk in llm.stream_chat(HELLO)]
    assert len(pieces) > 10
    stream = await llm.astream_chat(HELLO)
    assert [chunk.delta async for chunk in stream] == pieces


@pytest.mark.parametrize("model", DIALECTS)
def test_it_calls_tools(ask, model):
    tool = FunctionTool.from_defaults(get_weather)
    answer = ask(model).predict_and_call([tool], user_msg="Use get_weather for 'Oslo'.")
    assert str(answer) == "It rains in Oslo."


@pytest.mark.parametrize("model", DIALECTS)
async def test_an_agent_calls_a_tool_and_answers(ask, stage, model):
    agent = FunctionAgent(tools=[get_weather], llm=ask(model), system_prompt="Be brief.")
    answer = await agent.run("Use get_weather for 'Oslo'.")
    assert [call.tool_output.content for call in answer.tool_calls] == ["It rains in Oslo."]
    assert answer.response.content.startswith("This is a simulated answer")


@pytest.mark.parametrize("structured", [False, True], ids=["by tool", "by schema"])
def test_it_predicts_structures(ask, structured):
    llm = ask(should_use_structured_outputs=structured)
    city = llm.structured_predict(City, PromptTemplate("Tell me of 'Oslo' and its 717710 people."))
    assert city == City(name="Oslo", people=717710)


def test_it_shows_a_picture(ask, stage):
    picture = ImageBlock(image=stage.picture.encode(), image_mimetype="image/png")
    asked = ChatMessage(role="user", blocks=[TextBlock(text="What is it?"), picture])
    assert ask().chat([asked]).message.content
    assert stage.showed_a_picture()


async def test_it_gets_vectors(stage):
    embedding = OpenAILikeEmbedding(
        model_name="gemini-embedding-001", api_base=stage.url, api_key="not-needed", max_retries=0
    )
    vectors = embedding.get_text_embedding_batch(["a", "b", "c"])
    assert [len(vector) for vector in vectors] == [3072] * 3
    assert await embedding.aget_text_embedding("a") == vectors[0] == embedding.get_query_embedding("a")
    index = VectorStoreIndex.from_documents(
        [Document(text=text) for text in ("It rains in Oslo.", "Walruses sleep.")], embed_model=embedding
    )
    [found] = index.as_retriever(similarity_top_k=1).retrieve("It rains in Oslo.")
    assert found.text == "It rains in Oslo."


async def test_vectors_that_cannot_be_had_raise(stage):
    embedding = OpenAILikeEmbedding(
        model_name="free-smart", api_base=stage.url, api_key="not-needed", max_retries=0
    )
    with pytest.raises(openai.BadRequestError):
        await embedding.aget_text_embedding("a")


def test_a_failing_provider_is_not_noticed(ask, stage):
    stage.steer("groq", faults=[503])
    assert ask().complete("Hello").text
    assert stage.last()["provider"] == "beta"


def test_errors_are_openais(ask):
    with pytest.raises(openai.NotFoundError):
        ask("no-such-model").complete("Hello")
    with pytest.raises(openai.RateLimitError):
        ask("spent/openai/gpt-oss-120b").complete("Hello")


def test_a_stream_that_breaks_raises(ask, stage):
    stage.steer("groq", faults=[{"kind": "cut", "after": 3}])
    with pytest.raises(openai.APIError, match="stopped in the middle"):
        list(ask().stream_chat(HELLO))


async def test_leaving_a_stream_ends_the_providers_work(ask, stage):
    stage.slow()
    begun = asyncio.Event()

    async def read() -> None:
        async for _ in await ask().astream_chat(HELLO):
            begun.set()

    # LlamaIndex does not close the stream of a generator that is left; it does when its task is cancelled.
    task = asyncio.create_task(read())
    await begun.wait()
    task.cancel()
    await asyncio.wait([task])
    assert await asyncio.to_thread(stage.left_behind)
