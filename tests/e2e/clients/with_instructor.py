"""instructor: pydantic models out of the gateway, by tool and by schema, whole and in parts."""

import asyncio
from typing import Any

import instructor
import openai
import pytest
from pydantic import BaseModel, field_validator

MODES = [instructor.Mode.TOOLS, instructor.Mode.JSON_SCHEMA]
DIALECTS = ["free-smart", "my-gemini/gemini-3.5-flash", "my-mistral/mistral-small-2603"]
ASKED: Any = [{"role": "user", "content": "'Ada' is 36."}]
ADA = {"name": "Ada", "age": 36}


class Person(BaseModel):
    name: str
    age: int


@pytest.fixture
def make(stage):
    def client(mode: instructor.Mode, asynchronous: bool = False) -> Any:
        kind = openai.AsyncOpenAI if asynchronous else openai.OpenAI
        openai_client: Any = kind(base_url=stage.url, api_key="not-needed", max_retries=0)
        return instructor.from_openai(openai_client, mode=mode)

    return client


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("model", DIALECTS)
def test_it_extracts(make, model, mode):
    person = make(mode).create(model=model, response_model=Person, messages=ASKED)
    assert person.model_dump() == ADA


@pytest.mark.parametrize("mode", MODES)
async def test_it_extracts_asynchronously(make, mode):
    person = await make(mode, asynchronous=True).create(
        model="free-smart", response_model=Person, messages=ASKED
    )
    assert person.model_dump() == ADA


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("model", DIALECTS)
def test_it_streams_parts(make, model, mode):
    parts = list(make(mode).create_partial(model=model, response_model=Person, messages=ASKED))
    assert parts[-1].model_dump() == ADA


def test_it_shows_a_picture(make, stage):
    picture = instructor.Image.from_base64(f"data:image/png;base64,{stage.picture}")
    asked: Any = [{"role": "user", "content": ["'Ada' is 36.", picture]}]
    person = make(MODES[0]).create(model="free-smart", response_model=Person, messages=asked)
    assert person.model_dump() == ADA
    assert stage.showed_a_picture()


async def test_leaving_ends_the_providers_work(make, stage):
    stage.steer("groq", speed={"first_token": 9, "tokens_per_second": 20})
    asked = make(MODES[0], asynchronous=True).create(
        model="free-smart", response_model=Person, messages=ASKED
    )
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asked, 1)
    assert await asyncio.to_thread(stage.left_behind)


def test_it_streams_many(make):
    people = make(instructor.Mode.TOOLS).create_iterable(
        model="free-smart", response_model=Person, messages=ASKED
    )
    assert [person.model_dump() for person in people] == [ADA]


def test_the_completion_comes_along(make):
    person, completion = make(instructor.Mode.TOOLS).create_with_completion(
        model="free-smart", response_model=Person, messages=ASKED
    )
    assert person.age == 36
    assert completion.usage.total_tokens > 0


def test_what_does_not_validate_is_asked_again(make):
    seen: list[int] = []

    class Doubted(Person):
        @field_validator("age")
        @classmethod
        def twice(cls, age: int) -> int:
            seen.append(age)
            if len(seen) == 1:
                raise ValueError("say it again")
            return age

    person = make(instructor.Mode.TOOLS).create(
        model="free-smart", response_model=Doubted, messages=ASKED, max_retries=2
    )
    assert person.model_dump() == ADA
    assert len(seen) > 1


def test_a_failing_provider_is_not_noticed(make, stage):
    stage.steer("groq", faults=[503])
    assert make(MODES[0]).create(model="free-smart", response_model=Person, messages=ASKED)
    assert stage.last()["provider"] == "beta"


@pytest.mark.parametrize(
    ("model", "code"),
    [("no-such-model", "model_not_found"), ("spent/openai/gpt-oss-120b", "capacity_exhausted")],
)
def test_errors_come_through(make, model, code):
    with pytest.raises(Exception, match=code):
        make(MODES[0]).create(model=model, response_model=Person, messages=ASKED, max_retries=0)
