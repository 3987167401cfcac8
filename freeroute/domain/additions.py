"""Limits that answers told of, added to the catalogue. Pure."""

from collections.abc import Collection

from msgspec import structs

from freeroute.domain.catalogue import Candidate, Catalogue, Limit, Pool, pool_id

LEARNED = 8
"""Limits that answers may add to one model of an account. Own design: no provider publishes more of any."""


def with_limit(catalogue: Catalogue, candidate: Candidate, limit: Limit) -> Catalogue:
    """Return *catalogue* with one more *limit* for the model and the account of *candidate*, of scope model.

    It is *catalogue* itself if that model is gone, counts the same already, or has enough of such limits.
    """

    def alike(other: Candidate) -> bool:
        return (other.name, other.key.account) == (candidate.name, candidate.key.account)

    pool = Pool(pool_id(candidate.provider, candidate.model, candidate.key, limit), limit)
    present = next((other for other in catalogue.candidates if alike(other)), None)
    if present is None or any(pool.id == known.id for known in present.pools):
        return catalogue
    if len(present.pools) - len(present.provider.limits) - len(present.model.limits) >= LEARNED:
        return catalogue
    grown = (structs.replace(c, pools=(*c.pools, pool)) if alike(c) else c for c in catalogue.candidates)
    return structs.replace(catalogue, candidates=tuple(grown))


def without_limits(catalogue: Catalogue, pools: Collection[str]) -> Catalogue:
    """Return *catalogue* without the limits of *pools*, by their ids."""

    def relieved(candidate: Candidate) -> Candidate:
        left = tuple(pool for pool in candidate.pools if pool.id not in pools)
        return candidate if len(left) == len(candidate.pools) else structs.replace(candidate, pools=left)

    return structs.replace(catalogue, candidates=tuple(map(relieved, catalogue.candidates)))
