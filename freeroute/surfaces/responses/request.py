"""A body of the Responses API: what it asks for, and the chat completion that is asked in its place."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct

from freeroute.errors import InvalidRequest
from freeroute.surfaces.bodies import fields_in
from freeroute.surfaces.responses import tools
from freeroute.surfaces.responses.items import Conversation, Item, Reference, item_of
from freeroute.wire.chat import ChatCall
from freeroute.wire.decode import decode_chat, read


class PlainText(Struct, tag_field="type", tag="text"):
    """Text of any form."""


class AnyJson(Struct, tag_field="type", tag="json_object"):
    """JSON of any form."""


class JsonSchema(Struct, tag_field="type", tag="json_schema"):
    """JSON that fits a schema."""

    name: str
    schema: Raw
    strict: bool | None = None
    description: str | None = None


class TextForm(Struct):
    """The form of the text."""

    format: PlainText | AnyJson | JsonSchema | None = None
    verbosity: Literal["low", "medium", "high"] | None = None


class Reasoning(Struct):
    """How much to think, and whether thoughts are told as a summary."""

    effort: str | None = None
    summary: Literal["auto", "concise", "detailed"] | None = None
    generate_summary: Literal["auto", "concise", "detailed"] | None = None


class Wanted(Struct):
    """A body, read.

    *items* are those of its input, as they were written; *read_items* the same, read. *raw* are all of its
    fields.
    """

    raw: Mapping[str, Raw]
    stream: bool
    store: bool
    previous: str | None
    instructions: str | None
    items: Sequence[Raw]
    read_items: Sequence[Item]
    offer: tools.Offer
    text: TextForm
    reasoning: Reasoning
    metadata: Mapping[str, str]

    @property
    def references(self) -> list[str]:
        """Return the ids of the items that stand in earlier responses."""
        return [item.id for item in self.read_items if isinstance(item, Reference)]

    @property
    def dropped(self) -> tuple[str, ...]:
        """Return what is asked for and not done, as ``x-freeroute-dropped`` tells it."""
        truncates = self.raw.get("truncation") == Raw(b'"auto"')
        return (*self.offer.dropped, *(["truncation=disabled"] if truncates else []))


_INPUT = msgspec.json.Decoder(str | list[Raw])
_TOOLS = msgspec.json.Decoder(list[Raw])
_DECODERS: dict[str, msgspec.json.Decoder[Any]] = {
    "stream": msgspec.json.Decoder(bool),
    "store": msgspec.json.Decoder(bool),
    "background": msgspec.json.Decoder(bool),
    "previous_response_id": msgspec.json.Decoder(str),
    "instructions": msgspec.json.Decoder(str),
    "text": msgspec.json.Decoder(TextForm),
    "reasoning": msgspec.json.Decoder(Reasoning),
    "metadata": msgspec.json.Decoder(dict[str, str]),
    "include": msgspec.json.Decoder(list[str]),
    "prompt_cache_key": msgspec.json.Decoder(str),
    "safety_identifier": msgspec.json.Decoder(str),
    "truncation": msgspec.json.Decoder(Literal["auto", "disabled"]),
    "top_logprobs": msgspec.json.Decoder(int),
}
# Fields that chat completions have under the same name, with what the gateway itself reads.
_SAME = (
    "model",
    "models",
    "provider",
    "parallel_tool_calls",
    "temperature",
    "top_p",
    "user",
    "stop",
    "seed",
    "presence_penalty",
    "frequency_penalty",
)
# And those that they have under another.
_RENAMED = {"max_output_tokens": "max_tokens"}
_LOGPROBS = "message.output_text.logprobs"


def wanted_in(body: bytes) -> Wanted:
    """Return what *body* asks for; raises InvalidRequest."""
    raw, values = fields_in(body, _DECODERS)
    _refuse_what_is_not_done(raw, values)
    items = _items(raw)
    return Wanted(
        raw=raw,
        stream=values.get("stream", False),
        store=values.get("store", True),
        previous=values.get("previous_response_id"),
        instructions=values.get("instructions"),
        items=items,
        read_items=[item_of(item, f"input[{at}]") for at, item in enumerate(items)],
        offer=tools.offered(
            read(raw["tools"], _TOOLS, "tools") if "tools" in raw else (), raw.get("tool_choice")
        ),
        text=values.get("text") or TextForm(),
        reasoning=values.get("reasoning") or Reasoning(),
        metadata=values.get("metadata", {}),
    )


def _refuse_what_is_not_done(raw: Mapping[str, Raw], values: Mapping[str, Any]) -> None:
    if values.get("background"):
        raise InvalidRequest(
            "background: nothing is answered in the background here; ask for a stream.", param="background"
        )
    if "conversation" in raw:
        raise InvalidRequest(
            "conversation: none are kept here; go on with previous_response_id, or send all items.",
            param="conversation",
        )
    if "prompt" in raw:
        raise InvalidRequest("prompt: no templates are kept here; send instructions.", param="prompt")
    for name, asked in (
        ("top_logprobs", bool(values.get("top_logprobs"))),
        ("include", _LOGPROBS in values.get("include", ())),
    ):
        if asked:
            raise InvalidRequest(f"{name}: this API tells no logprobs here; chat completions do.", param=name)


def _items(raw: Mapping[str, Raw]) -> Sequence[Raw]:
    if "input" not in raw:
        if "previous_response_id" in raw:
            return ()
        raise InvalidRequest("input is missing: send a text, or a list of items.", param="input")
    found: str | list[Raw] = read(raw["input"], _INPUT, "input")
    if isinstance(found, list):
        return found
    said = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": found}]}
    return (Raw(msgspec.json.encode(said)),)


class Earlier(Struct, frozen=True):
    """What stands before the items of a request: those of the response that it goes on with.

    *referred* are the items that its references stand for, by their ids.
    """

    items: Sequence[Raw] = ()
    referred: Mapping[str, Raw] = {}


def call_of(wanted: Wanted, earlier: Earlier) -> ChatCall:
    """Return the chat completion that *wanted* asks for, after *earlier*; raises InvalidRequest."""
    conversation = _conversation(wanted, earlier)
    try:
        return decode_chat(msgspec.json.encode(_chat(wanted, conversation.messages)))
    except InvalidRequest as error:
        raise _in_own_words(error, conversation.places) from None


def _conversation(wanted: Wanted, earlier: Earlier) -> Conversation:
    conversation = Conversation()
    if wanted.instructions:
        conversation.system(wanted.instructions)
    for raw in earlier.items:
        conversation.add(item_of(raw, "previous_response_id"), "previous_response_id")
    for at, item in enumerate(wanted.read_items):
        where = f"input[{at}]"
        meant = item_of(earlier.referred[item.id], where) if isinstance(item, Reference) else item
        conversation.add(meant, where)
    conversation.end()
    if not conversation.messages:
        raise InvalidRequest("input is empty: send a text, or at least one item.", param="input")
    return conversation


def _chat(wanted: Wanted, messages: list[dict[str, Any]]) -> dict[str, Any]:
    raw = wanted.raw
    chat: dict[str, Any] = {name: raw[name] for name in _SAME if name in raw}
    chat |= {name: raw[own] for own, name in _RENAMED.items() if own in raw}
    chat |= {"messages": messages, **wanted.offer.chat}
    if not wanted.offer.chat:
        chat.pop("parallel_tool_calls", None)
    if wanted.stream:
        chat |= {"stream": True, "stream_options": {"include_usage": True}}
    if wanted.reasoning.effort is not None:
        chat["reasoning_effort"] = wanted.reasoning.effort
    if wanted.text.verbosity is not None:
        chat["verbosity"] = wanted.text.verbosity
    form = wanted.text.format
    if isinstance(form, AnyJson):
        chat["response_format"] = {"type": "json_object"}
    elif isinstance(form, JsonSchema):
        chat["response_format"] = {"type": "json_schema", "json_schema": _schema(form)}
    return chat


def _schema(form: JsonSchema) -> dict[str, Any]:
    schema: dict[str, Any] = {"name": form.name, "schema": form.schema}
    if form.description is not None:
        schema["description"] = form.description
    if form.strict is not None:
        schema["strict"] = form.strict
    return schema


# How chat completions call what this API calls otherwise, the longer ones first.
_CALLED = (
    ("response_format.json_schema", "text.format"),
    ("response_format", "text.format"),
    ("max_tokens", "max_output_tokens"),
    ("reasoning_effort", "reasoning.effort"),
    ("verbosity", "text.verbosity"),
    ("messages", "input"),
)
_MESSAGE = re.compile(r"messages\[(\d+)\](\.content.*)?")


def _in_own_words(error: InvalidRequest, places: Sequence[str]) -> InvalidRequest:
    """Return *error*, about a chat completion, in the words of this API."""
    param = error.param or ""
    own = param
    if (match := _MESSAGE.match(param)) is not None:
        own = places[int(match[1])] + (match[2] or "")
    else:
        for chats, ours in _CALLED:
            if param.startswith(chats):
                own = ours + param[len(chats) :]
                break
    message = error.message
    if param and message.startswith(param):
        message = own + message[len(param) :]
    return InvalidRequest(message, code=error.code, param=own or None)
