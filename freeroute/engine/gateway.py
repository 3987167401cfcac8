"""The gateway: from a decoded call to an answer being relayed. Surfaces know nothing else of the engine."""

import random
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any

from msgspec import structs

from freeroute.clock import Clock, Now
from freeroute.domain.additions import with_limit
from freeroute.domain.affinity import Affinity
from freeroute.domain.catalogue import Candidate, Catalogue, Limit, Pool, pool_id
from freeroute.domain.clients import Client
from freeroute.domain.knocks import Knocks
from freeroute.domain.leases import Lease
from freeroute.domain.needs import Need
from freeroute.domain.outcome import Kind
from freeroute.domain.overlay import renewed
from freeroute.domain.resolve import Names
from freeroute.domain.standing import Standing
from freeroute.domain.tasks import Task
from freeroute.domain.traces import begun
from freeroute.engine import headers, listing, shares, status
from freeroute.engine.accounting import Accounting, Ending
from freeroute.engine.admission import Admission
from freeroute.engine.attempts import AttemptLoop, Routing
from freeroute.engine.continuing import Continuation
from freeroute.engine.course import Course
from freeroute.engine.leasing import Won
from freeroute.engine.naming import Offers, completes, for_texts, most_inputs, purpose, target_of, targets_of
from freeroute.engine.parts import Part, Settling
from freeroute.engine.ports import Contents, Counters, Observer, Upstream
from freeroute.engine.refusals import in_maintenance, nothing_fits
from freeroute.engine.relay import Books, Overheard, Serving, Whole
from freeroute.engine.served import DONE, Served
from freeroute.engine.tally import Tally
from freeroute.engine.view import TYPICAL, Maintenance, Recording, View, Waiting
from freeroute.engine.waiting import Overtaken
from freeroute.errors import ApiError, InvalidRequest
from freeroute.wire.chat import CallContext, ChatCall
from freeroute.wire.head import Head
from freeroute.wire.splicing import spliceable

_CHAT = Task.CHAT  # what nearly every call is; a member of an enum is looked up at length

STRATEGIES = ("balanced", "round_robin", "random")


class Gateway:
    """Answers calls from a catalogue of candidates. One instance serves a process."""

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        counters: Counters,
        upstreams: Mapping[str, Upstream],
        clock: Clock,
        observers: Sequence[Observer] = (),
        routing: Routing | None = None,
        no_train: bool = False,
        demo: bool = False,
        version: str = "",
        rng: random.Random | None = None,
        offers: Offers | None = None,
    ) -> None:
        """Send through *upstreams* (by provider kind), count with *counters*, tell *observers*.

        *offers* are told to callers who ask for what nobody does.
        """
        self.catalogue = catalogue
        self.names = Names(catalogue)
        self.clock = clock
        self.counters = counters
        self.standing = Standing(counters)
        self.standing.keep(catalogue.candidates)
        self.tally = Tally()
        self.affinity = Affinity()
        self.demo, self.version = demo, version
        self.ties = "balanced"
        self.started = clock.now()
        self.draining = self.unsaved = False
        self._cut = Kind.CALLER_LEFT  # what a call ends as that is cancelled
        self.recording: Recording | None = None
        self.maintenance: Maintenance | None = None
        self.unread: str | None = None  # why the settings could not be read again
        self.in_flight = 0
        self.clients: tuple[Client, ...] = ()
        self.no_train = no_train
        self.offers = offers or {}
        self.traced: float | None = None  # the share of traces begun here that are recorded; None begins none
        self._rng = rng or random.Random()
        routing = routing or Routing()
        self._accounting = Accounting((self.tally, *observers))
        self._knocks = Knocks()
        self.admission = Admission(counters, clock, routing.waiting_room)
        self._books = Books(clock, Settling(self.standing, counters, self._rng.random), self._close)
        self.loop = AttemptLoop(
            standing=self.standing,
            counters=counters,
            upstreams=upstreams,
            clock=clock,
            routing=routing,
            rng=self._rng,
            discovered=self._discovered,
        )

    async def chat(self, call: ChatCall, context: CallContext) -> Served:
        """Return the answer to *call*, its first event already there; raises the ApiError to answer with."""
        course = self._course(call, context)
        if call.dropped:
            course.dropped = frozenset(call.dropped)
        if self._accounting.contents is not None and call.task is _CHAT:
            course.transcript = self._accounting.contents.begin(call, context)
        lease: Lease | None = None
        self.in_flight += 1
        try:
            if self.maintenance is not None:
                raise in_maintenance(self.maintenance)
            now = self.clock.now()
            need = self._need(call, course, now)
            admitted = self.admission.admit(call.demand, course, now)
            lease = admitted if isinstance(admitted, Lease) else await admitted
            if course.waits:
                now = self.clock.now()
            won: Won | None = None
            while won is None:
                fit = self.loop.rankings.able(need, now)
                if not fit.is_any:
                    some = bool(self.catalogue.candidates)
                    raise nothing_fits(need, course, self.standing, now, any_provider=some)
                try:
                    won = await self.loop.run(call, need, fit, course, now)
                except Overtaken:
                    now = self.clock.now()
                    need = self._need(call, course, now)
            answer = won.sent.answer
            if lease is not None and answer is not None and answer.usage is not None:
                settled = self.admission.settle(lease, answer.usage, won.at)  # told with that counted
                if settled is not DONE:
                    await settled
        except BaseException as exc:
            self.in_flight -= 1
            await self.admission.release(lease, course.abandoned)
            self._failed(exc, course)
            raise
        return self._serving(won, call, need, course, lease)

    def refuse(self, context: CallContext, asked: str, error: ApiError, *, stream: bool = False) -> None:
        """Record a request that was refused before it could be a call."""
        if self.traced is not None:
            context.trace = context.trace or begun(self._rng, self.traced)
        self._failed(error, Course(context, asked, stream))

    def turn_away(self, context: CallContext, error: ApiError) -> None:
        """Record a request that was turned away at the door; of a flood only some, which say of how many."""
        course = Course(context=context, asked="")
        now = self.clock.now()
        ending, unrecorded = self._told(error, course, now), self._knocks.heard(now)
        if unrecorded is not None:
            self._accounting.record(course, structs.replace(ending, unrecorded=unrecorded), now)

    # --- the parts of a call -----------------------------------------------------------------------

    def _course(self, call: ChatCall, context: CallContext) -> Course:
        routing, conversation = self.loop.routing, None
        if routing.affinity > 0.0:
            conversation = self.affinity.key(context.queue, context.session, call.opening)
        if self.traced is not None:
            context.trace = context.trace or begun(self._rng, self.traced)
        last_start, until = context.received.mono + routing.deadline, routing.patience(context)
        return Course(context, call.model, call.stream, call.task, conversation, last_start, until)

    def _need(self, call: ChatCall, course: Course, now: Now) -> Need:
        capability = None if call.task is _CHAT else call.task.capability
        targets = targets_of(self.names, call, course, capability, self.offers)
        context, preferences, had = course.context, call.preferences, None
        if course.conversation is not None and (call.has_assistant or context.session):
            had = self.affinity.preferred(course.conversation, self.loop.routing.affinity, now)
        no_train = self.no_train or preferences.data_collection == "deny"
        order = preferences.order
        only = order if order and not preferences.allow_fallbacks else preferences.only
        need = Need(
            targets,
            call.demand,
            call.needs if capability is None else call.needs | {capability},
            call.remote_images,
            no_train or (context.client is not None and context.client.no_train),
            order,
            only,
            preferences.ignore,
            context.dice,
            self.ties,
            False,
            call.tools,
            call.features,
            call.choices,
            call.parameters,
            had,
        )
        return need if capability is None else for_texts(need, call)

    def _failed(self, exc: BaseException, course: Course) -> None:
        now = self.clock.now()
        if isinstance(exc, ApiError):
            ending = self._told(exc, course, now)
        else:
            code, used = Kind.INTERNAL if isinstance(exc, Exception) else self._cut, course.abandoned
            status, left = 503 if code is Kind.SHUTTING_DOWN else 500, code is Kind.CALLER_LEFT
            ending = Ending(status, code.value, None, used, None, course.overhead(now), None, left)
            if code is Kind.SHUTTING_DOWN:
                course.stopped()
        self._accounting.record(course, ending, now)

    def _told(self, error: ApiError, course: Course, now: Now) -> Ending:
        """Let *error* say how its client stands and what became of *course*, and return the ending it is."""
        overhead = course.overhead(now)
        course.headers = told = headers.told(course, None, overhead)
        for name, value in Head(told + self.admission.told(course.context.client, now)).items():
            error.headers.setdefault(name, value)
        return Ending(status=error.status, code=error.code, overhead=overhead)

    def _continuation(self, call: ChatCall, need: Need, course: Course) -> Continuation | None:
        """Return what goes on with a stream that dies, if that is wanted and can be done."""
        context = course.context
        wanted = self.loop.routing.continue_streams if context.continues is None else context.continues
        if not wanted or context.strict or not spliceable(call):
            return None
        return Continuation(self.loop, call, need, course, lambda won: self._part(won, course))

    def _part(self, won: Won, course: Course) -> Part:
        stream = won.sent.stream
        assert stream is not None  # as was asked for
        return Part(won, stream, course, self._books.settling)

    def _serving(
        self, won: Won, call: ChatCall, need: Need, course: Course, lease: Lease | None
    ) -> Whole | Serving:
        now, candidate = won.at, won.leased.candidate
        if course.conversation is not None:
            self.affinity.remember(course.conversation, candidate.id, now)
        overhead = course.overhead(now)
        course.headers = headers.told(course, candidate, overhead)
        told = Head(course.headers + self.admission.told(course.context.client, now))
        transcript, answer = course.transcript, won.sent.answer
        if answer is not None:
            if transcript is not None:
                transcript.hear((answer.body,))
            body, kind = answer.body, answer.content_type
            return Whole(told, body, kind, won, answer, course, lease, overhead, self._books)
        given = course, lease, overhead, told, self._books, self._continuation(call, need, course)
        part = self._part(won, course)
        return Serving(part, *given) if transcript is None else Overheard(transcript, part, *given)

    def _close(
        self, work: Awaitable[None], won: Won, course: Course, lease: Lease | None, ending: Ending, now: Now
    ) -> Awaitable[None]:
        """Record *ending* once all is settled (*work*), then settle its client's *lease*, if it is open."""
        if work is not DONE:
            return self._close_later(work, won, course, lease, ending, now)
        self.in_flight -= 1
        self.loop.room.stir()
        if ending.continued and course.conversation is not None:
            self.affinity.remember(course.conversation, won.leased.candidate.id, now)
        self._accounting.record(course, ending, now)
        if lease is None or not lease.open:
            return DONE
        return self.admission.settle(lease, ending.usage, now)

    async def _close_later(self, work: Awaitable[None], *given: Any) -> None:
        await work
        await self._close(DONE, *given)

    # --- looking and steering ----------------------------------------------------------------------

    def models(self, client: Client | None) -> list[dict[str, Any]]:
        """Return every model a caller can name, meta-models first, in OpenAI's and OpenRouter's shape."""
        return listing.models(self.view(), client)

    def model(self, model_id: str, client: Client | None) -> dict[str, Any]:
        """Return one entry of ``models``; raises NotFound."""
        return listing.model(self.view(), model_id, target_of(self.names, model_id, client))

    def plan(self, model: str, client: Client | None) -> dict[str, Any]:
        """Return every candidate for *model* in the order they would be asked; raises NotFound."""
        target = target_of(self.names, model, client)
        need = Need(
            targets=(target,),
            demand=TYPICAL,
            capabilities=purpose(target),
            no_train=self.no_train or (client is not None and client.no_train),
            ties=self.ties,
        )
        return listing.plan(self.view(), model, need, labels=client is None)

    def most_inputs(self, model: str) -> int | None:
        """Return how many texts every candidate for *model* takes in one call; None for any number."""
        return most_inputs(self.names, model)

    def completes(self, model: str) -> bool:
        """Say whether every candidate for *model* goes on with a text as it is."""
        return completes(self.names, model)

    def key(self, client: Client | None) -> dict[str, Any]:
        """Return what *client* may use, has used and has left."""
        return shares.key(self.view(), client)

    def status(self, client: Client | None = None) -> dict[str, Any]:
        """Return how everything stands; a *client* sees what is its own, and how models stand."""
        return status.status(self.view(), client)

    def reset(self, provider_id: str) -> dict[str, Any]:
        """Close a provider's breakers and lift its holds; raises NotFound."""
        if provider_id in self.catalogue.providers:
            self.standing.reset(provider_id)
            self.loop.room.stir()
        return status.one_provider(self.view(), provider_id)

    def set_strategy(self, strategy: str) -> dict[str, Any]:
        """Set how ``free`` orders equals until the next start; raises InvalidRequest."""
        if strategy not in STRATEGIES:
            raise InvalidRequest(f"strategy must be one of {', '.join(STRATEGIES)}", param="strategy")
        self.ties = strategy
        return {"strategy": strategy}

    def cut_short(self) -> None:
        """Take it that we, and no caller, cancel what is cancelled from now on: we stop."""
        self._cut = Kind.SHUTTING_DOWN

    def ready(self) -> tuple[bool, dict[str, Any]]:
        """Say whether new requests should be sent here, and why not."""
        return status.ready(self.view(), draining=self.draining)

    def view(self) -> View:
        """Return a look at everything, for reports."""
        return View(
            now=self.clock.now(),
            started=self.started,
            catalogue=self.catalogue,
            names=self.names,
            standing=self.standing,
            counters=self.counters,
            tally=self.tally,
            strategy=self.ties,
            demo=self.demo,
            version=self.version,
            clients=self.clients,
            in_flight=self.in_flight,
            waiting=Waiting(len(self.loop.room), self.loop.room.size, self.admission.waiting),
            unsaved=self.unsaved,
            recording=self.recording,
            maintenance=self.maintenance,
            unread=self.unread,
        )

    def observe(self, observer: Observer) -> None:
        """Show the receipt of each request that finishes from now on to *observer* too."""
        self._accounting.observe(observer)

    def keep_contents(self, contents: Contents | None) -> None:
        """Let *contents* keep what requests ask and are told from now on; None keeps nothing."""
        self._accounting.contents = contents

    def adopt(self, catalogue: Catalogue, clients: Sequence[Client] | None = None) -> None:
        """Route by *catalogue* and let *clients* in from now on (None: the same as before).

        What candidates and clients that stay have used is kept.
        """
        if clients is not None:
            self.clients = tuple(clients)
        self._count_for(catalogue)
        for place in renewed(self.catalogue, catalogue):
            self.standing.renewed(*place)
        self.catalogue = catalogue
        self.names = Names(catalogue)
        self.loop.rankings.forget()
        self.standing.keep(catalogue.candidates)
        self.loop.room.size = self.admission.room = self.loop.routing.waiting_room
        self.loop.room.renew(catalogue.candidates)

    def enrol(self, clients: Sequence[Client]) -> None:
        """Let *clients* in from now on, and nobody else; what those that stay have used is kept."""
        self.clients = tuple(clients)
        self._count_for(self.catalogue)

    def _count_for(self, catalogue: Catalogue) -> None:
        pools = [pool for candidate in catalogue.candidates for pool in candidate.pools]
        pools += [pool for client in self.clients for pool in client.pools]
        self.counters.adopt(pools, self.clock.now())

    def _discovered(self, candidate: Candidate, limit: Limit) -> Pool | None:
        """Route by a *limit* that only an answer told of, until the next reload; None if it is no news."""
        grown = with_limit(self.catalogue, candidate, limit)
        if grown is self.catalogue:
            return None
        self.catalogue, self.names = grown, Names(grown)
        self.loop.rankings.forget()
        self.loop.room.renew(grown.candidates)
        return Pool(pool_id(candidate.provider, candidate.model, candidate.key, limit), limit)
