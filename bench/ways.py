"""All ways to the upstream, one after the other: direct, through the gateway, through what others use."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TypeVar

from msgspec.structs import replace

from bench import bare, nginx
from bench.gateway import gateway
from bench.peers import running as peers
from bench.processes import BenchFailed, Target, Upstream

Found = TypeVar("Found")
Way = Callable[[Upstream], AbstractContextManager[Sequence[Target]]]

# Every feature is on, over plain HTTP and over TLS to the upstream: what is held beside others.
LIMITED, OVER_TLS = "freeroute, with limits", "freeroute, limits, TLS"
# Ways that decide nothing: how fast a machine is, is told by them.
NGINX, BARE = nginx.NAME, bare.NAME


def through_each(
    upstream: Upstream, measure: Callable[[Target], Found]
) -> tuple[list[Found], tuple[str, ...]]:
    """Return what *measure* finds on each way, the direct one first, and why others could not be taken."""
    found: list[Found] = []
    absent = []
    for way, is_ours in WAYS:
        try:
            with way(upstream) as targets:
                found += map(measure, targets)
        except BenchFailed as exc:
            if is_ours:
                raise
            absent.append(str(exc))
    return found, tuple(absent)


@contextmanager
def _direct(upstream: Upstream) -> Iterator[Sequence[Target]]:
    yield (upstream.direct,)


@contextmanager
def _proxied(upstream: Upstream) -> Iterator[Sequence[Target]]:
    with nginx.proxy(upstream) as target:
        yield (target,)


@contextmanager
def _bare(upstream: Upstream) -> Iterator[Sequence[Target]]:
    with bare.bare(upstream) as target:
        yield (target,)


@contextmanager
def _freeroute(upstream: Upstream) -> Iterator[Sequence[Target]]:
    with gateway(upstream) as running:
        yield (running.plain, running.limited)


@contextmanager
def _freeroute_over_tls(upstream: Upstream) -> Iterator[Sequence[Target]]:
    with nginx.over_tls(upstream) as secured, gateway(secured) as running:
        yield (replace(running.limited, name=OVER_TLS),)


@contextmanager
def _litellm(upstream: Upstream) -> Iterator[Sequence[Target]]:
    with peers.litellm(upstream) as target:
        yield (target,)


@contextmanager
def _portkey(upstream: Upstream) -> Iterator[Sequence[Target]]:
    with peers.portkey(upstream) as target:
        yield (target,)


# A run fails with ours, and goes on without theirs. TLS is nginx's, so a machine without it has none.
WAYS: tuple[tuple[Way, bool], ...] = (
    (_direct, True),
    (_proxied, False),
    (_bare, True),
    (_freeroute, True),
    (_freeroute_over_tls, False),
    (_portkey, False),
    (_litellm, False),
)
