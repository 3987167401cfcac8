"""What is asked reaches the provider, and what it answers reaches the caller."""

import json
from typing import Any

import pytest

from tests.contract.scene import Talk, needs
from tests.contract.speaking import Called, Function, Turn
from tests.support.asking import COUNTED, DONE, ROLE, event
from tests.support.provider import either, sse, whole

WEATHER = Function("weather", {"type": "object", "properties": {"city": {"type": "string"}}})
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
FORM = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def answer(finish: str = "stop", **message: Any) -> bytes:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": None, **message},
        "finish_reason": finish,
    }
    head = {"id": "c1", "object": "chat.completion", "created": 1, "model": "m"}
    return json.dumps({**head, "choices": [choice], "usage": USAGE}).encode()


def called_in(pieces: list[str]) -> list[bytes]:
    named = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ""}}
    more = [event({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}) for piece in pieces]
    return [ROLE, event({"tool_calls": [named]}), *more, event(finish="tool_calls"), COUNTED, DONE]


def called_whole() -> bytes:
    function = {"name": "weather", "arguments": '{"city":"Ulm"}'}
    return answer("tool_calls", tool_calls=[{"id": "call_1", "type": "function", "function": function}])


CALLS = either(whole(called_whole()), sse(*called_in(['{"ci', 'ty":', '"Ulm"}'])))


async def test_an_answer_is_told_with_its_end_and_its_usage(play, speaker, stream):
    talk = Talk(await play(), speaker)
    heard = await talk.ask(stream=stream)
    assert (heard.text, heard.finish, heard.error, heard.ended) == ("Hi", "stop", None, True)
    assert (heard.prompt, heard.completion) == (3, 2)
    assert talk.headers["x-freeroute-provider"] == "alpha"
    assert talk.headers["x-request-id"]
    sent = talk.sent()
    assert sent["messages"] == [{"role": "user", "content": "Hello!"}]
    assert sent["model"] == "large"
    assert {sent.get("max_tokens"), sent.get("max_completion_tokens")} == {8, None}
    assert sent.get("stream", False) is stream


async def test_a_stream_is_told_piece_by_piece(play, speaker):
    needs(speaker, "streams")
    pieces = [event({"content": text}) for text in ("One", " two", " thrée\n", "\u2028four")]
    scene = await play(sse(ROLE, *pieces, event(finish="length"), COUNTED, DONE))
    heard = await Talk(scene, speaker).ask(stream=True)
    assert heard.pieces == ["One", " two", " thrée\n", "\u2028four"]
    assert (heard.finish, heard.prompt, heard.completion, heard.ended) == ("length", 3, 2, True)


async def test_a_conversation_reaches_the_provider(play, speaker, stream):
    needs(speaker, "system", "turns")
    talk = Talk(await play(), speaker)
    before = (Turn("user", "Who?"), Turn("assistant", "Me."))
    await talk.ask(stream=stream, system="Be brief.", before=before, text="Why?")
    assert said(talk.sent()) == [
        ("system", "Be brief."),
        ("user", "Who?"),
        ("assistant", "Me."),
        ("user", "Why?"),
    ]


async def test_what_shapes_an_answer_reaches_the_provider(play, speaker, stream):
    needs(speaker, "stop", "temperature")
    talk = Talk(await play(), speaker)
    await talk.ask(stream=stream, stop=("END", "STOP"), temperature=0.5)
    assert (talk.sent()["stop"], talk.sent()["temperature"]) == (["END", "STOP"], 0.5)


async def test_a_function_is_offered_and_called(play, speaker, stream):
    needs(speaker, "tools")
    scene = await play(CALLS, alpha=able("tools"))
    talk = Talk(scene, speaker)
    heard = await talk.ask(stream=stream, tools=(WEATHER,))
    [called] = heard.calls
    assert (called.name, called.arguments) == ("weather", {"city": "Ulm"})
    assert (heard.text, heard.finish, heard.ended) == ("", "tool_calls", True)
    [tool] = talk.sent()["tools"]
    assert tool["type"] == "function"
    assert tool["function"]["name"] == "weather"
    assert tool["function"]["parameters"] == WEATHER.parameters


async def test_several_calls_at_once_are_told_apart(play, speaker, stream):
    needs(speaker, "tools")
    calls = [
        {
            "id": f"call_{city}",
            "type": "function",
            "function": {"name": "weather", "arguments": json.dumps({"city": city})},
        }
        for city in ("Ulm", "Bonn")
    ]
    chunks = [event({"tool_calls": [{"index": at, **call}]}) for at, call in enumerate(calls)]
    streamed = sse(ROLE, *chunks, event(finish="tool_calls"), COUNTED, DONE)
    scene = await play(either(whole(answer("tool_calls", tool_calls=calls)), streamed), alpha=able("tools"))
    heard = await Talk(scene, speaker).ask(stream=stream, tools=(WEATHER,))
    assert [call.arguments for call in heard.calls] == [{"city": "Ulm"}, {"city": "Bonn"}]
    assert len({call.id for call in heard.calls}) == 2


@pytest.mark.parametrize("pieces", [("wea", "ther"), ("weather", "weather")])
async def test_a_name_in_pieces_is_put_together_and_one_said_twice_is_not_doubled(play, speaker, pieces):
    needs(speaker, "tools", "streams")
    first, second = (
        event({"tool_calls": [{"index": 0, **more, "type": "function", "function": {"name": name}}]})
        for name, more in zip(pieces, ({"id": "call_1"}, {}), strict=True)
    )
    arguments = event({"tool_calls": [{"index": 0, "function": {"arguments": '{"city":"Ulm"}'}}]})
    chunks = [ROLE, first, second, arguments, event(finish="tool_calls"), COUNTED, DONE]
    heard = await Talk(await play(sse(*chunks), alpha=able("tools")), speaker).ask(
        stream=True, tools=(WEATHER,)
    )
    assert [(call.name, call.arguments) for call in heard.calls] == [("weather", {"city": "Ulm"})]


@pytest.mark.parametrize("written", ['{"a": nope}', "[1,2]"])
async def test_arguments_that_are_no_object_are_told_as_they_were_written(play, speaker, stream, written):
    needs(speaker, "tools")
    if speaker.name not in {"ollama", "gemini"} and (stream or speaker.name != "anthropic"):
        pytest.skip(f"{speaker.name} tells arguments as the text they are")
    function = {"name": "weather", "arguments": written}
    call = {"id": "call_1", "type": "function", "function": function}
    streamed = sse(
        ROLE, event({"tool_calls": [{"index": 0, **call}]}), event(finish="tool_calls"), COUNTED, DONE
    )
    scene = await play(either(whole(answer("tool_calls", tool_calls=[call])), streamed), alpha=able("tools"))
    heard = await Talk(scene, speaker).ask(stream=stream, tools=(WEATHER,))
    assert [(call.name, call.arguments) for call in heard.calls] == [("weather", {"arguments": written})]


async def test_text_before_a_call_is_told_too(play, speaker, stream):
    needs(speaker, "tools")
    function = {"name": "weather", "arguments": '{"city":"Ulm"}'}
    call = {"id": "call_1", "type": "function", "function": function}
    chunks = [event({"content": "Let me see."}), event({"tool_calls": [{"index": 0, **call}]})]
    streamed = sse(ROLE, *chunks, event(finish="tool_calls"), COUNTED, DONE)
    whole_ = whole(answer("tool_calls", content="Let me see.", tool_calls=[call]))
    heard = await Talk(await play(either(whole_, streamed), alpha=able("tools")), speaker).ask(
        stream=stream, tools=(WEATHER,)
    )
    assert heard.text == "Let me see."
    assert [call.name for call in heard.calls] == ["weather"]


async def test_what_a_function_gave_reaches_the_provider(play, speaker, stream):
    needs(speaker, "tools", "turns")
    talk = Talk(await play(alpha=able("tools")), speaker)
    done = Turn("assistant", called=Called("weather", {"city": "Ulm"}, "call_1", "sunny"))
    await talk.ask(stream=stream, tools=(WEATHER,), before=(Turn("user", "Ulm?"), done), text="And now?")
    asked, given = talk.sent()["messages"][1:3]
    [call] = asked["tool_calls"]
    assert call["function"]["name"] == "weather"
    assert json.loads(call["function"]["arguments"]) == {"city": "Ulm"}
    assert (given["role"], given["tool_call_id"], given["content"]) == ("tool", call["id"], "sunny")


async def test_a_call_may_be_insisted_on(play, speaker, stream):
    needs(speaker, "tools", "insisting")
    talk = Talk(await play(CALLS, alpha=able("tools")), speaker)
    await talk.ask(stream=stream, tools=(WEATHER,), must_call=True)
    assert talk.sent()["tool_choice"] == "required"


async def test_an_image_reaches_the_provider(play, speaker, stream):
    needs(speaker, "images")
    talk = Talk(await play(alpha=able("images")), speaker)
    await talk.ask(stream=stream, image=PIXEL)
    [message] = talk.sent()["messages"]
    parts = {part["type"]: part for part in message["content"]}
    assert parts["image_url"]["image_url"]["url"] == f"data:image/png;base64,{PIXEL}"
    assert parts["text"]["text"] == "Hello!"


async def test_an_answer_may_have_to_fit_a_form(play, speaker, stream):
    needs(speaker, "schema")
    said = '{"city":"Ulm"}'
    streamed = sse(ROLE, event({"content": said}), event(finish="stop"), COUNTED, DONE)
    scene = await play(either(whole(answer(content=said)), streamed), alpha=able("json_schema"))
    talk = Talk(scene, speaker)
    heard = await talk.ask(stream=stream, answer_schema=FORM)
    assert json.loads(heard.text) == {"city": "Ulm"}
    assert talk.sent()["response_format"]["json_schema"]["schema"] == FORM


async def test_thoughts_are_told_apart_from_the_answer(play, speaker, stream):
    needs(speaker, "reasoning")
    chunks = [event({"reasoning_content": "Hm."}), event({"content": "Hi"})]
    streamed = sse(ROLE, *chunks, event(finish="stop"), COUNTED, DONE)
    whole_ = whole(answer(content="Hi", reasoning_content="Hm."))
    scene = await play(either(whole_, streamed), alpha=able("reasoning"))
    heard = await Talk(scene, speaker).ask(stream=stream)
    assert (heard.text, heard.reasoning) == ("Hi", "Hm.")


async def test_fields_that_nobody_knows_do_no_harm(play, speaker, stream):
    heard = await Talk(await play(), speaker).ask(stream=stream, more={"invented_tomorrow": {"a": [1]}})
    assert (heard.text, heard.error) == ("Hi", None)


@pytest.mark.parametrize("finish", ["stop", "length", "content_filter"])
async def test_why_an_answer_ended_is_told(play, speaker, stream, finish):
    streamed = sse(ROLE, event({"content": "Hi"}), event(finish=finish), COUNTED, DONE)
    scene = await play(either(whole(answer(finish, content="Hi")), streamed))
    assert (await Talk(scene, speaker).ask(stream=stream)).finish == finish


def able(*capabilities: str) -> dict[str, Any]:
    """Return what makes alpha's model able to do these."""
    facts = {"id": "large", "quality": 90, "speed": {"tokens_per_second": 2000}}
    return {"models": [{**facts, "capabilities": list(capabilities)}]}


def said(sent: Any) -> list[tuple[str, str]]:
    return [(message["role"], text_of(message["content"])) for message in sent["messages"]]


def text_of(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part["text"] for part in content)
