"""What is asked of providers beside chat: vectors, pictures, sound and the like; one call, one outcome.

A request goes up as it came but for the model's name. Whole answers are looked into, so that what is none is
not passed on; sound and event streams travel as they come.
"""

import asyncio
import re
import struct
from collections.abc import Coroutine, Sequence
from math import isfinite
from typing import Any, TypeVar

import msgspec
from msgspec import Raw, Struct

from freeroute.domain.catalogue import Candidate, Provider
from freeroute.domain.outcome import Kind, Outcome
from freeroute.domain.tasks import DIMENSIONS, Task
from freeroute.domain.usage import Usage
from freeroute.engine.ports import Answer, Sent, Terms
from freeroute.upstreams.bodies import ANSWER_LIMIT, whole_body
from freeroute.upstreams.complaints import read_complaint
from freeroute.upstreams.exchanging import Exchanges, of_path
from freeroute.upstreams.heads import JSON, content_type
from freeroute.upstreams.passing import EVENTS, ByteStream, first_event
from freeroute.upstreams.transport import Exchange
from freeroute.wire.answers import usage_of
from freeroute.wire.chat import GATEWAY_FIELDS, ChatCall
from freeroute.wire.vectors import LARGEST, Vector

PATHS = {
    Task.COMPLETIONS: "/completions",
    Task.EMBEDDINGS: "/embeddings",
    Task.RERANK: "/rerank",
    Task.IMAGE: "/images/generations",
    Task.TRANSCRIPTION: "/audio/transcriptions",
    Task.TRANSLATION: "/audio/translations",
    Task.SPEECH: "/audio/speech",
    Task.MODERATION: "/moderations",
}
"""Where OpenAI has them, and Jina's place for what OpenAI has not."""

# What each answer has to have, as far as anybody can do anything with it.
_LISTS = {Task.EMBEDDINGS: "data", Task.RERANK: "results", Task.IMAGE: "data", Task.MODERATION: "results"}
_PLAIN = "text/plain; charset=utf-8"
_TEXTS = {"text": _PLAIN, "srt": _PLAIN, "vtt": "text/vtt; charset=utf-8"}
_SOUND = ("audio/", "application/octet-stream", "binary/octet-stream")
# A longer answer is looked into on a thread: 28 MB of vectors take 200 ms. Own design: 1 MiB takes up to 10.
_AT_ONCE = 2**20
_HEARD = frozenset({Task.TRANSCRIPTION, Task.TRANSLATION})
# How JSON and pages begin: two bytes at the least, since sound without a head may begin with any one.
_NO_SOUND = re.compile(rb"\s*(?:\{\s*[\"}]|<(?:!doctype|html|head|body|\?xml)\b)", re.IGNORECASE)
# How base64 begins, and often ends; some put the head of a data URL before it.
_BASE64 = re.compile(r"[\w+/\-\s]{2,}={0,2}\s*", re.ASCII)
_LINK = re.compile(r"https?://\S|data:[^,]*,.", re.IGNORECASE)
_GLANCE = 64


class _Ranked(Struct):
    index: int
    relevance_score: float | None = None
    score: float | None = None


_RANKING = msgspec.json.Decoder(list[_Ranked])
_VECTORS = msgspec.json.Decoder(list[Vector])
_ANSWERS = frozenset({*_LISTS.values(), "text"})
_FIELDS = msgspec.json.Decoder(dict[str, Raw])
_TEXT = msgspec.json.Decoder(str)
_ENTRIES = msgspec.json.Decoder(list[dict[str, Raw]])

T = TypeVar("T")
Headers = Sequence[tuple[bytes, bytes]]


def url_of(provider: Provider, task: Task) -> str:
    """Return where *provider* takes calls for *task*."""
    path = provider.paths.get(task) or PATHS[task]
    return path if "://" in path else provider.base_url.rstrip("/") + path


class TaskUpstream:
    """Talks to one provider once, in the way that OpenAI has for the task."""

    def __init__(self, exchanges: Exchanges) -> None:
        """Make *exchanges*."""
        self._exchanges = exchanges

    def send(self, call: ChatCall, candidate: Candidate, terms: Terms) -> Coroutine[Any, Any, Sent]:
        """Make the call; every failure is an outcome. Cancelling it closes the connection."""
        return self._exchanges.make(_Question(call, candidate, terms, self._exchanges))


def outgoing(call: ChatCall, candidate: Candidate, terms: Terms) -> tuple[bytes, bytes, tuple[str, ...]]:
    """Return *call* for *candidate*: the body, its content type, and which of the fields are not in it."""
    model = candidate.model
    without = {name for name in terms.without if name in call.fields}
    if "dimensions" in call.fields and DIMENSIONS not in model.capabilities:
        without.add("dimensions")  # its vectors are as long as that without being told
    lost = tuple(sorted(without - {"dimensions"}))
    if call.form is not None:
        without |= GATEWAY_FIELDS
        return call.form.written({"model": model.id.encode()}, without), call.form.content_type, lost
    fields = {name: value for name, value in call.fields.items() if name not in without}
    fields["model"] = Raw(msgspec.json.encode(model.id))
    return msgspec.json.encode(fields), JSON, lost


class _Question:
    """One call as it is asked; it reads its answer up to the point where that is served or judged."""

    def __init__(self, call: ChatCall, candidate: Candidate, terms: Terms, exchanges: Exchanges) -> None:
        self.candidate = candidate
        self.terms = terms
        self.url = url_of(candidate.provider, call.task)
        self.body, self.kind, self.dropped = outgoing(call, candidate, terms)
        self.accept = b"*/*" if call.stream else JSON
        self._call = call
        self._exchanges = exchanges

    def meant(self, outcome: Outcome) -> Outcome:
        """Return what *outcome* means on a path that this task has for itself."""
        return of_path(outcome)

    async def read(self, exchange: Exchange, told_as: str) -> Sent:
        """Return how *exchange* went, whose answer is *told_as* of this content type."""
        if self._call.task is Task.SPEECH and told_as.startswith(_SOUND):
            return await self._passed(exchange, told_as)
        if self._call.stream and told_as.startswith(EVENTS):
            return await self._passed(exchange, told_as)
        body = await whole_body(exchange)
        if body is None:
            return Sent(Outcome(Kind.GARBAGE, exchange.status, f"an answer of over {ANSWER_LIMIT} bytes"))
        if len(body) <= _AT_ONCE:
            return self._whole(exchange, body)
        return await asyncio.to_thread(self._whole, exchange, body)

    @property
    def _estimate(self) -> Usage:
        return Usage(self._call.demand.prompt_of(self.candidate.tokenizer), estimated=True)

    async def _passed(self, exchange: Exchange, kind: str) -> Sent:
        """Return the bytes of *exchange* as a stream, once the first are there."""
        begun = await exchange.next()
        if kind.startswith(EVENTS):
            begun, event = await first_event(exchange, begun)
            if (complaint := _complaint(event)) is not None:
                return Sent(self._exchanges.judged(complaint, exchange, self.candidate))
        elif _NO_SOUND.match(begun):
            return self._mistaken(exchange, begun)
        if not begun:
            return Sent(Outcome(Kind.EMPTY, exchange.status, "an answer without content"))
        stream = ByteStream(exchange, begun, self._estimate, between=self.terms.between_events)
        return Sent(Outcome(Kind.SERVED, exchange.status), stream=stream, content_type=kind)

    def _mistaken(self, exchange: Exchange, begun: bytes) -> Sent:
        """Return how an exchange ended whose sound is none, as far as what is in hand of it tells."""
        if (complaint := _complaint(begun)) is not None:
            return Sent(self._exchanges.judged(complaint, exchange, self.candidate))
        return Sent(Outcome(Kind.GARBAGE, exchange.status, "an answer that is no sound"))

    def _whole(self, exchange: Exchange, body: bytes) -> Sent:
        asked = self._form_of_text()
        if asked is not None and _is_text(exchange, body):
            return self._served(exchange, body, self._estimate, _TEXTS[asked])
        value = _decoded(_FIELDS, body)
        if value is None:
            return Sent(Outcome(Kind.GARBAGE, exchange.status, f"no answer for {self._call.task.value}"))
        if (complaint := _complaint_in(value, body)) is not None:
            return Sent(self._exchanges.judged(complaint, exchange, self.candidate))
        if (wrong := missing(self._call, value, self.candidate.model.dimensions)) is not None:
            return Sent(Outcome(wrong, exchange.status, f"no answer for {self._call.task.value}"))
        told = usage_of(msgspec.json.decode(value.get("usage", b"null")))
        if told is None and self._call.task is Task.EMBEDDINGS:
            prompt = self._estimate.prompt
            usage = {"prompt_tokens": prompt, "total_tokens": prompt, "estimated": True}
            body = msgspec.json.encode({**value, "usage": usage})
        return self._served(exchange, body, told or self._estimate)

    def _form_of_text(self) -> str | None:
        """Return which form the text of a transcript was asked for in; None if that is JSON."""
        raw = self._call.fields.get("response_format") if self._call.task in _HEARD else None
        asked = msgspec.json.decode(raw) if raw is not None else None
        return asked if asked in _TEXTS else None

    def _served(self, exchange: Exchange, body: bytes, usage: Usage, kind: str | None = None) -> Sent:
        answer = Answer(body, usage, content_type=kind)
        return Sent(Outcome(Kind.SERVED, exchange.status), answer=answer)


def _is_text(exchange: Exchange, body: bytes) -> bool:
    """Say whether *body* is a text: it may begin as JSON does, and errors may claim to be texts."""
    if not body.lstrip().startswith(b"{"):
        return True
    return content_type(exchange.headers).startswith("text/") and _complaint(body) is None


def missing(call: ChatCall, value: dict[str, Raw], dimensions: int | None) -> Kind | None:
    """Return what ending the answer *value* to *call* is if it lacks what was asked for; else None.

    *dimensions* are those of the model's vectors, unless the call says how long they are to be.
    """
    if call.task in _HEARD:
        return None if bytes(value.get("text", b"")).startswith(b'"') else Kind.GARBAGE
    name = _LISTS.get(call.task)
    if name is None or name not in value:
        return Kind.GARBAGE
    told = value[name]
    if call.task is Task.EMBEDDINGS:
        return _wrong_vectors(_decoded(_VECTORS, told), call, call.length or call.dimensions or dimensions)
    listed = _decoded(_ENTRIES, told)
    if listed is None:
        return Kind.GARBAGE
    if not listed:
        return Kind.EMPTY
    if call.task is Task.RERANK and not _is_ranking(_decoded(_RANKING, value["results"]), call.inputs):
        return Kind.GARBAGE
    if call.task is Task.IMAGE and not all(map(_is_picture, listed)):
        return Kind.GARBAGE
    return None


def _wrong_vectors(vectors: list[Vector] | None, call: ChatCall, dimensions: int | None) -> Kind | None:
    if vectors is None:
        return Kind.GARBAGE
    if not vectors:
        return Kind.EMPTY
    return None if _are_vectors(vectors, call.inputs, dimensions) else Kind.GARBAGE


def _are_vectors(vectors: list[Vector], texts: int, dimensions: int | None) -> bool:
    """Say whether *vectors* are of so many *texts*, each of another, of one length (*dimensions*)."""
    if len(vectors) != texts:
        return False
    places = [one.index for one in vectors if one.index is not None]
    if len(set(places)) != len(places) or not all(0 <= place < texts for place in places):
        return False
    lengths = set(map(_length, vectors))
    return len(lengths) == 1 and 0 not in lengths and (not dimensions or dimensions in lengths)


def _length(vector: Vector) -> int:
    """Return how many numbers *vector* has; 0 if it is none, or beyond float32's range."""
    try:
        numbers = vector.numbers
    except (msgspec.MsgspecError, ValueError, struct.error, RecursionError):
        return 0
    # What is no number, as base64 may have it, makes the sum none.
    fits = numbers and isfinite(sum(numbers)) and min(numbers) >= -LARGEST and max(numbers) <= LARGEST
    return len(numbers) if fits else 0


def _is_ranking(results: list[_Ranked] | None, documents: int) -> bool:
    """Say whether *results* have scores, each of another of so many *documents*."""
    if results is None or any(one.relevance_score is None and one.score is None for one in results):
        return False
    places = {one.index for one in results}
    return len(places) == len(results) and all(0 <= place < documents for place in places)


def _is_picture(entry: dict[str, Raw]) -> bool:
    """Say whether *entry* holds a picture or where one is, by how it begins."""
    told, link = (_decoded(_TEXT, entry.get(name, b"null")) or "" for name in ("b64_json", "url"))
    begun = told[:_GLANCE] if not told.startswith("data:") else told.partition(",")[2][:_GLANCE]
    return bool(_BASE64.fullmatch(begun) or _LINK.match(link))


def _decoded(decoder: msgspec.json.Decoder[T], raw: bytes) -> T | None:
    try:
        return decoder.decode(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def _complaint(body: bytes) -> Any:
    """Return the error that *body* tells instead of an answer; None if it tells none."""
    value = _decoded(_FIELDS, body)
    return None if value is None else _complaint_in(value, body)


def _complaint_in(value: dict[str, Raw], body: bytes) -> Any:
    """Return the error that *body*, which reads as *value*, tells; None if it tells none."""
    if not value.keys().isdisjoint(_ANSWERS):
        return None
    if error := msgspec.json.decode(value.get("error", b"null")):
        return error
    # An event has a type, and texts of its own under any name.
    if bytes(value.get("type", b"null")) not in (b"null", b'"error"'):
        return None
    return body if read_complaint(body).message else None
