"""Documents in the order of what they say about a question: the API that Cohere and Jina share."""

from typing import Any

import msgspec
from msgspec import Raw, Struct

from freeroute.domain.tasks import Task
from freeroute.domain.usage import demand_of
from freeroute.errors import InvalidRequest
from freeroute.surfaces.conversing import Asked, Conversations
from freeroute.surfaces.http import Request
from freeroute.surfaces.routes import Route
from freeroute.surfaces.tasks import AsItIs, task_route, text_in
from freeroute.wire.asking import asked_for, call_of
from freeroute.wire.decode import read

MOST_DOCUMENTS = 10_000
"""Of one request. Own design: ten times as many as providers take."""


class _Document(Struct):
    text: str


_DOCUMENTS = msgspec.json.Decoder(list[str | _Document])
_FLAG = msgspec.json.Decoder(bool)
_COUNT = msgspec.json.Decoder(int)


def routes(conversations: Conversations) -> list[Route]:
    """Return what is served."""
    return [task_route(conversations, "/v1/rerank", "rerank", understand)]


def understand(request: Request, body: bytes) -> Asked:
    """Return what *body* asks to be put in order; raises InvalidRequest.

    Documents go up as texts, which every provider takes, and are given back from here if that is wanted.
    """
    given = asked_for(Task.RERANK, body, wanted="model, query and documents")
    texts = _texts(given)
    query = text_in(given, "query")
    most = read(given["top_n"], _COUNT, "top_n") if "top_n" in given else len(texts)
    if most < 1:
        raise InvalidRequest("top_n: must be 1 or more.", param="top_n")
    returned = "return_documents" in given and read(given["return_documents"], _FLAG, "return_documents")
    given.pop("return_documents", None)
    given["documents"] = Raw(msgspec.json.encode(texts))
    call = call_of(Task.RERANK, given, [text.encode() for text in texts], inputs=len(texts))
    # Each document is read together with the query.
    call.demand = call.demand.longer(demand_of(query, 0, 0).prompt * len(texts))
    return Asked(call, _Ranked(texts if returned else None, most))


def _texts(given: dict[str, Raw]) -> list[str]:
    documents = read(given["documents"], _DOCUMENTS, "documents") if "documents" in given else []
    if not documents:
        raise InvalidRequest("documents is missing: send a list of texts.", param="documents")
    if len(documents) > MOST_DOCUMENTS:
        raise InvalidRequest(f"documents: at most {MOST_DOCUMENTS} in one request.", param="documents")
    return [one if isinstance(one, str) else one.text for one in documents]


class _Ranked(AsItIs):
    """Tells the *most* results there may be, the best first, with the *texts* they are of."""

    def __init__(self, texts: list[str] | None, most: int) -> None:
        self._texts = texts
        self._most = most

    def whole(self, body: bytes) -> bytes:
        """Return the answer *body* with results in one form, whoever gave them."""
        answer = msgspec.json.decode(body)
        results = [self._told(result) for result in answer["results"]]
        results.sort(key=lambda result: -result["relevance_score"])
        return msgspec.json.encode({**answer, "results": results[: self._most]})

    def _told(self, result: dict[str, Any]) -> dict[str, Any]:
        """Return *result*, which was found to be one, in Cohere's form."""
        index, score = result["index"], result.get("relevance_score")
        told = {"index": index, "relevance_score": result["score"] if score is None else score}
        if self._texts is not None:
            told["document"] = {"text": self._texts[index]}
        return told
