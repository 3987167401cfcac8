"""Completions of a text, which have no messages: OpenAI's older API, and Mistral's for filling in."""

import msgspec
from msgspec import structs

from freeroute.domain.catalogue import Candidate, Provider
from freeroute.domain.tasks import Task
from freeroute.engine.ports import Terms
from freeroute.upstreams.quirks import Outgoing, adapted
from freeroute.upstreams.reading import Events
from freeroute.upstreams.tasks import url_of
from freeroute.wire.chat import ChatCall
from freeroute.wire.sse import SseParser

# What every such provider takes beside what it takes for chat.
_OWN = ("prompt", "suffix", "echo", "best_of")


class CompletionsShape:
    """How a completion goes up, and how its answer is made one of chat: its text is a message's content."""

    accept = b"text/event-stream"

    def url(self, provider: Provider) -> str:
        """Return where calls go."""
        return url_of(provider, Task.COMPLETIONS)

    def outgoing(self, call: ChatCall, candidate: Candidate, terms: Terms) -> Outgoing:
        """Return the body of *call*; raises NotTaken."""
        quirks = candidate.provider.quirks
        accepts = None if quirks.accepts is None else (*quirks.accepts, *_OWN)
        quirks = structs.replace(quirks, accepts=accepts, output_field="max_tokens")
        provider = structs.replace(candidate.provider, quirks=quirks)
        fields, dropped = adapted(call, structs.replace(candidate, provider=provider), terms)
        return Outgoing(msgspec.json.encode(fields), dropped)

    def events(self) -> Events:
        """Return a parser of server-sent events: a choice's text is read where its delta would be."""
        return SseParser()

    def whole(self, body: bytes) -> bytes:
        """Return the answer *body* as a chat completion; what is no completion stays as it is."""
        try:
            answer = msgspec.json.decode(body)
            choices = [_as_message(choice) for choice in answer["choices"]]
        except (msgspec.MsgspecError, ValueError, RecursionError, TypeError, KeyError):
            return body
        return msgspec.json.encode({**answer, "object": "chat.completion", "choices": choices})


def _as_message(choice: dict[str, object]) -> dict[str, object]:
    if "message" in choice:
        return choice
    others = {name: value for name, value in choice.items() if name != "text"}
    return {**others, "message": {"role": "assistant", "content": choice["text"]}}
