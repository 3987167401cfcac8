"""What messages add up to: a conversation is known by how it began."""

from hypothesis import given
from hypothesis import strategies as st

from freeroute.wire.fields import Image, ImageUrl, Message, Refusal, Text
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
