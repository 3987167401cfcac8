"""What the messages of a chat request add up to: their text, what they need, how their conversation began."""

import re

from msgspec import UNSET, Struct, UnsetType

from freeroute.errors import InvalidRequest
from freeroute.wire.fields import Audio, File, Image, Message, Part, Refusal, Text, ToolCall, Video, missing


class Parts(Struct):
    """What messages hold beside their texts: so many *images*, and what they *need* of a model."""

    images: int = 0
    needs: frozenset[str] = frozenset()
    remote_images: bool = False


class Talk(Struct):
    """What the messages add up to.

    *opening* tells their conversation from others in each of its turns; *begins_answer* says that the last
    one is the beginning of an answer. *parts* is None where there is nothing but text.
    """

    messages: int
    opening: int
    begins_answer: bool
    has_assistant: bool
    texts: list[str]
    parts: Parts | None = None


# What is read of a conversation's opening to know it again: so many messages, and of each text so many
# characters beside its length. Own design: hashed in a microsecond, however long the prompt.
_OPENING_MESSAGES = 4
_OPENING_TEXT = 1024
_SAID_FIRST = frozenset({"system", "developer", "user"})


def talk_of(messages: list[Message] | UnsetType) -> Talk:
    """Return what *messages* add up to; raises InvalidRequest for none, and for one that cannot be sent.

    Their opening is what was said up to the first word of the user: a hash under a key of this process, which
    tells nothing of what that was.
    """
    if not messages:
        lacking = "missing" if messages is UNSET else "empty"
        raise InvalidRequest(f"messages is {lacking}: send at least one message.", param="messages")
    texts: list[str] = []
    parts: Parts | None = None
    opening: tuple[object, ...] = ()
    opens, has_assistant = _OPENING_MESSAGES, False
    for index, message in enumerate(messages):
        role, content = message.role, message.content
        if isinstance(content, str):  # as nearly always
            texts.append(content)
        elif content is not None:
            parts = parts or Parts()
            _read_parts(parts, texts, content, f"messages[{index}].content")
        elif role != "assistant" or not _says_something(message):
            missing(f"messages[{index}].content")
        if role in _SAID_FIRST:
            if index < opens:
                if isinstance(content, str) and len(content) <= _OPENING_TEXT:
                    opening = (opening, role, content)
                else:
                    for text in _beginnings(content or ""):
                        opening = (opening, role, text)
                if role == "user":
                    opens = 0
        elif role == "assistant":
            has_assistant = True
            if message.tool_calls:
                _count_calls(texts, message.tool_calls)
        elif role == "tool" and not message.tool_call_id:
            missing(f"messages[{index}].tool_call_id")
    return Talk(len(messages), hash(opening), messages[-1].role == "assistant", has_assistant, texts, parts)


def _beginnings(content: str | list[Part]) -> list[object]:
    """Return of each text of *content* what it is known by."""
    texts = [content] if isinstance(content, str) else map(_words, content[:_OPENING_MESSAGES])
    return [text if len(text) <= _OPENING_TEXT else (len(text), text[:_OPENING_TEXT]) for text in texts]


def _words(part: Part) -> str:
    match part:
        case Text():
            return part.text
        case Image():
            return part.image_url.url
        case _:
            return ""


def _says_something(message: Message) -> bool:
    return bool(message.tool_calls or message.function_call or message.refusal or message.audio)


def _count_calls(texts: list[str], calls: list[ToolCall]) -> None:
    for call in calls:
        if call.function is not None:
            texts += (call.function.name, call.function.arguments)


def _read_parts(into: Parts, texts: list[str], parts: list[Part], where: str) -> None:
    if not parts:
        raise InvalidRequest(f"{where}: the list is empty.", param=where)
    for index, part in enumerate(parts):
        match part:
            case Text():
                texts.append(part.text)
            case Refusal():
                texts.append(part.refusal)
            case Image():
                into.images += 1
                into.needs |= {"images"}
                into.remote_images |= _is_remote(part.image_url.url, f"{where}[{index}].image_url.url")
            case Audio():
                into.needs |= {"audio"}
            case Video():
                into.needs |= {"video"}
            case File():
                into.needs |= {"files"}


# Both alphabets and wrapped lines: providers differ in how strictly they read them.
_BASE64 = re.compile(r"[A-Za-z0-9+/_\s-]++={0,2}\s*+", re.ASCII)


def _is_remote(url: str, where: str) -> bool:
    scheme = url[:8].lower()
    if scheme.startswith("data:"):
        head, _, data = url.partition(",")
        if not head.lower().endswith(";base64") or not _BASE64.fullmatch(data):
            raise InvalidRequest(f"{where}: a data: URL must hold base64.", param=where)
        return False
    if scheme.startswith(("http://", "https://")):
        return True
    raise InvalidRequest(f"{where}: must be a data: or an http(s) URL.", param=where)
