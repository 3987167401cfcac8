"""The head of a request as it goes up, and what the head of its answer says of the body."""

from collections.abc import Sequence

from msgspec import Struct

from freeroute.domain.catalogue import Candidate
from freeroute.engine.ports import Terms
from freeroute.version import version

Header = tuple[bytes, bytes]
JSON = b"application/json"
FIXED: tuple[Header, ...] = (
    (b"accept-encoding", b"identity"),
    (b"user-agent", f"freeroute/{version()}".encode()),
)


class Telling(Struct, frozen=True, gc=False):
    """What the head of every answer is asked for.

    *kind* is the content type of its body in lower case, "" if it has none, and *coding* what that is
    compressed with, if anything. *names* and *values* are those headers, at least, that tell of rates.
    """

    kind: str
    names: tuple[bytes, ...] = ()
    values: tuple[bytes, ...] = ()
    coding: bytes | None = None


class RequestHeaders:
    """The headers of calls: made once for a candidate, since most of its calls have the same."""

    def __init__(self) -> None:
        """Keep none yet."""
        self._kept: dict[tuple[str, bytes], tuple[Candidate, int, bytes, tuple[Header, ...]]] = {}

    def of(self, candidate: Candidate, terms: Terms, kind: bytes, accept: bytes) -> Sequence[Header]:
        """Return the headers of a body of this *kind*, for answers of type *accept*: nothing of the caller's.

        They are a tuple where others have the same. Raises ValueError for an unusable key.
        """
        place = (candidate.id, accept)
        kept = self._kept.get(place)
        if kept is None or kept[0] is not candidate or kept[1] != terms.hop or kept[2] != kind:
            kept = candidate, terms.hop, kind, _headers(candidate, terms.hop, kind, accept)
            self._kept[place] = kept
        if terms.traceparent is None:
            return kept[3]
        return [*kept[3], (b"traceparent", terms.traceparent.encode("ascii"))]


def _headers(candidate: Candidate, hop: int, kind: bytes, accept: bytes) -> tuple[Header, ...]:
    provider, secret = candidate.provider, candidate.key.secret
    headers = [(b"content-type", kind), (b"accept", accept), *FIXED, (b"x-freeroute-hop", b"%d" % hop)]
    for name, value in provider.headers.items():
        headers.append((name.lower().encode("ascii"), value.encode("latin-1")))
    if secret:
        if not secret.isascii() or not secret.isprintable():
            raise ValueError("unusable key")
        told = f"{provider.auth.scheme} {secret}" if provider.auth.scheme else secret
        headers.append((provider.auth.header.lower().encode("ascii"), told.encode("ascii")))
    return tuple(headers)


def telling_of(headers: Sequence[Header]) -> Telling:
    """Return what *headers* tell of a body that is as it should be read."""
    names, values = zip(*headers, strict=True) if headers else ((), ())
    return Telling(content_type(headers), names, values)


def content_type(headers: Sequence[Header]) -> str:
    """Return the content type in lower case, "" if there is none."""
    for name, value in headers:
        if len(name) == 12 and name.lower() == b"content-type":
            return value.decode("latin-1").lower()
    return ""
