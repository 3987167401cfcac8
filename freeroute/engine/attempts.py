"""The one attempt loop: choose, lease, send, judge, and again if need be."""

import math
import random
from collections.abc import Callable, Mapping

from msgspec import Struct, structs

from freeroute.clock import Clock, Now
from freeroute.domain import effects
from freeroute.domain.catalogue import Candidate, Limit, Pool
from freeroute.domain.leases import AS_CHARGED, Lease, actual_amounts
from freeroute.domain.needs import Need
from freeroute.domain.outcome import IN_MESSAGES, INTERNAL, Blame, Kind, Next, Outcome, blamed, judge
from freeroute.domain.rankings import Able, Rankings
from freeroute.domain.rates import unheard_of
from freeroute.domain.receipt import AttemptNote
from freeroute.domain.standing import Standing
from freeroute.domain.traces import new_span
from freeroute.domain.usage import Usage
from freeroute.engine import patience
from freeroute.engine.course import Course
from freeroute.engine.hedging import Hedging
from freeroute.engine.leasing import Leased, Leasing, Won
from freeroute.engine.ports import SOON, Counters, Sent, Terms, Upstream
from freeroute.engine.refusals import ABOUT_REQUEST, gave_up, misfitted, refused_by_upstream
from freeroute.engine.served import NO
from freeroute.engine.taking import Taking
from freeroute.engine.waiting import WaitingRoom
from freeroute.wire.chat import CallContext, ChatCall

# Every stream is asked for its usage, whether the caller wants to see it or not: leaving the wish out is no
# loss to the caller.
USAGE_WISH = "stream_options"
LAG = 0.02
"""Seconds between lease and sending that the guard bears. Own design: as much as an idle loop takes, and
little beside half a second."""

# Endings of calls that no quota was charged with: whose it would have been is what was refused.
_NEVER_COUNTED = frozenset({Kind.KEY_INVALID, Kind.NO_CREDIT})
# Endings of calls that took nothing, unless failed calls count: their lack of capacity is not our quota, a
# model that is being loaded answers nobody, and what is refused for our quota has not come into the count.
_NOT_TAKEN = frozenset({Kind.NO_CAPACITY, Kind.LOADING, Kind.RATE_LIMITED})

# Endings whose hold says when the candidate is back: this call may use it again then.
_HELD = frozenset({Kind.RATE_LIMITED, Kind.NO_CAPACITY, Kind.LOADING})

_SERVED = Kind.SERVED  # how nearly every attempt ends; a member of an enum is looked up at length


class Routing(Struct, frozen=True):
    """Bounds of one request, in attempts and seconds.

    *max_wait* is how long a request waits for capacity unless it says otherwise, at most *max_wait_cap*;
    *waiting_room* is for how many at once. *affinity* is how long a conversation prefers its last candidate,
    *probes* the pause between background probes; 0 for none. *continue_streams* lets other candidates go on
    with streams that die, unless a request says otherwise; *hedge* a second one start beside a late first.
    """

    max_attempts: int = 8
    deadline: float = 120.0
    probes: float = 30.0
    max_wait: float = 20.0
    max_wait_cap: float = 120.0
    waiting_room: int = 1000
    affinity: float = 1800.0
    continue_streams: bool = False
    hedge: bool = False

    def patience(self, context: CallContext) -> float:
        """Return until when (mono) the call of *context* may wait; ``-inf`` for not at all."""
        if context.strict:
            return -math.inf
        wanted, most, client = self.max_wait, self.max_wait_cap, context.client
        if client is not None and client.max_wait is not None:
            wanted = client.max_wait
            most = min(wanted, most)
        if context.max_wait is not None:
            wanted = context.max_wait
        if wanted > most:  # without `min`: this is on the way of every call
            wanted = most
        if wanted > self.deadline:
            wanted = self.deadline
        return context.received.mono + wanted


class AttemptLoop:
    """Makes attempts for requests and probes. Holds no state of a request."""

    def __init__(
        self,
        *,
        standing: Standing,
        counters: Counters,
        upstreams: Mapping[str, Upstream],
        clock: Clock,
        routing: Routing,
        rng: random.Random,
        discovered: Callable[[Candidate, Limit], Pool | None],
    ) -> None:
        """Send through *upstreams*, by a provider's ``kind``.

        *discovered* is told of limits that only answers speak of, and returns the pool of one that is new.
        """
        self.standing = standing
        self.counters = counters
        self.upstreams = upstreams
        self.clock = clock
        self.routing = routing
        self._rng = rng
        self.discovered = discovered
        self.rankings = Rankings(standing)
        self.leasing = Leasing(standing, counters, clock)
        self.room = WaitingRoom(
            standing=standing, leasing=self.leasing, clock=clock, size=routing.waiting_room
        )
        self._hedging = Hedging(
            standing=standing,
            counters=counters,
            clock=clock,
            leasing=self.leasing,
            room=self.room,
            attempt=self.attempt,
        )
        self._taking = Taking(standing=standing, leasing=self.leasing, room=self.room, clock=clock)

    async def run(self, call: ChatCall, need: Need, fit: Able, course: Course, now: Now) -> Won:
        """Return the first attempt, from *now* on, that is served; raises the error the caller should see."""
        alike, routing = fit.alike, self.routing
        if course.grounds is None:
            course.grounds = fit.grounds
        again: Leased | None = None
        while True:
            if course.counted >= routing.max_attempts or now.mono > course.last_start:
                raise gave_up(course, need, fit, self.standing, now)
            taken = self._taking.next(need, fit, course, again, now)
            leased = taken if isinstance(taken, Leased) else await taken
            if leased is None and course.crowded and now.mono < course.until:
                course.line_up()
                leased = await self._taking.next(need, fit, course, None, now)
            if leased is None:
                leased = await self._taking.later(need, fit, course)
            again = None
            pressed = (
                alike > 1
                and course.counted + 1 < routing.max_attempts
                and patience.is_pressed(call, need, fit, leased, course, self.standing)
            )
            if pressed is not course.pressed:
                course.pressed = pressed
            late = self._late(call, need, leased, course) if routing.hedge else math.inf
            if late < math.inf:
                made = await self._hedging.race(call, need, fit, leased, course, late)
            else:
                made = ((leased, await self.attempt(call, leased, course)),)
            for tried, ended in made:
                if isinstance(ended, Won):
                    if ended.sent.dropped:
                        course.dropped |= frozenset(ended.sent.dropped)
                    return ended
                again = self.after(ended, tried, need, course) or again
            now = self.clock.now()
            if course.context.strict and again is None:
                raise gave_up(course, need, fit, self.standing, now)

    def _late(self, call: ChatCall, need: Need, leased: Leased, course: Course) -> float:
        """Return the seconds after which a second candidate may start beside the first; ``inf`` for never."""
        is_fast = all(target.strategy == "fast" for target in need.targets)
        if not is_fast or course.context.strict or course.hedged:
            return math.inf
        if course.counted + 2 > self.routing.max_attempts:
            return math.inf
        return patience.late(call, leased, leased.trial.known.speed, self.clock.now())

    async def attempt(
        self, call: ChatCall, leased: Leased, course: Course, *, probe: bool = False
    ) -> Won | Outcome:
        """Make one upstream call with what was *leased*, which is ended unless the call is won."""
        candidate = leased.candidate
        span = new_span(self._rng) if course.context.trace is not None else None
        known = leased.trial.known
        at_once = call.stream and patience.shows_at_once(call, leased)
        first_event, due, expected = patience.times(call, leased, course, known.speed, at_once)
        expected += self.standing.slowed(candidate, leased.at)
        terms = self._terms(call, leased, course, span, first_event, probe)
        if course.in_line:
            terms = structs.replace(terms, room=max(course.until - leased.at.mono, SOON))
        known.awaited.began(leased.trial.call, due)
        try:
            sent = await self.upstreams[candidate.provider.kind].send(call, candidate, terms)
        except BaseException as exc:
            # The caller left, or we broke: either way nobody's fault, and the provider counted what went out.
            ended = self.clock.now()
            self.standing.give_back(candidate, leased.trial)
            ours = isinstance(exc, Exception)
            outcome = INTERNAL if ours else Outcome(Kind.CALLER_LEFT)
            noted = self._note(call, course, leased, Sent(outcome), ended, span, expected)
            if terms.dispatch.unsent:
                await self.counters.cancel(leased.lease, ended)
            else:
                # Nobody knows how much of an answer there was by then.
                prompt = call.demand.prompt_of(candidate.tokenizer)
                course.took(noted, Usage(prompt=prompt, estimated=True))
                await self.counters.settle(leased.lease, AS_CHARGED, ended)
            self.room.stir()
            raise
        finally:
            known.awaited.ended(leased.trial.call)
        ended = sent.read_at or self.clock.now()
        noted = self._note(call, course, leased, sent, ended, span, expected)
        if sent.sent_at is not None and sent.sent_at.mono - leased.at.mono > LAG:
            await self.counters.sent(leased.lease, sent.sent_at)
        if sent.outcome.kind is _SERVED:
            proved = self.standing.answered(candidate, leased.trial, ended)
            wider = self.counters.confirm(leased.lease, sent.head_at or ended)
            if (wider is not NO and await wider) or proved:
                self.room.stir()
            if sent.facts:
                await self._learn(leased, sent, ended)
            # What an answer has begun with is part of the prompt for some only.
            estimated = 0 if call.begun else call.demand.prompt_of(candidate.tokenizer)
            return Won(leased, sent, ended, estimated, not at_once, noted)
        await self._end_failed(leased.lease, sent.outcome, candidate, ended)
        if sent.facts:
            await self._learn(leased, sent, ended)
        if sent.outcome.kind is Kind.RATE_LIMITED:
            await self.counters.refused(leased.lease, sent.outcome, sent.facts, ended)
        # After the counters: how long a refusal holds is read off them.
        jitter = self._rng.random()
        effects.apply(sent.outcome, candidate, self.standing, leased.trial, ended, jitter=jitter)
        self.room.stir()
        return sent.outcome

    async def _learn(self, leased: Leased, sent: Sent, now: Now) -> None:
        candidate = leased.candidate
        for limit, fact in unheard_of(sent.facts, candidate.pools).items():
            pool = self.discovered(candidate, limit)
            if pool is not None:
                await self.counters.begin(pool, fact, now)
                self.room.stir()
        if await self.counters.learn(leased.lease, sent.facts, now):
            self.room.stir()

    async def _end_failed(self, lease: Lease, outcome: Outcome, candidate: Candidate, now: Now) -> None:
        """Keep of a failed call what its provider counted."""
        counts_failures = candidate.provider.failed_calls_count
        not_taken = _NEVER_COUNTED if counts_failures else _NEVER_COUNTED | _NOT_TAKEN
        if not outcome.counted or outcome.kind in not_taken:
            await self.counters.cancel(lease, now)
        elif outcome.status is not None and 300 <= outcome.status < 500 and not counts_failures:
            # Sent elsewhere or refused before generating: the request was counted, its tokens were not.
            await self.counters.settle(lease, actual_amounts(candidate, Usage()), now)
        else:
            await self.counters.settle(lease, AS_CHARGED, now)

    def _terms(
        self,
        call: ChatCall,
        leased: Leased,
        course: Course,
        span: str | None,
        first_event: float,
        probe: bool,
    ) -> Terms:
        candidate, context = leased.candidate, course.context
        timeouts = candidate.provider.timeouts
        without = self.standing.lessons.refuses(candidate.name)
        if course.without:
            without = without.union(course.without.get(candidate.name, ()))
        if without:
            without = frozenset([name for name in without if _carries(call, name)])
        terms = Terms(
            timeouts.connect,
            first_event,
            timeouts.between_events,
            timeouts.total,
            without,
            leased.max_output,
            probe,
            context.trace.header(span) if context.trace is not None else None,
            context.hop + 1,
            context.client.holder if context.client is not None else "",
        )
        if course.repeated and course.is_repeated(candidate.id, Kind.STALE):
            terms.dispatch.fresh = True  # where one kept connection was dead others may be
        return terms

    def _note(
        self,
        call: ChatCall,
        course: Course,
        leased: Leased,
        sent: Sent,
        ended: Now,
        span: str | None,
        expected: float,
    ) -> int:
        """Note an attempt that was *expected* to take so many seconds; return its place among the notes."""
        asked, bound = call.demand.max_output, leased.max_output
        began = leased.at.mono
        seconds = ended.mono - began
        candidate, outcome = leased.candidate, sent.outcome
        course.upstream += seconds
        if outcome.kind is _SERVED or _uses_up(outcome):
            course.counted += 1
        course.notes.append(
            AttemptNote(
                candidate.provider.id,
                candidate.model.id,
                candidate.key.label,
                outcome.kind,
                seconds,
                outcome.status,
                outcome.detail,
                None,  # when a stream's first event came, and what it took, is noted at its end
                sent.answer.usage if sent.answer is not None else None,
                bound if asked is not None and bound is not None and bound < asked else None,
                began - course.context.received.mono,
                span,
                sent.sent_at.mono - began if sent.sent_at is not None else None,
                expected,
            )
        )
        return len(course.notes) - 1

    def after(self, outcome: Outcome, leased: Leased, need: Need, course: Course) -> Leased | None:
        """Return what was *leased* if it is to be asked once more, else note what is out; raises to stop."""
        if outcome.kind in _HELD:
            return None
        candidate = leased.candidate
        verdict = judge(outcome)
        if outcome.kind is Kind.BAD_PARAMETER and outcome.param in need.parameters:
            verdict = Next.CANDIDATE  # the caller would rather have none than go without it
        second = verdict in (Next.AGAIN, Next.WITHOUT)
        if second and not course.is_repeated(candidate.id, outcome.kind, outcome.param):
            course.repeated |= {(candidate.id, outcome.kind, outcome.param)}
            if outcome.param is not None:
                course.without.setdefault(candidate.name, set()).add(outcome.param)
            return leased
        if verdict is Next.STOP:
            raise refused_by_upstream(outcome, course)
        if verdict is Next.KEY:
            course.tried = course.tried.also(keys={(candidate.provider.id, candidate.key.label)})
        elif verdict is Next.PROVIDER:
            self._second_opinion(outcome, candidate, course)
        elif verdict is Next.ROOMIER:
            course.too_long = outcome
            self.standing.learn_overlong(candidate, need.demand, self.clock.now())
            course.tried = course.tried.also(context=self.standing.context(candidate) or 0)
        elif outcome.kind in ABOUT_REQUEST:
            course.refused = outcome
            if (
                outcome.kind is Kind.TOO_LARGE
                and course.asks_for_less(candidate.id, leased.max_output)
                and need.demand.max_output is None
            ):
                return None  # the bound was ours
        elif outcome.kind is Kind.NONCONFORMING:
            self._another_try(outcome, candidate, course)
        elif outcome.kind is Kind.UNREACHABLE:
            course.tried = course.tried.also(providers={candidate.provider.id})
        elif outcome.kind is Kind.CROWDED:
            course.goes_round(candidate.provider.id)
            return None
        elif blamed(outcome) is Blame.PROVIDER or outcome.kind is Kind.DIVERGED:
            course.tried = course.tried.also(models={candidate.name})
        course.tried = course.tried.also(candidates={candidate.id})
        return None

    def _second_opinion(self, outcome: Outcome, candidate: Candidate, course: Course) -> None:
        """Ask one other provider about a rejected request; raises once a second one agrees."""
        if course.rejected is not None:
            raise refused_by_upstream(outcome, course)
        course.rejected = outcome
        course.tried = course.tried.also(providers={candidate.provider.id})

    def _another_try(self, outcome: Outcome, candidate: Candidate, course: Course) -> None:
        """Let one other model fit the schema; raises once a second one did not."""
        if course.misfit is not None:
            raise misfitted(outcome, course)
        course.misfit = outcome
        course.tried = course.tried.also(models={candidate.name})


def _uses_up(outcome: Outcome) -> bool:
    """Say whether an attempt that ended so counts: a walk over keys does not, nor what was never sent."""
    unsent = outcome.kind is Kind.BAD_PARAMETER and not outcome.counted
    return not unsent and outcome.kind is not Kind.CROWDED and judge(outcome) is not Next.KEY


def _carries(call: ChatCall, param: str) -> bool:
    """Say whether *call* has *param*; of messages only the adapter knows, so it is asked to look."""
    if param == USAGE_WISH:
        return call.stream
    return param in call.fields or param.startswith(IN_MESSAGES)
