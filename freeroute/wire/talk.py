"""What the messages of a chat request add up to: their text, what they need, how their conversation began."""

import re

from msgspec import UNSET, Struct, UnsetType

from freeroute.errors import InvalidRequest
from freeroute.wire.fields import Audio, File, Image, Message, Part, Refusal, Text, ToolCall, Video, missing


class Talk(Struct):
    """What the messages add up to.

    *opening* tells their conversation from others in each of its turns; *begins_answer* says that the last
    one is the beginning of an answer.
    """

    messages: int
    opening: int
    begins_answer: bool
    texts: list[str] = []
    images: int = 0
    needs: frozenset[str] = frozenset()
    remote_images: bool = False
    has_assistant: bool = False


def talk_of(messages: list[Message] | UnsetType) -> Talk:
    """Return what *messages* add up to; raises InvalidRequest for none, and for one that cannot be sent."""
    if not messages:
        lacking = "missing" if messages is UNSET else "empty"
        raise InvalidRequest(f"messages is {lacking}: send at least one message.", param="messages")
    talk = Talk(len(messages), _opening(messages), messages[-1].role == "assistant")
    texts = talk.texts
    for index, message in enumerate(messages):
        role, content = message.role, message.content
        if isinstance(content, str):
            texts.append(content)
        elif content is None:
            if role != "assistant" or not _says_something(message):
                missing(f"messages[{index}].content")
        else:
            _read_parts(talk, content, f"messages[{index}].content")
        if role == "assistant":
            talk.has_assistant = True
            _count_calls(talk, message.tool_calls)
        elif role == "tool" and not message.tool_call_id:
            missing(f"messages[{index}].tool_call_id")
    return talk


# What is read of a conversation's opening to know it again: so many messages, and of each text so many
# characters beside its length. Own design: hashed in a microsecond, however long the prompt.
_OPENING_MESSAGES = 4
_OPENING_TEXT = 1024
_SAID_FIRST = frozenset({"system", "developer", "user"})


def _opening(messages: list[Message]) -> int:
    """Return what tells a conversation from others in each of its turns: up to its first word of the user.

    It is a hash under a key of this process, so it tells nothing of what was said.
    """
    said: tuple[object, ...] = ()
    for message in messages[:_OPENING_MESSAGES]:
        role, content = message.role, message.content
        if role in _SAID_FIRST:
            if type(content) is str and len(content) <= _OPENING_TEXT:  # as nearly always
                said = (said, role, content)
            elif content is not None:
                for text in _beginnings(content):
                    said = (said, role, text)
            if role == "user":
                break
    return hash(said)


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


def _count_calls(talk: Talk, calls: list[ToolCall] | None) -> None:
    for call in calls or ():
        if call.function is not None:
            talk.texts += (call.function.name, call.function.arguments)


def _read_parts(talk: Talk, parts: list[Part], where: str) -> None:
    if not parts:
        raise InvalidRequest(f"{where}: the list is empty.", param=where)
    for index, part in enumerate(parts):
        match part:
            case Text():
                talk.texts.append(part.text)
            case Refusal():
                talk.texts.append(part.refusal)
            case Image():
                talk.images += 1
                talk.needs |= {"images"}
                talk.remote_images |= _is_remote(part.image_url.url, f"{where}[{index}].image_url.url")
            case Audio():
                talk.needs |= {"audio"}
            case Video():
                talk.needs |= {"video"}
            case File():
                talk.needs |= {"files"}


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
