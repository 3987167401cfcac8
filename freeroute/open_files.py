"""How many files this process may have open at a time: sockets above all."""

import contextlib
import errno
import math
import os

MANY = 65_536
"""What a process takes leave to open. Own design: as many as all that is bounded elsewhere may need, several
times over.
"""

SPARE = 64
"""Files that are no connection's: what listens, the state, the database. Own design. A process that may open
few keeps half of them for those, 32 at least, of which some twenty are open from the start.
"""


def may_open() -> float:
    """Return how many files there may be; ``inf`` if nobody counts them."""
    return _limits()[0]


def could_open() -> float:
    """Return how many there may be once `allow_many` has asked for more; ``inf`` if nobody counts them."""
    return _limits()[1]


def each_side(files: float) -> float:
    """Return how many of so many *files* connections to callers may take, and those to providers as well."""
    return (files - min(SPARE, max(SPARE / 2, files / 2))) // 2


def allow_many() -> None:
    """Have this process, and those that it starts, open up to `MANY` if the system lets it.

    Many systems let a process begin with 1,024, or with 256.
    """
    most = min(MANY, could_open())
    if may_open() >= most:
        return
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):  # some systems allow less than they say
        resource.setrlimit(resource.RLIMIT_NOFILE, (int(most), hard))


def is_any_left() -> bool:
    """Say whether this process may open one more just now."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as exc:
        return exc.errno not in (errno.EMFILE, errno.ENFILE)
    return True


def is_lack(exc: OSError) -> bool:
    """Say whether *exc* came of a lack of files: many a library tells that as something else."""
    return exc.errno in (errno.EMFILE, errno.ENFILE) or not is_any_left()


def _limits() -> tuple[float, float]:
    try:
        import resource
    except ImportError:  # Windows counts none
        return math.inf, math.inf
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    without = resource.RLIM_INFINITY
    return math.inf if soft == without else soft, math.inf if hard == without else hard
