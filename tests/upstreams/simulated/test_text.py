"""What simulated models say."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeroute.upstreams.simulated.text import Answer, compose, prompt_tokens
from tests.support.simulation import weather_tool


def answer(seed: int = 1, ordinal: int = 1, limit: int | None = None, **body: Any) -> Answer:
    body = {"messages": [{"role": "user", "content": "Hello"}]} | body
    return compose(
        body, provider="groq", model="m", seed=seed, ordinal=ordinal, created=0, limit=limit, lengths=(20, 60)
    )


def test_the_same_seed_and_question_give_the_same_words_in_any_order():
    assert answer(ordinal=1).text == answer(ordinal=9).text
    assert answer(ordinal=1).id != answer(ordinal=9).id
    assert answer(seed=1).text != answer(seed=2).text


def test_every_answer_says_that_it_is_simulated():
    assert answer().text.startswith("This is a simulated answer from groq/m.")


@given(st.integers(0, 80))
def test_no_answer_is_longer_than_asked_for(limit):
    whole, bounded = answer(), answer(limit=limit)
    assert bounded.completion_tokens == min(limit, whole.completion_tokens)
    assert bounded.finish == ("length" if limit < whole.completion_tokens else "stop")
    assert whole.text.startswith(bounded.text)


def test_a_stop_word_ends_the_answer_before_it():
    stopped = answer(stop=["simulated"])
    assert (stopped.text, stopped.finish) == ("This is a ", "stop")


def test_json_is_answered_where_json_is_asked_for():
    import msgspec

    loose = answer(response_format={"type": "json_object"})
    assert msgspec.json.decode(loose.text)["simulated"] is True
    schema = {"type": "object", "properties": {"n": {"type": "integer"}, "tags": {"type": "array"}}}
    strict = answer(response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}})
    value = msgspec.json.decode(strict.text)
    assert isinstance(value["n"], int)
    assert isinstance(value["tags"][0], str)


@pytest.mark.parametrize(
    ("fields", "called"),
    [
        ({}, False),
        ({"messages": [{"role": "user", "content": "use get_weather please"}]}, True),
        ({"tool_choice": "required"}, True),
        ({"tool_choice": {"type": "function", "function": {"name": "get_weather"}}}, True),
        ({"tool_choice": {"type": "function", "function": {"name": "other"}}}, False),
        ({"messages": [{"role": "user", "content": "get_weather"}], "tool_choice": "none"}, False),
    ],
)
def test_a_tool_is_called_when_it_is_asked_for(fields, called):
    made = answer(tools=[weather_tool()], **fields)
    assert bool(made.tool_calls) is called
    assert made.finish == ("tool_calls" if called else "stop")


def test_arguments_have_the_shape_of_the_schema():
    import msgspec

    (call,) = answer(tools=[weather_tool()], tool_choice="required").tool_calls
    arguments = msgspec.json.decode(call.arguments)
    assert isinstance(arguments["city"], str)
    assert 1 <= arguments["days"] <= 3
    assert arguments["unit"] in ("c", "f")


def test_after_the_result_of_a_tool_the_model_talks():
    messages = [
        {"role": "user", "content": "get_weather"},
        {"role": "assistant", "tool_calls": []},
        {"role": "tool", "content": "sunny"},
    ]
    assert not answer(tools=[weather_tool()], messages=messages).tool_calls


def test_prompts_are_counted_by_four_characters_and_pictures():
    parts = [{"type": "text", "text": "x" * 40}, {"type": "image_url", "image_url": {"url": "data:"}}]
    assert prompt_tokens({"messages": [{"role": "user", "content": "x" * 41}]}) == 11
    assert prompt_tokens({"messages": [{"role": "user", "content": parts}]}) == 10 + 258


def test_an_answer_that_the_last_message_begins_is_gone_on_with():
    asked = [{"role": "user", "content": "Hello"}]
    whole, begun = answer(messages=asked).text, {"role": "assistant", "content": "This is a"}
    assert answer(messages=[*asked, begun]).text == whole.removeprefix("This is a")
    assert answer(messages=[*asked, begun | {"prefix": True}]).text == whole
    assert answer(messages=[*asked, begun | {"content": "No"}]).text == f" {whole}"
