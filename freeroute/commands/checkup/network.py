"""Are providers there, are the keys good, and is the clock right?"""

import asyncio
import datetime as dt
import os
from collections.abc import Iterator, Sequence
from email.utils import parsedate_to_datetime
from statistics import median
from urllib.parse import urlsplit

from msgspec import Struct

from freeroute.clock import Clock
from freeroute.commands.checkup.finding import Finding, note, ok, problem, warning
from freeroute.commands.keychecks import AT_ONCE, ask_every, keys_of
from freeroute.commands.offline import Offline
from freeroute.domain.catalogue import Key, Provider
from freeroute.domain.keys import KeyState, Verdict
from freeroute.domain.overlay import origin_of
from freeroute.upstreams import local
from freeroute.upstreams.faults import before_answer
from freeroute.upstreams.heads import FIXED
from freeroute.upstreams.http_proxies import Proxies
from freeroute.upstreams.transport import Deadlines, Transport, TransportError

PROVIDERS, KEYS, CLOCK = "providers", "keys", "clock"
# Own design: dates in answers are whole seconds and were true when they were sent.
ASKEW, FAR_OFF = 5.0, 60.0
_DEADLINES = Deadlines(connect=5.0, first_byte=10.0, idle=10.0, total=15.0)
_PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")


class Reached(Struct, frozen=True):
    """How a host answered: *trouble* is why it did not, *skew* how far ahead its clock is, in seconds."""

    origin: str
    trouble: str = ""
    skew: float | None = None


async def examine(read: Offline, transport: Transport, clock: Clock) -> list[Finding]:
    """Call every provider that is on, and return what is to be said of it; no quota is spent.

    They are reached by *transport*, as requests would be.
    """
    far = list(read.assembly.catalogue.providers.values())
    pairs = keys_of(read.assembly)
    reached, verdicts, there = await asyncio.gather(
        _reach(far, transport, clock), ask_every(pairs), _look_for_local(read)
    )
    return [
        *_told_of_hosts(far, reached),
        *_told_of_proxies(read),
        *_told_of_local(read, there),
        *_told_of_clock(reached),
        *(_told_of_key(*pair, verdict) for pair, verdict in zip(pairs, verdicts, strict=True)),
    ]


# --- hosts ------------------------------------------------------------------------------------------------


async def _reach(providers: Sequence[Provider], transport: Transport, clock: Clock) -> list[Reached]:
    """Ask each host once, without a key: any answer will do."""
    gate = asyncio.Semaphore(AT_ONCE)
    urls = {origin_of(provider.base_url): provider.base_url for provider in providers}

    async def one(origin: str, url: str) -> Reached:
        async with gate:
            return await _asked(origin, url, transport, clock)

    return await asyncio.gather(*(one(*pair) for pair in urls.items()))


async def _asked(origin: str, url: str, transport: Transport, clock: Clock) -> Reached:
    began = clock.now().wall
    try:
        exchange = await transport.open("GET", url, FIXED, b"", _DEADLINES)
    except TransportError as exc:
        return Reached(origin, before_answer(exc).detail)
    exchange.abort()
    date = next((value for name, value in exchange.headers if name.lower() == b"date"), b"")
    return Reached(origin, skew=_skew(date.decode("latin-1"), began, clock.now().wall))


def _skew(date: str, began: float, ended: float) -> float | None:
    """Return how far the clock that wrote *date* is ahead, at least; None if it says nothing.

    It wrote that at some moment between *began* and *ended*, and left out parts of a second.
    """
    try:
        told = parsedate_to_datetime(date)
    except ValueError:
        return None
    at = told.replace(tzinfo=told.tzinfo or dt.UTC).timestamp()
    if at > ended:
        return at - ended
    return min(at + 1 - began, 0.0)


def _told_of_hosts(providers: Sequence[Provider], reached: Sequence[Reached]) -> Iterator[Finding]:
    here = [one.origin for one in reached if not one.trouble]
    if here:
        yield ok(PROVIDERS, f"{len(here)} of {len(reached)} hosts answer")
    for one in reached:
        if one.trouble:
            names = ", ".join(p.id for p in providers if origin_of(p.base_url) == one.origin)
            told = f"{names}: {urlsplit(one.origin).hostname} cannot be asked: {one.trouble}"
            remedy = _REMEDIES.get(
                one.trouble, "look at the network, the firewall, and the provider's status page"
            )
            # If nobody is reached it is not theirs.
            yield problem(PROVIDERS, told, remedy) if not here else warning(PROVIDERS, told, remedy)


_REMEDIES = {
    "name does not resolve": "look at the name server, and at base_url if it is yours",
    "TLS handshake or certificate failed": "look at this machine's certificates and clock, and at proxies",
    "connection refused": "is it running, and is the port right?",
}


def _told_of_proxies(read: Offline) -> Iterator[Finding]:
    unusable = Proxies(os.environ).unusable
    name = next((name for name in _PROXIES if os.environ.get(name)), None)
    if name and read.assembly.catalogue.providers:
        if name.upper() in unusable:
            told = f"{name} is no http:// proxy: calls to providers do not go through it"
            yield warning(PROVIDERS, told, "where only a proxy leads out, name one that begins with http://")
        else:
            yield note(PROVIDERS, f"{name} is set: calls to providers go through that proxy", _NOT_THROUGH_IT)


_NOT_THROUGH_IT = "hosts that should be reached directly belong into NO_PROXY"


async def _look_for_local(read: Offline) -> list[Provider]:
    settings = read.plan.settings
    async with local.new_client(read.assembly.local) as client:
        return await local.find(read.assembly.local, client, own_port=settings.server.port)


def _told_of_local(read: Offline, there: Sequence[Provider]) -> Iterator[Finding]:
    for server in there:
        yield ok(PROVIDERS, f"{server.id}: found, with {len(server.models)} models")
    found, listed = {server.id for server in there}, read.plan.settings.providers
    for server in read.assembly.local:
        if server.id not in found and server.id in listed:
            told = f"{server.id}: no model server answers at {server.base_url}"
            yield warning(PROVIDERS, told, "start it, and install a model; it is looked for every minute")


# --- the clock --------------------------------------------------------------------------------------------


def _told_of_clock(reached: Sequence[Reached]) -> Iterator[Finding]:
    skews = [one.skew for one in reached if one.skew is not None]
    if not skews:
        return
    skew = median(skews)  # one that is wrong, or comes from a cache, must not count
    way = "behind" if skew > 0 else "ahead of"
    told = f"this clock is {abs(skew):,.0f} s {way} that of {len(skews)} providers"
    remedy = "let NTP set it: quotas of a day turn at the wrong moment, and resets are misread"
    if abs(skew) > FAR_OFF:
        yield problem(CLOCK, told, remedy)
    elif abs(skew) > ASKEW:
        yield warning(CLOCK, told, remedy)
    else:
        yield ok(CLOCK, f"this clock agrees with that of {len(skews)} providers")


# --- keys -------------------------------------------------------------------------------------------------


def _told_of_key(provider: Provider, key: Key, verdict: Verdict) -> Finding:
    told = (
        f"{provider.id}: {key.label}: {verdict.state.value}{f' ({verdict.detail})' if verdict.detail else ''}"
    )
    if verdict.state is KeyState.INVALID:
        return problem(KEYS, told, "make a new key there, and put it in the place of this one")
    if verdict.credit is False:
        return warning(KEYS, told, "look at the account's plan there: calls are refused until it has credit")
    if verdict.state is KeyState.UNKNOWN and verdict.asked:
        return note(KEYS, told, f"nothing is known against it; `freeroute check {provider.id}` asks again")
    return ok(KEYS, told)
