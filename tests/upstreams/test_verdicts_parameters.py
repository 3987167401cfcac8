"""Which parameter, or which context size, a refusal names."""

import pytest

from freeroute.domain.outcome import PREFILL, Kind, droppable
from tests.support.refusals import error, google, judged

# Anthropic's, Bedrock's, vLLM's, Mistral's and Google's words.
PREFILLS = [
    "This model does not support assistant message prefill. The conversation must end with a user message.",
    "Prefilling assistant messages is not supported for this model.",
    "Cannot set `add_generation_prompt` to True when the last message is from the assistant.",
    "Expected last role User or Tool (or Assistant with prefix True) for serving but got assistant",
    "Please ensure that single turn requests end with a user role or the role field is empty.",
]
# vLLM's and NVIDIA's, Cerebras', Mistral's, OpenRouter's, Cohere's, Cloudflare's, Z.ai's, LM Studio's,
# Ollama's, SGLang's, older vLLM's, Anthropic's, TGI's, Alibaba's and xAI's words.
OVERFLOWS = [
    (
        error(
            "'max_tokens' or 'max_completion_tokens' is too large: 9000. This model's maximum context length "
            "is 4096 tokens and your request has 500 input tokens (9000 > 4096 - 500)."
        ),
        4096,
    ),
    (
        {
            "message": "Please reduce the length of the messages or completion. Current length is 9500 while "
            "limit is 8192",
            "type": "invalid_request_error",
            "param": "messages",
            "code": "context_length_exceeded",
        },
        8192,
    ),
    (
        {
            "object": "error",
            "message": "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 "
            "maximum context length",
            "type": "invalid_request_prompt",
            "param": None,
            "code": "3051",
        },
        32768,
    ),
    (
        error(
            "This endpoint's maximum context length is 131072 tokens. However, you requested about 140000 "
            "tokens (139000 of text input, 1000 in the output). Please reduce the length of either one."
        ),
        131072,
    ),
    (
        {
            "id": "x",
            "message": "too many tokens: total number of tokens in the prompt cannot exceed 4081 - received "
            "5000. Try using a shorter prompt.",
        },
        4081,
    ),
    (
        {
            "success": False,
            "errors": [
                {
                    "code": 5021,
                    "message": "AiError: The estimated number of input and maximum output tokens (9000) "
                    "exceeded this model context window limit (8192).",
                }
            ],
        },
        8192,
    ),
    (error("Prompt exceeds max length", code="1261"), None),
    (
        {
            "error": "Trying to keep the first 9000 tokens when context the overflows. However, the model is "
            "loaded with context length of only 4096 tokens, which is not enough."
        },
        4096,
    ),
    ({"error": "the input length exceeds the context length"}, None),
    (error("The input (9000 tokens) is longer than the model's context length (8192 tokens)."), 8192),
    (
        error(
            "The decoder prompt (length 12009) is longer than the maximum model length of 8192. Make sure "
            "that `max_model_len` is no smaller than the number of text tokens."
        ),
        8192,
    ),
    (error("The prompt (length 12009) exceeds the maximum model length of 8192"), 8192),
    (error("prompt is too long: 208310 tokens > 200000 maximum"), 200000),
    (error("input length and `max_tokens` exceed context limit: 198000 + 21000 > 200000"), 200000),
    (
        error(
            "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 8192. Given: 12009 "
            "`inputs` tokens and 20 `max_new_tokens`"
        ),
        8192,
    ),
    (error("Input validation error: `inputs` must have less than 4095 tokens. Given: 6000"), 4095),
    (error("<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 30720]"), 30720),
    (
        error("This model's maximum prompt length is 131072 but the request contains 140000 tokens."),
        131072,
    ),
    (
        error(
            "Requested token count exceeds the model's maximum context length of 8192 tokens. You requested "
            "a total of 9000 tokens: 8000 tokens from the input messages and 1000 tokens for the completion."
        ),
        8192,
    ),
]
PARAMETERS = [
    *((400, error(words), PREFILL) for words in PREFILLS),
    (
        400,
        error(
            "'messages.0' : for 'role:user' the following must be satisfied[('messages.0' : property 'name' "
            "is unsupported)]"
        ),
        "messages[].name",
    ),
    (400, error("property 'logit_bias' is unsupported"), "logit_bias"),
    (400, error("'n' : number must be at most 1", param="n"), "n"),
    (
        400,
        google('Invalid JSON payload received. Unknown name "frequency_penalty": Cannot find field.'),
        "frequency_penalty",
    ),
    (
        400,
        google(
            "Unknown name \"additionalProperties\" at 'tools[0].function_declarations[0].parameters': "
            "Cannot find field."
        ),
        "tools",
    ),
    (400, google("Penalty is not enabled for this model"), "penalties"),
    (400, error("Unrecognized request argument supplied: top_k"), "top_k"),
    (400, error("`logprobs` is not supported with this model"), "logprobs"),
    (
        400,
        error(
            "Unsupported parameter: 'reasoning_effort' is not supported with this model.",
            param="reasoning_effort",
            code="unsupported_parameter",
        ),
        "reasoning_effort",
    ),
    (
        400,
        error("max_tokens must be less than or equal to `8192`, the maximum for the context_window"),
        "max_tokens",
    ),
    (
        422,
        {
            "detail": [
                {
                    "type": "extra_forbidden",
                    "loc": ["body", "logit_bias"],
                    "msg": "Extra inputs are not permitted",
                    "input": {},
                }
            ]
        },
        "logit_bias",
    ),
    (
        422,
        {
            "object": "error",
            "message": {"detail": [{"loc": ["body", "user"], "msg": "extra fields not permitted"}]},
        },
        "user",
    ),
    (
        422,
        {
            "detail": [
                {
                    "type": "extra_forbidden",
                    "loc": ["body", "messages", 1, "assistant", "reasoning_content"],
                    "msg": "Extra inputs are not permitted",
                }
            ]
        },
        "messages[].reasoning_content",
    ),
    (
        400,
        error('"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'),
        "tools",
    ),
    (400, error("registry.ollama.ai/library/x does not support tools"), "tools"),
    (400, error("This model only supports single tool-calls at once!"), "parallel_tool_calls"),
    (400, error('json: unknown field "store"'), "store"),
    (400, error("Model grok-4 does not support parameter frequencyPenalty."), "frequency_penalty"),
    (400, error("This model does not support Presence Penalty."), "presence_penalty"),
    (400, error("Argument not supported on this model: presencePenalty"), "presence_penalty"),
    (400, error("This model does not support `reasoning_effort`."), "reasoning_effort"),
    (400, error("Bad request.", param="seed", code="unsupported_parameter"), "seed"),
]
# About what a parameter says, or what it stands beside: OpenAI's, Groq's and FastAPI's words.
VALUES = [
    (400, error("`seed` must be between 0 and 2147483647", param="seed"), "seed"),
    (
        400,
        error(
            "Unsupported value: 'reasoning_effort' does not support 'minimal' with this model. Supported "
            "values are: 'low', 'medium', and 'high'.",
            param="reasoning_effort",
            code="unsupported_value",
        ),
        "reasoning_effort",
    ),
    (
        400,
        error(
            "Unsupported parameter: 'parallel_tool_calls' is only allowed when 'tools' are specified.",
            param="parallel_tool_calls",
        ),
        "parallel_tool_calls",
    ),
    (400, error("Invalid 'logit_bias'.", param="logit_bias", code="integer_above_max_value"), "logit_bias"),
    (400, error("Something is wrong.", param="seed"), "seed"),
    (
        422,
        {"detail": [{"type": "less_than_equal", "loc": ["body", "seed"], "msg": "Input should be less"}]},
        "seed",
    ),
]


@pytest.mark.parametrize(("status", "body", "param"), PARAMETERS)
def test_a_refused_parameter_is_named(status: int, body: object, param: str):
    outcome = judged(status, body)
    assert (outcome.kind, outcome.param) == (Kind.BAD_PARAMETER, param)


@pytest.mark.parametrize(("status", "body", "param"), VALUES)
def test_a_refusal_of_a_value_says_nothing_of_the_parameter(status: int, body: object, param: str):
    outcome = judged(status, body)
    assert (outcome.kind, outcome.param, outcome.lasting) == (Kind.BAD_PARAMETER, param, False)


@pytest.mark.parametrize(("status", "body", "param"), [row for row in PARAMETERS if droppable(row[2])])
def test_a_refusal_of_the_parameter_is_about_every_value(status: int, body: object, param: str):
    assert judged(status, body).lasting


@pytest.mark.parametrize(
    ("body", "context"),
    [
        (
            error(
                "the request exceeds the available context size",
                type="exceed_context_size_error",
                n_prompt_tokens=9000,
                n_ctx=4096,
            ),
            4096,
        ),
        (
            error("This model's maximum context length is 32768 tokens. However, you requested 40000 tokens"),
            32768,
        ),
        (
            google("The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."),
            1048576,
        ),
        (error("Please reduce the length of the messages", code="context_length_exceeded"), None),
        *OVERFLOWS,
    ],
)
def test_the_real_context_is_learned_from_the_refusal(body: object, context: int | None):
    outcome = judged(400, body)
    assert (outcome.kind, outcome.context) == (Kind.CONTEXT_TOO_LONG, context)
