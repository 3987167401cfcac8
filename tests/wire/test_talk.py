"""What messages add up to: a conversation is known by how it began."""

from hypothesis import given
from hypothesis import strategies as st

from freeroute.wire.fields import CalledFunction, Image, ImageUrl, Message, Refusal, Text, ToolCall
from freeroute.wire.talk import talk_of

_TEXTS = st.sampled_from(["", "a", "b", "a" * 1024, "a" * 1025, "a" * 1024 + "b", "b" * 1025])
_PARTS = st.lists(
    st.one_of(
        _TEXTS.map(Text), _TEXTS.map(Refusal), _TEXTS.map(lambda text: Image(ImageUrl(f"http://{text}")))
    ),
    min_size=1,
    max_size=6,
)
_MESSAGES = st.lists(
    st.builds(Message, st.sampled_from(["system", "developer", "user", "assistant"]), _TEXTS | _PARTS),
    min_size=1,
    max_size=6,
)


def said_first(messages: list[Message]) -> list[object]:
    """Return who said what up to the user's first word: of four messages, of each the first of four texts."""
    said: list[object] = []
    for message in messages[:4]:
        if message.role != "assistant":
            content = message.content
            parts = content if isinstance(content, list) else [Text(content or "")]
            for part in parts[:4]:
                text = part.text if isinstance(part, Text) else ""
                text = part.image_url.url if isinstance(part, Image) else text
                said += (message.role, len(text), text[:1024])
        if message.role == "user":
            break
    return said


@given(_MESSAGES, _MESSAGES)
def test_conversations_open_alike_if_the_same_was_said_first(one: list[Message], other: list[Message]):
    for change in (other, [*one[:2], *other], [*one[:1], *other]):
        alike = said_first(one) == said_first(change)
        assert (talk_of(one).opening == talk_of(change).opening) == alike


_CALLS = st.lists(st.builds(ToolCall, st.none() | st.builds(CalledFunction, _TEXTS, _TEXTS)), max_size=2)
_TURNS = st.lists(
    st.one_of(
        st.builds(Message, st.sampled_from(["system", "user", "assistant", "function"]), _TEXTS | _PARTS),
        st.builds(Message, st.just("assistant"), _TEXTS | st.none(), _CALLS, refusal=st.just("no")),
        st.builds(Message, st.just("tool"), _TEXTS | _PARTS, tool_call_id=st.just("1")),
    ),
    min_size=1,
    max_size=6,
)


@given(_TURNS)
def test_messages_add_up_to_all_their_texts_and_images_in_order(messages: list[Message]):
    texts, images = [], 0
    for message in messages:
        content = message.content or []
        for part in [Text(content)] if isinstance(content, str) else content:
            texts += [text for text in (getattr(part, "text", None), getattr(part, "refusal", None)) if text]
            images += isinstance(part, Image)
        called = [call.function for call in message.tool_calls or () if call.function is not None]
        texts += [text for function in called for text in (function.name, function.arguments)]
    talk = talk_of(messages)
    assert "".join(talk.texts) == "".join(texts)
    assert (0 if talk.parts is None else talk.parts.images) == images
    assert (talk.parts is not None and talk.parts.needs == {"images"}) == (images > 0)
    assert (talk.parts is not None and talk.parts.remote_images) == (images > 0)
    assert talk.has_assistant == any(message.role == "assistant" for message in messages)
    assert talk.begins_answer == (messages[-1].role == "assistant")
    assert talk.messages == len(messages)
