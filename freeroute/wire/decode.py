"""A request body to a ChatCall: everything routing reads is checked, everything else passes through."""

import re
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, Raw

from freeroute.domain.outcome import FEATURES, PREFILL
from freeroute.domain.usage import demand_of
from freeroute.errors import InvalidRequest
from freeroute.wire import conformance
from freeroute.wire import fields as known
from freeroute.wire.chat import GATEWAY_FIELDS, ChatCall
from freeroute.wire.preferences import preferences_of
from freeroute.wire.talk import talk_of

T = TypeVar("T")

NAME_LIMIT = 256
MODELS_LIMIT = 32

# Escapes in JSON, taken one after the other, so that an escaped backslash begins none.
_ESCAPES = re.compile(
    rb"\\u[dD][89abAB]..\\u[dD][c-fC-F]|(?P<half>\\u[dD][89a-fA-F][\da-fA-F]{2})|\\.", re.DOTALL
)
# A longer body that cannot be read is refused in the parser's own words: looking through 20 MiB of escapes
# took two seconds.
_LOOKED_THROUGH = 2**20
_NULL = Raw(b"null")
_FIELDS = msgspec.json.Decoder(dict[str, Raw])


def decode_chat(body: bytes) -> ChatCall:
    """Return the call *body* asks for; raises InvalidRequest that names the field."""
    try:
        raw = split(body)
        plain = _at_once(known.PLAIN, body) if _PLAIN.issuperset(raw) else None
        return _special(body, raw) if plain is None else _call(raw, plain)
    except InvalidRequest as error:
        half = _half_character(body)
        if half is None:
            raise
        told = f"The body is not valid JSON: {half} is half of a surrogate pair, no character."
        raise InvalidRequest(told, param=error.param) from None


def _half_character(body: bytes) -> str | None:
    """Return the first surrogate without its other half: the parser has misleading words for those."""
    if len(body) > _LOOKED_THROUGH:
        return None
    found = (match["half"] for match in _ESCAPES.finditer(body))
    half = next(filter(None, found), None)
    return half.decode("ascii") if half is not None else None


_PLAIN = frozenset(known.Plain.__struct_fields__)


def _call(
    fields: dict[str, Raw], plain: known.Plain, models: tuple[str, ...] = (), counted: bytes = b""
) -> ChatCall:
    """Return the call for what is *plain*, with *fields* that travel; *counted* belongs to its prompt."""
    model = plain.model
    if model is UNSET:
        model = _first(models)
    else:
        check_name(model, "model")
    talk, stream, options = talk_of(plain.messages), plain.stream, plain.stream_options
    if options is not UNSET and not stream:
        raise InvalidRequest("stream_options: only with stream: true.", param="stream_options")
    text = "".join(talk.texts).encode() + counted
    bound, other = plain.max_tokens or None, plain.max_completion_tokens
    if other and (bound is None or other < bound):
        bound = other
    parts = talk.parts
    demand = demand_of(text, talk.messages, 0 if parts is None else parts.images, bound)
    usage = options is not UNSET and options.include_usage is True
    call = ChatCall(fields, model, demand, stream, usage, talk.opening, talk.has_assistant)
    if parts is not None:
        call.needs, call.remote_images = parts.needs, parts.remote_images
    if talk.begins_answer:
        call.features = _BEGINS_ANSWER
    return call


_BEGINS_ANSWER = frozenset({PREFILL})


def _special(body: bytes, raw: dict[str, Raw]) -> ChatCall:
    """Return the call for what has fields that most requests do not have, or one that cannot be read."""
    given = {name: value for name, value in raw.items() if value != _NULL}
    values = _at_once(known.VALUES, body) or _values(given)
    known.check(values)
    tools, fields = known.tools_of(values), _kept(raw, given, values)
    preferences = preferences_of(given.get("provider"))
    counted = b"".join([given[name] for name in known.COUNTED if name in given])
    needs, models = known.needs_of(values, has_tools=bool(tools)), _models(values)
    features = [name for name in FEATURES if name in given and known.asks(name, given[name])]
    schema = _schema(values.get("response_format"))
    parameters = _parameters(fields, values) if preferences.require_parameters else {}
    plain = known.Plain(**{name: value for name, value in values.items() if name in _PLAIN})
    call = _call(fields, plain, models, counted)
    call.models, call.preferences, call.tools = models, preferences, tools
    call.needs, call.features = call.needs.union(needs), call.features.union(features)
    call.choices, call.schema, call.parameters = values.get("n", 1), schema, parameters
    return call


def split(body: bytes, wanted: str = "model and messages") -> dict[str, Raw]:
    """Return the fields of *body*, undecoded, which is to hold what is *wanted*; raises InvalidRequest."""
    try:
        if not body.isascii():
            body.decode("utf-8")
        return _FIELDS.decode(body)
    except UnicodeDecodeError as exc:
        raise InvalidRequest(f"The body is not valid UTF-8 (byte {exc.start}).") from None
    except RecursionError:
        raise InvalidRequest("The body is nested too deeply.") from None
    except msgspec.ValidationError:
        raise InvalidRequest(f"The body must be a JSON object with {wanted}.") from None
    except msgspec.DecodeError as exc:
        if not body.strip():
            raise InvalidRequest(f"The body is empty: send a JSON object with {wanted}.") from None
        raise InvalidRequest(f"The body is not valid JSON: {exc}.") from None


def _at_once(decoder: msgspec.json.Decoder[T], body: bytes) -> T | None:
    """Return what *decoder* reads of the known fields; None if one is null or not as it has to be."""
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None


def _values(given: dict[str, Raw]) -> dict[str, Any]:
    """Return the values of the known fields, read one by one; raises InvalidRequest that names the first."""
    values = {}
    for name, raw in given.items():
        if (decoder := known.DECODERS.get(name)) is not None:
            values[name] = value = read(raw, decoder, name)
            known.check_bounds(name, value)
    return values


def read(raw: Raw, decoder: msgspec.json.Decoder[Any], name: str) -> Any:
    """Return *raw* decoded; raises InvalidRequest whose param is *name* and the path below it."""
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as exc:
        reason, _, path = str(exc).partition(" - at `$")
        param = name + path.rstrip("`")
        raise InvalidRequest(f"{param}: {plain_reason(reason)}.", param=param) from None
    except RecursionError:
        raise InvalidRequest(f"{name}: nested too deeply.", param=name) from None
    except (msgspec.DecodeError, ValueError):
        raise InvalidRequest(f"{name}: not valid JSON.", param=name) from None


def plain_reason(reason: str) -> str:
    """Return *reason* without what the caller wrote beyond a short word: it may be part of a prompt."""
    if reason.startswith("Invalid enum value"):
        return "unknown value" if len(reason) > 60 or not reason.isprintable() else reason
    if reason.startswith("Invalid value"):
        return "unknown type" if len(reason) > 60 or not reason.isprintable() else reason
    return reason[:200]


def _models(values: dict[str, Any]) -> tuple[str, ...]:
    names = values.get("models", ())
    if len(names) > MODELS_LIMIT:
        raise InvalidRequest(f"models: at most {MODELS_LIMIT} names.", param="models")
    for index, name in enumerate(names):
        check_name(name, f"models[{index}]")
    return tuple(names)


def _first(models: tuple[str, ...]) -> str:
    """Return the first of *models*, which stands for all where none is named alone."""
    if not models:
        told = "model is missing: name one, or free, free-fast or free-smart."
        raise InvalidRequest(told, param="model")
    return models[0]


def check_name(name: str, param: str) -> None:
    """Raise InvalidRequest if no model can have this *name*; it stands in the field *param*."""
    if not name.strip():
        raise InvalidRequest(f"{param}: the name is empty.", param=param)
    if len(name) > NAME_LIMIT:
        raise InvalidRequest(f"{param}: a name has at most {NAME_LIMIT} characters.", param=param)
    if not name.isprintable():
        raise InvalidRequest(f"{param}: the name holds control characters.", param=param)


# What every provider is sent in one form or another.
_ALWAYS = frozenset({"model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens"})


def _parameters(fields: dict[str, Raw], values: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that ask for something a provider might not do."""
    asking = (name for name, raw in fields.items() if name not in _ALWAYS and known.asks(name, raw))
    return {name: values.get(name) for name in asking}


def _schema(form: known.ResponseFormat | None) -> bytes | None:
    """Return the JSON Schema the answer has to fit, if it has to; any JSON will do where none is given."""
    if form is None or form.type != "json_schema" or form.json_schema is None:
        return None
    schema = bytes(form.json_schema.get("schema", _NULL)).strip()
    if schema == b"null":
        return b"true"
    try:
        conformance.check(schema)
    except conformance.BadSchema as exc:
        param = "response_format.json_schema.schema"
        raise InvalidRequest(f"{param}: {exc}.", param=param) from None
    return schema


def _kept(raw: dict[str, Raw], given: dict[str, Raw], values: dict[str, Any]) -> dict[str, Raw]:
    """Return the fields that travel: not the gateway's own, and no known field that says nothing."""
    if len(given) == len(raw) and GATEWAY_FIELDS.isdisjoint(raw) and [] not in values.values():
        return raw
    return {
        name: value
        for name, value in raw.items()
        if name not in GATEWAY_FIELDS
        and not (name in known.DECODERS and (name not in given or values[name] == []))
    }
