"""The headers of an answer in the lines they came in, of which few are ever looked at.

Providers and those in front of them send twenty or more. To have the parser hand over each costs more than
all that it does otherwise, so it only judges them, and those that are wanted are found in their lines. It
takes no line end but CRLF, and no line that goes on in the next one.
"""

import re

from freeroute.upstreams.content_coding import coding_of
from freeroute.upstreams.heads import Header, Telling, content_type

_TELLING = re.compile(
    rb"\n(?i:(content-(?:type|encoding)|x-(?:ratelimit|trial-endpoint-call)-[^:]+)):[ \t]*([^\r]*)"
)


def telling(lines: bytes) -> Telling:
    """Return what *lines* tell; raises ProtocolError for a compressed body that we cannot undo."""
    found: list[Header] = _TELLING.findall(lines)
    rates = [header for header in found if header[0][0] in b"xX"]
    names, values = zip(*rates, strict=True) if rates else ((), ())
    return Telling(content_type(found), names, values, coding_of(found))


def taken_apart(lines: bytes) -> list[Header]:
    """Return all headers in *lines*, of which the first is none: it tells the status."""
    return [_pair(line) for line in lines.split(b"\r\n")[1:]]


def _pair(line: bytes) -> Header:
    name, _, value = line.partition(b":")
    return name, value.lstrip(b" \t")
