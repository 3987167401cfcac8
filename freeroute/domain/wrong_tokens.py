"""Who may try another token: a bound on guessing, for each network that wrong ones come from."""

from collections import OrderedDict
from ipaddress import IPv6Address, ip_address

from freeroute.clock import Now

TRIES = 10
"""Wrong tokens that may come at once. Own design: a person who mistypes a key needs fewer."""

PER_TRY = 6.0
"""Seconds after which one more may come. Own design: ten a minute make 5 million a year."""

NETWORKS = 4096
"""Networks remembered at a time. Own design: half a megabyte; those beyond share one bucket."""

_CROWD = "*"
# Seconds by which sums of seconds may be off.
_ROUNDING = 1e-6


class WrongTokens:
    """A bucket of tries for each network: an IPv4 address, or the /64 that one IPv6 subscriber has.

    A network is forgotten once its bucket is full again, never to make room: whoever has many addresses
    cannot have the wrong tokens of one forgotten by sending others from the rest.
    """

    def __init__(self, networks: int = NETWORKS) -> None:
        """Remember at most *networks*, and one bucket for all others."""
        self._networks = networks
        # When (mono) each bucket is full again; those that missed last are last.
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        """Return how many buckets are remembered."""
        return len(self._full_at)

    def wait(self, peer: str, now: Now) -> float:
        """Return the seconds until *peer* may try a token; 0 if it may now."""
        full_at = self._full_at.get(self._bucket(peer, now), now.mono)
        wait = full_at - now.mono - (TRIES - 1) * PER_TRY
        return wait if wait > _ROUNDING else 0.0

    def count(self, peer: str, now: Now) -> None:
        """Take a try from *peer*, which had one: it sent a wrong token."""
        bucket = self._bucket(peer, now)
        full_at = max(self._full_at.pop(bucket, now.mono), now.mono)
        self._full_at[bucket] = full_at + PER_TRY

    def _bucket(self, peer: str, now: Now) -> str:
        network = network_of(peer)
        if network in self._full_at:
            return network
        while self._full_at and next(iter(self._full_at.values())) <= now.mono:
            self._full_at.popitem(last=False)
        return network if len(self._full_at) < self._networks else _CROWD


def network_of(peer: str) -> str:
    """Return what stands for everybody who may have the address *peer*; itself if it is none."""
    try:
        address = ip_address(peer.partition("%")[0])
    except ValueError:
        return peer
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return f"{IPv6Address(int(address) >> 64 << 64)}/64"
