"""OpenAI's own SDK against the surface on a real socket."""

import asyncio
from typing import Any

import openai
import pytest

from freeroute import errors
from freeroute.domain.clients import Client, hash_key
from freeroute.surfaces.access import Policy
from tests.support.gateways import FakeServed, chunk
from tests.support.serving import serving

HELLO: Any = [{"role": "user", "content": "Hello!"}]


def sdk(url: str, retries: int = 0) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="not-needed", max_retries=retries)


async def test_it_lists_and_shows_models(build):
    async with serving(build()) as url, sdk(url) as client:
        models = [model.id async for model in client.models.list()]
        shown = await client.models.retrieve("groq/openai/gpt-oss-120b")
    assert models == ["free", "groq/openai/gpt-oss-120b"]
    assert shown.id == "groq/openai/gpt-oss-120b"


async def test_it_reads_a_whole_answer_and_the_headers(build):
    async with serving(build()) as url, sdk(url) as client:
        reply = await client.chat.completions.with_raw_response.create(model="free", messages=HELLO)
    assert reply.parse().choices[0].message.content == "Hello!"
    assert reply.headers["x-freeroute-provider"] == "groq"
    assert reply.parse()._request_id == reply.headers["x-request-id"]


async def test_it_reads_a_stream(build, gateway):
    gateway.answer = FakeServed(batches=[[chunk("Hel"), chunk("lo")], [chunk("!")]])
    async with serving(build()) as url, sdk(url) as client:
        stream = await client.chat.completions.create(model="free", messages=HELLO, stream=True)
        assert isinstance(stream, openai.AsyncStream)
        text = [event.choices[0].delta.content async for event in stream]
    assert text == ["Hel", "lo", "!"]


def test_the_plain_client_works_as_well(build):
    async def main() -> str | None:
        async with serving(build()) as url:

            def ask() -> str | None:
                with openai.OpenAI(base_url=f"{url}/v1", api_key="x", max_retries=0) as client:
                    reply = client.chat.completions.create(model="free", messages=HELLO)
                    return reply.choices[0].message.content

            return await asyncio.to_thread(ask)

    assert asyncio.run(main()) == "Hello!"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (errors.InvalidRequest("x", param="n"), openai.BadRequestError),
        (errors.UnsupportedCapability("x"), openai.BadRequestError),
        (errors.ContextTooLong("x"), openai.BadRequestError),
        (errors.Forbidden("x", code="model_not_allowed"), openai.PermissionDeniedError),
        (errors.NotFound("x", code="model_not_found"), openai.NotFoundError),
        (errors.RateLimited("x", retry_after=1), openai.RateLimitError),
        (errors.CapacityExhausted("x", retry_after=1), openai.RateLimitError),
        (errors.UpstreamFailed("x"), openai.InternalServerError),
        (errors.NoProvider("x"), openai.InternalServerError),
        (errors.UpstreamTimeout("x"), openai.InternalServerError),
        (RuntimeError("x"), openai.InternalServerError),
    ],
)
async def test_it_raises_the_exception_that_fits(build, gateway, error, expected):
    gateway.answer = error
    async with serving(build()) as url, sdk(url) as client:
        with pytest.raises(expected) as caught:
            await client.chat.completions.create(model="free", messages=HELLO)
    assert caught.value.code == getattr(error, "code", "internal_error")
    assert caught.value.request_id


async def test_a_wrong_key_is_an_authentication_error(build):
    policy = Policy(clients=(Client(name="alice", key_hash=hash_key("sk-alice")),))
    async with serving(build(policy)) as url, sdk(url) as client:
        with pytest.raises(openai.AuthenticationError) as caught:
            await client.chat.completions.create(model="free", messages=HELLO)
    assert caught.value.code == "invalid_api_key"


async def test_it_does_not_try_again_where_that_is_pointless(build, gateway):
    gateway.answer = errors.CapacityExhausted("x", retry_after=3600)
    async with serving(build()) as url, sdk(url, retries=2) as client:
        with pytest.raises(openai.RateLimitError):
            await client.chat.completions.create(model="free", messages=HELLO)
    assert len(gateway.calls) == 1
