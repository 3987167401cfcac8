"""What is Gemini's own: its events to the byte, its dialects, keys in a query, and its list of models."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from freeroute.domain.clients import Client, hash_key
from freeroute.errors import ApiError, CapacityExhausted, InvalidRequest, UnsupportedCapability
from freeroute.surfaces.gemini_answer import GeminiItems, GeminiTelling, in_geminis_shape
from freeroute.surfaces.gemini_request import as_openai, asking_of, counting_of
from freeroute.surfaces.gemini_schema import json_schema
from freeroute.surfaces.guard import Policy
from tests.support.gateways import FakeServed, chunk

HI = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
GENERATE = "/v1beta/models/free:generateContent"
PNG = "iVBORw0KGgoAAAANSUhEUg=="
USAGE = (
    b'{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":5,"total_tokens":8,'
    b'"completion_tokens_details":{"reasoning_tokens":2},"prompt_tokens_details":{"cached_tokens":1}}}'
)
STOP = b'{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}'
CALLING = [
    b'{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"c1","function":{"name":"f","arguments":""}}]}}]}',
    b'{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\\"a\\":"}}]}}]}',
    b'{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"1}"}}]}}]}',
]
THOUGHT = b'{"choices":[{"delta":{"reasoning_content":"Hm."}}]}'


def sent(body: dict[str, Any]) -> dict[str, Any]:
    call = as_openai(asking_of(json.dumps(body).encode()), "free", stream=False)
    return {name: json.loads(bytes(value)) for name, value in call.fields.items()}


def config(**fields: Any) -> dict[str, Any]:
    return HI | {"generationConfig": fields}


def calling(mode: str) -> dict[str, Any]:
    return HI | {"toolConfig": {"functionCallingConfig": {"mode": mode}}}


def part(said: dict[str, Any]) -> dict[str, Any]:
    return {"contents": [{"parts": [said]}]}


def configured(**fields: Any) -> dict[str, Any]:
    return sent(config(**fields))


def messages(*contents: Any) -> Any:
    return sent({"contents": list(contents)})["messages"]


def data_of(told: bytes) -> list[Any]:
    return [json.loads(event.removeprefix(b"data: ")) for event in told.split(b"\n\n") if event]


# --- answers -------------------------------------------------------------------------------------------


def test_a_stream_is_events_and_the_last_tells_why_and_how_much():
    told = GeminiTelling(thoughts=False)
    assert told.events([chunk("Hello")]) == (
        b'data: {"candidates":[{"content":{"parts":[{"text":"Hello"}],"role":"model"},"index":0}],'
        b'"modelVersion":"m","responseId":"c1"}\n\n'
    )
    assert told.events([STOP]) == b""
    assert told.events([USAGE]) == (
        b'data: {"candidates":[{"content":{"parts":[{"text":""}],"role":"model"},"finishReason":"STOP",'
        b'"index":0}],"modelVersion":"m","responseId":"c1","usageMetadata":{"promptTokenCount":3,'
        b'"candidatesTokenCount":3,"totalTokenCount":8,"thoughtsTokenCount":2,"cachedContentTokenCount":1}}\n\n'
    )
    assert told.events([chunk("late")]) == told.end() == b""


def test_thoughts_are_told_to_those_who_ask_for_them():
    [event] = data_of(GeminiTelling(thoughts=True).events([THOUGHT]))
    assert event["candidates"][0]["content"]["parts"] == [{"text": "Hm.", "thought": True}]
    assert GeminiTelling(thoughts=False).events([THOUGHT]) == b""


def test_a_call_is_told_as_soon_as_its_arguments_are_complete():
    told = GeminiTelling(thoughts=False)
    assert told.events(CALLING[:2]) == b""
    [event] = data_of(told.events(CALLING[2:]))
    call = {"functionCall": {"id": "c1", "name": "f", "args": {"a": 1}}}
    assert event["candidates"][0]["content"]["parts"] == [call]


CHUNKS = [chunk("One"), THOUGHT, chunk(" two"), *CALLING, STOP, USAGE]


@given(st.lists(st.integers(0, len(CHUNKS)), max_size=8), st.booleans())
def test_however_the_chunks_come_together_what_is_told_is_the_same(cuts, as_items):
    kind = GeminiItems if as_items else GeminiTelling
    told, expected = kind(thoughts=True), kind(thoughts=True)
    ends = sorted({*cuts, len(CHUNKS)})
    batches = [CHUNKS[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    pieces = b"".join(told.events(batch) for batch in batches) + told.end()
    assert pieces == expected.events(CHUNKS) + expected.end()


def test_without_sse_a_stream_is_one_array():
    told = GeminiItems(thoughts=False)
    first = told.events([chunk("Hello")])
    assert first.startswith(b'[{"candidates"')
    items = json.loads(
        told.comment + first + told.comment + told.events([chunk("!"), STOP, USAGE]) + told.end()
    )
    assert [item["candidates"][0]["content"]["parts"][0]["text"] for item in items] == ["Hello", "!", ""]


def test_an_array_of_which_nothing_was_told_is_one_all_the_same():
    told = GeminiItems(thoughts=False)
    [item] = json.loads(told.end())
    assert item["candidates"][0]["finishReason"] == "STOP"


@pytest.mark.parametrize("kind", [GeminiTelling, GeminiItems])
def test_an_error_is_the_last_that_is_told(kind):
    error = b'{"error":{"message":"gone"},"choices":[{"delta":{},"finish_reason":"error"}]}'
    inside, ours = kind(thoughts=False), kind(thoughts=False)
    told = inside.events([error, error, USAGE]) + inside.end()
    ended = ours.fault(CapacityExhausted("spent", retry_after=40.2), None) + ours.end()
    [gone] = json.loads(told) if kind is GeminiItems else data_of(told)
    [spent] = json.loads(ended) if kind is GeminiItems else data_of(ended)
    assert gone == {"error": {"code": 502, "message": "gone", "status": "UNAVAILABLE"}}
    assert spent["error"]["status"] == "RESOURCE_EXHAUSTED"


def test_an_error_has_googles_form():
    body = json.loads(in_geminis_shape(CapacityExhausted("spent", retry_after=40.2), "req_1"))
    assert body == {
        "error": {
            "code": 429,
            "message": "spent",
            "status": "RESOURCE_EXHAUSTED",
            "details": [
                {
                    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                    "reason": "CAPACITY_EXHAUSTED",
                    "domain": "freeroute",
                },
                {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "41s"},
            ],
        }
    }


def test_every_status_that_errors_have_is_one_of_googles():
    def leaves(kind: type[ApiError]) -> list[type[ApiError]]:
        return [kind, *(leaf for below in kind.__subclasses__() for leaf in leaves(below))]

    for kind in leaves(ApiError):
        error = json.loads(in_geminis_shape(kind("told"), ""))["error"]
        assert error["status"].isupper()
        assert error["code"] == kind.status


def test_images_of_an_answer_are_bytes_or_where_they_are():
    urls = [f"data:image/png;base64,{PNG}", "https://example.com/a.png"]
    message = {"content": None, "images": [{"image_url": {"url": url}} for url in urls]}
    body = json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]}).encode()
    answer = json.loads(GeminiTelling(thoughts=False).whole(body))
    assert answer["candidates"][0]["content"]["parts"] == [
        {"inlineData": {"mimeType": "image/png", "data": PNG}},
        {"fileData": {"fileUri": "https://example.com/a.png"}},
    ]


# --- requests ------------------------------------------------------------------------------------------


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


# --- routes --------------------------------------------------------------------------------------------

KEYED = Policy(clients=(Client("alice", hash_key("sk-alice")),), loopback=False)


async def test_a_key_may_be_in_the_query_and_is_told_to_nobody(ask, gateway):
    with capture_logs() as logs:
        async with ask(KEYED) as client:
            passed = await client.post(GENERATE + "?key=sk-alice", json=HI)
            wrong = await client.post(GENERATE + "?key=sk-mallory", json=HI)
            both = await client.post(
                GENERATE + "?key=sk-mallory", json=HI, headers={"x-goog-api-key": "sk-alice"}
            )
            elsewhere = await client.get("/v1/models?key=sk-alice")
    assert passed.status_code == 200
    assert gateway.calls[0][1].client.name == "alice"
    assert [reply.status_code for reply in (wrong, both, elsewhere)] == [401, 401, 401]
    assert "Two different keys" in both.json()["error"]["message"]
    assert "sk-" not in wrong.text + both.text + str(logs)


async def test_sdks_of_google_are_answered_in_their_words_where_openais_models_are(ask):
    async with ask() as client:
        google = await client.get("/v1/models", headers={"x-goog-api-client": "google-genai-sdk/3.4.0"})
        other = await client.get("/v1/models")
        path = "/v1/models/groq/openai/gpt-oss-120b:generateContent"
        answer = await client.post(path, json=HI, headers={"x-goog-api-client": "google-genai-sdk/3.4.0"})
    assert google.json()["models"][0]["name"] == "models/free"
    assert other.json()["data"][0]["id"] == "free"
    assert answer.json()["candidates"]


async def test_names_of_models_may_hold_slashes(ask, gateway):
    async with ask() as client:
        reply = await client.post("/v1beta/models/groq/openai/gpt-oss-120b:generateContent", json=HI)
    assert reply.status_code == 200
    assert gateway.calls[0][0].model == "groq/openai/gpt-oss-120b"


async def test_a_stream_is_sse_only_if_that_is_asked_for(ask, gateway):
    path = "/v1beta/models/free:streamGenerateContent"
    kinds = {}
    for query in ("?alt=sse", ""):
        gateway.answer = FakeServed(batches=[[chunk("Hi"), STOP, USAGE]])
        async with ask() as client:
            reply = await client.post(path + query, json=HI)
        kinds[query] = reply.headers["content-type"]
    assert kinds == {"?alt=sse": "text/event-stream; charset=utf-8", "": "application/json"}


async def test_models_are_listed_page_by_page(ask, gateway):
    gateway.entry = {"context_length": 8192, "supported_parameters": ["reasoning"]}
    async with ask() as client:
        first = (await client.get("/v1beta/models?pageSize=1")).json()
        second = (await client.get(f"/v1beta/models?pageSize=1&pageToken={first['nextPageToken']}")).json()
        wrong = await client.get("/v1beta/models?pageToken=x")
        one = (await client.get("/v1beta/models/free")).json()
    assert [model["name"] for model in first["models"]] == ["models/free"]
    assert [model["name"] for model in second["models"]] == ["models/groq/openai/gpt-oss-120b"]
    assert "nextPageToken" not in second
    assert wrong.status_code == 400
    assert one["inputTokenLimit"] == 8192
    assert one["thinking"] is True


VECTORS = (
    b'{"object":"list","model":"m","usage":{"prompt_tokens":3,"total_tokens":3},"data":['
    b'{"object":"embedding","index":1,"embedding":[0.25,1]},'
    b'{"object":"embedding","index":0,"embedding":"AAAAPwAAgD8="}]}'
)


async def test_vectors_are_told_in_order_as_numbers(ask, gateway):
    gateway.answer = FakeServed(VECTORS)
    texts = [{"content": {"parts": [{"text": text}]}, "output_dimensionality": 2} for text in ("a", "b")]
    async with ask() as client:
        reply = await client.post("/v1beta/models/m:batchEmbedContents", json={"requests": texts})
        one = await client.post("/v1beta/models/m:embedContent", json=texts[0])
    assert reply.json() == {"embeddings": [{"values": [0.5, 1.0]}, {"values": [0.25, 1]}]}
    assert one.json() == {"embedding": {"values": [0.5, 1.0]}}
    [call, _] = [call for call, _ in gateway.calls]
    assert json.loads(bytes(call.fields["input"])) == ["a", "b"]
    assert json.loads(bytes(call.fields["dimensions"])) == 2


@pytest.mark.parametrize(
    ("requests", "told"),
    [
        ([], "requests: "),
        ([{"content": {"parts": []}}], "requests[0].content: the text is empty"),
        (
            [{"content": {"parts": [{"inlineData": {"mimeType": "image/png", "data": PNG}}]}}],
            "requests[0].con",
        ),
        (
            [{"content": {"parts": [{"text": "a"}]}, "outputDimensionality": size} for size in (2, 3)],
            "requests: outputDimensionality must be the same",
        ),
        (
            [{"content": {"parts": [{"text": "a"}]}, "outputDimensionality": 0}],
            "requests.outputDimensionality: must be",
        ),
    ],
)
async def test_what_is_wrong_about_texts_for_vectors_is_named(ask, requests, told):
    async with ask() as client:
        reply = await client.post("/v1beta/models/m:batchEmbedContents", json={"requests": requests})
    assert reply.status_code == 400
    assert reply.json()["error"]["message"].startswith(told)


async def test_tokens_are_counted_without_asking_anybody(ask, gateway):
    async with ask() as client:
        reply = await client.post("/v1beta/models/free:countTokens", json=HI)
        missing = await client.post("/v1beta/models/larg:countTokens", json=HI)
    assert reply.json()["totalTokens"] > 0
    assert missing.status_code == 404
    assert missing.json()["error"]["status"] == "NOT_FOUND"
    assert gateway.calls == []
