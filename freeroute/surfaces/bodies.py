"""Bodies of APIs that are not OpenAI's: read strictly, and said in OpenAI's words; errors stay in theirs."""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from msgspec import Raw
from msgspec.json import Decoder

from freeroute.domain.tasks import Task
from freeroute.errors import InvalidRequest
from freeroute.wire.asking import asked_for, completion_of, embeddings_of
from freeroute.wire.chat import ChatCall
from freeroute.wire.decode import decode_chat, plain_reason, read, split

T = TypeVar("T")

_NULL = Raw(b"null")


def parsed(body: bytes) -> Any:
    """Return the JSON value of *body*; raises InvalidRequest."""
    if not body.strip():
        raise InvalidRequest("The body is empty: send a JSON object.")
    try:
        return msgspec.json.decode(body)
    except RecursionError:
        raise InvalidRequest("The body is nested too deeply.") from None
    except (msgspec.DecodeError, ValueError) as exc:
        raise InvalidRequest(f"The body is not valid JSON: {exc}.") from None


def shaped(value: Any, shape: type[T]) -> T:
    """Return *value* as a *shape*; raises InvalidRequest that names the field."""
    if not isinstance(value, dict):
        raise InvalidRequest("The body must be a JSON object.")
    try:
        return msgspec.convert(value, shape)
    except msgspec.ValidationError as exc:
        reason, _, path = str(exc).partition(" - at `$")
        param = path.rstrip("`").removeprefix(".")
        raise InvalidRequest(f"{param}: {plain_reason(reason)}.", param=param) from None
    except RecursionError:
        raise InvalidRequest("The body is nested too deeply.") from None


def fields_in(body: bytes, decoders: Mapping[str, Decoder[Any]]) -> tuple[dict[str, Raw], dict[str, Any]]:
    """Return the fields of *body* that say something, as they are written, and those of *decoders*, read.

    For APIs whose fields mostly go on as they are. Raises InvalidRequest that names the field.
    """
    given = {name: raw for name, raw in split(body).items() if raw != _NULL}
    return given, {name: read(given[name], one, name) for name, one in decoders.items() if name in given}


def call_for(task: Task, body: Mapping[str, Any], names: Mapping[str, str]) -> ChatCall:
    """Return the call for *task* that *body*, in OpenAI's words, asks for; raises InvalidRequest.

    *task* is chat, completions or embeddings; *names* are the fields as the caller calls them, by OpenAI's
    names for them.
    """
    try:
        return _READERS[task](msgspec.json.encode(body))
    except InvalidRequest as error:
        raise _renamed(error, names) from None


def _completion(body: bytes) -> ChatCall:
    return completion_of(asked_for(Task.COMPLETIONS, body, wanted="model and prompt"))


def _embeddings(body: bytes) -> ChatCall:
    return embeddings_of(asked_for(Task.EMBEDDINGS, body, wanted="model and input"))


_READERS = {Task.CHAT: decode_chat, Task.COMPLETIONS: _completion, Task.EMBEDDINGS: _embeddings}


def _renamed(error: InvalidRequest, names: Mapping[str, str]) -> InvalidRequest:
    field = (error.param or "").partition(".")[0].partition("[")[0]
    theirs = names.get(field)
    if error.param is None or theirs is None:
        return error
    told = error.message.replace(error.param, theirs, 1)
    return type(error)(told, code=error.code, param=theirs)
