"""An answer whose provider died in the middle of it, gone on with by another candidate."""

from collections.abc import Callable, Sequence

from msgspec import structs

from freeroute.domain.needs import Need
from freeroute.domain.outcome import PREFILL, Blame, Kind, Outcome, blamed
from freeroute.domain.usage import Usage, tokens_in
from freeroute.engine.attempts import AttemptLoop
from freeroute.engine.course import Course
from freeroute.engine.leasing import Won
from freeroute.engine.parts import Part
from freeroute.engine.waiting import Overtaken
from freeroute.errors import ApiError
from freeroute.wire.chat import ChatCall
from freeroute.wire.splicing import Diverged, Splice, Told

MOST = 3
"""How often one answer may be gone on with. Own design: each time costs quota for what was said already."""

# What a provider that wrote this much may end with through no fault of the request.
_CURABLE = frozenset({Kind.RATE_LIMITED, Kind.NO_CAPACITY, Kind.DIVERGED, Kind.CALLER_STALLED})


class Continuation:
    """Keeps what the caller has of one answer, and finds others to go on with it."""

    def __init__(
        self, loop: AttemptLoop, call: ChatCall, need: Need, course: Course, part_of: Callable[[Won], Part]
    ) -> None:
        """Go on with *call* by further attempts of *course*."""
        self.count = 0
        self._loop = loop
        self._call = call
        self._need = need
        self._course = course
        self._part_of = part_of
        self._told = Told()
        self._splice: Splice | None = None
        self._by: list[dict[str, object]] = []

    def fitted(self, part: Part, payloads: Sequence[bytes]) -> Sequence[bytes]:
        """Return what of *payloads*, the next of *part*, the caller is to get.

        *part* fails if it turns out to be another answer.
        """
        try:
            fitted = payloads if self._splice is None else _spliced(self._splice, part, payloads)
        except Diverged:
            part.fail(Outcome(Kind.DIVERGED, detail="began otherwise than the answer it was to continue"))
            return ()
        for payload in fitted:
            self._told.note(payload)
        return fitted

    async def after(self, dead: Part, used: Usage | None) -> Part | None:
        """Return who goes on where *dead* ended, if anybody does; *used* is what the calls so far took."""
        if not self._may(dead):
            return None
        await dead.end(self._loop.clock.now(), left=None)
        self._loop.room.stir()
        text = self._told.text
        try:
            won = await self._another(dead, text if text.strip() else "")
        except (ApiError, Overtaken):
            return None
        self.count += 1
        candidate = won.leased.candidate
        self._by.append({"provider": candidate.provider.id, "model": candidate.model.id, "from": len(text)})
        self._splice = Splice(self._told, candidate.prefill, used=used, by=self._by)
        return self._part_of(won)

    async def _another(self, dead: Part, begun: str) -> Won:
        """Return an attempt at what is to come after *begun*; raises ApiError if there is none."""
        before = self._need.demand
        demand = before.longer(tokens_in(len(begun.encode())))
        need = structs.replace(self._need, demand=demand, continues=bool(begun))
        if begun:
            need.features |= {PREFILL}
        self._loop.after(dead.outcome, dead.won.leased, need, self._course)
        now = self._loop.clock.now()
        fit = self._loop.rankings.able(need, now)
        call = structs.replace(self._call, demand=demand, begun=begun)
        return await self._loop.run(call, need, fit, self._course, now)

    def _may(self, dead: Part) -> bool:
        kind = dead.outcome.kind
        curable = blamed(dead.outcome) is Blame.PROVIDER or kind in _CURABLE
        # What is far longer than asked for is not to become longer still.
        plain = kind is not Kind.GARBAGE and self._told.is_plain and not dead.stream.held
        return curable and plain and self.count < MOST


def _spliced(splice: Splice, part: Part, payloads: Sequence[bytes]) -> Sequence[bytes]:
    if payloads:
        return [fit for payload in payloads if (fit := splice.chunk(payload)) is not None]
    last = splice.close() if part.outcome.kind is Kind.SERVED else None
    return () if last is None else (last,)
