"""What the gateway knows, from one run to the next: written behind, so that no request waits for a disk."""

import asyncio
import contextlib
import datetime as dt
import hashlib
import math
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Annotated

import msgspec
import structlog
from msgspec import Meta, Struct

from freeroute.clock import Clock, Now
from freeroute.domain.catalogue import Provider
from freeroute.domain.keepsake import Kept, KeptGuard, KeptPool, Moment, Name, Rebase, rebase, sound
from freeroute.domain.standing import Standing
from freeroute.errors import ConfigError
from freeroute.stores.memory import MemoryCounters
from freeroute.stores.state_file import StateFile, StateFileError, StateFileReplacedError

PAUSE = 1.0
"""Seconds between two savings: at most so much is lost to a crash (docs/limits.md)."""

SLICE = 0.0005
"""Seconds of gathering before others have their turn on the loop. Own design: a quarter of what a request
may lose."""

_DRIFT = 1.0  # seconds by which somebody has to set the wall clock before that is saved for itself
_HEAD = "run"  # the row about the run; names of states are JSON lists


class _Run(Struct, frozen=True):
    """The run that wrote the file: when, whether it ended in order, and a fingerprint of each key."""

    moment: Moment
    clean: bool
    salt: Annotated[bytes, Meta(max_length=hashlib.blake2b.MAX_KEY_SIZE)]
    keys: dict[str, dict[str, bytes]]


_name = msgspec.json.Decoder(Name)
_kept = msgspec.msgpack.Decoder(Kept)
_run = msgspec.msgpack.Decoder(_Run)
_encode = msgspec.msgpack.encode


class Keeper:
    """Saves what changed about counters and candidates, at most once a second."""

    def __init__(
        self,
        file: StateFile,
        *,
        counters: MemoryCounters,
        standing: Standing,
        providers: Callable[[], Iterable[Provider]],
        clock: Clock,
        boot: str,
        report: Callable[[bool], None],
        pause: float = PAUSE,
    ) -> None:
        """Keep things in *file*; *boot* names the machine's boot, *report* hears whether saving fails."""
        self._file = file
        self._counters = counters
        self._standing = standing
        self._providers = providers
        self._clock = clock
        self._boot = boot
        self._report = report
        self._pause = pause
        self._salt = secrets.token_bytes(16)
        self._unwritten: dict[str, bytes | None] = {}
        self._anew = True
        self._failing = False
        self._offset = math.inf  # of the wall clock to the other, when last saved
        self._stopping = asyncio.Event()
        self._log = structlog.get_logger("freeroute.state")

    # --- at the start ------------------------------------------------------------------------------

    def recall(self) -> None:
        """Go on from what the file says of the last run; raises ConfigError if a newer freeroute wrote it.

        A file that cannot be understood is moved aside, and one that cannot be read is left alone.
        """
        there = self._file.path.exists()
        try:
            states = self._file.read()
            last = _run_in(states.pop(_HEAD, None))
        except StateFileError as exc:
            self._failed(exc)
            return
        if last is not None:
            self._salt = last.salt
            self._restore(states, rebase(last.moment, self._boot, self._clock.now()), last)
        elif there:
            self._log.warning("the state file is empty: what was spent before is not known")

    def _restore(self, states: dict[str, bytes], onto: Rebase, last: _Run) -> None:
        strange = 0
        for text, state in states.items():
            try:
                self._restore_one(_name.decode(text), _kept.decode(state), onto, lost=not last.clean)
            except Exception:
                # Whatever another version or a bad disk put there must not keep the gateway from starting.
                strange += 1
        for provider, keys in self._fingerprints().items():
            for label, mark in keys.items():
                if last.keys.get(provider, {}).get(label) != mark:
                    self._standing.renewed(provider, label)
        self._log.info(
            "state of the last run restored",
            saved=_stamp(last.moment.wall),
            entries=len(states) - strange,
            strange=strange or None,
            ended="in order" if last.clean else "abruptly: counters are raised by what may have been lost",
        )

    def _restore_one(self, name: Name, kept: Kept, onto: Rebase, *, lost: bool) -> None:
        if name[0] != kept.__struct_config__.tag or not sound(kept):
            raise ValueError(f"{name[0]} cannot be so")
        if isinstance(kept, KeptPool | KeptGuard):
            self._counters.restore(name, kept, onto, lost=lost)
        else:
            self._standing.restore(name, kept, onto)

    # --- while it runs -----------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Save what changes meanwhile, and all of it at the end, when calls have ended."""
        saving = asyncio.create_task(self.run())
        try:
            yield
        finally:
            self.stop()
            await saving
            self.close()

    async def run(self) -> None:
        """Save what changes, until `stop`."""
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pause):
                    await self._stopping.wait()
            await self.flush()

    async def flush(self) -> None:
        """Save what changed since the last time, if anything did; others have their turns meanwhile."""
        for _ in self._gathered():
            await asyncio.sleep(0)
        if self._unwritten or self._anew or self._clock_was_set():
            with self._saving():
                await asyncio.to_thread(self._file.write, self._batch(clean=False), anew=self._anew)

    def save(self, *, clean: bool = False) -> None:
        """Save what changed, at once; *clean* says that nothing will change any more."""
        for _ in self._gathered():
            pass
        with self._saving():
            self._file.write(self._batch(clean=clean), anew=self._anew)

    def stop(self) -> None:
        """Let `run` end."""
        self._stopping.set()

    def close(self) -> None:
        """Save for the last time, once nothing changes any more, and let go of the file."""
        try:
            self.save(clean=True)
        finally:
            self._file.close()

    def _gathered(self) -> Iterator[None]:
        """Take over what changed as bytes, and pause after each `SLICE`."""
        began = self._clock.now()
        for name in self._counters.changed() | self._standing.changed():
            now = self._clock.now()
            if now.mono - began.mono > SLICE:
                yield
                began = now = self._clock.now()
            try:
                self._unwritten[msgspec.json.encode(name).decode()] = self._state(name, now)
            except Exception:
                # Our own fault, and no reason not to save the rest.
                self._log.exception("an entry cannot be saved", kind=name[0])

    def _state(self, name: Name, now: Now) -> bytes | None:
        source = self._counters if name[0] in ("pool", "guard") else self._standing
        kept = source.kept(name, now)
        return None if kept is None else _encode(kept)

    def _batch(self, *, clean: bool) -> dict[str, bytes | None]:
        now = self._clock.now()
        self._offset = now.wall - now.mono
        run = _Run(Moment(self._boot, now.mono, now.wall), clean, self._salt, self._fingerprints())
        return {**self._unwritten, _HEAD: _encode(run)}

    def _clock_was_set(self) -> bool:
        now = self._clock.now()
        return abs(now.wall - now.mono - self._offset) > _DRIFT

    def _fingerprints(self) -> dict[str, dict[str, bytes]]:
        """Return by provider and label what tells a key from another without telling the key."""
        return {
            provider.id: {key.label: self._fingerprint(key.secret) for key in provider.keys}
            for provider in self._providers()
        }

    def _fingerprint(self, secret: str) -> bytes:
        text = secret.encode("utf-8", "surrogateescape")
        return hashlib.blake2b(text, key=self._salt, digest_size=8).digest()

    # --- when it does not work -----------------------------------------------------------------------

    @contextlib.contextmanager
    def _saving(self) -> Iterator[None]:
        try:
            yield
        except (StateFileError, ConfigError) as exc:
            self._failed(exc)
            return
        self._unwritten.clear()
        self._anew = False
        if self._failing:
            self._failing = False
            self._report(False)
            self._log.info("the state file is written again")

    def _failed(self, exc: StateFileError | ConfigError) -> None:
        """Move a file that is damaged aside for another; tell once of one that cannot be used."""
        if isinstance(exc, StateFileReplacedError):
            self._all_anew()
            self._log.warning("the state file was removed or replaced while it was open: all is written anew")
            return
        if isinstance(exc, StateFileError) and exc.damaged:
            try:
                self._begin_anew(str(exc))
                return
            except StateFileError as stuck:
                exc = stuck
        if not self._failing:
            self._failing = True
            self._report(True)
            self._log.error(
                "the state file cannot be used: requests are served, but a restart forgets what is spent",
                reason=str(exc),
            )

    def _begin_anew(self, reason: str) -> None:
        aside = self._file.set_aside(_stamp(self._clock.now().wall))
        self._all_anew()
        self._log.error(
            "the state file is damaged and was moved aside; what it held is forgotten",
            reason=reason,
            moved_to=str(aside),
        )

    def _all_anew(self) -> None:
        self._anew = True
        self._counters.touch_all()
        self._standing.touch_all()


def _run_in(head: bytes | None) -> _Run | None:
    """Return the run that *head* tells of, None if there is no *head*; raises StateFileError."""
    if head is None:
        return None
    try:
        run = _run.decode(head)
        _stamp(run.moment.wall)
    except (ValueError, OverflowError, OSError, RecursionError) as exc:
        raise StateFileError(f"its row about the run makes no sense: {exc}", damaged=True) from exc
    if not math.isfinite(run.moment.mono):
        raise StateFileError("its row about the run knows no time", damaged=True)
    return run


def _stamp(wall: float) -> str:
    return dt.datetime.fromtimestamp(wall, dt.UTC).strftime("%Y%m%dT%H%M%SZ")
