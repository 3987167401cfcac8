"""Requests that are not for chat, decoded as far as routing needs: what is asked, and of which model."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Raw

from freeroute.domain.tasks import Task
from freeroute.domain.usage import Demand, demand_of
from freeroute.errors import InvalidRequest
from freeroute.wire.chat import GATEWAY_FIELDS, ChatCall
from freeroute.wire.decode import check_name, read, split
from freeroute.wire.fields import MAX_TOKENS, StreamOptions
from freeroute.wire.multipart import Form
from freeroute.wire.preferences import preferences_of

MOST_DIMENSIONS = 65536
"""Of a vector; the longest that any model makes are a tenth of that."""

MOST_INPUTS = 10_000
"""Texts of one request. Own design: five times as many as OpenAI takes."""

_NULL = Raw(b"null")
_NAME = msgspec.json.Decoder(str)
_WHOLE = msgspec.json.Decoder(int)
_OPTIONS = msgspec.json.Decoder(StreamOptions)
_FLAG = msgspec.json.Decoder(bool)
_INPUT = msgspec.json.Decoder(str | list[str | list[int] | int])


def asked_for(task: Task, body: bytes, *, wanted: str) -> dict[str, Raw]:
    """Return the fields of the JSON *body* that say something; raises InvalidRequest.

    *wanted* are the words for what the body has to hold.
    """
    fields = split(body, wanted)
    if "models" in fields and fields["models"] != _NULL:
        raise InvalidRequest(f"models: one model at a time for {task.value}.", param="models")
    return {name: value for name, value in fields.items() if value != _NULL}


def call_of(
    task: Task,
    given: dict[str, Raw],
    texts: Sequence[bytes] = (),
    *,
    form: Form | None = None,
    inputs: int = 1,
    dimensions: int | None = None,
) -> ChatCall:
    """Return the call for *task* whose fields are *given*; of its *texts* the prompt's tokens are estimated.

    Only moderations may name no model, as OpenAI's SDK does not. Raises InvalidRequest for what is wrong in
    the model, ``stream`` or ``provider``.
    """
    sized = demand_of(b"".join(texts), 0, 0)
    preferences = preferences_of(given.get("provider"))
    if preferences.require_parameters:
        told = "provider.require_parameters: only for chat is it known who honours what."
        raise InvalidRequest(told, param="provider.require_parameters")
    return ChatCall(
        task=task,
        fields={name: value for name, value in given.items() if name not in GATEWAY_FIELDS},
        model="" if task is Task.MODERATION and "model" not in given else _model(given),
        demand=Demand(sized.prompt, 0, sized.sizes),
        stream=_flag(given, "stream"),
        preferences=preferences,
        form=form,
        inputs=inputs,
        dimensions=dimensions,
    )


def embeddings_of(given: dict[str, Raw]) -> ChatCall:
    """Return the call for the vectors of the ``input`` that is *given*; raises InvalidRequest.

    That is a text, a list of texts, the tokens of one, or a list of such. Tokens pass as they are: whoever
    sends them knows which model they are for.
    """
    if "input" not in given:
        raise InvalidRequest("input is missing: send a text, or a list of texts.", param="input")
    value = read(given["input"], _INPUT, "input")
    texts, count = _texts(value)
    dimensions = _whole(given, "dimensions", MOST_DIMENSIONS)
    call = call_of(Task.EMBEDDINGS, given, texts, inputs=count, dimensions=dimensions)
    if tokens := _tokens(value):
        call.demand = call.demand.longer(tokens)
    return call


def completion_of(given: dict[str, Raw]) -> ChatCall:
    """Return the call that lets a model go on with a ``prompt``, up to its ``suffix``; raises InvalidRequest.

    Only what completes is asked, without a template for chat around the text.
    """
    texts = [read(given[name], _NAME, name).encode() for name in ("prompt", "suffix") if name in given]
    if "prompt" not in given:
        raise InvalidRequest("prompt is missing: send the text to go on with.", param="prompt")
    call = call_of(Task.COMPLETIONS, given, texts)
    bound = _whole(given, "max_tokens", MAX_TOKENS)
    call.demand = Demand(call.demand.prompt, bound, call.demand.sizes)
    call.choices = _whole(given, "n", 128) or 1
    options = read(given["stream_options"], _OPTIONS, "stream_options") if "stream_options" in given else None
    call.include_usage = bool(call.stream and options is not None and options.include_usage)
    return call


def _texts(value: Any) -> tuple[list[bytes], int]:
    """Return the texts of an ``input``, and how many vectors it asks for."""
    if isinstance(value, str):
        if not value:
            raise InvalidRequest("input: the text is empty.", param="input")
        return [value.encode()], 1
    if not value:
        raise InvalidRequest("input: the list is empty.", param="input")
    kinds = set(map(type, value))
    if len(kinds) > 1:
        raise InvalidRequest("input: texts and tokens in one list.", param="input")
    if int in kinds:
        return [], 1
    if len(value) > MOST_INPUTS:
        raise InvalidRequest(f"input: at most {MOST_INPUTS} texts in one request.", param="input")
    for index, one in enumerate(value):
        if not one:
            raise InvalidRequest(f"input[{index}]: the text is empty.", param=f"input[{index}]")
    return [one.encode() for one in value if isinstance(one, str)], len(value)


def _tokens(value: Any) -> int:
    """Return how many tokens an ``input`` holds that came as tokens."""
    if isinstance(value, str):
        return 0
    return sum(len(one) if isinstance(one, list) else 1 for one in value if not isinstance(one, str))


def _model(given: dict[str, Raw]) -> str:
    if "model" not in given:
        raise InvalidRequest("model is missing: name one.", param="model")
    name: str = read(given["model"], _NAME, "model")
    check_name(name, "model")
    return name


def _flag(given: dict[str, Raw], name: str) -> bool:
    return bool(read(given[name], _FLAG, name)) if name in given else False


def _whole(given: dict[str, Raw], name: str, most: int) -> int | None:
    """Return the number *name*, from 1 to *most*; None if it is not given."""
    if name not in given:
        return None
    value: int = read(given[name], _WHOLE, name)
    if not 1 <= value <= most:
        raise InvalidRequest(f"{name}: must be between 1 and {most}.", param=name)
    return value
