"""What the simulated models say: seeded English that tells nothing, calls tools and fills schemas."""

import math
import random
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from freeroute.upstreams.simulated.filling import fill
from freeroute.upstreams.simulated.understanding import Question, question, tools_wanted

_SUBJECTS = (
    "the river|a small garden|the old clock|every traveller|a patient teacher|the morning train|"
    "the library|a quiet harbour|the weather|an honest map|the second draft|a good question"
).split("|")
_VERBS = (
    "follows|explains|remembers|improves|balances|reaches|describes|keeps|crosses|changes|supports|answers"
).split("|")
_OBJECTS = (
    "a longer road|the simple idea|many small steps|its own rhythm|the far shore|a clear plan|"
    "the common case|two of three doors|an open window|the next season|a useful habit|the plain facts"
).split("|")
_ENDINGS = (
    "without any hurry|once the rain stops|in a few words|as numbers allow|step by step|"
    "for anyone who asks|before noon|with some care|and then rests|when the light is right"
).split("|")
_LINKS = "Moreover,|In short,|Meanwhile,|Even so,|As a result,|Now and then,|First of all,".split("|")


class ToolCall(Struct, frozen=True):
    """One call of a tool, its arguments as JSON text."""

    id: str
    name: str
    arguments: str

    @property
    def tokens(self) -> int:
        """What the call costs in output."""
        return max(1, math.ceil((len(self.name) + len(self.arguments)) / 4))


class Answer(Struct, frozen=True):
    """A whole answer, before it takes any provider's shape."""

    id: str
    provider: str
    model: str
    created: int
    prompt_tokens: int
    pieces: Sequence[str] = ()
    tool_calls: Sequence[ToolCall] = ()
    finish: str = "stop"
    index: int = 0
    # The other choices, where more than one was asked for.
    others: Sequence["Answer"] = ()

    @property
    def choices(self) -> Sequence["Answer"]:
        """This and the others, in the order of their index."""
        return (self, *self.others)

    @property
    def text(self) -> str:
        """The words of the answer."""
        return "".join(self.pieces)

    @property
    def completion_tokens(self) -> int:
        """Output tokens of all choices: one a piece, and what the tool calls cost."""
        own = len(self.pieces) + sum(call.tokens for call in self.tool_calls)
        return own + sum(other.completion_tokens for other in self.others)

    @property
    def usage(self) -> dict[str, int]:
        """OpenAI's usage object."""
        out = self.completion_tokens
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": out,
            "total_tokens": self.prompt_tokens + out,
        }


def prompt_tokens(body: Mapping[str, Any]) -> int:
    """Estimate the prompt: four characters a token, 258 tokens a picture."""
    chars, pictures = 0, 0
    for message in body.get("messages") or ():
        content = message.get("content")
        for part in content if isinstance(content, list) else ({"text": content},):
            if isinstance(part, dict) and part.get("type") == "image_url":
                pictures += 1
            elif isinstance(part, dict) and isinstance(part.get("text"), str):
                chars += len(part["text"])
        if message.get("tool_calls"):
            chars += len(msgspec.json.encode(message["tool_calls"]))
    if body.get("tools"):
        chars += len(msgspec.json.encode(body["tools"]))
    return max(1, math.ceil(chars / 4)) + 258 * pictures


def compose(
    body: Mapping[str, Any],
    *,
    provider: str,
    model: str,
    seed: int,
    ordinal: int,
    created: int,
    limit: int | None,
    lengths: tuple[int, int],
    obeys_tool_choice: bool = True,
    choices: int = 1,
) -> Answer:
    """Answer *body* in so many *choices*: the same seed, model and messages give the same words.

    An answer that the last message begins is gone on with.
    """
    # The words depend on what was asked, the id on the order of asking.
    begun, messages = _begun(body)
    asked = zlib.crc32(msgspec.json.encode(messages))
    words = random.Random(f"{seed}/{provider}/{model}/{asked}/{body.get('seed')}")
    ids = random.Random(f"{seed}/{provider}/{ordinal}")
    base = Answer(
        id=f"chatcmpl-{ids.getrandbits(96):024x}",
        provider=provider,
        model=model,
        created=created,
        prompt_tokens=prompt_tokens(body),
    )
    chosen = tools_wanted(body, obeys_tool_choice)
    asked_for = question(body)

    def choice(index: int) -> Answer:
        if chosen:
            calls = [_call(tool, asked_for, words, ids) for tool in chosen]
            return msgspec.structs.replace(base, index=index, tool_calls=calls, finish="tool_calls")
        text = _rest(_text(body, provider, model, words, lengths), begun)
        pieces, finish = _bounded(text, limit, _stops(body))
        return msgspec.structs.replace(base, index=index, pieces=pieces, finish=finish)

    first, *others = [choice(index) for index in range(choices)]
    return msgspec.structs.replace(first, others=others)


def _begun(body: Mapping[str, Any]) -> tuple[Mapping[str, Any], Sequence[Any]]:
    """Return the message that begins the answer, empty if there is none, and those before it."""
    messages = body.get("messages") or []
    last = messages[-1] if messages else {}
    if last.get("role") != "assistant" or not isinstance(last.get("content"), str):
        return {}, messages
    return last, messages[:-1]


def _rest(text: str, begun: Mapping[str, Any]) -> str:
    """Return how *text* goes on from what is *begun*; after Mistral's ``prefix`` that is told as well."""
    given = begun.get("content") or ""
    rest = text[len(given) :] if text.startswith(given) else f" {text}"
    return given + rest if begun.get("prefix") else rest


def _text(
    body: Mapping[str, Any], provider: str, model: str, rng: random.Random, lengths: tuple[int, int]
) -> str:
    shape = body.get("response_format")
    kind = shape.get("type") if isinstance(shape, dict) else None
    asked = question(body)
    if kind == "json_schema" and isinstance(shape, dict):
        return _json(fill((shape.get("json_schema") or {}).get("schema") or {}, rng, asked))
    if kind == "json_object":
        prose = {"answer": _prose(provider, model, rng, lengths), "simulated": True}
        return _json({key: _sentence(rng) for key in asked.keys} or prose)
    return _prose(provider, model, rng, lengths)


def _json(value: Any) -> str:
    # With blanks, where the text is cut into tokens.
    return msgspec.json.format(msgspec.json.encode(value), indent=0).decode()


def _prose(provider: str, model: str, rng: random.Random, lengths: tuple[int, int]) -> str:
    wanted = rng.randint(min(lengths), max(lengths))
    words = f"This is a simulated answer from {provider}/{model}.".split()
    while len(words) < wanted:
        words += _sentence(rng).split()
    words = words[: max(wanted, 7)]
    return " ".join(words).rstrip(".,") + "."


def _sentence(rng: random.Random) -> str:
    clause = f"{rng.choice(_SUBJECTS)} {rng.choice(_VERBS)} {rng.choice(_OBJECTS)} {rng.choice(_ENDINGS)}."
    if rng.random() < 0.4:
        return f"{rng.choice(_LINKS)} {clause}"
    return clause[0].upper() + clause[1:]


def split(text: str) -> list[str]:
    """Cut *text* into pieces, one a token: words with the blank before them."""
    first, *others = text.split(" ")
    return [piece for piece in (first, *(f" {word}" for word in others)) if piece]


def _bounded(text: str, limit: int | None, stops: Iterable[str]) -> tuple[list[str], str]:
    pieces, finish = split(text), "stop"
    if limit is not None and len(pieces) > limit:
        pieces, finish = pieces[: max(0, limit)], "length"
    kept = "".join(pieces)
    found = [at for at in (kept.find(stop) for stop in stops) if at >= 0]
    return (split(kept[: min(found)]), "stop") if found else (pieces, finish)


def _stops(body: Mapping[str, Any]) -> list[str]:
    stop = body.get("stop")
    given = stop if isinstance(stop, list) else [stop]
    return [text for text in given if isinstance(text, str) and text]


def _call(tool: Mapping[str, Any], asked: Question, words: random.Random, ids: random.Random) -> ToolCall:
    arguments = fill(tool.get("parameters") or {"type": "object"}, words, asked)
    return ToolCall(f"call_{ids.getrandbits(48):012x}", tool["name"], _json(arguments))
