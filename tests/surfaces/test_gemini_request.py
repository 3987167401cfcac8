"""What a request in Gemini's words asks for, in OpenAI's: both spellings, schemas, and what is refused."""

import json
from typing import Any

import pytest

from freeroute.errors import InvalidRequest, UnsupportedCapability
from freeroute.surfaces.gemini_request import as_openai, asking_of, counting_of
from freeroute.surfaces.gemini_schema import json_schema
from tests.surfaces.gemini import HI, PNG


def sent(body: dict[str, Any]) -> dict[str, Any]:
    call = as_openai(asking_of(json.dumps(body).encode()), "free", stream=False)
    return {name: json.loads(bytes(value)) for name, value in call.fields.items()}


def part(said: dict[str, Any]) -> dict[str, Any]:
    return {"contents": [{"parts": [said]}]}


def configured(**fields: Any) -> dict[str, Any]:
    return sent(HI | {"generationConfig": fields})


def messages(*contents: Any) -> Any:
    return sent({"contents": list(contents)})["messages"]


def test_both_spellings_of_fields_are_read():
    snake = {
        "contents": {"parts": {"inline_data": {"mime_type": "image/png", "data": PNG}}},
        "system_instruction": {"parts": {"text": "Brief."}},
        "generation_config": {"max_output_tokens": 9, "thinking_config": {"thinking_budget": 0}},
        "tools": [{"function_declarations": [{"name": "f", "parameters": {"type": "OBJECT"}}]}],
        "tool_config": {"function_calling_config": {"mode": "ANY"}},
        "safety_settings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
    }
    said = sent(snake)
    assert said["messages"][0] == {"role": "system", "content": "Brief."}
    assert said["messages"][1]["content"][0]["image_url"]["url"] == f"data:image/png;base64,{PNG}"
    assert (said["max_tokens"], said["reasoning_effort"], said["tool_choice"]) == (9, "none", "required")


def test_names_of_the_callers_own_keep_their_spelling():
    schema = {"type": "OBJECT", "properties": {"first_name": {"type": "STRING"}}}
    said = sent(HI | {"tools": [{"functionDeclarations": [{"name": "f", "parameters": schema}]}]})
    assert list(said["tools"][0]["function"]["parameters"]["properties"]) == ["first_name"]
    call = {"functionCall": {"name": "f", "args": {"first_name": {"last_name": 1}}}}
    [message] = messages({"role": "model", "parts": [call]})
    assert message["tool_calls"][0]["function"]["arguments"] == '{"first_name":{"last_name":1}}'


def test_a_schema_of_googles_becomes_json_schema():
    told = {
        "type": "OBJECT",
        "property_ordering": ["a", "b"],
        "properties": {
            "a": {"type": "ARRAY", "items": {"type": "STRING", "nullable": True}, "minItems": "1"},
            "b": {"anyOf": [{"type": "INTEGER"}, {"type": "TYPE_UNSPECIFIED"}], "nullable": True},
            "c": {"type": "STRING", "enum": ["x"], "nullable": True, "example": "x"},
            "nullable": {"type": "BOOLEAN", "nullable": False},
        },
    }
    assert json_schema(told) == {
        "type": "object",
        "properties": {
            "a": {"type": "array", "items": {"type": ["string", "null"]}, "minItems": 1},
            "b": {"anyOf": [{"type": "integer"}, {}, {"type": "null"}]},
            "c": {"type": ["string", "null"], "enum": ["x", None]},
            "nullable": {"type": "boolean"},
        },
    }


def test_a_schema_in_json_schema_is_taken_as_it_is():
    schema = {"type": "object", "properties": {"a": {"type": ["string", "null"]}}}
    tool = {"functionDeclarations": [{"name": "f", "parametersJsonSchema": schema}]}
    assert sent(HI | {"tools": [tool]})["tools"][0]["function"]["parameters"] == schema
    said = configured(responseMimeType="application/json", responseJsonSchema=schema)
    assert said["response_format"]["json_schema"]["schema"] == schema


def test_json_may_be_wanted_without_a_schema():
    assert configured(responseMimeType="application/json")["response_format"] == {"type": "json_object"}


def test_only_the_functions_that_may_be_called_are_offered():
    tools = [{"functionDeclarations": [{"name": "f"}, {"name": "g"}]}]
    chosen = {"mode": "ANY", "allowedFunctionNames": ["g"]}
    said = sent(HI | {"tools": tools, "toolConfig": {"functionCallingConfig": chosen}})
    assert [tool["function"]["name"] for tool in said["tools"]] == ["g"]
    assert said["tool_choice"] == "required"
    config = {"mode": "NONE"}
    assert (
        sent(HI | {"tools": tools, "toolConfig": {"functionCallingConfig": config}})["tool_choice"] == "none"
    )


@pytest.mark.parametrize(
    ("thinking", "effort"),
    [
        ({"thinkingBudget": 0}, "none"),
        ({"thinkingBudget": 512}, "low"),
        ({"thinkingBudget": 5000}, "medium"),
        ({"thinkingBudget": 24576}, "high"),
        ({"thinkingBudget": -1}, None),
        ({"thinkingLevel": "MINIMAL"}, "minimal"),
        ({"thinkingLevel": "high"}, "high"),
        ({"includeThoughts": True}, None),
    ],
)
def test_a_budget_for_thoughts_is_an_effort(thinking, effort):
    assert configured(thinkingConfig=thinking).get("reasoning_effort") == effort


def test_what_shapes_an_answer_is_said_in_openais_words():
    said = configured(topP=0.9, topK=40.0, seed=7, presencePenalty=0.5, stopSequences=[], candidateCount=1)
    assert {name: said[name] for name in said if name not in ("model", "messages")} == {
        "top_p": 0.9,
        "top_k": 40,
        "seed": 7,
        "presence_penalty": 0.5,
    }


def test_results_find_their_calls_and_several_stand_beside_words():
    calls = [{"functionCall": {"name": name, **more}} for name, more in (("a", {}), ("b", {"id": "mine"}))]
    results = [
        {"functionResponse": {"name": "b", "id": "mine", "response": {"output": {"n": 1}}}},
        {"functionResponse": {"name": "a", "response": {"x": 1, "y": 2}}},
        {"text": "Go on."},
    ]
    asked, b, a, words = messages({"role": "model", "parts": calls}, {"role": "user", "parts": results})
    assert [call["id"] for call in asked["tool_calls"]] == ["call_1", "mine"]
    assert (b["tool_call_id"], b["content"]) == ("mine", '{"n":1}')
    assert (a["tool_call_id"], a["content"]) == ("call_1", '{"x":1,"y":2}')
    assert words == {"role": "user", "content": "Go on."}


def test_an_answer_that_was_kept_in_pieces_is_one_message():
    pieces = [
        {"text": "Let"},
        {"text": " me."},
        {"functionCall": {"name": "f"}},
        {"functionCall": {"name": "g"}},
    ]
    [message] = messages(*({"role": "model", "parts": [piece]} for piece in pieces))
    assert message["content"] == "Let me."
    assert [call["function"]["name"] for call in message["tool_calls"]] == ["f", "g"]


def test_thoughts_of_earlier_turns_are_not_sent_on():
    thought = {"text": "Hm.", "thought": True, "thoughtSignature": "c2ln"}
    user = {"role": "user", "parts": [{"text": "Why?"}]}
    assert messages({"role": "model", "parts": [thought]}, user) == [{"role": "user", "content": "Why?"}]


@pytest.mark.parametrize(
    ("kind", "data", "becomes"),
    [
        ("image/webp", "-_8=", {"image_url": {"url": "data:image/webp;base64,+/8="}}),
        ("audio/mpeg", PNG, {"input_audio": {"data": PNG, "format": "mp3"}}),
        ("video/mp4", PNG, {"video_url": {"url": f"data:video/mp4;base64,{PNG}"}}),
        ("text/plain; charset=utf-8", "w6Q=", {"text": "ä"}),
        (
            "application/pdf",
            PNG,
            {"file": {"filename": "document.pdf", "file_data": f"data:application/pdf;base64,{PNG}"}},
        ),
    ],
)
def test_what_is_sent_along_becomes_a_part_of_its_kind(kind, data, becomes):
    [message] = messages({"parts": [{"text": "What?"}, {"inlineData": {"mimeType": kind, "data": data}}]})
    assert message["content"][1] == {"type": next(iter(becomes))} | becomes


def test_the_address_of_an_image_is_for_a_provider_to_fetch():
    file = {"fileData": {"mimeType": "image/png", "fileUri": "https://example.com/a.png"}}
    [message] = messages({"parts": [file]})
    assert message["content"] == [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"contents": "Hi"}, "contents: Expected"),
        ({"contents": []}, "contents is empty"),
        ({"contents": [{"role": "robot", "parts": []}]}, "contents[0].role: must be user or model"),
        (
            {"contents": [{"parts": [{"functionResponse": {"name": "f"}}]}]},
            "contents[0].parts[0].functionResp",
        ),
        (
            {"contents": [{"parts": [{"inlineData": {"data": ""}}]}]},
            "contents[0].parts[0].inlineData: Object",
        ),
        (HI | {"tools": [{"functionDeclarations": [{}]}]}, "tools[0].functionDeclarations: must be"),
        (
            HI | {"toolConfig": {"functionCallingConfig": {"mode": "SOME"}}},
            "toolConfig.functionCallingConfig.mode",
        ),
        (
            HI | {"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}},
            "toolConfig.functionCallingConfig: asks",
        ),
        (
            HI | {"generationConfig": {"maxOutputTokens": 0}},
            "generationConfig.maxOutputTokens: must be between",
        ),
        (HI | {"generationConfig": {"topP": "high"}}, "generationConfig.topP: Expected"),
        (
            HI
            | {
                "generationConfig": {
                    "responseMimeType": "application/json",
                    "responseSchema": {"type": "ODD"},
                }
            },
            "generationConfig.responseSchema: ",
        ),
        (
            part({"inlineData": {"mimeType": "text/plain", "data": "/w=="}}),
            "contents[0].parts[0].inlineData.data: must be text",
        ),
    ],
)
def test_what_is_wrong_is_named_in_geminis_words(body, told):
    with pytest.raises(InvalidRequest) as refused:
        sent(body)
    assert refused.value.message.startswith(told)


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"cachedContent": "cachedContents/1"}, "cachedContent"),
        ({"tools": [{"googleSearch": {}}]}, "tools[0].googleSearch"),
        ({"tools": [{"code_execution": {}}]}, "tools[0].codeExecution"),
        ({"generationConfig": {"candidateCount": 2}}, "generationConfig.candidateCount"),
        ({"generationConfig": {"responseLogprobs": True}}, "generationConfig.responseLogprobs"),
        ({"generationConfig": {"responseModalities": ["AUDIO"]}}, "generationConfig.responseModalities"),
        ({"generationConfig": {"responseMimeType": "text/x.enum"}}, "generationConfig.responseMimeType"),
        ({"contents": [{"parts": [{"executableCode": {}}]}]}, "contents[0].parts[0]"),
        (
            {"contents": [{"parts": [{"fileData": {"fileUri": "files/1"}}]}]},
            "contents[0].parts[0].fileData",
        ),
        (
            {"contents": [{"parts": [{"inlineData": {"mimeType": "font/woff", "data": ""}}]}]},
            "contents[0].parts[0].inlineData.mimeType",
        ),
    ],
)
def test_what_is_not_served_is_refused_by_name(more, param):
    with pytest.raises(UnsupportedCapability) as refused:
        sent(HI | more)
    assert refused.value.param == param


def test_tokens_are_counted_of_contents_or_of_all_that_would_be_sent():
    whole = {"generateContentRequest": {"model": "models/free", "systemInstruction": "Brief.", **HI}}
    counted = [
        as_openai(counting_of(json.dumps(body).encode()), "free", stream=False).demand.prompt
        for body in (HI, whole)
    ]
    assert 0 < counted[0] < counted[1]
