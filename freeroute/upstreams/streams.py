"""A provider's event stream, from its head to its end."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import Any

from freeroute.domain.outcome import Kind, Outcome
from freeroute.domain.usage import Usage
from freeroute.engine.served import Onward
from freeroute.upstreams.bodies import ANSWER_LIMIT, drain
from freeroute.upstreams.complaints import is_list_of_errors, read_complaint, tells_error
from freeroute.upstreams.counting import Counting, without_usage
from freeroute.upstreams.faults import before_answer, within_stream
from freeroute.upstreams.likeness import Likeness
from freeroute.upstreams.pauses import Pauses
from freeroute.upstreams.reading import Choices, Events, is_idle, read_chunk
from freeroute.upstreams.repairs import Repairs
from freeroute.upstreams.structured import Checking
from freeroute.upstreams.transport import Exchange, TransportError
from freeroute.upstreams.unmet import Lacking
from freeroute.wire.answers import Piece, error_in, inspect, is_meaningful, usage_chunk
from freeroute.wire.lenient import Lenient
from freeroute.wire.mending import Mender
from freeroute.wire.sse import DONE, EventTooLarge
from freeroute.wire.strict import Words, inspect_chunk, words_in

# After the finish only a usage chunk and [DONE] can follow; an answer is not held back for them.
AFTER_FINISH = 5.0
# Comments and empty pieces are signs of life, but no answer: they may stand in for it for so many silences.
# Own design.
WITHOUT_EVENTS = 4

# Judges an error object, or the bytes of one, found inside an answer.
Judge = Callable[[Any], Outcome]


class ChatStream:
    """Reads one exchange. Before the first meaningful event a failure is an outcome of the attempt, after
    it the end of the stream: *outcome* then says which, and stays None at a good end.

    *skipped* counts events that could not be read. *held* says that the end brought text which was held
    back, since it may have begun a tool call.
    """

    def __init__(
        self,
        exchange: Exchange,
        *,
        events: Events,
        repairs: Repairs,
        mender: Mender,
        judge: Judge,
        counting: Counting,
        silent: Collection[str],
        between: float,
        watch: bool,
        checking: Checking | None = None,
        lacking: Lacking | None = None,
    ) -> None:
        """Read *exchange* through *events*, with *between* seconds of silence allowed.

        *counting* keeps what it takes, and knows how much it may. *silent* are the finishes that explain why
        there is nothing to read. *watch* says whether silence must be timed here, because the transport
        allows for more. *checking* holds it to a schema, *lacking* watches for what it does not honour.
        """
        self.finish: str | None = None
        self.outcome: Outcome | None = None
        self.skipped = 0
        self.held = False
        self.onward: Onward | None = None
        self._clock = asyncio.get_running_loop().time
        self._pauses = Pauses()
        self._exchange = exchange
        self._parser = events
        self._repairs = repairs
        self._mender = mender
        self._lenient = Lenient()
        self._judge = judge
        self._counting = counting
        self._silent = silent
        self._between = between
        self._watch = watch
        self._checking = checking
        self._lacking = lacking
        self._ready: list[bytes] = []
        self._last: Piece | None = None
        self._choices = Choices()
        self._likeness = Likeness()
        # Whether chunks of words can be taken without looking at all that may be in others.
        self._short = repairs.takes_text and checking is None and lacking is None
        self._heard = False  # whether anything to read came of late
        self._meaningful = False
        self._over = False  # nothing more will be read
        self._done = False  # [DONE] came
        self._closed = False

    async def begin(self, at_work: Callable[[], None], *, lenient: bool = False) -> Outcome | None:
        """Read up to the first meaningful event; return how the attempt ended if none came.

        *lenient* takes any well-formed stream, content or not. The caller bounds the time, and is told when
        the model is *at_work* on a tool call in its text, which cannot be told before its end.
        """
        begun = 0
        try:
            while not self._meaningful and not self._over:
                self._read(await self._exchange.next())
                before, begun = begun, self._repairs.begun
                if begun > before:
                    at_work()
        except TransportError as exc:
            if not (lenient and self.finish):
                return before_answer(exc, self._exchange.status)
            self._over = True
        except EventTooLarge as exc:
            return Outcome(Kind.GARBAGE, self._exchange.status, str(exc))
        if self.outcome is not None and self.outcome.kind is Kind.NONCONFORMING:
            return self.outcome  # all of it came at once, and nobody has seen it
        if self._meaningful:
            self._heard = False  # from here on silence is timed
            return None
        return self.outcome or self._nothing(lenient)

    @property
    def is_unproven(self) -> bool:
        """Say whether it may still turn out not to honour what its caller insists on."""
        return self._lacking is not None and self._lacking.is_unproven and not self._over

    async def prove(self) -> Outcome | None:
        """Read on until it shows whether it honours what its caller insists on, or ends; nothing is told yet.

        Returns how the attempt ended if the stream broke by then.
        """
        held = 0
        while self.is_unproven:
            known = len(self._ready)
            await self._read_on()
            held += sum(map(len, self._ready[known:]))
            if held > ANSWER_LIMIT:
                self._fail(Outcome(Kind.GARBAGE, self._exchange.status, f"over {ANSWER_LIMIT} bytes"))
        return self.outcome

    def begin_with(self, chunk: bytes, usage: Usage) -> None:
        """Take a whole answer, repaired and made into one *chunk*, as the stream; nothing more is read."""
        if (piece := inspect_chunk(chunk)) is not None:
            self._note(piece)
            chunk = self._mender.chunk(chunk, piece)
        self._ready.append(chunk)
        self._lacking = None  # the whole answer was looked at
        self._over = self._done = True
        self._counting.set(usage)

    async def next(self) -> Sequence[bytes]:
        """Return the payloads of all events that are ready; empty at the end."""
        now = self._clock()
        self._pauses.end(now)
        while not self._ready and not self._over:
            await self._read_on()
            now = self._clock()
            self._judge_silence(now)
        if self._ready:
            ready, self._ready = self._ready, []
            self._pauses.begin(now)
            return ready
        self.outcome = self._pauses.judged(self.outcome, now)
        return await self._end()

    def _judge_silence(self, now: float) -> None:
        """End it if nothing to read came for too long; comments and empty pieces are none."""
        if self._heard:
            self._heard = False
            self._pauses.heard(now)
        elif not self._over and self._pauses.silence(now) >= WITHOUT_EVENTS * self._patience:
            told = f"nothing to read for {WITHOUT_EVENTS * self._patience:g} s"
            self._fail(Outcome(Kind.STALLED, self._exchange.status, told))

    def abort(self) -> None:
        """Close the connection and settle what was used so far; safe to call more than once."""
        self._over = self._closed = True
        self._exchange.abort()

    @property
    def usage(self) -> Usage:
        """Return what the call has used so far."""
        return self._counting.usage

    @property
    def owes_usage(self) -> bool:
        """Say whether the caller asked for the usage and was not told."""
        return self._counting.is_owed

    @property
    def unread(self) -> float:
        """Return for how many seconds nobody asked for more."""
        return self._pauses.unread

    @property
    def is_complete(self) -> bool:
        """Say whether every choice that began has finished."""
        return self.finish is not None and self._choices.are_finished

    @property
    def lost(self) -> tuple[str, ...]:
        """Return the fields that it does not honour, as far as it has come."""
        over = self._over and self.is_complete
        return () if self._lacking is None else self._lacking.lost(over=over)

    @property
    def _patience(self) -> float:
        """Return how many seconds of silence are allowed now."""
        return min(self._between, AFTER_FINISH) if self.is_complete else self._between

    async def _read_on(self) -> None:
        """Read what comes next, but for the words that *onward* takes; how that may fail ends the stream."""
        try:
            if self._watch or self.is_complete:
                async with asyncio.timeout(self._patience):
                    self._read(await self._exchange.next())
                return
            passes = self.onward is not None and self._short and self._parser.is_between
            self._exchange.onward = self._pass_on if passes else None
            self._read(await self._exchange.next())
        except (TransportError, TimeoutError, EventTooLarge) as exc:
            self._fail(within_stream(exc, self._exchange.status, self._between))
        finally:
            self._exchange.onward = None

    def _pass_on(self, data: bytes, now: float) -> bool:
        """Pass *data* on while a reader waits, if it is words that nothing is to be done about."""
        counting, onward = self._counting, self.onward
        size = self._likeness.size(data) or self._words_alone(data)
        # Without text it may be all that comes for long, which whoever waits has to look at.
        if not size or counting.text + size > counting.most or onward is None or not onward(data):
            return False
        counting.text += size
        self._pauses.heard(now)
        return True

    def _words_alone(self, data: bytes) -> int:
        """Return how many bytes of words *data* brings if it is one event that is words; else 0."""
        payload = self._parser.alone(data)
        words = self._words_in(payload) if payload is not None else None
        if words is None:
            return 0
        self._last = words
        self._likeness.note(data, words)
        return words.size

    def _words_in(self, payload: bytes) -> Words | None:
        """Return the chunk *payload* if it is words that nothing is to be done about, as most are.

        A stream that brings a chunk of another form is likely to bring more: they are not tried any more.
        """
        if not (self._short and self._meaningful) or self._lenient.waits:
            return None
        words = words_in(payload)
        self._short = words is not None
        is_bounded = self._counting.text + len(payload) <= self._counting.most
        return words if words is not None and is_bounded and self._choices.is_open(words.index) else None

    def _read(self, data: bytes) -> None:
        for payload in self._parser.feed(data) if data else self._parser.finish():
            if self._over:
                return
            self._take(payload)
        if not data and not self._over:
            self._over = True
            self._judge_end()

    def _judge_end(self) -> None:
        """Judge a body at its end, whether it said ``[DONE]`` or not: only a finish makes an answer whole."""
        stray = self._parser.stray
        if stray is not None and not self.is_complete and tells_error(stray):
            self.outcome = self._judge(stray)
        elif not self.is_complete and self._meaningful:
            self.outcome = Outcome(Kind.TRUNCATED, self._exchange.status, "ended without a finish")

    def _take(self, payload: bytes) -> None:
        if payload == DONE:
            self._over = self._done = True
            self._judge_end()
            return
        if not payload or payload.isspace():
            return
        if (words := self._words_in(payload)) is not None:
            self._last = words
            self._heard |= words.size > 0
            self._counting.text += words.size
            self._ready.append(payload)
            return
        payload, piece = read_chunk(payload, self._lenient)
        error = error_in(piece) if piece is not None else None
        if error or (piece is not None and piece.object == "error"):
            self._fail(self._judge(error or payload))
            return
        if piece is None or (piece.choices is None and piece.usage is None):
            self._take_stranger(payload, piece)
            return
        if self._choices.are_over(piece):
            self._counting.take(piece)
            self.skipped += 1
            return
        self._note(piece)
        if self._counting.text > self._counting.most:
            self._fail(Outcome(Kind.GARBAGE, self._exchange.status, "far longer than asked for"))
            return
        if self._travels(piece):
            if piece.usage is not None and not self._counting.believes(piece):
                payload = without_usage(payload)
            told = self._repairs.chunk(payload, piece)
            chunk = self._mender.chunk(told, piece)
            self.finish = self._repairs.finish(self.finish)
            if self._checking is not None and (wrong := self._checking.take(chunk)):
                # Where the finish would be: an answer that does not fit its schema has none.
                self._over, self.finish = True, None
                self.outcome = Outcome(Kind.NONCONFORMING, self._exchange.status, wrong)
                return
            self._ready += [chunk] if self._lacking is None else self._lacking.take(chunk)
            if not self._meaningful:
                self._meaningful = self._begins(piece if told is payload else inspect(told))

    def _begins(self, told: Piece | None) -> bool:
        """Say whether the answer has begun with *told*, which the caller gets: what is held back tells
        nothing, be it a tag or the beginning of a tool call.
        """
        return self.finish in self._silent or (told is not None and is_meaningful(told))

    def _take_stranger(self, payload: bytes, piece: Piece | None) -> None:
        """Take what is no chunk: an error without an envelope if it has something to say."""
        if is_list_of_errors(payload) or (piece is not None and read_complaint(payload).message):
            self._fail(self._judge(payload))
        else:
            self._pass_over(payload)

    def _pass_over(self, payload: bytes) -> None:
        """Pass over *payload*, unless it may have held text: a gap in an answer must not go unnoticed."""
        self.skipped += 1
        if not self.is_complete and not is_idle(payload):
            kind = Kind.TRUNCATED if self._meaningful else Kind.GARBAGE
            self._fail(Outcome(kind, self._exchange.status, "an event cannot be read"))

    def _note(self, piece: Piece) -> None:
        finish = None
        if piece.choices:
            self._last = piece
            self._choices.note(piece.choices)
            finish = piece.finish
            self.finish = finish or self.finish
        self._heard |= self._counting.take(piece) or finish is not None

    def _travels(self, piece: Piece) -> bool:
        if self._repairs.holds_usage:
            return bool(piece.choices)
        return self._counting.travels(piece, finished=self.finish is not None)

    def _nothing(self, lenient: bool) -> Outcome | None:
        """Return the ending of a stream that brought nothing to read."""
        if lenient and (self.finish is not None or self._last is not None):
            return None
        status = self._exchange.status
        if self._last is None and (self.skipped or self._parser.stray is not None):
            return Outcome(Kind.GARBAGE, status, "no event could be read")
        if self._last is not None and self.finish is None and not self._done:
            return Outcome(Kind.TRUNCATED, status, "ended before any content")
        return Outcome(Kind.EMPTY, status, "ended without content")

    def _fail(self, outcome: Outcome) -> None:
        self._over = True
        if not self.is_complete:
            self.outcome = outcome

    async def _end(self) -> Sequence[bytes]:
        """Settle the usage, once; return what was held back, then the usage that the caller asked for and the
        provider left out.
        """
        if self._lacking is not None and (kept := self._lacking.rest()):
            return kept
        if not self._closed and (held := self._repairs.rest(self._mender.like(self._last))):
            self.held = True
            return held
        if self.outcome is None and self.owes_usage:
            self._counting.is_owed = False
            return (usage_chunk(self._counting.told(), self._mender.like(self._last)),)
        await self._drain()
        return ()

    async def _drain(self) -> None:
        if not self._closed:
            self._closed = True
            if self.outcome is None:
                await drain(self._exchange)
            self._exchange.abort()
