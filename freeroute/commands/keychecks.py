"""Asking providers about keys, many at once: what ``check`` and ``doctor`` share."""

import asyncio
from collections.abc import Sequence

import click

from freeroute.clock import SystemClock
from freeroute.config.assembly import Assembly
from freeroute.domain.catalogue import Key, Provider
from freeroute.domain.keys import Verdict
from freeroute.upstreams.keycheck import check, new_client

# Enough to be quick, few enough that no provider takes it for an attack.
AT_ONCE = 8


def keys_of(assembly: Assembly, wanted: Sequence[str] = ()) -> list[tuple[Provider, Key]]:
    """Return the keys in use, of *wanted* providers or of all; raises BadParameter for one that is not on."""
    known = {**assembly.catalogue.providers, **{server.id: server for server in assembly.local}}
    for name in wanted:
        if name not in known:
            on = ", ".join(sorted(known)) or "none"
            raise click.BadParameter(f"{name!r} is not switched on; there is: {on}", param_hint="PROVIDER")
    return [
        (provider, key)
        for provider in known.values()
        if not wanted or provider.id in wanted
        for key in provider.keys
        if key.enabled and (key.secret or provider.engine is None)
    ]


async def ask_every(keys: Sequence[tuple[Provider, Key]]) -> list[Verdict]:
    """Return the verdict on each of *keys*, by a call that costs no quota."""
    gate = asyncio.Semaphore(AT_ONCE)
    async with new_client() as client:

        async def one(provider: Provider, key: Key) -> Verdict:
            async with gate:
                return await check(provider, key, client, SystemClock().now())

        return await asyncio.gather(*(one(provider, key) for provider, key in keys))
