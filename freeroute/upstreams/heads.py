"""The head of a request as it goes up, and what the head of its answer says of the body."""

from collections.abc import Sequence

from freeroute.domain.catalogue import Candidate
from freeroute.engine.ports import Terms
from freeroute.version import version

JSON = b"application/json"
FIXED: tuple[tuple[bytes, bytes], ...] = (
    (b"accept-encoding", b"identity"),
    (b"user-agent", f"freeroute/{version()}".encode()),
)


def request_headers(
    candidate: Candidate, terms: Terms, kind: bytes, accept: bytes
) -> list[tuple[bytes, bytes]]:
    """Return the headers of a body of this *kind*, for answers of type *accept*: nothing of the caller's.

    Raises ValueError for an unusable key.
    """
    provider = candidate.provider
    hop = (b"x-freeroute-hop", str(terms.hop).encode())
    headers = [(b"content-type", kind), (b"accept", accept), *FIXED, hop]
    headers += [
        (name.lower().encode("ascii"), value.encode("latin-1")) for name, value in provider.headers.items()
    ]
    secret = candidate.key.secret
    if secret:
        if not secret.isascii() or not secret.isprintable():
            raise ValueError("unusable key")
        value = f"{provider.auth.scheme} {secret}" if provider.auth.scheme else secret
        headers.append((provider.auth.header.lower().encode("ascii"), value.encode("ascii")))
    if terms.traceparent:
        headers.append((b"traceparent", terms.traceparent.encode("ascii")))
    return headers


def content_type(headers: Sequence[tuple[bytes, bytes]]) -> str:
    """Return the content type in lower case, "" if there is none."""
    for name, value in headers:
        if name.lower() == b"content-type":
            return value.decode("latin-1").lower()
    return ""
