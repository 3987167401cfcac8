"""Verdicts on keys and models are asked again in the background, by calls that cost no quota."""

import asyncio
import random

import structlog

from freeroute.domain.keys import KeyPlace, KeyState, Verdict
from freeroute.domain.outcome import Kind
from freeroute.domain.remembered import Hold
from freeroute.engine.gateway import Gateway
from freeroute.engine.ports import KeyChecks

LOOK = 60.0
"""Seconds between looks at what is held. Own design, as all numbers here (docs/routing.md)."""

PAUSE = 3600.0
"""Seconds between two questions about one key, at least."""

JITTER = 0.25
"""The part of a pause that chance may add, so that keys of many gateways are not asked about in step."""

_ABOUT_KEYS = frozenset({Kind.KEY_INVALID, Kind.NO_CREDIT})

Verdicts = list[tuple[tuple[str, ...], Hold]]


class Revalidation:
    """Asks about keys held as invalid or without credit and about models held as gone, at most hourly.

    One question at a time. What cannot be asked for free stays held until its time is over, or a reload.
    """

    def __init__(self, gateway: Gateway, checks: KeyChecks, rng: random.Random | None = None) -> None:
        """Lift the holds of *gateway* by what *checks* find."""
        self._gateway = gateway
        self._checks = checks
        self._rng = rng or random.Random()
        self._due: dict[KeyPlace, float] = {}
        self._log = structlog.get_logger("freeroute.keys")

    async def run(self) -> None:
        """Look every minute until cancelled."""
        while True:
            await asyncio.sleep(LOOK)
            await self.sweep()

    async def sweep(self) -> None:
        """Ask about every key that is due."""
        asked = self._questions()
        now = self._gateway.clock.now()
        self._due = {place: self._due.get(place) or now.mono + self._pause() for place in asked}
        for place, held in asked.items():
            if now.mono < self._due[place]:
                continue
            self._due[place] = now.mono + self._pause()
            try:
                await self._ask(place, held)
            except Exception:
                # A fault of ours with one key must not end the questions about others.
                self._log.exception("key not revalidated", provider=place[0], key=place[1])

    def _pause(self) -> float:
        return PAUSE * (1 + JITTER * self._rng.random())

    def _questions(self) -> dict[KeyPlace, Verdicts]:
        """Return the verdicts that can be asked about for free, by the key to ask with."""
        verdicts = self._gateway.standing.verdicts(self._gateway.clock.now())
        off = self._gateway.standing.off
        held = {(place[1], place[2]) for place, _ in verdicts if place[0] == "key"}
        found: dict[KeyPlace, Verdicts] = {}
        for place, hold in verdicts:
            provider = self._gateway.catalogue.providers.get(place[1])
            if provider is None or provider.key_check is None or provider.id in off:
                continue
            labels = [key.label for key in provider.keys if key.enabled and key.secret]
            if hold.verdict is Kind.MODEL_GONE:
                labels = [label for label in labels if (provider.id, label) not in held][:1]
            elif place[0] == "key" and hold.verdict in _ABOUT_KEYS:
                labels = [label for label in labels if label == place[2]]
            else:
                continue  # it ends soon enough by itself, or no key check can tell
            for label in labels:
                found.setdefault((provider.id, label), []).append((place, hold))
        return found

    async def _ask(self, place: KeyPlace, held: Verdicts) -> None:
        provider = self._gateway.catalogue.providers.get(place[0])
        keys = () if provider is None else provider.keys
        key = next((key for key in keys if key.label == place[1] and key.enabled), None)
        if provider is None or key is None:
            return  # it was taken away while others were asked about
        verdict = await self._checks.check(provider, key)
        self._log.info("key asked about", provider=place[0], key=place[1], verdict=verdict.state.value)
        for where, hold in held:
            if _overturned(where, hold, verdict) and self._gateway.standing.lift(where, hold):
                self._log.info("no longer held", provider=place[0], place=where[-1], reason=hold.reason)
        self._gateway.loop.room.stir()


def _overturned(place: tuple[str, ...], hold: Hold, verdict: Verdict) -> bool:
    """Say whether *verdict* speaks against *hold*. That a key is valid says nothing about its credit."""
    match hold.verdict:
        case Kind.KEY_INVALID:
            return verdict.state is KeyState.VALID
        case Kind.NO_CREDIT:
            return verdict.state is KeyState.VALID and verdict.credit is True
        case _:
            return place[-1] in verdict.models
