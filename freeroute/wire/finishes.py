"""Why answers ended, in the words of every dialect, and what they mean in OpenAI's."""

FINISHES = frozenset({"stop", "length", "tool_calls", "content_filter", "function_call"})

# A finish that explains why there is nothing to read.
SILENT_FINISHES = frozenset({"length", "content_filter"})

# From the documentation of those who stand behind the words.
_MEANT = {
    "max_tokens": "length",  # Anthropic, Cohere, Gemini
    "max_length": "length",
    "max_output_tokens": "length",  # OpenAI's Responses
    "model_length": "length",  # Mistral
    "model_context_window_exceeded": "length",  # Anthropic, Bedrock, Z.ai
    "token_limit": "length",  # watsonx
    "error_limit": "length",  # Cohere: the context is full
    "tool_call": "tool_calls",  # Cohere
    "tool_use": "tool_calls",  # Anthropic
    "blocklist": "content_filter",  # Gemini
    "image_prohibited_content": "content_filter",  # Gemini
    "image_recitation": "content_filter",  # Gemini
    "image_safety": "content_filter",  # Gemini
    "language": "content_filter",  # Gemini
    "prohibited_content": "content_filter",  # Gemini
    "recitation": "content_filter",  # Gemini
    "safety": "content_filter",  # Gemini
    "spii": "content_filter",  # Gemini
    "content_filtered": "content_filter",  # Bedrock
    "guardrail_intervened": "content_filter",  # Bedrock
    "error_toxic": "content_filter",  # Cohere
    "refusal": "content_filter",  # Anthropic
    "sensitive": "content_filter",  # Z.ai
}
# The answer did not end, it was given up, or nobody can say that it is whole.
_FAILURES = frozenset(
    {
        "error",  # Cohere, Mistral, OpenRouter; whatever begins with error_ as well
        "network_error",  # Z.ai
        "insufficient_system_resource",  # DeepSeek
        "abort",  # SGLang, vLLM
        "aborted",
        "canceled",
        "cancelled",  # watsonx
        "user_cancel",  # Cohere; a caller that left reads no finish
        "failed",
        "timeout",  # Cohere
        "time_limit",  # watsonx
        "not_finished",  # watsonx
        "malformed_function_call",  # Gemini
        "malformed_response",  # Gemini
        "missing_thought_signature",  # Gemini
        "too_many_tool_calls",  # Gemini
        "unexpected_tool_call",  # Gemini
        "image_other",  # Gemini
        "no_image",  # Gemini
        "other",  # Gemini: for unknown reasons
        "unspecified",  # Gemini
        "unknown",
        "malformed_model_output",  # Bedrock
        "malformed_tool_use",  # Bedrock
    }
)


def finish_of(told: str) -> str:
    """Return the finish reason *told* in OpenAI's words; one that nobody knows reads as ``stop``."""
    if told in FINISHES:
        return told
    word = _word(told)
    return word if word in FINISHES else _MEANT.get(word, "stop")


def is_failure(told: str) -> bool:
    """Say whether the finish reason *told* is a failure of the provider, which no answer ends with."""
    if told in FINISHES:
        return False
    word = _word(told)
    return word in _FAILURES or (word.startswith("error_") and word not in _MEANT)


def _word(told: str) -> str:
    """Return *told* without what varies: Gemini adds details behind a colon, protocol buffers a prefix."""
    word = told.partition(":")[0].strip().lower().replace("-", "_").replace(" ", "_")
    return word.removeprefix("finish_reason_")
