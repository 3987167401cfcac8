"""A call as one provider wants it: its quirks applied to the request on the way out."""

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any, get_args

import msgspec
from msgspec import Raw, Struct

from freeroute.domain.catalogue import Candidate, Effort, Prefill, Quirks
from freeroute.domain.outcome import IN_MESSAGES, droppable
from freeroute.domain.patterns import by_pattern
from freeroute.domain.usage import tokens_in
from freeroute.engine.ports import Terms
from freeroute.upstreams import schemas, structured
from freeroute.upstreams.signatures import Signatures, maker_of
from freeroute.upstreams.wordings import PENALTIES
from freeroute.wire.chat import ChatCall
from freeroute.wire.fields import asks

_OLDER, _NEWER = ("max_tokens",), ("max_completion_tokens",)
_BOUNDS: tuple[str, ...] = (*_OLDER, *_NEWER)
_ALWAYS = frozenset({"model", "messages", "stream", "stream_options", *_BOUNDS})
_MEANT_BY = {PENALTIES: ("presence_penalty", "frequency_penalty")}

_encode = msgspec.json.encode
_TRUE = Raw(b"true")
_EMPTY = Raw(b'""')
_SYSTEM = Raw(b'"system"')
_REQUIRE = Raw(b'{"require_parameters":true}')
_ASK_USAGE = Raw(b'{"include_usage":true}')
_MEMBERS = msgspec.json.Decoder(dict[str, Raw])
_MESSAGES = msgspec.json.Decoder(list[dict[str, Raw]])
_RAWS = msgspec.json.Decoder(list[Raw])
_ANY = msgspec.json.Decoder()


class NotTaken(ValueError):
    """The provider does not take *field*, which must not be dropped either."""

    def __init__(self, field: str) -> None:
        """Name the *field*."""
        super().__init__(f"the provider does not take {field}")
        self.field = field


class Outgoing(Struct, frozen=True, gc=False):
    """The request body, and which of the caller's fields are not in it, or not with their value."""

    body: bytes
    dropped: tuple[str, ...] = ()


def outgoing(
    call: ChatCall, candidate: Candidate, terms: Terms, signatures: Signatures | None = None
) -> Outgoing:
    """Return *call* for *candidate*; the bytes of fields that no quirk touches stay as they came.

    *signatures* are those that its tool calls may need. Raises NotTaken if the call would lose something the
    caller relies on.
    """
    fields, dropped = adapted(call, candidate, terms)
    if candidate.provider.quirks.echo_signature and b'"tool_calls"' in bytes(fields.get("messages", b"")):
        maker = maker_of(candidate, terms)
        fields["messages"] = _signed(fields["messages"], maker, signatures or Signatures())
    return Outgoing(_encode(fields), dropped)


def adapted(call: ChatCall, candidate: Candidate, terms: Terms) -> tuple[dict[str, Raw], tuple[str, ...]]:
    """Return the fields of *call* as *candidate* takes them, and what is not there as the caller wrote it.

    Of that the names; ``temperature=1.5`` is a field with the value that it has now, ``messages[].name`` a
    member of messages. Raises NotTaken if the call would lose something the caller relies on.
    """
    quirks, without = candidate.provider.quirks, terms.without
    fields = dict(call.fields)
    fields["model"] = _named(candidate.model.id)
    if call.schema is not None and candidate.model.emulates(call.needs):
        structured.instruct(fields, call.schema)
    dropped = _leave_out(fields, without) if without else []
    if call.stream:
        _ask_stream(fields, quirks, without)
    else:
        fields.pop("stream_options", None)
        fields.pop("stream", None)
    given = call.begun if call.begun and candidate.prefill != "none" else ""
    _bound_output(fields, call, quirks, terms, given)
    if "reasoning_effort" in fields and (efforts := by_pattern(candidate.model.id, quirks.efforts)):
        dropped += _set(fields, "reasoning_effort", _nearest(fields["reasoning_effort"], efforts))
    if quirks.drops or quirks.clamps or quirks.renames or quirks.accepts is not None:
        dropped += _adapt(fields, quirks)
    messages = fields.get("messages")
    if messages is not None and (changes := _changes(bytes(messages), quirks, without)):
        fields["messages"], lost = _changed(messages, changes)
        dropped += lost
    if given:
        _begin_answer(fields, given, candidate.prefill)
    if quirks.schema_strips and "tools" in fields:
        fields["tools"] = schemas.simplified(fields["tools"], frozenset(quirks.schema_strips))
    if call.parameters and quirks.require_parameters:
        fields["provider"] = _REQUIRE
    return fields, tuple(dict.fromkeys(dropped)) if dropped else ()


@lru_cache(maxsize=4096)
def _named(model: str) -> Raw:
    return Raw(_encode(model))


def _leave_out(fields: dict[str, Raw], without: frozenset[str]) -> list[str]:
    meant = [field for name in sorted(without) for field in _MEANT_BY.get(name, (name,))]
    return [name for name in meant if fields.pop(name, None) is not None]


def _set(fields: dict[str, Raw], name: str, value: Raw) -> list[str]:
    """Give the field *name* this *value*; return what tells so if the caller's was another."""
    if value is fields[name] or _ANY.decode(value) == _ANY.decode(fields[name]):
        return []
    fields[name] = value
    return [f"{name}={_ANY.decode(value)}"]


def _ask_stream(fields: dict[str, Raw], quirks: Quirks, without: frozenset[str]) -> None:
    """Ask for a stream, and always for its usage: the gateway counts tokens even if the caller does not."""
    options = fields.pop("stream_options", None)
    fields["stream"] = _TRUE
    if quirks.stream_usage and "stream_options" not in without:
        members = _MEMBERS.decode(options) if options is not None else {}
        others = {name: value for name, value in members.items() if name != "include_usage"}
        fields["stream_options"] = Raw(_encode({**others, "include_usage": _TRUE})) if others else _ASK_USAGE


def _bound_output(fields: dict[str, Raw], call: ChatCall, quirks: Quirks, terms: Terms, given: str) -> None:
    """Send the output bound, less what is *given* of the answer, under the name the provider reads."""
    bound = terms.max_output
    if bound is None:
        bound = call.demand.max_output
    if bound is None:
        bound = quirks.default_max_tokens
    if bound is None:
        return
    if given:
        bound -= tokens_in(len(given.encode()))
    told, names = Raw(b"%d" % (max(1, bound))), _BOUNDS
    if quirks.output_field != "both":
        for name in _BOUNDS:
            fields.pop(name, None)
        names = (quirks.output_field,)
    elif "max_completion_tokens" not in fields:
        names = _OLDER
    elif "max_tokens" not in fields:
        names = _NEWER
    for name in names:
        if name not in terms.without:
            fields[name] = told


def _begin_answer(fields: dict[str, Raw], begun: str, how: Prefill) -> None:
    """Let the model go on with an answer that has *begun*; some refuse blanks at its end."""
    message: dict[str, Any] = {"role": "assistant", "content": begun.rstrip()}
    if how == "prefix_flag":
        message["prefix"] = True
    fields["messages"] = Raw(_encode([*_RAWS.decode(fields["messages"]), message]))
    if how == "continue_final_message":
        fields |= {"continue_final_message": _TRUE, "add_generation_prompt": Raw(b"false")}


def _adapt(fields: dict[str, Raw], quirks: Quirks) -> list[str]:
    """Apply drops, clamps, renames and the whitelist; return what was dropped or changed."""
    dropped = [name for name in quirks.drops if fields.pop(name, None) is not None]
    for name, (low, high) in quirks.clamps.items():
        if name in fields:
            dropped += _set(fields, name, _clamped(fields[name], low, high))
    for name, other in quirks.renames.items():
        if name in fields:
            fields.setdefault(other, fields[name])
            del fields[name]
    if quirks.accepts is not None:
        accepted = _ALWAYS.union(quirks.accepts, (quirks.renames.get(name, name) for name in quirks.accepts))
        for name in [name for name in fields if name not in accepted]:
            if not droppable(name) and asks(name, fields[name]):
                raise NotTaken(name)
            del fields[name]
            dropped.append(name)
    # What the gateway asks for on its own account is no loss to the caller.
    return [name for name in dropped if name != "stream_options"]


# Efforts in order: where one is not known, the nearest is, the greater of two that are as near.
_EFFORTS = get_args(Effort)


def _nearest(raw: Raw, known: Sequence[Effort]) -> Raw:
    asked = _EFFORTS.index(_ANY.decode(raw))
    places = sorted(map(_EFFORTS.index, known), reverse=True)
    return Raw(_encode(_EFFORTS[min(places, key=lambda place: abs(place - asked))]))


def _clamped(raw: Raw, low: float, high: float) -> Raw:
    value = _ANY.decode(raw)
    if not isinstance(value, (int, float)) or isinstance(value, bool) or low <= value <= high:
        return raw
    bound = low if value < low else high
    return Raw(_encode(int(bound) if bound == int(bound) else bound))


Change = Callable[[dict[str, Raw]], bool]


def _changed(raw: Raw, changes: Sequence[tuple[Change, str]]) -> tuple[Raw, list[str]]:
    """Return the messages with *changes* made where they apply, and which members are lost."""
    messages = _MESSAGES.decode(raw)
    made = [lost for change, lost in changes if sum([change(message) for message in messages])]
    return Raw(_encode(messages)) if made else raw, [lost for lost in made if lost]


def _changes(text: bytes, quirks: Quirks, without: frozenset[str]) -> list[tuple[Change, str]]:
    """Return the changes that *text* may need, each with what the caller loses by it ("" for nothing).

    This is a cheap look before anything is decoded.
    """
    changes: list[tuple[Change, str]] = []
    # By `find`: `in` raises and catches an error before it looks.
    if not quirks.developer_role and text.find(b'"developer"') >= 0:
        changes.append((_developer_to_system, ""))
    if not quirks.message_name and text.find(b'"name"') >= 0:
        changes.append((_without_name, f"{IN_MESSAGES}name"))
    if not quirks.tool_content_null and text.find(b'"tool_calls"') >= 0:
        changes.append((_empty_for_null, ""))
    if quirks.flatten_content and text.find(b'"type"') >= 0:
        changes.append((_flattened, ""))
    for name in sorted(without) if without else ():
        member = name.removeprefix(IN_MESSAGES)
        if member != name and member not in ("role", "content"):
            changes.append((partial(_without, member), name))
    return changes


def _role(message: dict[str, Raw]) -> bytes:
    return bytes(message.get("role", b"")).strip()


def _developer_to_system(message: dict[str, Raw]) -> bool:
    if _role(message) != b'"developer"':
        return False
    message["role"] = _SYSTEM
    return True


def _without_name(message: dict[str, Raw]) -> bool:
    # A legacy function result is known by its name alone.
    return _role(message) != b'"function"' and message.pop("name", None) is not None


def _without(member: str, message: dict[str, Raw]) -> bool:
    return message.pop(member, None) is not None


def _empty_for_null(message: dict[str, Raw]) -> bool:
    if "tool_calls" not in message or bytes(message.get("content", b"null")).strip() != b"null":
        return False
    message["content"] = _EMPTY
    return True


def _flattened(message: dict[str, Raw]) -> bool:
    content = message.get("content")
    if content is None or not bytes(content).lstrip().startswith(b"["):
        return False
    parts = _ANY.decode(content)
    if not all(
        isinstance(p, dict) and p.get("type") == "text" and isinstance(p.get("text"), str) for p in parts
    ):
        return False
    message["content"] = Raw(_encode("\n".join(part["text"] for part in parts)))
    return True


def _signed(raw: Raw, maker: str, signatures: Signatures) -> Raw:
    messages = _MESSAGES.decode(raw)
    signed = [signatures.sign(message, maker) for message in messages]
    return Raw(_encode(messages)) if any(signed) else raw
