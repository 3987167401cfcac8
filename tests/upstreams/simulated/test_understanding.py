"""What simulated models understand of a question."""

from typing import Any

import pytest

from freeroute.upstreams.simulated.understanding import Question, question, tools_wanted


def tool(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name}}


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def wanted(*messages: dict[str, Any], choice: Any = "auto", tools: str = "get_weather send") -> list[str]:
    body = {"messages": messages, "tools": [tool(name) for name in tools.split()], "tool_choice": choice}
    return [one["name"] for one in tools_wanted(body, True)]


def call(name: str) -> list[dict[str, Any]]:
    calls = [{"id": "1", "function": {"name": name, "arguments": "{}"}}]
    return [{"role": "assistant", "tool_calls": calls}, {"role": "tool", "content": "done"}]


def test_the_question_is_what_the_user_said_last():
    parts = [{"type": "text", "text": "Add 1"}, {"type": "image_url"}, {"type": "text", "text": "and 2"}]
    messages = [user("no"), user(parts), {"role": "assistant", "content": "3"}]
    assert question({"messages": messages}).text == "Add 1 and 2"
    assert question({"messages": [{"role": "system", "content": "Be."}]}).text == ""


@pytest.mark.parametrize(
    ("text", "numbers", "quotes"),
    [
        ("f(3) and -4.5, not x7 or 7x", [3, -4.5], []),
        ("it's Ann's 'cat' and \"dog\"", [], ["cat", "dog"]),
        ("with 'set up' and 'punchline' keys", [], ["set up", "punchline"]),
    ],
)
def test_numbers_and_quotes_are_found(text, numbers, quotes):
    asked = Question(text)
    assert (asked.numbers, asked.quotes) == (numbers, quotes)


def test_only_words_can_name_fields():
    assert Question("with 'set up' and 'punchline' keys").keys == ["punchline"]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Use get_weather and send", ["get_weather", "send"]),
        ("What is the Weather like?", ["get_weather"]),
        ("Hello", []),
    ],
)
def test_a_tool_is_asked_for_by_name_or_by_what_it_gets(text, names):
    assert wanted(user(text)) == names


def test_a_short_topic_is_no_reason_to_call():
    assert wanted(user("What is it?"), tools="get_it") == []


def test_after_a_result_only_an_obligation_leads_to_another_call():
    turn = [user("Use get_weather"), *call("get_weather")]
    assert wanted(*turn) == []
    assert wanted(*turn, choice="required") == ["send"]


def test_an_obligation_takes_what_the_question_names_and_never_ends_in_nothing():
    assert wanted(user("please send"), choice="required") == ["send"]
    turn = [user("go"), *call("get_weather"), *call("send")]
    assert wanted(*turn, choice="required") == ["send"]
    assert wanted(*turn, user("again"), choice="any") == ["get_weather"]
