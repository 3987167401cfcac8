"""OpenAI's published forms, as its own package has them, held to the letter."""

from functools import cache
from typing import Any, TypeVar

import msgspec
from openai.types import Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.shared import ErrorObject
from pydantic import BaseModel, TypeAdapter

T = TypeVar("T", bound=BaseModel)

# What an answer may hold beside OpenAI's fields: OpenRouter's conventions, ours, and what providers add.
CONVENTIONS = {
    "Choice": {"native_finish_reason"},
    "ChoiceDelta": {"reasoning_content", "reasoning_details"},
    "ChatCompletionMessage": {"reasoning_content", "reasoning_details"},
    "ChoiceDeltaToolCall": {"extra_content"},
    "ChatCompletionMessageFunctionToolCall": {"extra_content"},
    "CompletionUsage": {"estimated"},
    "ErrorObject": {"metadata"},
}
_BESIDE: set[str] = {
    "provider",
    "x_groq",
    "p",
    "time_info",
    "timings",
    "stats",
    "usage_breakdown",
    "request_id",
}
OF_PROVIDERS = {
    "ChatCompletion": _BESIDE | {"prompt_logprobs", "kv_transfer_params"},
    "ChatCompletionChunk": _BESIDE | {"prompt_logprobs", "kv_transfer_params"},
    "CompletionTokensDetails": {"image_tokens"},
    "Choice": {"stop_reason", "seed"},
    "ChoiceDelta": {"channel", "annotations", "reasoning"},
    "ChatCompletionMessage": {"reasoning"},
    "ChatCompletionMessageFunctionToolCall": {"index"},
    "CompletionUsage": {"cost", "is_byok", "cost_details"}
    | {"queue_time", "prompt_time", "completion_time", "total_time"},
}


def check_whole(body: bytes) -> ChatCompletion:
    """Return the whole answer *body*; raises ValueError if it is not OpenAI's form."""
    return _checked(ChatCompletion, body)


def check_chunk(payload: bytes) -> ChatCompletionChunk:
    """Return the chunk *payload*; raises ValueError if it is not OpenAI's form."""
    return _checked(ChatCompletionChunk, payload)


def check_error(error: object) -> ErrorObject:
    """Return the *error* object; raises ValueError if it is not OpenAI's form."""
    return _checked(ErrorObject, msgspec.json.encode(error))


def check_model(model: object) -> Model:
    """Return the entry *model* of a list; what is beside OpenAI's fields is documented elsewhere."""
    value: Model = _adapter(Model).validate_json(msgspec.json.encode(model), strict=True)
    return value


def _checked(form: type[T], body: bytes) -> T:
    value: T = _adapter(form).validate_json(body, strict=True)
    _check_extras(value)
    return value


@cache
def _adapter(form: Any) -> TypeAdapter[Any]:
    return TypeAdapter(form)


def _check_extras(value: object) -> None:
    if isinstance(value, list):
        for one in value:
            _check_extras(one)
    if not isinstance(value, BaseModel):
        return
    name = type(value).__name__
    extras = set(value.model_extra or ()) - CONVENTIONS.get(name, set()) - OF_PROVIDERS.get(name, set())
    if extras:
        raise ValueError(f"{name} has {', '.join(sorted(extras))}")
    for field in value.model_fields_set - set(value.model_extra or ()):
        _check_extras(getattr(value, field))
