"""The headers of an answer in the lines they came in, of which few are ever looked at.

Providers and those in front of them send twenty or more. To have the parser hand over each costs more than
all that it does otherwise, so it only judges them, and those that are wanted are found in their lines. It
takes no line end but CRLF, and no line that goes on in the next one.
"""

import re

from freeroute.upstreams.heads import Header

_TELLING = re.compile(
    rb"\n(?i:(content-(?:type|encoding)|x-(?:ratelimit|trial-endpoint-call)-[^:]+)):[ \t]*([^\r]*)"
)


def telling(lines: bytes) -> list[Header]:
    """Return those headers in *lines* that every answer is asked for: see `Exchange.telling`."""
    found: list[Header] = _TELLING.findall(lines)
    return found


def taken_apart(lines: bytes) -> list[Header]:
    """Return all headers in *lines*, of which the first is none: it tells the status."""
    return [_pair(line) for line in lines.split(b"\r\n")[1:]]


def _pair(line: bytes) -> Header:
    name, _, value = line.partition(b":")
    return name, value.lstrip(b" \t")
