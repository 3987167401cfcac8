"""A gateway that is measured, and what its page of metrics tells."""

from prometheus_client.parser import text_string_to_metric_families

from freeroute.domain.catalogue import Limit, Scope, Unit
from freeroute.domain.clients import Client
from freeroute.domain.outcome import Kind
from freeroute.domain.receipt import AttemptNote, Receipt
from freeroute.domain.usage import Usage
from freeroute.engine.view import Recording
from freeroute.observe.metrics import Metrics
from tests.support.receipts import changed, receipt
from tests.support.world import PER_MINUTE, World, call, model, provider

SLOTS = Limit(Unit.CONCURRENCY, 4)
PER_MODEL = Limit(Unit.TOKENS, 1000, 86400.0, span="day", scope=Scope.MODEL)


class Watched(World):
    """A world whose gateway is measured."""

    def __init__(self, *providers, **given) -> None:
        super().__init__(*providers, **given)
        self.metrics = Metrics()
        self.metrics.watch(self.gateway.view)

    async def ask(self, *args, **given):
        try:
            return await super().ask(*args, **given)
        finally:
            if self.receipts.seen:
                self.metrics.saw(self.receipts.seen[-1])

    async def begin(self):
        """Begin a stream, and leave its end to the test."""
        return await self.gateway.chat(call("free", stream=True), self.context())


async def everything() -> Watched:
    """Return a world of whose metrics each has a series."""
    world = Watched(provider("groq", model(limits=(PER_MODEL,)), limits=(PER_MINUTE,)))
    world.gateway.recording = Recording()
    ann = Client("ann", b"", limits=(PER_MINUTE,))
    world.gateway.enrol([ann])
    await world.ask("free", stream=True, context=world.context(client=ann))
    stalled = AttemptNote("groq", "m", "k1", Kind.STALLED, 0.5, first_event=0.1)
    served = AttemptNote("groq", "m", "k2", Kind.SERVED, 0.5, usage=Usage(10, 20, reasoning=5, cached=2))
    world.metrics.saw(a_receipt(attempts=(stalled, served), queued=1.0))
    return world


def page(metrics: Metrics) -> str:
    return b"".join(metrics.pieces()).decode()


def samples(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """Every sample by its name and its labels as ``name=value``, sorted; buckets and processes apart."""
    text = page(metrics)
    return {
        (sample.name, *sorted(f"{k}={v}" for k, v in sample.labels.items() if v)): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.name.endswith("_bucket") and not sample.name.startswith("process_")
    }


def a_receipt(**changes) -> Receipt:
    """Return a receipt of one served attempt at model "m" of groq, with *changes*."""
    made = Usage(10, 20, reasoning=5, cached=2)
    attempt = AttemptNote("groq", "m", "k1", Kind.SERVED, 0.5, 200)
    plain = receipt(client="-", asked="free", model="m", attempts=(attempt,), usage=made, first_event=None)
    return changed(plain, **changes)
