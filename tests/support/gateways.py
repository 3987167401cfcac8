"""A gateway that does what a test says, for the surfaces."""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec

from freeroute.domain.clients import Client
from freeroute.domain.tasks import Task
from freeroute.engine.ports import KeptResponse
from freeroute.engine.served import Onward
from freeroute.errors import ApiError, InvalidRequest, NotFound
from freeroute.wire.answers import Piece, inspect
from freeroute.wire.chat import CallContext, ChatCall

ANSWER = (
    b'{"id":"c1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":'
    b'{"role":"assistant","content":"Hello!"},"finish_reason":"stop"}]}'
)

VECTORS = b'{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.5,-1.0]}],"model":"m"}'
ANSWERS = {
    Task.EMBEDDINGS: VECTORS,
    Task.RERANK: b'{"results":[{"index":0,"relevance_score":0.5}]}',
}


def chunk(text: str) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    head = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return msgspec.json.encode({**head, "choices": [choice]})


class FakeServed:
    """An answer: a *body*, or *batches* of events; None among them is silence until the test ends it."""

    def __init__(
        self,
        body: bytes | None = None,
        batches: Sequence[Sequence[bytes] | Exception | None] = (),
        headers: dict[str, str] | None = None,
        content_type: str | None = None,
    ) -> None:
        self.content_type = content_type
        self.cut = False
        self.headers = headers or {"x-freeroute-provider": "groq", "x-freeroute-attempts": "1"}
        self.body = body
        self.onward: Onward | None = None
        self.finished: list[bool] = []
        self.ended = asyncio.Event()
        self.interrupted = self.failed = self.stalled = False
        self._batches = list(batches)

    async def next(self) -> Sequence[bytes]:
        if not self._batches:
            return ()
        batch = self._batches.pop(0)
        if isinstance(batch, Exception):
            raise batch
        if batch is None:
            await self._silence()
            return ()
        return batch

    async def _silence(self) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.interrupted = True
            raise

    def fail(self, *, stopped: bool = False) -> Piece | None:
        self.failed = True
        return inspect(chunk(""))

    async def finish(self, *, caller_left: bool = False, stalled: bool = False) -> None:
        await asyncio.sleep(0)  # a real one may wait for a store
        self.finished.append(caller_left)
        self.stalled = stalled
        self.ended.set()


class FakeResponses:
    """Has told everybody the response ``resp_1``, and keeps what comes."""

    def __init__(self) -> None:
        self.kept: list[KeptResponse] = []
        self.keeping = True
        self.full = False

    def keeps(self, client: Client | None) -> bool:
        return self.keeping

    def keep(self, kept: KeptResponse) -> bool:
        if not self.full:
            self.kept.append(kept)
        return not self.full

    async def find(self, response_id: str, holder: str) -> KeptResponse | None:
        if response_id == "resp_1":
            return KeptResponse(response_id, holder, 0.0, b'{"id":"resp_1","output":[]}', b"[]")
        return next((one for one in self.kept if (one.id, one.holder) == (response_id, holder)), None)

    async def forget(self, response_id: str, holder: str) -> bool:
        found = await self.find(response_id, holder)
        self.kept = [one for one in self.kept if one is not found]
        return found is not None


class FakeLive:
    """Tells every watcher *news* and whatever a test says next; ends then at once if *ends*."""

    def __init__(
        self, news: Sequence[bytes] = (b"event: status\ndata: {}\n\n",), *, ends: bool = True
    ) -> None:
        self.news = news
        self.ends = ends
        self.asked: list[tuple[str, str | None]] = []
        self.left = 0
        self._next: asyncio.Queue[bytes] = asyncio.Queue()

    def say(self, news: bytes) -> None:
        self._next.put_nowait(news)

    def provider(self, name: str, client: Client | None) -> dict[str, Any]:
        self.asked.append((name, client.name if client else None))
        if name != "groq":
            raise NotFound(f"{name} is not switched on")
        return {"id": name}

    def watch(self, client: Client | None) -> "FakeWatcher":
        self.asked.append(("events", client.name if client else None))
        return FakeWatcher(self)

    async def next(self) -> bytes | None:
        return None if self.ends else await self._next.get()


class FakeWatcher:
    """One watcher of a `FakeLive`."""

    def __init__(self, live: FakeLive) -> None:
        self._live = live
        self._news = list(live.news)

    async def next(self) -> bytes | None:
        return self._news.pop(0) if self._news else await self._live.next()

    def leave(self) -> None:
        self._live.left += 1


class FakeGateway:
    """Answers every call with *answer*, an exception being raised; None waits until it is cancelled."""

    def __init__(self, answer: FakeServed | Exception | None = None) -> None:
        self.answer = answer
        self.calls: list[tuple[ChatCall, CallContext]] = []
        self.refusals: list[tuple[CallContext, str, ApiError]] = []
        self.asked: list[tuple[str, Any]] = []
        self.settings_error: Exception | None = None
        self.began = asyncio.Event()
        self.settled = asyncio.Event()
        self.is_ready = True
        self.entry: dict[str, Any] = {}  # what is told of every model besides
        self.takes: int | None = None
        self.others: tuple[str, ...] = ()  # what there are models for beside chat

    async def chat(self, call: ChatCall, context: CallContext) -> FakeServed:
        self.calls.append((call, context))
        self.began.set()
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.answer is None:
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)  # settling takes a turn, and must not be cut short
                self.settled.set()
        assert self.answer is not None
        if self.answer.body is ANSWER and call.task in ANSWERS:
            return FakeServed(ANSWERS[call.task])
        return self.answer

    def refuse(self, context: CallContext, asked: str, error: ApiError, *, stream: bool = False) -> None:
        self.refusals.append((context, asked, error))

    def turn_away(self, context: CallContext, error: ApiError) -> None:
        self.refusals.append((context, "", error))

    def models(self, client: Client | None) -> list[dict[str, Any]]:
        self.asked.append(("models", client.name if client else None))
        others = [
            {**self._model(f"groq/{kind}"), "architecture": {"output_modalities": [kind]}}
            for kind in self.others
        ]
        return [self._model("free"), self._model("groq/openai/gpt-oss-120b"), *others]

    def most_inputs(self, model: str) -> int | None:
        return self.takes

    def model(self, model_id: str, client: Client | None) -> dict[str, Any]:
        self.asked.append(("model", model_id))
        if model_id not in {"free", "code", "groq/openai/gpt-oss-120b"}:
            raise NotFound(f"{model_id} does not exist", code="model_not_found", param="model")
        return self._model(model_id)

    def _model(self, model_id: str) -> dict[str, Any]:
        return {"id": model_id, "object": "model", "created": 1, "owned_by": "freeroute", **self.entry}

    def plan(self, model: str, client: Client | None) -> dict[str, Any]:
        self.asked.append(("plan", model))
        return {"model": model, "candidates": []}

    def completes(self, model: str) -> bool:
        return model == "code"

    def key(self, client: Client | None) -> dict[str, Any]:
        return {"data": {"label": client.name if client else "anyone"}}

    def status(self, client: Client | None = None) -> dict[str, Any]:
        self.asked.append(("status", client.name if client else None))
        return {"version": "0", "providers": [], "requests": []}

    def reset(self, provider_id: str) -> dict[str, Any]:
        self.asked.append(("reset", provider_id))
        if provider_id != "groq":
            raise NotFound(f"{provider_id} is not switched on")
        return {"id": provider_id}

    def set_strategy(self, strategy: str) -> dict[str, Any]:
        if strategy not in {"balanced", "round_robin", "random"}:
            raise InvalidRequest("no such strategy", param="strategy")
        self.asked.append(("strategy", strategy))
        return {"strategy": strategy}

    async def render(self) -> tuple[bytes, str]:
        return b"up 1\n", "text/plain; version=0.0.4"

    def reload(self) -> dict[str, Any]:
        self.asked.append(("reload", None))
        if self.settings_error is not None:
            raise self.settings_error
        return {"status": "reloaded", "providers": []}

    def ready(self) -> tuple[bool, dict[str, Any]]:
        return self.is_ready, {"status": "ready" if self.is_ready else "draining"}
